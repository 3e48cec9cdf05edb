"""Writes tests/data/tokenizer/kinds.jsonl: tokenizer folders of many kinds, and what `transformers` makes of them.

    python tools/goldens/tokenizer_kinds.py

First line: {"base": tokenizer.json, "texts": [...]}. Then one folder a line: "patch" is a JSON merge patch (RFC 7396)
for the base; "old": the folder has vocab.json and merges.txt in place of it; "files": its other files. "ids" are those
of tokenizer(text) for each text, "bare" those with add_special_tokens=False and "decoded" the text of the ids, both as
[index, value] where they differ from the ids, or from the text.
"""

import json
import pathlib
import tempfile

import transformers
from tokenizer import CORPUS, DATA, as_json, write_lines
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = [
    "", " ", "a", "Olá, mundo!", " Bom dia  a todos ", "a<|endoftext|>b", "<|endoftext|>", "  <|endoftext|>  x",
    "Ação, coração; não é fácil.", "A\u0301rvore e\u0301 a\u0303o", "ÀÉÎÕÜ ßẞ İI ıi ΑΣ", "ﬁm ½ ² ① Ｆｕｌｌ\u3000ｗｉｄｔｈ",
    "it's we'll IT'S they'VE 'ſ", "1 12 123 1234 12345 ٣٤٥ ½", "a1b22c333", "a  b   c\n\n d\t\te \n", "\n\n", "x\r\ny",
    "日本語 テスト", "русский текст", "👩‍👩‍👧 🇧🇷 ❤️", "a_b-c.d;e:f(g)[h]", "¿Qué? «sí» — …", "<x><y>a<x> <X> <pad>",
    "<|pad|><|sep|> <mask> [a] [b]", "the rio O rio O RIO", "e\u0301\u0301 \u0301", "\u00a0a\u2003b\u200bc\u200dd",
    "não NÃO Não", "aaa aaaa aaaaaaaa", "\u1112\u1161\u11ab 한", "zqj zqjzqj", "a\u0898\u0301e\u1abf\u0301 \U00011935\U00011930 ㋿ \ua7f2",
    "é\u00e9", "A" * 70, "rio " * 12,
]
GPT2_SPLIT = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
GPT4_SPLIT = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s*[\r\n]|\s+(?!\S)|\s"
)
O200K_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}
GPT2 = {"tokenizer_class": "GPT2Tokenizer"}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BARE_BYTES = {**BYTES, "use_regex": False}


