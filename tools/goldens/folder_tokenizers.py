"""Folders that differ in the tokenizer's files."""

import os

from folder_base import END, TEXTS, Case, plain, read, standard, trained, wrapped, write
from tokenizers import AddedToken, Regex, decoders, normalizers, pre_tokenizers, processors
from transformers import GPT2TokenizerFast

GPT2_PATTERN = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
MARKS = ["<s>", "</s>", "<pad>", "<unk>", "[MASK]"]


def folder_of(make, after=lambda folder: None):
    """A standard folder with the tokenizer that `make` gives, changed by hand by `after`."""
    def write_folder(folder):
        standard(folder, tokenizer=make())
        after(folder)
    return write_folder


def case(name, make, after=lambda folder: None, **how):
    return Case(f"tokenizer/{name}", folder_of(make, after), texts=TEXTS, **how)


def with_parts(**parts):
    """The plain tokenizer with other parts."""
    def make():
        tokenizer = plain()
        for name, part in parts.items():
            setattr(tokenizer, name, part)
        return wrapped(tokenizer)
    return make


def retrained(**how):
    return lambda: wrapped(trained(**how))


def edited(file, *path, remove=False, to=None):
    """A change by hand of what stands at `path` in a JSON file."""
    def after(folder):
        content = read(folder / file)
        place = content
        for key in path[:-1]:
            place = place[key]
        if remove:
            place.pop(path[-1], None)
        else:
            place[path[-1]] = to
        write(folder / file, content)
    return after


def together(*steps):
    def after(folder):
        for step in steps:
            step(folder)
    return after


def removed(*names):
    def after(folder):
        for name in names:
            if (folder / name).exists():
                os.remove(folder / name)
    return after


def tokenizer_config(**content):
    """tokenizer_config.json and nothing else beside tokenizer.json."""
    def after(folder):
        removed("special_tokens_map.json", "added_tokens.json")(folder)
        write(folder / "tokenizer_config.json", content)
    return after


def file(name, content):
    return lambda folder: write(folder / name, content)


def vocabulary(name_of_class="GPT2Tokenizer", **more):
    """vocab.json and merges.txt only, as GPT-2 was published."""
    def after(folder):
        content = read(folder / "tokenizer.json")["model"]
        write(folder / "vocab.json", content["vocab"])
        merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in content["merges"]]
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
        removed("tokenizer.json", "special_tokens_map.json", "added_tokens.json")(folder)
        write(folder / "tokenizer_config.json", {"tokenizer_class": name_of_class, **more})
    return after


def gpt2(**how):
    return lambda: GPT2TokenizerFast(tokenizer_object=plain(), **how)


def marked(**how):
    """A tokenizer with RoBERTa-like marks among its ids."""
    return lambda: wrapped(trained(special=(END, *MARKS)), **how)


def template(text, special=((END, 0),)):
    return processors.TemplateProcessing(single=text, pair=None, special_tokens=list(special))


def gaps(folder):
    """Ids that no token has: some merges dropped, the ids of the others kept."""
    content = read(folder / "tokenizer.json")
    model = content["model"]
    gone = {"".join(pair) if not isinstance(pair, str) else pair.replace(" ", "")
            for pair in model["merges"][-20:-10]}
    model["merges"] = model["merges"][:-20] + model["merges"][-10:]
    used = {part for pair in model["merges"]
        for part in (pair if not isinstance(pair, str) else pair.split())}
    model["vocab"] = {k: v for k, v in model["vocab"].items() if k not in gone - used}
    write(folder / "tokenizer.json", content)


def late_ids(folder):
    """Added tokens far behind the vocabulary."""
    content = read(folder / "tokenizer.json")
    content["added_tokens"].append({"id": 411, "content": "<far>", "single_word": False,
                                    "lstrip": True, "rstrip": True, "normalized": False,
                                    "special": False})
    write(folder / "tokenizer.json", content)


def added(*contents, special=False, **how):
    def make():
        tokenizer = wrapped()
        tokenizer.add_tokens([AddedToken(c, special=special, **how) for c in contents],
                             special_tokens=special)
        return tokenizer
    return make


