"""What the folders of folders.py are made of: cases, random models, trained tokenizers."""

import dataclasses
import json
import pathlib
from typing import Callable

import torch
from model import random_weights
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

MINI_DATA = pathlib.Path(__file__).resolve().parents[1] / "mini" / "data"
END = "<|endoftext|>"
VOCAB = 420  # rows of every model; the tokenizers have at most as many ids
CONTEXT = 96

# Prompts that cases choose from until enough of them have clear winners at every step.
PROMPTS = [
    "Bom dia",
    "A capital de Portugal é",
    "Olá, mundo!",
    f"Um{END}dois",
    " com espaço",
    "Não há 3,14",
    "São João — 24 de junho",
    "ação",
    "Quem é você?",
    "\tlinha\n\nnova",
    "cafe\u0301 e café",
    "mar",
    f"{END}Era uma vez",
    "Lisboa e Porto",
    "O rio é longo",
    "e",
    "😀 sim",
    "Duas  vezes",
    "x = 1;",
     ]
TEXTS = [
    "Bom dia, mundo!",
    " Olá",
    "  dois espaços",
    "fim ",
    "ação, coração e AÇÃO",
    "cafe\u0301 ou café",
    "123 e 45,6",
    "linha\nnova\r\n\tfim",
    f"a{END}b",
    f"a {END} b",
    f"{END}",
    "it's we're I'LL",
    "😀 日本 \u00a0x",
    "ﬁm Å ① Ǆ",
    "<s>oi</s> <pad><unk>[MASK]",
    "x_y-z…“aspas”",
    "",
     ]


@dataclasses.dataclass
class Case:
    """A folder, what is asked of it, and what must come of it."""

    name: str  # GROUP/NAME
    write: Callable[[pathlib.Path], None]
    prompts: list = dataclasses.field(default_factory=lambda: PROMPTS)
    count: int = 2  # so many of the prompts
    questions: list = ()  # for apply_chat_template
    texts: list = ()  # for tokenize
    options: dict = dataclasses.field(default_factory=dict)  # of a JSON line
    generate: dict = dataclasses.field(default_factory=dict)  # the same for `generate`
    args: list = ()  # of the command line; "{folder}" is the folder
    model: str = "."  # of the model within the folder
    adapter: str = ""  # of the adapter within the folder
    error: str = ""  # what the sentence that refuses the folder must say
    note: str = ""  # what a note on stderr must say; "*": anything or nothing
    clear: list = ()  # fields of the generation config that are not honoured
    why_different: str = ""  # the reason, where this program differs on purpose
    differs: str = "ids"  # "ids", "text", "refused here", "refused there" or "loaded here"
    as_if: Callable = None  # writes the folder that transformers is asked about instead
    rows: list = ()  # prompts of ids; transformers generates them as one batch with left padding
    context_ids: Callable = None  # of a question, where transformers has no template


def corpus():
    """Portuguese sentences to train tokenizers on."""
    for name in ("advice.tsv", "facts.tsv", "concepts.tsv", "smalltalk.tsv"):
        text = (MINI_DATA / name).read_text(encoding="utf-8")
        for line in text.splitlines():
            yield from line.replace("|", "\t").split("\t")


def trained(size=400, special=(END,), alphabet=True, pre_tokenizer=None, normalizer=None):
    """A byte-level BPE tokenizer as the course at huggingface.co/learn trains it."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer or pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if alphabet else [])
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


_cache = {}


def plain():
    """The tokenizer of the cases that are not about tokenizers: the course's, with all bytes."""
    if "plain" not in _cache:
        _cache["plain"] = trained().to_str()
    return Tokenizer.from_str(_cache["plain"])


def wrapped(tokenizer=None, **how):
    how = {"bos_token": END, "eos_token": END, **how}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer or plain(), **how)


def config(**changes):
    values = dict(vocab_size=VOCAB, n_embd=20, n_head=5, n_layer=2, n_positions=CONTEXT,
                  bos_token_id=0, eos_token_id=0, architectures=["GPT2LMHeadModel"])
    return GPT2Config(**{**values, **changes})


def fill(model, seed):
    """Random weights in steps of 1/64: exact in every floating-point type that stores them."""
    generator = torch.Generator().manual_seed(seed)
    random_weights(model, generator)
    for name, parameter in model.named_parameters():
        if name.endswith("wte.weight"):  # fewer answers of stray bytes, which ids 95 to 256 are
            parameter.data[95:225] *= 0.4
    for parameter in model.parameters():
        parameter.data = ((parameter.data * 64).round() / 64).clamp(-1.984375, 1.984375)


def random_model(seed=19, cls=GPT2LMHeadModel, **changes):
    model = cls(config(**changes)).eval()
    fill(model, seed)
    return model


def generation(**values):
    """A generation config that says all that matters, so that no default plays a part."""
    return GenerationConfig(**{**dict(do_sample=False, repetition_penalty=1.0, max_new_tokens=12,
                                      eos_token_id=0, pad_token_id=0, bos_token_id=0), **values})


def standard(folder, tokenizer=None, generation_config=None, seed=19, **changes):
    """A folder as save_pretrained writes it; returns the model."""
    model = random_model(seed, **changes)
    model.generation_config = generation_config or generation()
    model.save_pretrained(folder)
    (tokenizer or wrapped()).save_pretrained(folder)
    return model


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def write(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def edit(path, remove=(), **changes):
    """Changes keys of a JSON file, as people do by hand."""
    value = read(path)
    for key in remove:
        value.pop(key, None)
    value.update(changes)
    write(path, value)

