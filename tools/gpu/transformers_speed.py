#!/usr/bin/env python3
"""Tokens/s of transformers on the GPU, f16: decodes 128 tokens in each of BATCH sequences from an empty cache; prints
a JSON list, medians of five rounds.

usage: transformers_speed.py MODEL BATCH...
needs: torch, transformers
"""
import json
import statistics
import sys
import time

import torch
from transformers import AutoModelForCausalLM

TOKENS = 128


def round_of(model: torch.nn.Module, batch: int, tokens: int) -> float:
    token = torch.arange(batch, device="cuda")[:, None] + 1
    cache = None
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(tokens):
        out = model(token, past_key_values=cache, use_cache=True)
        cache, token = out.past_key_values, out.logits[:, -1:].argmax(-1)
    torch.cuda.synchronize()
    return batch * tokens / (time.perf_counter() - start)


def main() -> None:
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float16).to("cuda").eval()
    results = []
    with torch.inference_mode():
        for batch in map(int, sys.argv[2:]):
            round_of(model, batch, 8)
            speeds = [round_of(model, batch, TOKENS) for _ in range(5)]
            results.append({"batch": batch, "tokens_per_second": statistics.median(speeds)})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
