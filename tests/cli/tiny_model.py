"""Writes a tiny random GPT-2 in Hugging Face layout: every byte is a token, so any text can be asked
and answered; the instruction markers are there unless asked otherwise."""

import array
import json
import os
import random
import struct
import sys

MARKERS = ("<|startofinstruction|>", "<|endofinstruction|>", "<|endofcompletion|>")
END_OF_TEXT = 256


def byte_letters():
    """GPT-2's printable stand-in for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(plain))
    return letters


def tokenizer(markers):
    added = ["<|endoftext|>", *(MARKERS if markers else ())]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": 256 + i, "content": content, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True}
            for i, content in enumerate(added)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                          "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                  "vocab": {letter: byte for byte, letter in byte_letters().items()},
                  "merges": []},
    }


def shapes(layers, width, context, vocab):
    yield "wte.weight", (vocab, width)
    yield "wpe.weight", (context, width)
    for layer in range(layers):
        for norm in ("ln_1", "ln_2"):
            yield f"h.{layer}.{norm}.weight", (width,)
            yield f"h.{layer}.{norm}.bias", (width,)
        for name, inputs, outputs in (("attn.c_attn", width, 3 * width),
                                      ("attn.c_proj", width, width),
                                      ("mlp.c_fc", width, 4 * width),
                                      ("mlp.c_proj", 4 * width, width)):
            yield f"h.{layer}.{name}.weight", (inputs, outputs)
            yield f"h.{layer}.{name}.bias", (outputs,)
    yield "ln_f.weight", (width,)
    yield "ln_f.bias", (width,)


def safetensors(tensors):
    """The file's bytes; `tensors` gives (name, shape, array of floats)."""
    header, data = {}, []
    at = 0
    for name, shape, values in tensors:
        raw = values.tobytes()
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data)


def write(folder, layers=2, width=16, heads=2, context=64, markers=True, generation=None,
          more=()):
    """Writes the model into `folder`, which is made; `more`: names and shapes of other tensors."""
    vocab = 257 + (len(MARKERS) if markers else 0)
    source = random.Random(7)
    block = array.array("f", (source.gauss(0, 0.3) for _ in range(4099)))  # repeated: a prime

    def values(name, shape):
        count = 1
        for size in shape:
            count *= size
        if ".ln_" in "." + name:
            return array.array("f", [1.0 if name.endswith("weight") else 0.0]) * count
        start = source.randrange(len(block))
        filled = block[start:] + block * (count // len(block) + 1)
        filled = filled[:count]
        if name == "wte.weight":  # special tokens are never likely, so answers have full length
            filled[256 * width:] = array.array("f", bytes(4 * (count - 256 * width)))
        return filled

    os.makedirs(folder, exist_ok=True)
    config = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": layers,
              "n_embd": width, "n_head": heads, "n_positions": context, "n_ctx": context,
              "vocab_size": vocab, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
              "bos_token_id": END_OF_TEXT, "eos_token_id": vocab - 1}
    files = {"config.json": config, "tokenizer.json": tokenizer(markers)}
    if generation is not None:
        files["generation_config.json"] = generation
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file)
    tensors = [(name, shape, values(name, shape))
               for name, shape in (*shapes(layers, width, context, vocab), *more)]
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(safetensors(tensors))
    return folder


if __name__ == "__main__":
    write(sys.argv[1])
