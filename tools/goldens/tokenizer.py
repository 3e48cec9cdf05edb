"""Writes tests/data/tokenizer: what the real `tokenizers` library does with adversarial texts.

    python tools/goldens/tokenizer.py                          the texts, the small tokenizer and its goldens
    python tools/goldens/tokenizer.py gpt2=FOLDER mini=FOLDER  the goldens of other tokenizers of GPT-2's class

texts.jsonl   a text a line: a JSON string, or {"bytes": base64} when it is not valid UTF-8
ids-NAME.jsonl    its ids; "plain": with special tokens taken as text; "decoded": the ids as text, when that is
                  not the text itself; "skipped": the same without special tokens. Only what differs is written.
decode-NAME.jsonl random ids and their text
"""

import base64
import json
import pathlib
import random
import shutil
import sys

import texts as adversarial
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

DATA = pathlib.Path(__file__).resolve().parents[2] / "tests/data/tokenizer"
ROLES = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token"]

CORPUS = """
O rio corre devagar entre as pedras, e a canoa do pescador balança como uma folha. Não há pressa: a manhã é longa,
o café ainda está quente, e as crianças já estão na beira d'água, contando os peixes que ninguém vê. Quantos são?
Três, dizem elas; depois trinta, depois mil. A avó ri e corrige: são nenhum, porque os peixes também são crianças.
Uma pergunta: qual é a capital do Brasil? Brasília, desde 1960. E antes? O Rio de Janeiro, e antes ainda Salvador.
A ação, a paixão, o coração; os pães, as mães, as ações e os corações. Você está aí? Estou, sim. Então vamos embora!
The river runs slowly, and it's early; we'll wait, they've said, until the light's better. I'm sure you'd agree that
nothing's lost by waiting. Don't ask who's there: they're all here, the old and the young, the quick and the slow.
In 1984 there were 365 days, 52 weeks and 12 months; in 2000 there was one day more. The word of the world is the word.
"""

ADDED = [
    AddedToken("<|start|>", special=True, normalized=False),
    AddedToken("<|end|>", special=True, normalized=False),
    AddedToken("<|endoftext|>", special=True, normalized=False),
    AddedToken("<|pad|>", special=True, normalized=True),
    AddedToken("<|end|>x", normalized=False),
    AddedToken("<|", normalized=True),
    AddedToken("[L]", lstrip=True, special=True, normalized=False),
    AddedToken("[R]", rstrip=True, normalized=False),
    AddedToken("[LR]", lstrip=True, rstrip=True, normalized=True),
    AddedToken("palavra", single_word=True, normalized=True),
    AddedToken("coração", single_word=True, lstrip=True, normalized=False),
    AddedToken("não", normalized=True),
    AddedToken("日本", single_word=True, normalized=False),
    AddedToken("ab", normalized=True),
    AddedToken("abc", normalized=True),
    AddedToken("bcd", normalized=False),
    AddedToken("   ", normalized=False),
    AddedToken("\n\n", lstrip=True, normalized=True),
    AddedToken(" x", lstrip=True, rstrip=True, normalized=False),
    AddedToken("é", normalized=False),
    AddedToken("the", single_word=True, normalized=False),
]
SMALL_ROLES = {"bos_token": "<|start|>", "sep_token": "<|end|>", "eos_token": "<|endoftext|>",
               "pad_token": "<|pad|>", "unk_token": "<|endoftext|>"}


def as_json(token):
    return {"content": token.content, "single_word": token.single_word, "lstrip": token.lstrip,
            "rstrip": token.rstrip, "normalized": token.normalized, "special": token.special}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def write_lines(path, values):
    lines = [json.dumps(v, separators=(",", ":")) for v in values]
    path.write_text("\n".join(lines) + "\n")


