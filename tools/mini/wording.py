# SPDX-License-Identifier: Apache-2.0
"""Portuguese forms of a name, and how people type a question (no accents, no question mark)."""

from __future__ import annotations

import random
import re
import unicodedata

ARTICLES = ("o", "a", "os", "as", "um", "uma")
NUMBERS = [
    "zero",
    "um",
    "dois",
    "três",
    "quatro",
    "cinco",
    "seis",
    "sete",
    "oito",
    "nove",
    "dez",
    "onze",
    "doze",
    "treze",
    "quatorze",
    "quinze",
    "dezesseis",
    "dezessete",
    "dezoito",
    "dezenove",
    "vinte",
]


def forms(name: str) -> dict[str, str]:
    """`o Brasil` -> bare name, with article, with `de`; a name without article keeps none.

    `plural` is empty for the singular.
    """
    article, _, rest = name.partition(" ")
    if article not in ARTICLES or not rest:
        plural = name[0].islower() and name.split(" ")[0].endswith("s")
        return {"x": name, "o": name, "de": f"de {name}", "plural": "s" if plural else ""}
    of = f"de {name}" if article in ("um", "uma") else f"d{name}"
    return {"x": rest, "o": name, "de": of, "plural": "s" if article in ("os", "as") else ""}


def agrees(template: str, values: dict[str, str]) -> bool:
    """Whether the template's verb has the number of the subject (`o que são` asks for plurals)."""
    if "plural" not in values:
        return True
    if "são {" in template:
        return bool(values["plural"])
    singular = ("é {x}", "é {o}", "{x} é", "{o} é", "{o} tem", "tem {o}", "significa {", "dizer {")
    return not (values["plural"] and any(verb in template for verb in singular))


def capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


def strip_accents(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(c for c in parts if not unicodedata.combining(c)))


def fold(text: str) -> str:
    """What two wordings share when case, accents, spacing and final punctuation are ignored."""
    plain = strip_accents(text).lower()
    return re.sub(r"\s+", " ", plain).strip(" ?.!,:")


def join_wrap(wrap: str, text: str, keep_case: bool) -> str:
    """Puts a question inside `Oi, {q}` (lower-case start) or `Olá! {Q}` (capital start)."""
    lower = text if keep_case else text[:1].lower() + text[1:]
    return wrap.replace("{q}", lower).replace("{Q}", text)


def typo(text: str, rng: random.Random) -> str:
    """One slip in one longer word: two letters swapped, or one left out."""
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if len(word) >= 6 and word.isalpha()]
    if not places:
        return text
    i = rng.choice(places)
    word = words[i]
    k = rng.randrange(1, len(word) - 2)
    swapped = word[:k] + word[k + 1] + word[k] + word[k + 2 :]
    words[i] = swapped if rng.random() < 0.5 else word[:k] + word[k + 1 :]
    return " ".join(words)


def vary(text: str, rng: random.Random, typos: bool) -> str:
    """The question as somebody in a hurry may type it; about a third stay as they are."""
    if rng.random() < 0.35:
        return text
    if typos and rng.random() < 0.07:
        text = typo(text, rng)
    if rng.random() < 0.03:
        text = re.sub(r" d[oa]s? ", " de ", text, count=1)
    r = rng.random()
    if r < 0.35:
        text = text.rstrip("?.!").rstrip() or text
    elif r < 0.40 and text.endswith("?"):
        text = text[:-1] + rng.choice([" ?", "??", ".", "!", "?!"])
    r = rng.random()
    if r < 0.28:
        text = text.lower()
    elif r < 0.40:
        text = text[:1].lower() + text[1:]
    elif r < 0.46:
        text = text.title()
    elif r < 0.49:
        text = text.upper()
    elif r < 0.54:
        # A concept or a name with capitals, as in "Aprendizagem de Máquina".
        text = " ".join(w.capitalize() if len(w) > 4 else w for w in text.split(" "))
    if rng.random() < 0.25:
        text = strip_accents(text)
    return text


def vary_more(text: str, rng: random.Random) -> str:
    """What later rounds add: capitals throughout, or an accent missing here and there."""
    r = rng.random()
    if r < 0.06:
        return text.upper()
    if r < 0.18:
        words = [strip_accents(w) if rng.random() < 0.5 else w for w in text.split(" ")]
        return " ".join(words)
    return text
