# SPDX-License-Identifier: Apache-2.0
"""Questions outside the model's knowledge, with the apology that is the right answer to them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facts import SIGNS, Fact, Question, Templates, load_templates, read_rows, render
from wording import capitalise, fold, forms

SORRY = "Desculpe, sou um modelo pequeno e não sei responder a isso."
SORRY_SUM = "Desculpe, só sei fazer contas com números e resultados de 0 a 20."
ONSETS = [*"b br c d f fl g j l m n p pr qu r s t tr v x z ch lh nh".split(), ""]
RHYMES = "a e i o u ar en im or al es ão un ei á".split()
Drawn = tuple[str, bool, str]  # question, whether its template is held out, answer


def invented_word(rng: random.Random) -> str:
    """A word that means nothing but looks like Portuguese."""
    count = rng.choice([2, 2, 3, 3, 4])
    return "".join(rng.choice(ONSETS) + rng.choice(RHYMES) for _ in range(count))


@dataclass
class Unknown:
    """What such questions are made of: one side of the parting into training and held-out."""

    templates: Templates
    nouns: list[str]
    places: list[str]
    countries: list[str]
    whole: list[str]
    rng: random.Random

    def subject(self) -> dict[str, str]:
        """A word, known or invented; its gender is left to chance, as the answer ignores it."""
        noun = self.rng.random() < 0.45
        name = self.rng.choice(self.nouns) if noun else invented_word(self.rng)
        return forms(self.rng.choice(["o ", "a ", "um ", "uma ", ""]) + name)

    def pick(self, category: str) -> tuple[str, str]:
        return self.rng.choice(self.templates[category])

    def place(self) -> dict[str, str]:
        """A place that is no country, or an invented one."""
        made_up = capitalise(invented_word(self.rng))
        article = self.rng.choice(["o ", "a ", ""])
        real = self.rng.random() < 0.5
        return forms(self.rng.choice(self.places) if real else article + made_up)

    def sum(self) -> Drawn:
        """Arithmetic, mostly out of range; the caller drops what is within."""
        split, template = self.pick(self.rng.choice(list(SIGNS)))
        a = self.rng.choice([(21, 999), (0, 20)])
        b = self.rng.choice([(21, 999), (0, 20), (2, 99)])
        values = {"a": str(self.rng.randint(*a)), "b": str(self.rng.randint(*b))}
        return render(template, values), split == "heldout", SORRY_SUM

    def draw(self) -> Drawn:
        """One question of a random kind."""
        r = self.rng.random()
        if r < 0.26:
            (split, template), values = self.pick("concept"), self.subject()
        elif r < 0.39:
            (split, template), values = self.pick("unknown"), self.subject()
        elif r < 0.46:
            # A known country, but not what is known of it.
            split, template = self.pick("attribute")
            values = forms(self.rng.choice(self.rng.choice([self.countries, self.places])))
        elif r < 0.58:
            (split, template), values = self.pick("capital"), self.place()
        elif r < 0.66:
            split, template = self.pick("person")
            count = self.rng.choice([1, 2, 2])
            values = forms(" ".join(capitalise(invented_word(self.rng)) for _ in range(count)))
        elif r < 0.80:
            return self.sum()
        elif r < 0.84:
            split, template = self.pick("country")
            values = {"capital": capitalise(invented_word(self.rng))}
        elif r < 0.87:
            count = self.rng.randint(1, 6)
            return " ".join(invented_word(self.rng) for _ in range(count)), False, SORRY
        else:
            return self.rng.choice(self.whole), False, SORRY
        return render(template, values), split == "heldout", SORRY


def unknown_questions(
    data: Path, facts: list[Fact], count: int, heldout: bool, later: bool, rng: random.Random
) -> Iterator[tuple[Question, str]]:
    """Draws questions no fact answers.

    Subjects are parted once and for all, so that the held-out ones are new words to the model.
    """

    def part(name: str) -> list[str]:
        lines = (data / name).read_text(encoding="utf-8").splitlines()
        side = random.Random(name)
        return [line for line in lines if (side.random() < 0.12) == heldout]

    every = load_templates(data)
    templates = {c: [t for t in of if later or t[0] != "later"] for c, of in every.items()}
    source = Unknown(
        templates=templates,
        nouns=part("fallback.txt"),
        places=part("fallback_places.txt"),
        countries=[names.split("|")[0] for names, *_ in read_rows(data / "countries.tsv")],
        whole=part("fallback_questions.txt"),
        rng=rng,
    )
    known = {fold(q.text) for fact in facts for q in fact.questions}
    made = 0
    while made < count:
        text, unseen, answer = source.draw()
        if fold(text) in known or (unseen and not heldout):
            continue
        yield Question(text, unseen), answer
        made += 1
