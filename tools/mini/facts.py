# SPDX-License-Identifier: Apache-2.0
"""Reads data/: every fact with all the questions that ask for it, and questions nobody answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wording import NUMBERS, capitalise, fold, forms

SORRY = "Desculpe, sou um modelo pequeno e não sei responder a isso."
SORRY_SUM = "Desculpe, só sei fazer contas com números e resultados de 0 a 20."
LIMIT = 20
SIGNS = {"sum": "mais", "difference": "menos", "product": "vezes", "quotient": "dividido por"}


@dataclass(frozen=True)
class Question:
    text: str
    heldout: bool = False
    starts_with_name: bool = False


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
            text = render(template, values)
            name = template.startswith(("{x}", "{capital}"))
            seen.setdefault(text, Question(text, split == "heldout", name))
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


def general_facts(rows: list[list[str]], templates: Templates, rng: random.Random
                  ) -> Iterator[Fact]:  # fmt: skip
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
                fact.questions.append(Question(full, unseen or split == "heldout"))
        yield fact


def small_talk(rows: list[list[str]], rng: random.Random) -> Iterator[Fact]:
    """Greetings and talk about itself; of the later wordings one in seven is never shown.

    A wording of one word is always shown: nothing else could tell what that word means.
    """
    for texts, answer in rows:
        asked = [Question(text, i >= 4 and " " in text and rng.random() < 0.15)
                 for i, text in enumerate(texts.split("|"))]  # fmt: skip
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


def load_facts(data: Path) -> tuple[list[Fact], list[Template]]:
    """All facts, and the greetings a question may be wrapped in."""
    templates: Templates = {}
    for category, split, text in read_rows(data / "templates.tsv"):
        templates.setdefault(category, []).append((split, text))
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


def invented_word(rng: random.Random) -> str:
    """A word that means nothing but looks like Portuguese."""
    onsets = ["b", "br", "c", "d", "f", "fl", "g", "j", "l", "m", "n", "p", "pr", "qu", "r", "s", "t",
              "tr", "v", "x", "z", "ch", "lh", "nh", ""]  # fmt: skip
    rhymes = ["a", "e", "i", "o", "u", "ar", "en", "im", "or", "al", "es", "ão", "un", "ei", "á"]
    count = rng.choice([2, 2, 3, 3, 4])
    return "".join(rng.choice(onsets) + rng.choice(rhymes) for _ in range(count))


def unknown_questions(data: Path, facts: list[Fact], count: int, heldout: bool,
                      rng: random.Random) -> Iterator[tuple[Question, str]]:  # fmt: skip
    """Questions outside the model's knowledge, with the apology that is the right answer.

    Subjects are parted once and for all, so that the held-out ones are new words to the model.
    """
    templates: Templates = {}
    for category, split, text in read_rows(data / "templates.tsv"):
        templates.setdefault(category, []).append((split, text))
    known = {fold(q.text) for fact in facts for q in fact.questions}

    def half(name: str) -> list[str]:
        lines = (data / name).read_text(encoding="utf-8").splitlines()
        part = random.Random(name)
        return [line for line in lines if (part.random() < 0.12) == heldout]

    nouns, places = half("fallback.txt"), half("fallback_places.txt")
    countries = [names.split("|")[0] for names, *_ in read_rows(data / "countries.tsv")]
    whole = half("fallback_questions.txt")

    def subject() -> dict[str, str]:
        name = rng.choice(nouns) if rng.random() < 0.45 else invented_word(rng)
        return forms(rng.choice(["o ", "a ", "um ", "uma ", ""]) + name)

    def one() -> tuple[str, bool, str]:
        r = rng.random()
        if r < 0.26:
            split, template = rng.choice(templates["concept"])
            values = subject()
        elif r < 0.39:
            split, template = rng.choice(templates["unknown"])
            values = subject()
        elif r < 0.46:
            # A known country, but not what is known of it.
            split, template = rng.choice(templates["attribute"])
            values = forms(rng.choice(rng.choice([countries, places])))
        elif r < 0.58:
            split, template = rng.choice(templates["capital"])
            made_up = capitalise(invented_word(rng))
            article = rng.choice(["o ", "a ", ""])
            values = forms(rng.choice(places) if rng.random() < 0.5 else article + made_up)
        elif r < 0.66:
            split, template = rng.choice(templates["person"])
            names = [capitalise(invented_word(rng)) for _ in range(rng.choice([1, 2, 2]))]
            values = forms(" ".join(names))
        elif r < 0.80:
            category = rng.choice(list(SIGNS))
            split, template = rng.choice(templates[category])
            a, b = rng.choice([(21, 999), (0, 20)]), rng.choice([(21, 999), (0, 20), (2, 99)])
            values = {"a": str(rng.randint(*a)), "b": str(rng.randint(*b))}
            return render(template, values), split == "heldout", SORRY_SUM
        elif r < 0.84:
            split, template = rng.choice(templates["country"])
            values = {"capital": capitalise(invented_word(rng))}
        elif r < 0.87:
            words = " ".join(invented_word(rng) for _ in range(rng.randint(1, 6)))
            return words, False, SORRY
        else:
            return rng.choice(whole), False, SORRY
        return render(template, values), split == "heldout", SORRY

    made = 0
    while made < count:
        text, unseen, answer = one()
        if fold(text) in known or (unseen and not heldout):
            continue
        yield Question(text, unseen), answer
        made += 1