def base():
    """A byte-level vocabulary of 400 with <|endoftext|> and a few added tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = [AddedToken("<|endoftext|>", special=True, normalized=False)]
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=special)
    tokenizer.train_from_iterator([CORPUS], trainer)
    return json.loads(tokenizer.to_str())


BASE = base()
VOCAB = BASE["model"]["vocab"]
SIZE = len(VOCAB)


def token(content, **flags):
    return as_json(AddedToken(content, **flags))


def with_id(id, content, **flags):
    return {"id": id, **token(content, **flags)}


ENDOFTEXT = with_id(0, "<|endoftext|>", special=True, normalized=False)


def normalizer(*steps):
    return {"normalizer": steps[0] if len(steps) == 1 else {"type": "Sequence", "normalizers": list(steps)}}


def pieces(*steps):
    return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def template(*single, ids):
    tokens = {name: {"id": name, "ids": value, "tokens": [name] * len(value)} for name, value in ids.items()}
    row = [{"Sequence" if s in "AB" else "SpecialToken": {"id": s, "type_id": 0}} for s in single]
    return {"type": "TemplateProcessing", "single": row, "pair": row, "special_tokens": tokens}


def config(**keys):
    return {"tokenizer_config.json": keys}


def without(*dropped):
    """A patch that takes tokens, and the merges that need them, out of the vocabulary."""
    gone = set(dropped)
    merges = []
    for left, right in BASE["model"]["merges"]:
        if gone & {left, right, left + right}:
            gone.add(left + right)
        else:
            merges.append([left, right])
    return {"model": {"vocab": {t: None for t in gone if t in VOCAB}, "merges": merges}}


def merged(*patches):
    out = {}
    for patch in patches:
        for key, value in patch.items():
            out[key] = merged(out[key], value) if isinstance(out.get(key), dict) and isinstance(value, dict) else value
    return out


def kinds():
    """(name, patch of tokenizer.json or None, other files, whether it is in the old files)."""
    prefix = {"pre_tokenizer": {"add_prefix_space": True}}
    for name, files in [("none", {}), ("gpt2", config(**GPT2)), ("fast", config(**FAST)),
                        ("backend", config(tokenizer_class="TokenizersBackend")),
                        ("gpt2-prefix", config(**GPT2, add_prefix_space=True)),
                        ("gpt2-no-prefix", config(**GPT2, add_prefix_space=False)),
                        ("fast-prefix", config(**FAST, add_prefix_space=True)),
                        ("fast-no-prefix", config(**FAST, add_prefix_space=False))]:
        yield f"space-{name}", {}, files
        yield f"space-{name}-file", prefix, files
    # Roles and added tokens beside tokenizer.json.
    roles = {"bos_token": "<x>", "eos_token": "<y>", "pad_token": "<pad>", "unk_token": None}
    for name, kind in [("gpt2", GPT2), ("fast", FAST)]:
        yield f"roles-{name}", {}, config(**kind, **roles)
        yield f"roles-in-map-{name}", {}, {**config(**kind, pad_token="[a]"), "special_tokens_map.json": roles}
        yield f"map-wins-{name}", {}, {**config(**kind, bos_token="[a]", eos_token="[b]"),
                                       "special_tokens_map.json": {"bos_token": token("<x>", lstrip=True),
                                                                   "eos_token": None}}
        decoder = {"0": token("<|endoftext|>", special=True, normalized=False), str(SIZE): token("<x>"),
                   str(SIZE + 1): token("<y>", special=True, lstrip=True, rstrip=True)}
        yield f"decoder-{name}", {}, config(**kind, added_tokens_decoder=decoder, bos_token="<y>")
        yield f"decoder-hides-map-{name}", {}, {**config(**kind, added_tokens_decoder=decoder),
                                                "special_tokens_map.json": {"bos_token": "[a]"},
                                                "added_tokens.json": {"[b]": SIZE + 2}}
        yield f"added-file-{name}", {}, {**config(**kind), "added_tokens.json": {"<x>": SIZE, "<y>": SIZE + 1},
                                         "special_tokens_map.json": {"bos_token": "<y>"}}
        listed = {"added_tokens": [ENDOFTEXT, with_id(SIZE, "<x>", lstrip=True), with_id(SIZE + 1, "the", single_word=True)]}
        yield f"listed-{name}", listed, config(**kind)
        yield f"listed-role-{name}", listed, config(**kind, eos_token="<x>", sep_token="<|sep|>", mask_token="<mask>")
        yield f"listed-decoder-{name}", listed, config(**kind, added_tokens_decoder={
            "0": token("<|endoftext|>", special=True, normalized=False), str(SIZE): token("<x>", rstrip=True)})
        yield f"extra-{name}", {}, config(**kind, extra_special_tokens=["[a]", "[b]"])
        yield f"additional-{name}", {}, config(**kind, additional_special_tokens=["[a]"], image_token="<x>")
        yield f"named-{name}", {}, config(**kind, extra_special_tokens={"first_token": "<x>"}, odd_token="<y>")
        yield f"split-special-{name}", {}, config(**kind, split_special_tokens=True)
        yield f"add-bos-{name}", {}, config(**kind, add_bos_token=True, add_eos_token=True)
        yield f"normalized-{name}", merged(normalizer({"type": "Lowercase"}), {"added_tokens": [
            ENDOFTEXT, with_id(SIZE, "<X>", normalized=True), with_id(SIZE + 1, "NÃO", normalized=True),
            with_id(SIZE + 2, "O RIO", normalized=False)]}), config(**kind)
        yield f"ignore-merges-{name}", {"model": {"ignore_merges": True, "merges": BASE["model"]["merges"][:60]}}, config(**kind)
    # The template that the tokenizer itself applies.
    around = template("<|endoftext|>", "A", "a", "b", ids={"<|endoftext|>": [0], "a": [VOCAB["a"], 7], "b": [VOCAB["b"]]})
    roberta = {"type": "RobertaProcessing", "sep": ["a", VOCAB["a"]], "cls": ["b", VOCAB["b"]],
               "trim_offsets": True, "add_prefix_space": True}
    bert = {"type": "BertProcessing", "sep": ["a", VOCAB["a"]], "cls": ["b", VOCAB["b"]]}
    for name, kind in [("gpt2", GPT2), ("fast", FAST)]:
        yield f"template-{name}", {"post_processor": around}, config(**kind, add_bos_token=False)
        yield f"roberta-{name}", {"post_processor": roberta}, config(**kind)
        yield f"bert-{name}", {"post_processor": bert}, config(**kind)
        yield f"processors-{name}", {"post_processor": {"type": "Sequence", "processors": [
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}, around]}}, config(**kind)
    yield "template-none", {"post_processor": template("A", ids={})}, config(**FAST)
    # vocab.json and merges.txt.
    for name, files in [("none", {}), ("bos", config(add_bos_token=True, bos_token="<x>")), ("eos", config(add_eos_token=True)),
                        ("both", config(**GPT2, add_bos_token=True, add_eos_token=True, eos_token="<y>")),
                        ("null", config(add_bos_token=True, bos_token=None, eos_token=None, unk_token=None)),
                        ("prefix", config(add_prefix_space=True)),
                        ("map", {"special_tokens_map.json": {"bos_token": "<x>", "additional_special_tokens": ["[a]"]}}),
                        ("added", {"added_tokens.json": {"<y>": SIZE + 1, "<x>": SIZE}})]:
        yield f"old-{name}", None, files
    # Normalizers.
    forms = [{"type": form} for form in ("NFC", "NFD", "NFKC", "NFKD")]
    lower, accents = {"type": "Lowercase"}, {"type": "StripAccents"}
    strip = {"type": "Strip", "strip_left": True, "strip_right": True}
    for name, steps in [*((form["type"], [form]) for form in forms), ("lower", [lower]), ("accents", [forms[1], accents]),
                        ("accents-alone", [accents]), ("strip", [strip]), ("left", [{**strip, "strip_right": False}]),
                        ("replace", [{"type": "Replace", "pattern": {"String": "rio"}, "content": "mar é"}]),
                        ("replace-regex", [{"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, forms[0]]),
                        ("prepend", [{"type": "Prepend", "prepend": "▁x "}]),
                        ("many", [forms[3], lower, accents, strip])]:
        yield f"normalizer-{name}", normalizer(*steps), config(**FAST)
    yield "normalizer-empty", {"normalizer": {"type": "Sequence", "normalizers": []}}, config(**FAST)
    yield "normalizer-nested", {"normalizer": {"type": "Sequence", "normalizers": [normalizer(lower, strip)["normalizer"]]}}, config(**FAST)
    yield "normalizer-gpt2", normalizer(forms[2], lower), config(**GPT2)
    letters = {"normalizer": {"type": "ByteLevel"}, "pre_tokenizer": split("Ġ?[^Ġ]+")}
    yield "normalizer-letters", letters, config(**FAST)
    # Pre-tokenizers.
    digits, each_digit = ({"type": "Digits", "individual_digits": each} for each in (False, True))
    spaces, words, marks = {"type": "WhitespaceSplit"}, {"type": "Whitespace"}, {"type": "Punctuation", "behavior": "Isolated"}
    for name, steps in [("bytes", [BYTES]), ("bytes-space", [{**BYTES, "add_prefix_space": True}]), ("digits", [digits, BYTES]),
                        ("each-digit", [each_digit, BYTES]), ("digits-behind", [BYTES, each_digit]),
                        ("spaces", [spaces, {**BYTES, "add_prefix_space": True}]), ("words", [words, BYTES]),
                        ("marks", [marks, BYTES]), ("marks-joined", [{**marks, "behavior": "MergedWithPrevious"}, BARE_BYTES]),
                        ("gpt2", [split(GPT2_SPLIT), BARE_BYTES]), ("llama3", [split(LLAMA3_SPLIT), BARE_BYTES]),
                        ("o200k", [split(O200K_SPLIT), BARE_BYTES]), ("gpt4", [split(GPT4_SPLIT), BARE_BYTES]),
                        ("string", [split("rio", kind="String"), BYTES]), ("none", [])]:
        yield f"pieces-{name}", pieces(*steps), config(**FAST)
    for behavior in ("Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"):
        for invert in (False, True):
            yield f"split-{behavior}-{invert}", pieces(split("[a-e\\s]|rio", behavior, invert), BARE_BYTES), config(**FAST)
    yield "pieces-alone", {"pre_tokenizer": words}, config(**FAST)
    yield "pieces-null", {"pre_tokenizer": None}, config(**FAST)
    yield "pieces-whole", {"pre_tokenizer": BARE_BYTES}, config(**FAST)
    # Decoders.
    for name, steps in [("bytes", [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}]),
                        ("empty", []), ("fuse", [{"type": "Fuse"}])]:
        yield f"decoder-sequence-{name}", {"decoder": {"type": "Sequence", "decoders": steps}}, config(**FAST)
    yield "decoder-null", {"decoder": None}, config(**FAST)
    yield "decoder-null-gpt2", {"decoder": None}, config(**GPT2)
    # Vocabularies that lack bytes or ids.
    lacking = without("Ã", "z", "Ġ", "e")
    for name, kind in [("gpt2", GPT2), ("fast", FAST)]:
        yield f"lacking-{name}", merged(lacking, {"added_tokens": []}), config(**kind, unk_token=None, bos_token=None, eos_token=None)
        yield f"unknown-{name}", merged(lacking, {"model": {"unk_token": "<|endoftext|>"}}), config(**kind)
        yield f"fused-{name}", merged(lacking, {"model": {"unk_token": "q", "fuse_unk": True}}), config(**kind)
    fallback = {f"<0x{b:02X}>": SIZE + b for b in range(256)}
    letters_alone = {"pre_tokenizer": words, "decoder": {"type": "Fuse"}}
    yield "fallback", merged(lacking, letters_alone, {"model": {"byte_fallback": True, "vocab": fallback, "unk_token": "q"}}), config(**FAST)
    yield "some-fallback", merged(lacking, letters_alone, {"model": {
        "byte_fallback": True, "vocab": {k: v for k, v in fallback.items() if v % 5}, "unk_token": "q"}}), config(**FAST)
    for name, kind in [("gpt2", GPT2), ("fast", FAST)]:
        yield f"gap-{name}", {"model": {"vocab": {"zqj": SIZE + 5}}}, config(**kind)
        yield f"gap-added-{name}", merged({"model": {"vocab": {"zqj": SIZE + 3}}}, {"added_tokens": [ENDOFTEXT]}), config(
            **kind, bos_token="<x>", eos_token="<y>", pad_token="<pad>", extra_special_tokens=["[a]", "[b]"])


def patched(value, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    out = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            out.pop(key, None)
        else:
            out[key] = patched(out.get(key), change)
    return out


# What serde takes for optional must still be there.
OPTIONAL = ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")


def write_folder(folder, patch, files):
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    value = patched(BASE, patch or {})
    if patch is None:
        (folder / "vocab.json").write_text(json.dumps(value["model"]["vocab"]))
        lines = [f"{a} {b}\n" for a, b in value["model"]["merges"]]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(lines))
    else:
        (folder / "tokenizer.json").write_text(json.dumps({**dict.fromkeys(OPTIONAL), **value}))
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def golden(name, patch, files):
    with tempfile.TemporaryDirectory() as folder:
        write_folder(pathlib.Path(folder), patch, files)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    row = {"name": name, "patch": patch or {}, "files": files, "ids": [], "bare": [], "decoded": []}
    if patch is None:
        row["old"] = True
    for index, text in enumerate(TEXTS):
        ids = tokenizer(text)["input_ids"]
        bare = tokenizer(text, add_special_tokens=False)["input_ids"]
        decoded = tokenizer.decode(ids)
        row["ids"].append(ids)
        if bare != ids:
            row["bare"].append([index, bare])
        if decoded != text:
            row["decoded"].append([index, decoded])
    return row


def main():
    rows = [golden(*kind) for kind in kinds()]
    assert len({row["name"] for row in rows}) == len(rows)
    write_lines(DATA / "kinds.jsonl", [{"base": BASE, "texts": TEXTS}, *rows])
    print(f"{len(rows)} folders")


if __name__ == "__main__":
    main()