def make_small():
    """A vocabulary of 600 with awkward added tokens: small/ with tokenizer.json, small-files/ without."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([CORPUS], trainers.BpeTrainer(vocab_size=600, initial_alphabet=sorted(alphabet)))
    tokenizer.add_tokens(ADDED)
    (DATA / "small").mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(DATA / "small/tokenizer.json"), pretty=False)
    decoder = {str(i): as_json(t) for i, t in tokenizer.get_added_tokens_decoder().items()}
    config = {"added_tokens_decoder": decoder, "tokenizer_class": "GPT2Tokenizer", **SMALL_ROLES}
    config["bos_token"] = {"__type": "AddedToken", **as_json(ADDED[0])}
    write(DATA / "small/tokenizer_config.json", config)

    model = json.loads((DATA / "small/tokenizer.json").read_text())["model"]
    files = DATA / "small-files"
    shutil.rmtree(files, ignore_errors=True)
    write(files / "vocab.json", model["vocab"])
    (files / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in model["merges"]))
    vocabulary = model["vocab"]
    new = [t.content for t in ADDED if t.content not in vocabulary]
    write(files / "added_tokens.json", {content: len(vocabulary) + i for i, content in enumerate(new)})
    write(files / "special_tokens_map.json", {**SMALL_ROLES, "extra_special_tokens": ["[L]"]})
    write(files / "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False})


def variant(name):
    """small with other options of its tokenizer.json; tests/tokenizer_golden_test.cpp makes the same."""
    value = json.loads((DATA / "small/tokenizer.json").read_text())
    if name == "small-prefix":
        value["pre_tokenizer"]["add_prefix_space"] = True
    if name == "small-noregex":
        value["pre_tokenizer"]["use_regex"] = False
    if name == "small-ignore":
        value["model"]["ignore_merges"] = True
        value["model"]["merges"] = value["model"]["merges"][:100]
    return Tokenizer.from_str(json.dumps(value))


def roles_of(folder):
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text()) if path.exists() else {}
    values = [config[key] for key in ROLES if config.get(key)]
    return [v["content"] if isinstance(v, dict) else v for v in values]


class Oracle:
    """`tokenizers` three times: as the file says; with the tokens that have a role special and special tokens
    taken as text; and with the tokens that have a role special for decoding."""

    def __init__(self, load, roles):
        self.plain, self.skip, self.tokenizer = load(), load(), load()
        self.tokenizer.no_truncation()
        self.plain.no_truncation()
        for token in self.tokenizer.get_added_tokens_decoder().values():
            if token.content in roles:
                token.special = True
                self.plain.add_special_tokens([token])
        self.plain.encode_special_tokens = True
        self.skip.add_special_tokens([r for r in roles if self.skip.token_to_id(r) is not None])

    def encode(self, data):
        text = data.decode("utf-8", errors="replace")
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        out = {"ids": ids}
        plain = self.plain.encode(text, add_special_tokens=False).ids
        if plain != ids:
            out["plain"] = plain
        decoded, skipped = self.decode(ids)
        if decoded != text:
            out["decoded"] = decoded
        if skipped != decoded:
            out["skipped"] = skipped
        return out

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=False), self.skip.decode(ids, skip_special_tokens=True)


def write_goldens(name, oracle, data):
    write_lines(DATA / f"ids-{name}.jsonl", [oracle.encode(one) for one in data])
    rng = random.Random(name)
    size = oracle.tokenizer.get_vocab_size()
    rows = []
    for _ in range(400):
        ids = [rng.randrange(size) if rng.random() < 0.97 else size + rng.randrange(1000) for _ in range(rng.randint(1, 12))]
        if rng.random() < 0.5:
            ids = [i if i >= size - 25 else i % 256 for i in ids]
        decoded, skipped = oracle.decode(ids)
        row = {"ids": ids, "decoded": decoded}
        if skipped != decoded:
            row["skipped"] = skipped
        rows.append(row)
    write_lines(DATA / f"decode-{name}.jsonl", rows)
    print(f"{name}: {len(data)} texts")


def write_texts():
    lines = []
    for one in adversarial.texts():
        try:
            lines.append(one.decode())
        except UnicodeDecodeError:
            lines.append({"bytes": base64.b64encode(one).decode()})
    write_lines(DATA / "texts.jsonl", lines)


def read_texts():
    for line in (DATA / "texts.jsonl").read_text().splitlines():
        one = json.loads(line)
        yield one.encode() if isinstance(one, str) else base64.b64decode(one["bytes"])


def main():
    if len(sys.argv) == 1:
        make_small()
        write_texts()
    data = list(read_texts())
    for argument in sys.argv[1:]:
        name, _, folder = argument.partition("=")
        folder = pathlib.Path(folder)
        load = lambda: transformers.GPT2Tokenizer.from_pretrained(str(folder)).backend_tokenizer
        oracle = Oracle(load, roles_of(folder))
        write_goldens(name, oracle, data)
    if len(sys.argv) > 1:
        return
    roles = list(SMALL_ROLES.values())
    write_goldens("small", Oracle(lambda: variant("small"), roles), data)
    for name in ("small-prefix", "small-noregex", "small-ignore"):
        write_goldens(name, Oracle(lambda: variant(name), roles), data[:600])
    load = lambda: transformers.GPT2Tokenizer.from_pretrained(str(DATA / "small-files")).backend_tokenizer
    write_goldens("small-files", Oracle(load, roles), data[:600])


if __name__ == "__main__":
    main()
