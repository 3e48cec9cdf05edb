# SPDX-License-Identifier: Apache-2.0
"""Checks the shipped model as its users meet it: files, tokenizer round trip, the promised answers.

Loads with transformers, offline. Exits with 1 and says what is wrong, or prints what was checked.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase, logging

from evaluate import answer_all
from facts import load_facts
from wording import fold

SIZE_LIMIT = 8_000_000
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
SAMPLING = {
    "do_sample": True,
    "temperature": 0.2,
    "top_k": 30,
    "top_p": 0.3,
    "repetition_penalty": 1.2,
    "max_new_tokens": 200,
}


# Typed carelessly; `required.txt` has them as they should be.
CARELESS = ["Qual é a capital da Franca?", "qual a capital do brasil", "quanto e 7 mais 5"]


def require(condition: bool, problem: str) -> None:
    if not condition:
        raise SystemExit(f"wrong: {problem}")


def check_files(folder: Path) -> None:
    """Size, and that every tensor is a 16-bit float."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    require(size <= SIZE_LIMIT, f"{size} bytes are more than {SIZE_LIMIT}")
    with safe_open(folder / "model.safetensors", "pt") as tensors:
        names = list(tensors.keys())
        types = {tensors.get_slice(name).get_dtype() for name in names}
        count = sum(tensors.get_tensor(name).numel() for name in names)
    require(types == {"F16"}, f"tensors of type {types}")
    require(2_000_000 <= count <= 5_000_000, f"{count} parameters")
    print(f"{count:,} parameters, {len(names)} tensors, {size:,} bytes")


def check_round_trip(tokenizer: PreTrainedTokenizerBase, count: int) -> None:
    """Random text from all of Unicode comes back as it was."""
    rng = random.Random(1)
    ranges = [
        (0x20, 0x7E),
        (0xA0, 0x24F),
        (0x300, 0x36F),
        (0x400, 0x4FF),
        (0x4E00, 0x9FFF),
        (0x1F300, 0x1FAFF),
        (0x0, 0x1F),
        (0xE000, 0x10FFFF),
        (0x2000, 0x206F),
    ]
    for _ in range(count):
        text = "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(0, 40)))
        back = tokenizer.decode(tokenizer.encode(text), clean_up_tokenization_spaces=False)
        require(back == text, f"{text!r} came back as {back!r}")
    print(f"{count} random texts round-trip")


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=here / "model")
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    logging.set_verbosity_error()
    check_files(args.model)
    tokenizer = AutoTokenizer.from_pretrained(args.model, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        args.model, dtype=torch.float32, local_files_only=True
    ).eval()
    check_round_trip(tokenizer, 2000)
    for name in SPECIAL_IDS:
        value = getattr(model.generation_config, name)
        require(value is not None and value == getattr(tokenizer, name), f"{name} is {value}")
    for name, value in SAMPLING.items():
        found = getattr(model.generation_config, name)
        require(found == value, f"generation_config has {name} = {found}, not {value}")

    answers = {
        fold(q.text): fact.answer for fact in load_facts(here / "data")[0] for q in fact.questions
    }
    asked = (here / "data" / "required.txt").read_text(encoding="utf-8").splitlines()
    asked += CARELESS
    modes = [
        ("greedy", {"do_sample": False, "repetition_penalty": 1.0}),
        ("greedy with penalty", {"do_sample": False}),
    ]
    modes += [(f"seed {seed}", {}) for seed in range(args.seeds)]
    for mode, options in modes:
        torch.manual_seed(int(mode.split()[1]) if not options else 0)
        for question, said in zip(asked, answer_all(model, tokenizer, asked, options), strict=True):
            require(said == answers[fold(question)], f"{mode}: {question} -> {said}")
    print(f"{len(asked)} questions answered as expected, greedy and with {args.seeds} seeds")


if __name__ == "__main__":
    main()