def prefix_cases():
    gpt2_class = dict(
    tokenizer_class="GPT2TokenizerFast",
    bos_token=END,
    eos_token=END,
     unk_token=END)
    for wanted in (False, True):
        in_file = edited("tokenizer.json", "pre_tokenizer", "add_prefix_space", to=not wanted)
        yield case(f"prefix-space-{wanted}".lower(), gpt2(), together(
            in_file, tokenizer_config(**gpt2_class, add_prefix_space=wanted)))
        yield case(f"prefix-space-generic-{wanted}".lower(), wrapped, together(
            in_file, tokenizer_config(tokenizer_class="PreTrainedTokenizerFast", eos_token=END,
                                      add_prefix_space=wanted)))
        yield case(f"prefix-space-unsaid-{wanted}".lower(), gpt2(), together(
            edited("tokenizer.json", "pre_tokenizer", "add_prefix_space", to=wanted),
            tokenizer_config(**gpt2_class)))


def declared_cases():
    yield case("eos-outside", wrapped, tokenizer_config(
        tokenizer_class="PreTrainedTokenizerFast", eos_token="<fim>"))
    yield case("decoder-outside", wrapped, tokenizer_config(
        tokenizer_class="GPT2TokenizerFast", eos_token=END, added_tokens_decoder={
            "400": {"content": "<a>", "lstrip": False, "rstrip": False, "normalized": False,
                    "single_word": False, "special": True},
            "401": {"content": "oi", "lstrip": False, "rstrip": False, "normalized": True,
                    "single_word": True, "special": False}}), prompts=["<a>Bom dia", "diz oi", "oi<a>"])
    yield case("added-tokens-file", wrapped, together(
        tokenizer_config(tokenizer_class="GPT2TokenizerFast", eos_token=END),
        file("added_tokens.json", {"<x>": 400, "<y>": 401})), prompts=["<x>Bom dia<y>", "a<y>"])
    yield case("special-map", wrapped, together(
        tokenizer_config(tokenizer_class="PreTrainedTokenizerFast", eos_token=END),
        file("special_tokens_map.json", {"eos_token": "<fim>", "pad_token": END,
                                         "additional_special_tokens": ["<p>"]})),
        prompts=["Bom<fim>dia", "<p>e"])
    yield case("special-map-beside-decoder", wrapped, together(
        tokenizer_config(tokenizer_class="PreTrainedTokenizerFast", eos_token=END, added_tokens_decoder={
            "0": {"content": END, "lstrip": False, "rstrip": False, "normalized": False,
                  "single_word": False, "special": True}}),
        file("special_tokens_map.json", {"eos_token": "<fim>"})))
    yield case("undeclared-end", lambda: wrapped(trained(special=(END,))), together(
        edited("tokenizer.json", "added_tokens", to=[]),
        tokenizer_config(tokenizer_class="GPT2TokenizerFast", eos_token=END, bos_token=END)))
    yield case("all-named", wrapped, tokenizer_config(
        tokenizer_class="GPT2TokenizerFast", bos_token=END, eos_token=END, unk_token="<unk>",
        pad_token={"content": "<pad>", "lstrip": False, "rstrip": True, "normalized": False,
                   "single_word": False, "__type": "AddedToken"}))
    yield case("extra-special", wrapped, tokenizer_config(
        tokenizer_class="PreTrainedTokenizerFast", eos_token=END,
        additional_special_tokens=["<|user|>", "<|bot|>"]), prompts=["<|user|>Oi<|bot|>", "e<|bot|>"])
    yield case("added-strips", added("<t>", "[M]", lstrip=True, rstrip=True),
               prompts=["um <t> dois", "[M] e"])
    yield case("added-word", added("dia", "mundo", single_word=True))
    yield case("added-normalized", added("ÉCOLE", "bom", normalized=True))
    yield case("added-special", added("<|im_start|>", "<|im_end|>", special=True),
               prompts=["<|im_start|>user\nOi<|im_end|>\n", "e<|im_end|>", "mar", "Bom dia"])
    yield case("marks", marked(eos_token="</s>", bos_token="<s>", pad_token="<pad>", unk_token="<unk>",
                               mask_token="[MASK]"), prompts=["<s>Bom dia</s>", "e [MASK]", "mar"])


