#!/usr/bin/env python3
"""Makes tests/data/models: small random GPT-2 checkpoints and what they compute.

transformers' GPT2LMHeadModel in float64 is the oracle. Weights are large, biases and LayerNorm
gains far from 0 and 1, shapes not round. For each model, seeds are tried in order until greedy
decoding has clear winners at every step and does not fall into a short loop.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/model.py
"""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel
from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "models"
PENALTIES = (1.0, 1.2, 1.7)
MARGIN = 1e-4  # least relative distance of the two best scores of a greedy step
FULL_LIMIT = 3000  # logits of a sequence up to which all its positions are kept

# What each model is there for stands in tests/data/models/README.md.
MODELS = {
    "a": dict(
        config=dict(vocab_size=509, n_embd=40, n_head=5, n_layer=3, n_positions=67, n_inner=72,
                    layer_norm_epsilon=1e-6, bos_token_id=1, eos_token_id=2, pad_token_id=0),
        generation=dict(do_sample=True, temperature=0.7, top_k=40, top_p=0.9,
                        repetition_penalty=1.3, max_new_tokens=50, bos_token_id=1,
                        eos_token_id=[2, 3], pad_token_id=0),
        dtype=torch.float32, prefix=True),
    "b": dict(
        config=dict(vocab_size=131, n_embd=48, n_head=3, n_layer=2, n_positions=33,
                    activation_function="gelu", scale_attn_by_inverse_layer_idx=True,
                    tie_word_embeddings=False, bos_token_id=None, eos_token_id=[4, 9]),
        generation=dict(eos_token_id=4), dtype=torch.float32, prefix=False, shards=3),
    "c": dict(
        config=dict(vocab_size=257, n_embd=64, n_head=2, n_layer=2, n_positions=70,
                    activation_function="gelu_pytorch_tanh", bos_token_id=256,
                    eos_token_id=None),
        generation=dict(do_sample=False), dtype=torch.float16, prefix=True, masks=True),
    "d": dict(
        config=dict(vocab_size=97, n_embd=24, n_head=2, n_layer=1, n_positions=19,
                    activation_function="relu", scale_attn_weights=False),
        generation=None, dtype=torch.bfloat16, prefix=False),
    "e": dict(
        config=dict(vocab_size=151, n_embd=128, n_head=2, n_layer=2, n_positions=300, n_inner=60,
                    layer_norm_epsilon=1e-3, bos_token_id=0, eos_token_id=0),
        generation=None, dtype=torch.float16, prefix=True, explicit_head=True),
}


def random_weights(model, rng):
    """Fills every parameter; large enough that all of them show in the logits."""

    def normal(shape, std):
        return torch.randn(shape, generator=rng, dtype=torch.float64) * std

    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            value = normal(parameter.shape, 0.3)
        elif ".ln_" in name:
            sign = torch.where(normal(parameter.shape, 1) < -0.7, -1.0, 1.0)
            value = sign * (0.4 + 1.4 * torch.rand(parameter.shape, generator=rng,
                                                   dtype=torch.float64))
        elif ".wte" in name or ".wpe" in name:
            value = normal(parameter.shape, 0.4)
        elif "lm_head" in name:
            value = normal(parameter.shape, 0.5)
        else:  # Conv1D, [in, out]
            value = normal(parameter.shape, 1.3 / parameter.shape[0] ** 0.5)
        parameter.data.copy_(value)


