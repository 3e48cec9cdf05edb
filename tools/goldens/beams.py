#!/usr/bin/env python3
"""Makes tests/data/beams: what transformers' beam search finds with tests/data/models.

`generate` with float64 weights is the oracle (it sums log-probabilities in float32). A search is
left out when rounding could change it: when two neighbours in one of its rankings, or a finished
and a hypothetical score that decide whether it goes on, differ by less than 3e-4.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/beams.py
"""

import itertools
import json
import pathlib
import random

import torch
from model import OUT as MODELS_DIR, load_tensors, rounded
from tokenizers import Tokenizer, decoders, models
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

OUT = MODELS_DIR.parent / "beams"
MARGIN = 3e-4
LOWEST = -1e8  # below: transformers' marks for what does not exist

GRID = list(itertools.product((True, False, "never"), (0.3, 1.0, -0.5, 2.0), (2, 3, 5), (1.0, 1.2)))
# Processors and stop texts that come beside the grid; words are filled in for a prompt.
EXTRAS = [
    dict(no_repeat_ngram_size=2),
    dict(min_new_tokens=6),
    dict(bad_words="best"),
    dict(logit_bias="ends"),
    dict(renormalize_logits=True, repetition_penalty=1.3),
    dict(renormalize_logits=True, bad_words="best", logit_bias="ends"),
    dict(no_repeat_ngram_size=3, min_new_tokens=4, logit_bias="ends", repetition_penalty=1.1),
    dict(stop="across"),
    dict(stop="short"),
    dict(stop="start", no_repeat_ngram_size=2),
    dict(suppress_tokens="first", begin_suppress_tokens="second"),
    dict(forced_eos_token_id="end", exponential_decay_length_penalty=[2, 0.9]),
    dict(sequence_bias="pairs", forced_eos_token_id="end", stop="across"),
]


class Watched(GPT2LMHeadModel):
    """Notes by how little a decision of the search was taken."""

    margin = float("inf")
    heuristic = 0  # how often a finished score stood against a hypothetical one

    def note(self, ranking, count):
        values = torch.topk(ranking.double(), min(count + 1, ranking.numel())).values
        values = values[values > LOWEST]
        if len(values) > 1:
            self.margin = min(self.margin, float((values[:-1] - values[1:]).min()))

    def _get_top_k_continuations(self, accumulated_log_probs, beams_to_keep, **rest):
        self.note(accumulated_log_probs[0], beams_to_keep)
        return super()._get_top_k_continuations(
            accumulated_log_probs=accumulated_log_probs, beams_to_keep=beams_to_keep, **rest)

    def _update_finished_beams(self, **now):
        length = now["cur_len"] + 1 - now["decoder_prompt_len"]
        scores = now["topk_log_probs"][0] / length ** now["length_penalty"]
        ended = scores[now["next_token_hits_stopping_criteria"][0] & now["top_num_beam_mask"]]
        self.note(torch.cat((now["beam_scores"][0], ended)), now["num_beams"])
        return super()._update_finished_beams(**now)

    def _check_early_stop_heuristic(self, **now):
        if bool(now["is_sent_finished"].all()):
            longest = now["early_stopping"] == "never" and now["length_penalty"] > 0
            length = (now["max_length"] if longest else now["cur_len"]) - now["decoder_prompt_len"]
            best = float(now["running_beam_scores"][0, 0]) / length ** now["length_penalty"]
            if best > LOWEST and now["early_stopping"] is not True:
                self.margin = min(self.margin, abs(best - float(now["beam_scores"].min())))
                self.heuristic += 1
        return super()._check_early_stop_heuristic(**now)


def digits(ids):
    """A token's text is its id."""
    return "".join(map(str, ids))


def tokenizer_of(vocab):
    tokenizer = Tokenizer(models.WordLevel({str(i): i for i in range(vocab)}, unk_token="0"))
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def stopped(prompt, generated, stops):
    known = len(digits(prompt + generated[:-1]))
    text = digits(prompt + generated)
    return any(stop in text[max(0, known - len(stop) + 1):] for stop in stops)


