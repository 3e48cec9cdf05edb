#!/usr/bin/env python3
"""Tokens/s of transformers on the GPU, f16: decodes 128 tokens in each of BATCH sequences from an empty cache; prints
a JSON list, medians of five rounds. "eager" calls the model token by token with a growing cache; "static" has a cache
of fixed size and replays a CUDA graph of the step, the fastest that transformers offers. "prompts" reads BATCH texts of
512 tokens at once up to the first token of each, by a CUDA graph too.

usage: transformers_speed.py eager|static|prompts MODEL BATCH...
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
PROMPT = 512


def eager(model: torch.nn.Module, batch: int) -> Callable[[int], None]:
    def decode(tokens: int) -> None:
        token = torch.arange(batch, device="cuda")[:, None] + 1
        cache = None
        for _ in range(tokens):
            out = model(token, past_key_values=cache, use_cache=True)
            cache, token = out.past_key_values, out.logits[:, -1:].argmax(-1)

    return decode


def recorded(work: Callable[[], None]) -> torch.cuda.CUDAGraph:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph


def static(model: torch.nn.Module, batch: int) -> Callable[[int], None]:
    # Room for the warm-up as well: the cache counts its steps on the device, and a graph's are not to pass its end.
    cache = StaticCache(config=model.config, max_cache_len=2 * TOKENS)
    token = torch.arange(batch, device="cuda")[:, None] + 1

    def step() -> None:
        out = model(token, past_key_values=cache, use_cache=True)
        token.copy_(out.logits[:, -1:].argmax(-1))

    graph = recorded(step)

    def decode(tokens: int) -> None:
        cache.reset()
        for _ in range(tokens):
            graph.replay()

    return decode


def prompts(model: torch.nn.Module, batch: int) -> Callable[[int], None]:
    tokens = (torch.arange(batch * PROMPT, device="cuda") * 7919 % 50000).reshape(batch, PROMPT)
    first = torch.zeros(batch, 1, dtype=torch.long, device="cuda")

    def read() -> None:
        first.copy_(model(tokens, use_cache=True, logits_to_keep=1).logits[:, -1:].argmax(-1))

    graph = recorded(read)

    def replay(tokens: int) -> None:
        for _ in range(max(1, tokens // PROMPT)):
            graph.replay()

    return replay


def main() -> None:
    kind, name, *batches = sys.argv[1:]
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float16).to("cuda").eval()
    results = []
    with torch.inference_mode():
        for batch in map(int, batches):
            decode = {"eager": eager, "static": static, "prompts": prompts}[kind](model, batch)
            tokens = 8 * PROMPT if kind == "prompts" else TOKENS
            decode(8)
            speeds = []
            for _ in range(5):
                torch.cuda.synchronize()
                start = time.perf_counter()
                decode(tokens)
                torch.cuda.synchronize()
                speeds.append(batch * tokens / (time.perf_counter() - start))
            results.append({"batch": batch, "tokens_per_second": statistics.median(speeds)})
    print(json.dumps(results))


if __name__ == "__main__":
    main()
