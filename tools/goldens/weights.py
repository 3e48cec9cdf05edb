#!/usr/bin/env python3
"""Writes tests/data/weights: one tiny GPT-2 stored in the ways that PyTorch stores it, and LoRA adapters
of PEFT with the logits that they give, in float64."""

import json
import os
import pathlib
import shutil
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore")

import peft  # noqa: E402
import torch  # noqa: E402
from transformers import GPT2Config, GPT2LMHeadModel  # noqa: E402

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "weights"
IDS = [3, 60, 17, 0, 41, 41, 8]

# LoraConfig's arguments; wte and lm_head share their weights unless "untied".
ADAPTERS = {
    "attention": {"target_modules": ["c_attn"]},
    "everything": {"target_modules": ["c_attn", "c_proj", "c_fc"], "use_rslora": True,
                   "rank_pattern": {"mlp.c_proj": 2, "c_fc": 5},
                   "alpha_pattern": {"c_fc": 3, "^transformer.h.1.attn.c_attn": 11}},
    "biases": {"target_modules": ["attn.c_proj"], "bias": "all"},
    "layer": {"target_modules": ["c_fc"], "layers_to_transform": [1]},
    "saved": {"target_modules": ["c_attn"], "modules_to_save": ["wte", "ln_f"]},
    "saved_head": {"target_modules": ["c_attn"], "modules_to_save": ["lm_head"]},
    "embeddings": {"target_modules": ["wte", "wpe"]},
    "head": {"target_modules": ["lm_head"]},
    "untied": {"target_modules": ["wte", "lm_head"]},
    "bfloat16": {"target_modules": ["c_attn", "c_fc"]},
    "pickled": {"target_modules": ["c_attn"]},
}
# What has to be refused: LoraConfig's arguments, or another kind of adapter.
REFUSED = {
    "dora": {"target_modules": ["c_attn"], "use_dora": True},
    "pissa": {"target_modules": ["c_attn"], "init_lora_weights": "pissa"},
    "tokens": {"target_modules": ["c_attn"], "trainable_token_indices": [1, 2]},
    "lora_bias": {"target_modules": ["c_attn"], "lora_bias": True},
    "prefix": None,
}


def base(tied=True):
    torch.manual_seed(5)
    config = GPT2Config(vocab_size=61, n_positions=12, n_embd=12, n_layer=2, n_head=3, n_inner=20,
                        bos_token_id=0, eos_token_id=0, initializer_range=0.3,
                        tie_word_embeddings=tied)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():  # biases are born 0, gains 1
        for parameter in model.transformer.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def write_torch_files(model):
    state = model.state_dict()
    folder = OUT / "torch"
    folder.mkdir()
    model.config.save_pretrained(folder)
    torch.save(state, folder / "pytorch_model.bin")
    # What else torch.save may be given.
    other = {name: tensor.t().contiguous().t() if tensor.dim() == 2 else torch.nn.Parameter(tensor)
             for name, tensor in state.items()}
    other["h.0.attn.bias"] = torch.ones(1, 1, 12, 12, dtype=torch.bool)
    torch.save(other, folder / "strided.bin")
    whole = torch.cat([torch.zeros(3), *(t.flatten() for t in state.values())])
    views, at = {}, 3
    for name, tensor in state.items():
        views[name] = whole[at:at + tensor.numel()].view(tensor.shape)
        at += tensor.numel()
    torch.save(views, folder / "views.bin")
    torch.save({name: tensor.double() for name, tensor in state.items()}, folder / "double.bin")
    small = {"wpe.weight": state["transformer.wpe.weight"]}
    torch.save(small, folder / "small.bin")
    torch.save(small, folder / "old.bin", _use_new_zipfile_serialization=False)
    torch.save({"model": small, "epoch": 3}, folder / "nested.bin")
    torch.save(torch.nn.Linear(2, 2), folder / "module.bin")


def train(model):
    """Any numbers for whatever is trained."""
    torch.manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)


def make_adapter(name, arguments):
    untied = name == "untied"
    kind = peft.LoraConfig if arguments is not None else peft.PrefixTuningConfig
    arguments = {"r": 4, "lora_alpha": 7, **arguments} if arguments is not None else \
        {"num_virtual_tokens": 2}
    config = kind(task_type="CAUSAL_LM", **arguments)
    model = peft.get_peft_model(base(not untied), config)
    train(model)
    model.peft_config["default"].base_model_name_or_path = "untied" if untied else "base"
    if name == "bfloat16":
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                parameter.data = parameter.data.bfloat16()
    model.save_pretrained(OUT / name, safe_serialization=name != "pickled")
    (OUT / name / "README.md").unlink(missing_ok=True)


def logits(name):
    """Of the model with its adapter; merged as well, and equal, where PEFT does not merge one half
    of tied weights into both."""
    untied = name == "untied"
    adapted = peft.PeftModel.from_pretrained(base(not untied), OUT / name).double().eval()
    ids = torch.tensor([IDS])
    with torch.no_grad():
        expected = adapted(ids).logits[0]
        merged = adapted.merge_and_unload()(ids).logits[0]
    if name not in ("embeddings", "head"):
        assert torch.allclose(expected, merged, atol=1e-9), name
    return [[round(x, 7) for x in row] for row in expected.tolist()]


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for folder, tied in (("base", True), ("untied_base", False)):
        base(tied).save_pretrained(OUT / folder)
    write_torch_files(base())
    for name, arguments in {**ADAPTERS, **REFUSED}.items():
        make_adapter(name, arguments)
    lines = ",\n".join(f'"{name}": {json.dumps(logits(name), separators=(",", ":"))}'
                       for name in ADAPTERS)
    (OUT / "goldens.json").write_text(f'{{"ids": {json.dumps(IDS)},\n{lines}}}\n')


if __name__ == "__main__":
    main()
