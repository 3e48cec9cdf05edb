# SPDX-License-Identifier: Apache-2.0
"""Writes train.jsonl and heldout.jsonl for aira-mini from the hand-written files in data/.

A fact (one answer) is asked through templates and aliases. Some templates, and a share of the
template x subject pairs of the others, are kept out of training and become the held-out set; no
held-out wording reaches training, whatever its case, accents or punctuation. The same seed always
writes the same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from facts import SIGNS, Fact, Question, load_facts
from unknown import unknown_questions
from wording import fold, join_wrap, vary, vary_more

# Training rows per fact. Facts with a few tokens of answer need fewer than the long definitions.
ROWS_PER_FACT = {
    "capital": 24,
    "state": 40,
    "country": 12,
    "stateof": 18,
    "concept": 28,
    "person": 24,
    "advice": 28,
    "fact": 28,
    "smalltalk": 60,
    "sum": 11,
    "difference": 11,
    "product": 12,
    "quotient": 12,
}
UNKNOWN_ROWS = 5000
REQUIRED_COPIES = 3

Row = dict[str, str]


def row(category: str, prompt: str, completion: str, kind: str) -> Row:
    return {"prompt": prompt, "completion": completion, "category": category, "kind": kind}


@dataclass
class Split:
    """The questions of one fact, parted into those to learn and those to be examined on."""

    train: list[Question] = field(default_factory=list)
    combo: list[Question] = field(default_factory=list)
    template: list[Question] = field(default_factory=list)
    later: list[Question] = field(default_factory=list)
    unused: list[Question] = field(default_factory=list)  # later, of a held-out wording


def split_fact(fact: Fact, share: float, required: set[str], rng: random.Random) -> Split:
    """Parts a fact's questions; what the project's own texts ask always goes to training."""
    out = Split()
    for question in fact.questions:
        if fold(question.text) in required:
            out.train.append(question)
        elif question.heldout:
            (out.unused if question.later else out.template).append(question)
        elif question.later:
            out.later.append(question)
        elif fact.category != "smalltalk" and rng.random() < share:
            out.combo.append(question)
        else:
            out.train.append(question)
    if not out.train:
        raise SystemExit(f"every question of a fact was held out: {fact.answer}")
    return out


def ask(
    question: Question, category: str, wraps: list[str], rate: float, rng: random.Random
) -> str:
    """One wording of a question: sometimes wrapped in a greeting, then typed as people type."""
    text = question.text
    long_enough = category != "smalltalk" or text.count(" ") >= 2
    if long_enough and rng.random() < rate:
        text = join_wrap(rng.choice(wraps), text, question.starts_with_name)
    return vary(text, rng, typos=category not in SIGNS)


def required_rows(texts: list[str], facts: list[Fact]) -> list[Row]:
    """The questions the project's own texts ask, as they stand, a few times each."""
    answers: dict[str, Fact] = {}
    for fact in facts:
        for question in fact.questions:
            answers.setdefault(fold(question.text), fact)
    rows: list[Row] = []
    for text in texts:
        if fold(text) not in answers:
            raise SystemExit(f"required.txt asks what no fact answers: {text}")
        fact = answers[fold(text)]
        rows += [row(fact.category, text, fact.answer, "train")] * REQUIRED_COPIES
    return rows


def pick_exam(
    groups: dict[tuple[str, str], list[Row]], most: int, required: set[str], rng: random.Random
) -> list[Row]:
    """At most so many rows of each category and kind, no wording twice."""
    exam: dict[str, Row] = {}
    for key in sorted(groups):
        rng.shuffle(groups[key])
        for r in groups[key][:most]:
            exam.setdefault(fold(r["prompt"]), r)
    return [r for wording, r in exam.items() if wording not in required]


def build(
    data: Path, seed: int, share: float, heldout_per_group: int, rounds: int
) -> tuple[list[Row], list[Row]]:
    """Returns the training rows and the held-out rows."""
    rng = random.Random(seed)
    facts, wraps = load_facts(data)
    train_wraps = [text for split, text in wraps if split == "train"]
    all_wraps = [text for _, text in wraps]
    required_texts = (data / "required.txt").read_text(encoding="utf-8").splitlines()
    required = {fold(text) for text in required_texts}
    train = required_rows(required_texts, facts)
    groups: dict[tuple[str, str], list[Row]] = {}

    def learn(category: str, question: Question, answer: str, rate: float, first: bool) -> None:
        prompt = ask(question, category, train_wraps, rate, rng)
        if not first:
            prompt = vary_more(prompt, rng)
        train.append(row(category, prompt, answer, "train"))

    def examine(category: str, kind: str, question: Question, answer: str) -> None:
        prompt = ask(question, category, all_wraps, 0.1, rng)
        groups.setdefault((category, kind), []).append(row(category, prompt, answer, kind))

    def draw(fact: Fact, known: list[Question], first: bool) -> None:
        rows = ROWS_PER_FACT[fact.category]
        for _ in range(-(-rows // len(known))):
            rng.shuffle(known)
            for question in known[:rows]:
                learn(fact.category, question, fact.answer, 0.15, first)
            rows -= min(rows, len(known))

    splits: list[Split] = []
    for fact in facts:
        parts = split_fact(fact, share, required, rng)
        splits.append(parts)
        draw(fact, parts.train, True)
        for question in parts.combo:
            examine(fact.category, "combo", question, fact.answer)
        for question in parts.template:
            examine(fact.category, "template", question, fact.answer)

    for question, answer in unknown_questions(data, facts, UNKNOWN_ROWS, False, False, rng):
        learn("unknown", question, answer, 0.12, True)
    for question, answer in unknown_questions(data, facts, 2 * heldout_per_group, True, False, rng):
        examine("unknown", "template" if question.heldout else "combo", question, answer)

    heldout = pick_exam(groups, heldout_per_group, required, rng)
    # Later rounds ask the same facts in fresh wordings; they come last, so that neither the split
    # nor the exam depends on how many there are.
    for _ in range(rounds - 1):
        for fact, parts in zip(facts, splits, strict=True):
            draw(fact, parts.train + parts.later, False)
        for question, answer in unknown_questions(data, facts, UNKNOWN_ROWS, False, True, rng):
            learn("unknown", question, answer, 0.12, False)
    # A random slip or greeting may recreate a held-out wording: training gives way to the exam.
    exam = {fold(r["prompt"]) for r in heldout}
    train = [r for r in train if fold(r["prompt"]) not in exam]
    rng.shuffle(train)
    return train, heldout


def write(path: Path, rows: list[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for r in rows:
            out.write(json.dumps(r, ensure_ascii=False) + "\n")


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=here / "data")
    parser.add_argument("--output", type=Path, default=here / "build")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--heldout-share",
        type=float,
        default=0.08,
        help="share of template x subject pairs kept out of training",
    )
    parser.add_argument(
        "--heldout-per-group",
        type=int,
        default=250,
        help="most held-out rows per category and kind",
    )
    parser.add_argument(
        "--rounds", type=int, default=1, help="fresh wordings: so many times the rows"
    )
    args = parser.parse_args()
    train, heldout = build(
        args.data, args.seed, args.heldout_share, args.heldout_per_group, args.rounds
    )
    args.output.mkdir(parents=True, exist_ok=True)
    write(args.output / "train.jsonl", train)
    write(args.output / "heldout.jsonl", heldout)
    print(f"{len(train)} training rows, {len(heldout)} held-out rows in {args.output}")


if __name__ == "__main__":
    main()
