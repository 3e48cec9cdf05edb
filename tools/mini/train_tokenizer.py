# SPDX-License-Identifier: Apache-2.0
"""Learns a byte-level BPE vocabulary, with Aira's special tokens, from JSON lines of questions.

Writes tokenizer.json and tokenizer_config.json as transformers reads them. All 256 bytes are in
the vocabulary, so any text can be encoded and comes back unchanged.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = {
    "bos_token": "<|startofinstruction|>",
    "sep_token": "<|endofinstruction|>",
    "eos_token": "<|endofcompletion|>",
    "pad_token": "<|pad|>",
}


def learn(texts: list[str], vocab_size: int) -> Tokenizer:
    """Trains the merges; the special tokens take the last ids, as when they were added to GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIAL),
        min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL.values()])
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {
        "tokenizer_class": "GPT2TokenizerFast",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "unk_token": None,
        **SPECIAL,
    }
    text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=here / "build" / "train.jsonl")
    parser.add_argument("--output", type=Path, default=here / "build" / "tokenizer")
    parser.add_argument("--vocab-size", type=int, default=4000)
    parser.add_argument("--context", type=int, default=256, help="model_max_length to write")
    args = parser.parse_args()
    texts: list[str] = []
    with args.data.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            texts += [row["prompt"], row["completion"]]
    tokenizer = learn(texts, args.vocab_size)
    save(tokenizer, args.output, args.context)
    print(f"{tokenizer.get_vocab_size()} tokens in {args.output}")


if __name__ == "__main__":
    main()
