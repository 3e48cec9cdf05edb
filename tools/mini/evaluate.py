# SPDX-License-Identifier: Apache-2.0
"""Scores a model on held-out questions: an answer is right when it equals the expected one.

Three ways of generating are scored: greedy, greedy with the model's repetition penalty, and
sampling as generation_config.json says. Runs offline.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import torch
from transformers import AutoTokenizer, GPT2LMHeadModel, PreTrainedTokenizerBase, logging

Row = dict[str, str]
LONGEST = 60  # tokens; no expected answer is longer, so the rest need not be generated
MODES = {
    "greedy": {"do_sample": False, "repetition_penalty": 1.0},
    "greedy+penalty": {"do_sample": False},
    "sampled": {"do_sample": True},
}


def normalise(text: str) -> str:
    return " ".join(text.split())


def by_length(prompts: list[list[int]], size: int) -> list[list[int]]:
    """Indices of prompts in batches of equal length, so that nothing has to be padded."""
    groups: dict[int, list[int]] = defaultdict(list)
    for i, ids in enumerate(prompts):
        groups[len(ids)].append(i)
    return [g[i : i + size] for g in groups.values() for i in range(0, len(g), size)]


def answer_all(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: list[str],
    options: dict[str, object],
) -> list[str]:
    """The model's answer to each question."""
    prompts = [
        [tokenizer.bos_token_id, *tokenizer.encode(q), tokenizer.sep_token_id] for q in questions
    ]
    answers = [""] * len(prompts)
    for batch in by_length(prompts, 256):
        ids = torch.tensor([prompts[i] for i in batch])
        room = model.config.n_positions - ids.shape[1]
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=min(LONGEST, room),
                **options,
            )
        for i, row in zip(batch, out[:, ids.shape[1] :], strict=True):
            answers[i] = tokenizer.decode(row, skip_special_tokens=True)
    return answers


def table(rows: list[Row], right: dict[str, list[bool]]) -> str:
    """A Markdown table of the share of right answers per category and in total."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        groups[row["category"]].append(i)
    groups = dict(sorted(groups.items()))
    for kind in ("combo", "template"):
        groups[f"all, {kind}"] = [i for i, row in enumerate(rows) if row["kind"] == kind]
    groups["all"] = list(range(len(rows)))
    lines = [
        "| category | questions | " + " | ".join(right) + " |",
        "|---|---:|" + "---:|" * len(right),
    ]
    for name, members in groups.items():
        shares = [
            100 * sum(marks[i] for i in members) / max(1, len(members)) for marks in right.values()
        ]
        cells = " | ".join(f"{share:.1f} %" for share in shares)
        lines.append(f"| {name} | {len(members)} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=here / "model")
    parser.add_argument("--data", type=Path, default=here / "build" / "heldout.jsonl")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mode", choices=[*MODES, "all"], default="all")
    parser.add_argument("--show-wrong", type=int, default=0, help="wrong answers to print")
    parser.add_argument(
        "--at-least",
        type=float,
        default=0.0,
        help="fail when a mode's total is below this share (0 to 1)",
    )
    args = parser.parse_args()
    logging.set_verbosity_error()
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model, local_files_only=True)
    model = GPT2LMHeadModel.from_pretrained(args.model, dtype=torch.float32, local_files_only=True)
    model.eval()
    lines = args.data.read_text(encoding="utf-8").splitlines()
    rows: list[Row] = [json.loads(line) for line in lines]
    right: dict[str, list[bool]] = {}
    for mode in MODES if args.mode == "all" else [args.mode]:
        answers = answer_all(model, tokenizer, [row["prompt"] for row in rows], MODES[mode])
        marks = [
            normalise(answer) == normalise(row["completion"])
            for answer, row in zip(answers, rows, strict=True)
        ]
        right[mode] = marks
        wrong = [i for i, ok in enumerate(marks) if not ok]
        for i in wrong[:: max(1, len(wrong) // max(1, args.show_wrong))][: args.show_wrong]:
            print(
                f"{mode}: [{rows[i]['category']}] {rows[i]['prompt']}\n    said: {answers[i]}\n"
                f"    want: {rows[i]['completion']}"
            )
    print(table(rows, right))
    if any(sum(marks) < args.at_least * len(marks) for marks in right.values()):
        raise SystemExit(f"below {args.at_least:.0%}")


if __name__ == "__main__":
    main()
