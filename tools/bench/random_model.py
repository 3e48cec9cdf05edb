#!/usr/bin/env python3
"""Writes a GPT-2 checkpoint with random weights, in Hugging Face layout: for speed, not for answers.

The default shape is that of Aira-2-portuguese-124M (124,441,344 parameters). Biases and LayerNorm gains are random too.
With --tokenizer also a byte-level tokenizer of as many tokens: every byte and pairs of bytes. With --gguf the same
weights, matrices as f16, as a GGUF file for llama.cpp.
--shards N writes N files and an index. GPT-2's other sizes: --layers 24 --width 1024 --heads 16 (355M), 36 1280 20 (774M), 48 1600 25 (1.5B).
usage: random_model.py FOLDER [--dtype f32|f16|bf16] [--shards N] [--tokenizer] [--gguf FILE] [--layers N] [--width N] [--heads N] [--context N] [--vocab N]
needs: numpy; gguf for --gguf
"""
import argparse
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

STORAGE = {"f32": np.dtype(np.float32), "f16": np.dtype(np.float16), "bf16": np.dtype(np.uint16)}


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


def tensors(args: argparse.Namespace) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor's name and values, the same ones every time."""
    random = np.random.default_rng(3)
    for name, shape, mean, deviation in shapes(args):
        yield name, random.standard_normal(shape, dtype=np.float32) * np.float32(deviation) + np.float32(mean)


def tokenizer(size: int) -> dict:
    """tokenizer.json: 256 bytes, then pairs of them, the last token being the end of a text."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = [chr(byte) for byte in plain] + [chr(256 + i) for i in range(len(others))]
    pairs = [(a, b) for a in letters for b in letters][: size - 257]
    words = letters + [a + b for a, b in pairs]
    part = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    end = {"id": size - 1, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [end], "normalizer": None, "pre_tokenizer": part, "post_processor": None, "decoder": part,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False,
                      "vocab": {word: i for i, word in enumerate(words)}, "merges": [f"{a} {b}" for a, b in pairs]}}  # fmt: skip


def stored(values: np.ndarray, dtype: str) -> bytes:
    if dtype != "bf16":
        return values.astype(STORAGE[dtype]).tobytes()
    bits = values.view(np.uint32)  # rounded to nearest, ties to even
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes()


def write_weights(args: argparse.Namespace) -> None:
    """model.safetensors, or as many shards of about the same size and their index."""
    item = STORAGE[args.dtype].itemsize
    sizes = {name: int(np.prod(shape)) * item for name, shape, _, _ in shapes(args)}
    share = -(-sum(sizes.values()) // args.shards)
    parts: list[list[str]] = [[]]
    begun = 0
    for name in sizes:
        if begun >= share * len(parts):
            parts.append([])
        parts[-1].append(name)
        begun += sizes[name]
    files = [f"model-{i + 1:05}-of-{len(parts):05}.safetensors" for i in range(len(parts))] if args.shards > 1 else ["model.safetensors"]
    dimensions = {name: shape for name, shape, _, _ in shapes(args)}
    values = tensors(args)
    for path, names in zip(files, parts):
        header: dict[str, dict[str, object]] = {}
        end = 0
        for name in names:
            begin, end = end, end + sizes[name]
            header[name] = {"dtype": args.dtype.upper(), "shape": dimensions[name], "data_offsets": (begin, end)}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(args.folder / path, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _ in names:
                file.write(stored(next(values)[1], args.dtype))
    if args.shards > 1:
        index = {"metadata": {"total_size": begun}, "weight_map": {name: path for path, names in zip(files, parts) for name in names}}
        (args.folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def write_gguf(args: argparse.Namespace) -> None:
    import gguf  # only --gguf needs it

    file = gguf.GGUFWriter(args.gguf, "gpt2")
    file.add_block_count(args.layers)
    file.add_context_length(args.context)
    file.add_embedding_length(args.width)
    file.add_feed_forward_length(4 * args.width)
    file.add_head_count(args.heads)
    file.add_layer_norm_eps(1e-5)
    file.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    model = tokenizer(args.vocab)["model"]
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list([*model["vocab"], "<|endoftext|>"])
    file.add_token_types([gguf.TokenType.NORMAL] * len(model["vocab"]) + [gguf.TokenType.CONTROL])
    file.add_token_merges(model["merges"])
    file.add_bos_token_id(args.vocab - 1)
    file.add_eos_token_id(args.vocab - 1)
    names = {"ln_1": "attn_norm", "ln_2": "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up",
             "mlp.c_proj": "ffn_down", "wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}  # fmt: skip
    for name, values in tensors(args):
        base, kind = name.rsplit(".", 1)
        prefix = ""
        if base.startswith("h."):
            _, layer, base = base.split(".", 2)
            prefix = f"blk.{layer}."
            values = np.ascontiguousarray(values.T)  # Conv1D is stored [in, out]
        half = values.ndim == 2 and base != "wpe"
        file.add_tensor(f"{prefix}{names[base]}.{kind}", values.astype(np.float16 if half else np.float32))
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", choices=tuple(STORAGE), default="f32")
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--tokenizer", action="store_true")
    parser.add_argument("--gguf", type=Path)
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
        "bos_token_id": args.vocab - 1,
        "eos_token_id": args.vocab - 1,
    }
    (args.folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")

    write_weights(args)
    if args.tokenizer:
        (args.folder / "tokenizer.json").write_text(json.dumps(tokenizer(args.vocab)), encoding="utf-8")
    if args.gguf:
        write_gguf(args)


if __name__ == "__main__":
    main()
