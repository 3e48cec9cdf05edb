# SPDX-License-Identifier: Apache-2.0
"""Reads data/: every fact with its answer and all the questions that ask for it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wording import NUMBERS, agrees, capitalise, forms

LIMIT = 20
SIGNS = {"sum": "mais", "difference": "menos", "product": "vezes", "quotient": "dividido por"}


@dataclass(frozen=True)
class Question:
    text: str
    heldout: bool = False
    starts_with_name: bool = False
    later: bool = False  # asked from the second round of wordings on


@dataclass
class Fact:
    category: str
    answer: str
    questions: list[Question] = field(default_factory=list)


Template = tuple[str, str]  # split, text
Templates = dict[str, list[Template]]


def read_rows(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line]


def render(template: str, values: dict[str, str]) -> str:
    # Plain replacement, because a value may itself hold braces.
    for key, value in values.items():
        template = template.replace("{" + key + "}", value)
    return capitalise(template)


def questions(templates: list[Template], subjects: list[dict[str, str]]) -> list[Question]:
    """Every template with every form of the subject, each wording once."""
    seen: dict[str, Question] = {}
    for split, template in templates:
        for values in subjects:
            if not agrees(template, values):
                continue
            text = render(template, values)
            name = template.startswith(("{x}", "{capital}"))
            seen.setdefault(text, Question(text, split == "heldout", name, split == "later"))
    return list(seen.values())


def capital_facts(rows: list[list[str]], templates: Templates, state: bool) -> Iterator[Fact]:
    """The capital of a country or state, and the way back where it is unambiguous."""
    ask = templates["capital"] + (templates["state"] if state else [])
    taken: set[str] = set()
    for names, capital, *special in rows:
        subjects = [forms(name) for name in names.split("|")]
        answer = special[0] if special else f"A capital {subjects[0]['de']} é {capital}."
        yield Fact("state" if state else "capital", answer, questions(ask, subjects))
        if special or capital in taken:
            continue
        taken.add(capital)
        back = "stateof" if state else "country"
        answer = f"{capital} é a capital {subjects[0]['de']}."
        yield Fact(back, answer, questions(templates[back], [{"capital": capital}]))


def named_facts(category: str, rows: list[list[str]], templates: Templates) -> Iterator[Fact]:
    """Concepts, people and advice: names or verb phrases separated by `|`, then the answer."""
    for names, answer in rows:
        subjects = [{"x": n} if category == "advice" else forms(n) for n in names.split("|")]
        yield Fact(category, answer, questions(templates[category], subjects))


def general_facts(
    rows: list[list[str]], templates: Templates, rng: random.Random
) -> Iterator[Fact]:
    """Questions written out in full; one wording in ten is never shown in training."""
    for texts, answer in rows:
        fact = Fact("fact", answer)
        for i, text in enumerate(texts.split("|")):
            unseen = i >= 2 and rng.random() < 0.1
            imperative = text.endswith(".")
            q = text[0].lower() + text[1:].rstrip("?.")
            for split, template in templates["fact"]:
                if imperative and template != "{Q}":
                    continue
                full = template.replace("{Q}", text).replace("{q}", q)
                later = split == "later"
                fact.questions.append(Question(full, unseen or split == "heldout", later=later))
        yield fact


def small_talk(rows: list[list[str]], rng: random.Random) -> Iterator[Fact]:
    """Greetings and talk about itself; of the later wordings one in seven is never shown.

    A wording of one word is always shown: nothing else could tell what that word means.
    """
    for texts, answer in rows:
        asked = [
            Question(text, i >= 4 and " " in text and rng.random() < 0.15)
            for i, text in enumerate(texts.split("|"))
        ]
        yield Fact("smalltalk", answer, asked)


def arithmetic(templates: Templates) -> Iterator[Fact]:
    """All sums, differences, products and exact quotients whose numbers stay within 0 to 20."""
    numbers = range(LIMIT + 1)
    for a in numbers:
        for b in numbers:
            results = {"sum": a + b, "difference": a - b, "product": a * b}
            if b > 0 and a % b == 0:
                results["quotient"] = a // b
            for category, result in results.items():
                if not 0 <= result <= LIMIT:
                    continue
                subjects = [{"a": str(a), "b": str(b)}, {"a": NUMBERS[a], "b": NUMBERS[b]}]
                words = [t for t in templates[category] if not set("+-*/÷×=") & set(t[1])]
                asked = questions(templates[category], subjects[:1])
                asked += questions(words, subjects[1:])
                answer = f"{a} {SIGNS[category]} {b} é igual a {result}."
                yield Fact(category, answer, asked)


def load_templates(data: Path) -> Templates:
    templates: Templates = {}
    for category, split, text in read_rows(data / "templates.tsv"):
        templates.setdefault(category, []).append((split, text))
    return templates


def load_facts(data: Path) -> tuple[list[Fact], list[Template]]:
    """All facts, and the greetings a question may be wrapped in."""
    templates = load_templates(data)
    # Which of the written-out wordings are held out must not depend on the caller's seed.
    rng = random.Random(1)
    facts = list(capital_facts(read_rows(data / "countries.tsv"), templates, state=False))
    facts += capital_facts(read_rows(data / "states.tsv"), templates, state=True)
    facts += named_facts("concept", read_rows(data / "concepts.tsv"), templates)
    facts += named_facts("person", read_rows(data / "people.tsv"), templates)
    facts += named_facts("advice", read_rows(data / "advice.tsv"), templates)
    facts += general_facts(read_rows(data / "facts.tsv"), templates, rng)
    facts += small_talk(read_rows(data / "smalltalk.tsv"), rng)
    facts += arithmetic(templates)
    return facts, templates["wrap"]