def part_cases():
    n, p, d = normalizers, pre_tokenizers, decoders
    level = p.ByteLevel(add_prefix_space=False)
    for name, normalizer in (
            ("nfc", n.NFC()), ("nfd", n.NFD()), ("nfkc", n.NFKC()), ("nfkd", n.NFKD()),
            ("lowercase", n.Lowercase()), ("strip-accents", n.Sequence([n.NFD(), n.StripAccents()])),
            ("strip", n.Strip()), ("strip-left", n.Strip(left=True, right=False)),
            ("replace", n.Replace("a", "o")), ("replace-regex", n.Replace(Regex(r"\s+"), " ")),
            ("empty-sequence", n.Sequence([])),
            ("sequence", n.Sequence([n.NFKC(), n.Lowercase(), n.Replace("“", '"')])),
            ("prepend", n.Prepend("x"))):
        yield case(f"normalizer-{name}", with_parts(normalizer=normalizer))
    for name, pre in (
            ("sequence-one", p.Sequence([level])),
            ("digits", p.Sequence([p.Digits(individual_digits=True), level])),
            ("digits-grouped", p.Sequence([p.Digits(individual_digits=False), level])),
            ("whitespace", p.Sequence([p.Whitespace(), p.ByteLevel(add_prefix_space=True)])),
            ("whitespace-split", p.Sequence([p.WhitespaceSplit(), level])),
            ("punctuation", p.Sequence([p.Punctuation(), level])),
            ("split-gpt2", p.Sequence([p.Split(Regex(GPT2_PATTERN), "isolated"),
                                       p.ByteLevel(add_prefix_space=False, use_regex=False)])),
            ("split-newline", p.Sequence([p.Split("\n", "isolated"), level])),
            ("split-digits", p.Sequence([p.Split(Regex(r"\p{N}{1,3}"), "isolated"), level])),
            ("no-regex", p.ByteLevel(add_prefix_space=False, use_regex=False)),
            ("prefixed", p.ByteLevel(add_prefix_space=True))):
        yield case(f"pre-{name}", with_parts(pre_tokenizer=pre))
    yield case("decoder-sequence", with_parts(decoder=d.Sequence([d.ByteLevel()])))
    yield case("no-post-processor", wrapped, edited("tokenizer.json", "post_processor", to=None))
    yield case("template-bos", with_parts(post_processor=template(f"{END} $A")))
    yield case("template-both", with_parts(post_processor=template(f"{END} $A {END}")))
    yield case("template-sequence", with_parts(post_processor=processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), template(f"{END} $A")])))
    yield case("template-roberta", lambda: wrapped(trained_marks(), bos_token="<s>", eos_token="</s>"))
    for value in (True, False):
        yield case(f"add-bos-{value}".lower(), gpt2(bos_token=END, eos_token=END), tokenizer_config(
            tokenizer_class="GPT2Tokenizer", bos_token=END, eos_token=END, unk_token=END,
            add_bos_token=value, add_prefix_space=False))


def trained_marks():
    tokenizer = trained(special=(END, *MARKS))
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 1), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def vocabulary_cases():
    yield case("course", retrained(alphabet=False, size=300), prompts=["Bom dia", "mar", "Lisboa"])
    yield case("course-gpt2-class", lambda: GPT2TokenizerFast(tokenizer_object=trained(alphabet=False)))
    yield case("gaps", wrapped, gaps)
    yield case("special-last", lambda: special_last(), prompts=[f"a{END}b", "Bom dia", "mar"])
    yield case("vocab-merges", wrapped, vocabulary(
        bos_token=END, eos_token=END, unk_token=END, add_prefix_space=False))
    yield case("vocab-merges-prefix", wrapped, vocabulary(
        bos_token=END, eos_token=END, unk_token=END, add_prefix_space=True))
    yield case("vocab-merges-bos", wrapped, vocabulary(
        bos_token=END, eos_token=END, unk_token=END, add_bos_token=True))
    yield case("vocab-merges-bare", wrapped, together(
        vocabulary(), removed("tokenizer_config.json")))
    yield case("old-merges", wrapped, old_merges)
    yield case("ignore-merges", wrapped, edited("tokenizer.json", "model", "ignore_merges", to=True))
    yield case("clean-up", wrapped, edited("tokenizer_config.json", "clean_up_tokenization_spaces", to=True))
    yield case("truncation", wrapped, together(
        edited("tokenizer.json", "truncation", to={"direction": "Right", "max_length": 4,
                                                   "strategy": "LongestFirst", "stride": 0}),
        edited("tokenizer.json", "padding", to={
            "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
            "pad_type_id": 0, "pad_token": END})))
    yield case("no-config", wrapped, removed("tokenizer_config.json", "special_tokens_map.json"))


def special_last():
    """<|endoftext|> behind the vocabulary, as in GPT-2 itself."""
    tokenizer = trained(special=())
    tokenizer.add_special_tokens([END])
    return wrapped(tokenizer)


def old_merges(folder):
    """Merges as strings: tokenizers before 0.20."""
    content = read(folder / "tokenizer.json")
    merges = content["model"]["merges"]
    content["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in merges]
    content["model"].pop("ignore_merges", None)
    write(folder / "tokenizer.json", content)


def tokenizer_cases():
    yield from prefix_cases()
    yield from declared_cases()
    yield from part_cases()
    yield from vocabulary_cases()