def stored_tensors(model, spec):
    """The state dict under the names and in the type that the file is to have."""
    tensors = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            if not spec.get("explicit_head"):
                continue
        if not spec["prefix"]:
            name = name.removeprefix("transformer.")
        tensors[name] = value.to(spec["dtype"]).contiguous().clone()
    if spec.get("masks"):  # as old versions of transformers stored them
        size = model.config.n_positions
        mask = torch.ones(size, size).tril().view(1, 1, size, size)
        for layer, dtype in enumerate((torch.uint8, torch.bool)):
            tensors[f"transformer.h.{layer}.attn.bias"] = mask.to(dtype)
            tensors[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return tensors


def save_tensors(tensors, folder, shards):
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map = {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        part = names[i::shards]
        save_file({n: tensors[n] for n in part}, folder / file, metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def load_tensors(folder, config):
    """The saved numbers in float64, whatever they were stored as, in a fresh model."""
    state = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, value in load_file(path).items():
            name = name.removeprefix("transformer.")
            if name.endswith((".attn.bias", ".attn.masked_bias")):
                continue
            if name != "lm_head.weight":
                name = "transformer." + name
            state[name] = value.double()
    if config.tie_word_embeddings:
        state.setdefault("lm_head.weight", state["transformer.wte.weight"])
    model = GPT2LMHeadModel(config).double().eval()
    model.load_state_dict(state, strict=True)
    return model


def build(name, spec, seed):
    """Writes the checkpoint and returns the model as a reader of the files sees it."""
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = GPT2Config(architectures=["GPT2LMHeadModel"], attn_implementation="eager",
                        **spec["config"])
    model = GPT2LMHeadModel(config).double()
    random_weights(model, torch.Generator().manual_seed(seed))
    save_tensors(stored_tensors(model, spec), folder, spec.get("shards", 1))
    config.dtype = spec["dtype"]
    config.save_pretrained(folder)
    if spec["generation"] is not None:
        GenerationConfig(**spec["generation"]).save_pretrained(folder)
    return load_tensors(folder, config)


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0]


def greedy(model, prompt, penalty, count):
    """Greedy ids without a cache, or None where two candidates come too close."""
    process = RepetitionPenaltyLogitsProcessor(penalty)
    ids = list(prompt)
    for _ in range(count):
        scores = logits_of(model, ids)[-1:]
        assert scores.dtype == torch.float64
        best = torch.topk(process(torch.tensor([ids]), scores)[0], 2)
        first, second = best.values.tolist()
        if first - second <= MARGIN * max(1.0, abs(first)):
            return None
        ids.append(int(best.indices[0]))
    return ids[len(prompt):]


def generate(model, prompt, penalty, count):
    """The same through transformers' own loop, with its cache and no end token."""
    model.generation_config.eos_token_id = None
    config = GenerationConfig(do_sample=False, use_cache=True, repetition_penalty=penalty,
                              max_new_tokens=count, pad_token_id=0)
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    return out[0, len(prompt):].tolist()


def greedy_cases(model, rng):
    """Greedy continuations for a few prompts, or None when this seed's are no good test."""
    context, cases = model.config.n_positions, []
    for length in (1, 2, 7):
        prompt = random_ids(model, rng, length)
        count = min(28, context - length)
        paths = []
        for penalty in PENALTIES:
            path = greedy(model, prompt, penalty, count)
            if path is None or len(set(path)) < min(6, count // 2):
                return None
            paths.append(path)
            cases.append({"prompt": prompt, "repetition_penalty": penalty, "ids": path})
        if paths[0] == paths[1] or paths[1] == paths[2]:
            return None
    for case in cases:
        found = generate(model, case["prompt"], case["repetition_penalty"], len(case["ids"]))
        assert found == case["ids"], (found, case)
    return cases


def random_ids(model, rng, length):
    return torch.randint(model.config.vocab_size, (length,), generator=rng).tolist()


def rounded(values):
    return [float(f"{v:.9g}") for v in values]


def forward_cases(model, rng):
    context, vocab = model.config.n_positions, model.config.vocab_size
    lengths = sorted({1, 2, 17, context // 2 + 1, context - 1, context})
    cases = []
    for length in lengths:
        ids = random_ids(model, rng, length)
        logits = logits_of(model, ids)
        all_fit = length * vocab <= FULL_LIMIT
        positions = range(length) if all_fit else sorted({0, length // 2, length - 1})
        cases.append({"ids": ids, "positions": list(positions),
                      "logits": [rounded(logits[p].tolist()) for p in positions]})
    return cases


def score_case(model, context, continuation):
    ids = context + continuation
    rows = logits_of(model, ids)[len(context) - 1:-1]
    logprobs = torch.log_softmax(rows, dim=-1)
    best = torch.topk(rows, 2, dim=-1)
    picked = [float(logprobs[i, t]) for i, t in enumerate(continuation)]
    return {"context": context, "continuation": continuation, "logprobs": rounded(picked),
            "is_greedy": best.indices[:, 0].tolist() == continuation}


def score_cases(model, rng, greedy_case):
    cases = [score_case(model, greedy_case["prompt"], greedy_case["ids"])]
    assert cases[0]["is_greedy"]
    for context, continuation in ((1, 1), (1, 12), (11, 5)):
        cases.append(score_case(model, random_ids(model, rng, context),
                                random_ids(model, rng, continuation)))
    rest = model.config.n_positions - 3
    cases.append(score_case(model, random_ids(model, rng, 3), random_ids(model, rng, rest)))
    return cases


def write_goldens(path, goldens):
    """One case a line, so that a diff shows which changed."""
    parts = []
    for key, value in goldens.items():
        if isinstance(value, list):
            lines = ",\n".join(json.dumps(v, separators=(",", ":")) for v in value)
            parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
        else:
            parts.append(f"{json.dumps(key)}: {json.dumps(value)}")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def make(name, spec):
    for seed in range(1, 1000):
        model = build(name, spec, seed)
        rng = torch.Generator().manual_seed(10_000 + seed)
        cases = greedy_cases(model, rng)
        if cases is not None:
            break
    else:
        sys.exit(f"{name}: no seed gives clear greedy paths")
    goldens = {"seed": seed, "forward": forward_cases(model, rng), "greedy": cases,
               "score": score_cases(model, rng, cases[0])}
    write_goldens(OUT / name / "goldens.json", goldens)
    size = sum(f.stat().st_size for f in (OUT / name).iterdir())
    print(f"{name}: seed {seed}, {size / 1000:.0f} kB")


def main():
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MODELS:
        make(name, MODELS[name])


if __name__ == "__main__":
    main()
