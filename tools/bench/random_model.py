#!/usr/bin/env python3
"""Writes a GPT-2 checkpoint with random weights, in Hugging Face layout: for speed, not for answers.

The default shape is that of Aira-2-portuguese-124M (124,441,344 parameters). Biases and LayerNorm gains are random too.
usage: random_model.py FOLDER [--dtype f32|f16] [--layers N] [--width N] [--heads N] [--context N] [--vocab N]
needs: numpy
"""
import argparse
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def shapes(args: argparse.Namespace) -> Iterator[tuple[str, tuple[int, ...], float, float]]:
    """Every tensor's name, shape, mean and standard deviation."""
    c = args.width
    yield "wte.weight", (args.vocab, c), 0, 0.2
    yield "wpe.weight", (args.context, c), 0, 0.2
    for i in range(args.layers):
        layer = f"h.{i}."
        for norm in ("ln_1", "ln_2"):
            yield f"{layer}{norm}.weight", (c,), 1, 0.2
            yield f"{layer}{norm}.bias", (c,), 0, 0.2
        linears = (("attn.c_attn", c, 3 * c), ("attn.c_proj", c, c), ("mlp.c_fc", c, 4 * c), ("mlp.c_proj", 4 * c, c))
        for name, inputs, outputs in linears:
            yield f"{layer}{name}.weight", (inputs, outputs), 0, inputs**-0.5
            yield f"{layer}{name}.bias", (outputs,), 0, 0.2
    yield "ln_f.weight", (c,), 1, 0.2
    yield "ln_f.bias", (c,), 0, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", choices=("f32", "f16"), default="f32")
    for option, default in (("layers", 12), ("width", 768), ("heads", 12), ("context", 1024), ("vocab", 50259)):
        parser.add_argument(f"--{option}", type=int, default=default)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)

    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
        "n_layer": args.layers,
        "n_embd": args.width,
        "n_head": args.heads,
        "n_positions": args.context,
        "vocab_size": args.vocab,
    }
    (args.folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")

    storage = np.dtype(np.float32 if args.dtype == "f32" else np.float16)
    header: dict[str, dict[str, object]] = {}
    end = 0
    for name, shape, _, _ in shapes(args):
        begin, end = end, end + int(np.prod(shape)) * storage.itemsize
        header[name] = {"dtype": args.dtype.upper(), "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = np.random.default_rng(3)
    with open(args.folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, mean, deviation in shapes(args):
            values = random.standard_normal(shape, dtype=np.float32) * np.float32(deviation) + np.float32(mean)
            file.write(values.astype(storage).tobytes())


if __name__ == "__main__":
    main()
