#!/usr/bin/env python3
"""Speed of aira-cli beside llama.cpp and transformers, interleaved on one machine, as a table of ratios.

Every round measures each engine once, in turn; the table has the medians over the rounds. What an engine needs: for
llama.cpp its llama-bench and the model as GGUF (f16); for transformers a Python that has torch and transformers.
usage: compare.py MODEL [--aira build/aira-cli] [--llama-bench FILE --gguf FILE] [--python FILE] [--threads 2] [--rounds 5]
"""
import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

PROMPT, DECODE = 512, 64

TRANSFORMERS = """
import sys, time, torch
from transformers import AutoModelForCausalLM
torch.set_num_threads(int(sys.argv[2]))
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
ids = torch.arange(1, 513)[None] * 97 % model.config.vocab_size
with torch.inference_mode():
    model(ids)
    start = time.perf_counter()
    model(ids, logits_to_keep=1)
    prompt = 512 / (time.perf_counter() - start)
    cache, token = None, ids[:, :1]
    for i in range(72):
        if i == 8:
            start = time.perf_counter()
        out = model(token, past_key_values=cache, use_cache=True)
        cache, token = out.past_key_values, ids[:, i + 1:i + 2]
    print(prompt, 64 / (time.perf_counter() - start))
"""


def run(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def aira(args: argparse.Namespace, dtype: str) -> tuple[float, float]:
    """Tokens/s of a prompt and of decoding."""
    report = json.loads(run(args.aira, "bench", "-m", args.model, "--dtype", dtype, "-t", args.threads,
                            "-p", PROMPT, "-n", DECODE, "-r", 1, "--json"))  # fmt: skip
    prompt, decode = (test["tokens_per_second"] for test in report["tests"])
    return prompt, decode


def llama(args: argparse.Namespace) -> tuple[float, float]:
    report = json.loads(run(args.llama_bench, "-m", args.gguf, "-t", args.threads,
                            "-p", PROMPT, "-n", DECODE, "-r", 1, "-o", "json"))  # fmt: skip
    prompt, decode = (test["avg_ts"] for test in report)
    return prompt, decode


def transformers(args: argparse.Namespace) -> tuple[float, float]:
    prompt, decode = run(args.python, "-c", TRANSFORMERS, args.model, args.threads).split()
    return float(prompt), float(decode)


def bandwidth(folder: str, threads: int) -> float:
    """GB/s that the cores together read."""
    program = Path(folder) / "bandwidth"
    source = Path(__file__).with_name("bandwidth.cc")
    run("g++", "-O3", "-march=native", "-std=c++20", "-pthread", source, "-o", program)
    return float(run(program, threads))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--aira", type=Path, default=Path(__file__).parents[2] / "build" / "aira-cli")
    parser.add_argument("--llama-bench", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    engines = {"aira-cli f16": lambda: aira(args, "f16")}
    if args.llama_bench and args.gguf:
        engines["llama.cpp F16"] = lambda: llama(args)
    engines["aira-cli f32"] = lambda: aira(args, "f32")
    if args.python:
        engines["transformers f32"] = lambda: transformers(args)
    speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    read: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            read.append(bandwidth(folder, args.threads))
            for name, measure in engines.items():
                speeds[name].append(measure())

    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in speeds.items()}
    parameters = read_parameters(args)
    gigabytes_per_second = statistics.median(read)
    print(f"{args.threads} threads, medians of {args.rounds} rounds, memory reads {gigabytes_per_second:.1f} GB/s\n")
    print(f"| | prompt of {PROMPT}, tokens/s | decode, tokens/s | decode, of the memory's limit |\n|---|---|---|---|")
    for name, (prompt, decode) in medians.items():
        limit = gigabytes_per_second * 1e9 / (parameters * (4 if name.endswith("f32") else 2))
        print(f"| {name} | {prompt:.0f} | {decode:.1f} | {100 * decode / limit:.0f} % |")
    print()
    for ours, theirs in (("aira-cli f16", "llama.cpp F16"), ("aira-cli f32", "transformers f32")):
        if theirs in medians:
            ratios = [a / b for a, b in zip(medians[ours], medians[theirs])]
            print(f"{ours} / {theirs}: prompt {ratios[0]:.2f}x, decode {ratios[1]:.2f}x")


def read_parameters(args: argparse.Namespace) -> int:
    """The model's parameters that a token reads: all but the position table, as aira-cli counts them."""
    info = json.loads(run(args.aira, "info", "-m", args.model, "--json"))
    return info["parameters"] - info["context"] * info["width"]


if __name__ == "__main__":
    main()
