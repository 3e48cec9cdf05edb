"""Folders that differ in how the weights are stored, and in the options of config.json."""

import os
import subprocess
import sys

import torch
from folder_base import (CONTEXT, Case, edit, fill, generation, random_model, read, standard,
                         write)
from safetensors.torch import load_file, save_file, save_model
from transformers import GPT2DoubleHeadsModel, GPT2ForSequenceClassification, GPT2Model

# Writes FOLDER/pytorch_model.bin from FOLDER, for versions of transformers that still do.
SAVE_BIN = """
import sys, torch
from transformers import GPT2LMHeadModel
folder, dtype, size = sys.argv[1:]
model = GPT2LMHeadModel.from_pretrained(folder, dtype=getattr(torch, dtype))
model.save_pretrained(folder, safe_serialization=False, max_shard_size=size)
"""
ACTIVATIONS = """gelu gelu_10 gelu_accurate gelu_fast gelu_new gelu_python gelu_python_tanh
gelu_pytorch_tanh hardswish laplace leaky_relu linear mish quick_gelu relu relu2 relu6 sigmoid silu
swish tanh""".split()


def typed(dtype, **how):
    def write_folder(folder):
        model = standard(folder)
        model.to(dtype).save_pretrained(folder, **how)
    return write_folder


def state(folder):
    tensors = load_file(folder / "model.safetensors")
    os.remove(folder / "model.safetensors")
    return tensors


def stored(folder, tensors):
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def changed(how, **changes):
    """A standard folder whose tensors `how` changes."""
    def write_folder(folder):
        standard(folder, **changes)
        stored(folder, how(state(folder)))
    return write_folder


def of_class(cls, **changes):
    def write_folder(folder):
        standard(folder)
        state(folder)
        model = random_model(cls=cls, pad_token_id=0, **changes)
        model.save_pretrained(folder)
        generation().save_pretrained(folder)
    return write_folder


def head_only(folder):
    """safetensors' save_model keeps one of two tensors that share memory: lm_head.weight."""
    model = standard(folder)
    state(folder)
    save_model(model, str(folder / "model.safetensors"))
    assert "lm_head.weight" in load_file(folder / "model.safetensors")


def accelerated(size):
    def write_folder(folder):
        from accelerate import Accelerator
        model = standard(folder)
        state(folder)
        Accelerator(cpu=True).save_model(model, folder, max_shard_size=size)
    return write_folder


def old_bin(dtype="float32", size="5GB"):
    """pytorch_model.bin as transformers 4 writes it."""
    def write_folder(folder):
        standard(folder)
        python = os.environ.get("FOLDERS_PYTHON4", sys.executable).split()
        subprocess.run([*python, "-c", SAVE_BIN, str(folder), dtype, size], check=True)
        os.remove(folder / "model.safetensors")
        generation().save_pretrained(folder)
    return write_folder


def torch_saved(change=lambda tensors: tensors, **how):
    """pytorch_model.bin as training scripts write it: torch.save(model.state_dict())."""
    def write_folder(folder):
        model = standard(folder)
        os.remove(folder / "model.safetensors")
        torch.save(change(model.state_dict()), folder / "pytorch_model.bin", **how)
    return write_folder


def both_files(folder):
    """A stale pytorch_model.bin beside model.safetensors, which wins."""
    standard(folder)
    torch.save(random_model(seed=2).state_dict(), folder / "pytorch_model.bin")


def value_head(tensors):
    """As TRL's AutoModelForCausalLMWithValueHead saves it: the value head beside the rest."""
    generator = torch.Generator().manual_seed(3)
    return {**tensors, "v_head.summary.weight": torch.randn(1, 20, generator=generator),
            "v_head.summary.bias": torch.zeros(1)}


