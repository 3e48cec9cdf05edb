#!/usr/bin/env python3
"""Tokens/s of transformers on the GPU, f16: decodes 128 tokens in each of BATCH sequences from an empty cache; prints
a JSON list, medians of five rounds. "eager" calls the model token by token with a growing cache; "static" has a cache
of fixed size and replays a CUDA graph of the step, the fastest that transformers offers.

usage: transformers_speed.py eager|static MODEL BATCH...
needs: torch, transformers
"""
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from transformers import AutoModelForCausalLM, StaticCache

TOKENS = 128


def eager(model: torch.nn.Module, batch: int) -> Callable[[int], None]:
    def decode(tokens: int) -> None:
        token = torch.arange(batch, device="cuda")[:, None] + 1
        cache = None
        for _ in range(tokens):
            out = model(token, past_key_values=cache, use_cache=True)
            cache, token = out.past_key_values, out.logits[:, -1:].argmax(-1)

    return decode


def static(model: torch.nn.Module, batch: int) -> Callable[[int], None]:
    # Room for the warm-up as well: the cache counts its steps on the device, and a graph's are not to pass its end.
    cache = StaticCache(config=model.config, max_cache_len=2 * TOKENS)
    token = torch.arange(batch, device="cuda")[:, None] + 1

    def step() -> None:
        out = model(token, past_key_values=cache, use_cache=True)
        token.copy_(out.logits[:, -1:].argmax(-1))

    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def decode(tokens: int) -> None:
        cache.reset()
        for _ in range(tokens):
            graph.replay()

    return decode


def main() -> None:
    kind, name, *batches = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float16).to("cuda").eval()
    results = []
    with torch.inference_mode():
        for batch in map(int, batches):
            decode = {"eager": eager, "static": static}[kind](model, batch)
            decode(8)
            speeds = []
            for _ in range(5):
                torch.cuda.synchronize()
                start = time.perf_counter()
                decode(TOKENS)
                torch.cuda.synchronize()
                speeds.append(batch * TOKENS / (time.perf_counter() - start))
            results.append({"batch": batch, "tokens_per_second": statistics.median(speeds)})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
