#!/usr/bin/env python3
"""Makes tests/data/folders/generation_configs.json: random generation configs and their answers.

Fields and values are drawn at random for one model, that of the case "generation/greedy". A config
that transformers refuses with a ValueError about one of its fields must be refused here too. One
that it stumbles over, or whose answers depend on rounding or on chance (folder_oracle.py), is drawn
anew. A tenth of them stand in config.json.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/generation_configs.py
"""

import json
import os
import pathlib
import random
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import transformers  # noqa: E402
from folder_base import PROMPTS, Case, write  # noqa: E402
from folder_generation import ENDS, GREEDY, STOPS, by_hand  # noqa: E402
from folder_oracle import Unclear, answers, load  # noqa: E402
from folders import OUT  # noqa: E402
from transformers import GenerationConfig  # noqa: E402

COUNT = 1000
COMMON = [377, 394, 258, 389, 355, 344, 274, 360, 331, 32, 307, 314, 287, 13, 320]


class Draw:
    """Values for the fields of a config."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def of(self, *values):
        return self.rng.choice(values)

    def chance(self, share):
        return self.rng.random() < share

    def number(self, low, high):
        return round(self.rng.uniform(low, high), 2)

    def id(self):
        return self.of(*COMMON) if self.chance(0.7) else self.rng.randrange(420)

    def ids(self, most):
        return sorted({self.id() for _ in range(self.rng.randint(1, most))})

    def phrase(self):
        return [self.id() for _ in range(self.of(1, 1, 2, 3))]

    def lengths(self):
        kind = self.rng.randrange(4)
        config = {}
        if kind:
            config["max_new_tokens"] = self.rng.randint(1, 12)
        if kind in (0, 2):
            config["max_length"] = self.rng.randint(14, 26)
        if self.chance(0.2):
            config["min_length"] = self.rng.randint(0, 20)
        if self.chance(0.2):
            config["min_new_tokens"] = self.rng.randint(0, 8)
        return config

    def ends(self):
        return {"eos_token_id": self.of(0, 0, 377, -1, ENDS, [0, self.id()], self.ids(3)),
                "pad_token_id": self.of(0, 0, -1, None)}

    def processors(self):
        fields = {
            "repetition_penalty": lambda: self.of(1, 1.0, self.number(0.6, 1.9), None),
            "no_repeat_ngram_size": lambda: self.rng.randint(0, 3),
            "bad_words_ids": lambda: [self.phrase() for _ in range(self.rng.randint(1, 6))],
            "sequence_bias": lambda: [[list(p), self.number(-6, 6)] for p in {
                tuple(self.phrase()) for _ in range(self.rng.randint(1, 5))}],
            "suppress_tokens": lambda: self.of(None, self.ids(8), self.ids(3)),
            "begin_suppress_tokens": lambda: self.ids(8),
            "forced_bos_token_id": lambda: self.of(None, self.id()),
            "forced_eos_token_id": lambda: self.of(None, self.id(), [self.id(), 0]),
            "exponential_decay_length_penalty": lambda: [self.rng.randint(0, 6), self.number(1, 2)],
            "renormalize_logits": lambda: self.of(True, False),
            "stop_strings": lambda: self.of(None, "nte", " a", STOPS, [self.of("e", "o", "ç", "re")]),
            "remove_invalid_values": lambda: self.of(True, False),
        }
        share = self.of(0.1, 0.25, 0.5)
        config = {name: value() for name, value in fields.items() if self.chance(share)}
        if "exponential_decay_length_penalty" in config:
            # it would grow with the lowest number there is
            config.pop("remove_invalid_values", None)
        return config

    def cuts(self, sampling):
        """Fields of sampling; where it is on, one of them leaves a single token."""
        fields = {
            "temperature": lambda: self.number(0.1, 3),
            "top_k": lambda: self.rng.randint(1, 60),
            "top_p": lambda: self.number(0.05, 1),
            "min_p": lambda: self.of(None, self.number(0, 1)),
            "typical_p": lambda: self.number(0.05, 1),
            "epsilon_cutoff": lambda: self.number(0, 0.9),
            "eta_cutoff": lambda: self.number(0, 0.9),
        }
        if not sampling:
            fields.update({
                "temperature": lambda: self.of(0, 0.0, None, 0.7, -1.5),
                "top_k": lambda: self.of(0, -1, 50, None, 1),
                "top_p": lambda: self.of(0, 0.0, 0.3, 1.0, None, 5)})
        share = self.of(0.1, 0.4)
        config = {name: value() for name, value in fields.items() if self.chance(share)}
        if sampling:
            name, value = self.of(("top_k", 1), ("top_k", 1), ("top_p", 0.0), ("min_p", 1.0),
                                  ("typical_p", 1e-7), ("top_p", 1e-8), ("epsilon_cutoff", 0.9999))
            config[name] = value
        return config

    def beams(self):
        config = {"num_beams": self.rng.randint(2, 4)}
        if self.chance(0.6):
            config["num_return_sequences"] = self.rng.randint(1, config["num_beams"])
        if self.chance(0.6):
            config["length_penalty"] = self.of(1.0, 0.0, self.number(-1, 2))
        if self.chance(0.6):
            config["early_stopping"] = self.of(True, False, "never", None)
        return config

    def mistake(self, config):
        name, value = self.of(
            ("early_stopping", "always"), ("max_new_tokens", 0), ("num_return_sequences", 9),
            ("repetition_penalty", 0.0), ("no_repeat_ngram_size", "two"),
            ("sequence_bias", [[[1], "x"]]), ("num_beams", 0),
            ("suppress_tokens", [5000]), ("eos_token_id", "end"), ("stop_strings", [3]),
            ("exponential_decay_length_penalty", [1]))
        return {**config, name: value}

    def config(self):
        config = {**self.lengths(), **self.ends(), **self.processors()}
        kind = self.of("greedy", "greedy", "beams", "sampling")
        if kind == "beams":
            config.update(self.beams())
        elif self.chance(0.2):
            config["num_beams"] = self.of(1, None)
        if kind == "sampling":
            config["do_sample"] = True
        elif self.chance(0.8):
            config["do_sample"] = self.of(False, False, None)
        config.update(self.cuts(kind == "sampling"))
        if kind == "sampling" and isinstance(config.get("forced_eos_token_id"), list):
            config["forced_eos_token_id"].pop()  # two forced ids are a tie
        if kind == "sampling" and self.chance(0.3):
            config["num_return_sequences"] = 2
        if self.chance(0.2):
            config.update({"use_cache": self.of(True, False), "transformers_version": "4.40.0"})
        if self.chance(0.05):
            config = self.mistake(config)
        names = list(config)
        self.rng.shuffle(names)
        return {name: config[name] for name in names}


def read_config(folder, config, legacy):
    """As from_pretrained reads it."""
    name = "config.json" if legacy else "generation_config.json"
    write(folder / name, config)
    if legacy:
        return GenerationConfig.from_pretrained(
    folder, config_file_name=name, _from_model_config=True)
    return GenerationConfig.from_pretrained(folder)


def record(tokenizer, model, folder, draw):
    """A config with the answers to two prompts, or None where chance would decide."""
    config, legacy = draw.config(), draw.chance(0.1)
    result = {"config": config, **({"legacy": True} if legacy else {})}
    try:
        model.generation_config = read_config(folder, config, legacy)
    except Exception as problem:
        return refusal(result, problem)
    prompts = ["e", *PROMPTS] if config.get("forced_bos_token_id") else list(PROMPTS)
    draw.rng.shuffle(prompts)
    found = []
    for prompt in prompts[:7]:
        ids = tokenizer(prompt).input_ids
        if len(ids) >= config.get("max_length", 99):
            continue
        try:
            found.append([prompt, answers(tokenizer, model, ids)])
        except Unclear:
            continue
        except Exception as problem:
            return refusal(result, problem)
        if len(found) == 2:
            break
    return {**result, "answers": found} if found else None


def config_beams(config):
    return config.get("num_beams") or 1


def refusal(result, problem):
    """With the field that the sentence names; None for what is no refusal of a value."""
    named = [name for name in result["config"] if f"`{name}`" in str(problem)]
    if "penalty` has" in str(problem):
        named = ["repetition_penalty"]
    if not isinstance(problem, ValueError) or not named or "positive integers" in str(problem):
        return None
    if "num_return_sequences" in named and config_beams(result["config"]) == 1:  # deliberate
        return None
    if "is also in `suppress_tokens`" in str(problem):  # refused only when it comes up
        return None
    return {**result, "refused": named}


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as other:
        folder = pathlib.Path(place)
        by_hand(GREEDY)(folder)
        tokenizer, model = load(Case("generation/greedy", None), folder)
        records, seed = [], 0
        while len(records) < COUNT:
            seed += 1
            found = record(tokenizer, model, pathlib.Path(other), Draw(seed))
            if found is not None:
                records.append(found)
    refused = sum("refused" in r for r in records)
    path = OUT / "generation_configs.json"
    body = ",\n".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in records)
    path.write_text(f"[\n{body}\n]\n", encoding="utf-8")
    print(f"{len(records)} configs of {seed} drawn, {refused} to be refused,"
          f" {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