def with_masks(tensors):
    mask = torch.ones(CONTEXT, CONTEXT).tril().view(1, 1, CONTEXT, CONTEXT)
    more = {f"transformer.h.{i}.attn.bias": mask.to(torch.uint8).clone() for i in range(2)}
    more["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    return {**tensors, **more}


def tied_but_both(tensors):
    """lm_head.weight beside wte.weight in a tied model: equal, as old versions stored it."""
    return {**tensors, "lm_head.weight": tensors["transformer.wte.weight"].clone()}


def activation(name):
    def write_folder(folder):
        standard(folder, activation_function=name)
    return write_folder


def aliases(folder):
    """config.json by hand, with the names that GPT2Config maps to its own."""
    standard(folder)
    names = {
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
     "n_positions": "max_position_embeddings"}
    content = read(folder / "config.json")
    write(folder / "config.json", {names.get(k, k): v for k, v in content.items()})


def padded_rows(folder):
    """resize_token_embeddings(pad_to_multiple_of=64): more rows than ids."""
    model = standard(folder, vocab_size=400)
    model.resize_token_embeddings(448, mean_resizing=False)
    fill(model, 5)
    with torch.no_grad():
        model.transformer.wte.weight[400:] = 0
    model.save_pretrained(folder)


def json_oddities(folder):
    """What Python's JSON reads and others do not: duplicate keys, NaN and Infinity."""
    standard(folder)
    path = folder / "config.json"
    text = path.read_text().rstrip()[:-1].rstrip()
    path.write_text(text + ',\n  "n_layer": 2, "task_specific_params": {"x": NaN, "y": -Infinity},'
                    '\n  "summary_first_dropout": Infinity\n}\n')


def minimal(folder):
    """config.json with nothing but what differs from GPT2Config's defaults."""
    standard(folder)
    keep = ("n_embd", "n_head", "n_layer", "n_positions", "vocab_size", "model_type")
    content = read(folder / "config.json")
    write(folder / "config.json", {k: content[k] for k in keep})


def nulls(folder):
    standard(folder)
    edit(folder / "config.json", n_inner=None, pad_token_id=None, sep_token_id=None,
         task_specific_params=None, problem_type=None, dtype=None, torch_dtype="float32")


def weight_cases():
    yield Case("weights/f32", typed(torch.float32))
    yield Case("weights/f16", typed(torch.float16))
    yield Case("weights/bf16", typed(torch.bfloat16))
    yield Case("weights/f64", typed(torch.float64))
    yield Case("weights/sharded", typed(torch.float32, max_shard_size="20KB"))
    yield Case("weights/sharded-f16", typed(torch.float16, max_shard_size="9KB"))
    yield Case("weights/gpt2-model", of_class(GPT2Model))
    yield Case("weights/double-heads", of_class(GPT2DoubleHeadsModel, num_labels=1),
               note="multiple_choice_head")
    yield Case("weights/classifier", of_class(GPT2ForSequenceClassification, num_labels=3), note="score")
    yield Case("weights/save-model", head_only)
    yield Case("weights/accelerate", accelerated("10GB"))
    yield Case("weights/accelerate-sharded", accelerated("20KB"))
    yield Case("weights/bin-of-4", old_bin())
    yield Case("weights/bin-of-4-f16", old_bin("float16"))
    yield Case("weights/bin-of-4-bf16", old_bin("bfloat16"))
    yield Case("weights/bin-of-4-sharded", old_bin(size="20KB"))
    yield Case("weights/torch-save", torch_saved())
    yield Case("weights/torch-save-f64",
               torch_saved(lambda tensors: {k: v.double() for k, v in tensors.items()}))
    yield Case("weights/torch-save-views",  # the head shares the embedding's storage
               torch_saved(lambda t: {**t, "lm_head.weight": t["transformer.wte.weight"]}))
    yield Case("weights/both", both_files)
    yield Case("weights/value-head", changed(value_head), note="v_head")
    yield Case("weights/masks", changed(with_masks))
    yield Case("weights/tied-but-both", changed(tied_but_both))
    yield Case("weights/untied", lambda folder: standard(folder, tie_word_embeddings=False))
    yield Case("weights/padded-rows", padded_rows)
    yield Case("weights/mixed", changed(lambda t: {
        k: v.to((torch.float16, torch.float32, torch.bfloat16, torch.float64)[i % 4])
        for i, (k, v) in enumerate(sorted(t.items()))}))
    for name in ("float8_e4m3fn", "float8_e5m2"):
        yield Case("weights/" + name.replace("_", "-"), changed(lambda tensors, name=name: {
            k: v.to(getattr(torch, name)) for k, v in tensors.items()}))
    yield Case("config/aliases", aliases)
    yield Case("config/minimal", minimal)
    yield Case("config/nulls", nulls)
    yield Case("config/json-oddities", json_oddities)
    yield Case("config/inverse-layer", lambda folder: standard(
        folder, scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True))
    yield Case("config/unscaled", lambda folder: standard(folder, scale_attn_weights=False))
    yield Case("config/inner", lambda folder: standard(folder, n_inner=52, layer_norm_epsilon=1e-3))
    for name in ACTIVATIONS:
        yield Case(f"activations/{name}", activation(name), count=1)