def search(model, prompt, end_ids, options):
    """The hypotheses, or None when rounding could change them."""
    options = dict(options)
    bias, words = options.pop("logit_bias", None), options.pop("bad_words", None)
    sequences, stops = options.pop("sequence_bias", None), options.pop("stop", None)
    config = GenerationConfig(
        do_sample=False, pad_token_id=0, eos_token_id=end_ids or None,
        return_dict_in_generate=True, output_scores=True, bad_words_ids=words,
        sequence_bias=sequences or bias and [[[i], b] for i, b in bias], stop_strings=stops,
        **options)
    model.generation_config.eos_token_id = None
    model.margin, model.heuristic = float("inf"), 0
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config,
                         tokenizer=stops and tokenizer_of(model.config.vocab_size))
    if model.margin < MARGIN or float(out.sequences_scores.min()) < LOWEST:
        return None
    found = []
    for row, score, beams in zip(out.sequences, out.sequences_scores.tolist(), out.beam_indices):
        length = int((beams >= 0).sum())
        generated = row[len(prompt):len(prompt) + length].tolist()
        ended = generated[-1] in end_ids or stopped(prompt, generated, stops or [])
        assert ended or length == options["max_new_tokens"]
        found.append({"ids": generated, "score": rounded([score])[0], "ended": ended})
    return found


def end_ids_for(model, prompt, count, rng):
    """Ids that the beams without an end come upon, at different lengths."""
    free = dict(num_beams=5, num_return_sequences=5, max_new_tokens=count)
    config = GenerationConfig(do_sample=False, pad_token_id=0, **free)
    model.generation_config.eos_token_id = None
    ids = torch.tensor([prompt])
    rows = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    rows = rows[:, len(prompt):].tolist()
    taken = [rows[0][count // 3], rows[1][count // 2], rows[4][2 * count // 3],
             rng.randrange(model.config.vocab_size)]
    return sorted(set(taken)), rows[0]


def cases_for(model, prompt, count, number, rng):
    ends, best = end_ids_for(model, prompt, count, rng)
    if number % 3 == 0:
        ends = ends[:1]
    fill = {"best": [[best[0]], best[1:3], [ends[0]]],
            "ends": [[i, 1.5] for i in ends] + [[best[1], -0.5]]}
    fill["ends"] = sorted(dict(fill["ends"]).items())
    text = digits(best[1:4])
    fill |= {"across": [text[1:-1]], "short": [text[:2], "no"],
             "start": [str(prompt[-1])[-1] + str(best[0])[0], text],
             "first": [best[0]], "second": [best[1], best[2]], "end": ends[:2],
             "pairs": [[best[:2], -2.0], [best[1:4], 1.5], [[ends[0]], 0.25]]}
    wanted = [dict(early_stopping=e, length_penalty=p, num_beams=n, repetition_penalty=r)
              for e, p, n, r in GRID]
    for i, extra in enumerate(EXTRAS):
        for early, penalty in ((True, 1.0), (False, 0.3), ("never", 2.0)):
            more = {k: fill[v] if isinstance(v, str) else v for k, v in extra.items()}
            wanted.append(dict(early_stopping=early, length_penalty=penalty,
                               num_beams=(2, 3, 5, 4)[i % 4], **more))
    cases = []
    for i, options in enumerate(wanted):
        options["num_return_sequences"] = 1 + i % options["num_beams"]
        options["max_new_tokens"] = 1 if i % 50 == 49 else count - i % 3
        end_ids = [] if i % 40 == 39 else ends
        found = search(model, prompt, end_ids, options)
        if found is not None:
            cases.append({"prompt": prompt, "end_ids": end_ids, **options, "hypotheses": found})
            STATS["heuristic"] += model.heuristic > 0
            STATS["kept"][i] += 1
    return cases


STATS = {"heuristic": 0, "kept": [0] * (len(GRID) + 3 * len(EXTRAS))}


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate("abcde"):
        rng = random.Random(number)
        config = GPT2Config.from_pretrained(MODELS_DIR / name, attn_implementation="eager")
        model = load_tensors(MODELS_DIR / name, config)
        model.__class__ = Watched
        cases, STATS["heuristic"] = [], 0
        for i, length in enumerate((1, 5, 2)):
            prompt = [rng.randrange(config.vocab_size) for _ in range(length)]
            count = min(14, config.n_positions - length)
            cases += cases_for(model, prompt, count, number + i, rng)
        texts = [h for case in cases for h in case["hypotheses"]]
        lengths = {len(h["ids"]) for h in texts if h["ended"]}
        distinct = {json.dumps(case["hypotheses"]) for case in cases}
        print(f"{name}: {len(cases)} searches, {len(distinct)} distinct results,"
              f" {len(texts)} texts, {sum(h['ended'] for h in texts)} ended at lengths"
              f" {sorted(lengths)},"
              f" {STATS['heuristic']} weighed going on")
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        (OUT / f"{name}.json").write_text(f"[\n{lines}\n]\n")
    assert min(STATS["kept"]) >= 3, STATS["kept"]  # every combination of the options


if __name__ == "__main__":
    main()
