#!/usr/bin/env python3
"""Speed of aira-cli beside llama.cpp, CTranslate2 and transformers, interleaved on one machine, as a table of ratios.

Every round measures each engine once, in turn; the table has the medians over the rounds. What an engine needs: for
llama.cpp the folder of its llama-bench and llama-batched-bench and the model as GGUF (f16, q8_0); for transformers and
CTranslate2 a Python that has them, for the latter converted models (float32, int8) too.
usage: compare.py MODEL [--aira build/aira-cli] [--llama FOLDER --gguf F16 --gguf-q8 Q8_0] [--python FILE]
       [--ct2-f32 FOLDER] [--ct2-int8 FOLDER] [--threads 2] [--rounds 5]
"""
import argparse
import json
import math
import statistics
import subprocess
import tempfile
from pathlib import Path

PROMPT, DECODE, BATCH = 512, 64, 32
Speeds = tuple[float, float, float]  # tokens/s: a prompt, decoding, decoding BATCH sequences side by side
NAN = float("nan")

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

# Decoding is the difference of two lengths, so that the prompt is not in it.
CTRANSLATE2 = """
import json, sys, time, ctranslate2
generator = ctranslate2.Generator(sys.argv[1], compute_type=sys.argv[3], intra_threads=int(sys.argv[2]))
words = json.load(open(sys.argv[1] + "/vocabulary.json"))
def prompt(start, count):
    return [words[(1 + start + i * 97) % len(words)] for i in range(count)]
def generate(batch, length):
    start = time.perf_counter()
    generator.generate_batch([prompt(11 * i, 4) for i in range(batch)], max_length=length, min_length=length,
                             sampling_topk=1, include_prompt_in_result=False, end_token=[])
    return time.perf_counter() - start
generator.forward_batch([prompt(0, 512)])
start = time.perf_counter()
generator.forward_batch([prompt(0, 512)])
speeds = [512 / (time.perf_counter() - start)]
for batch, length in ((1, 64), (32, 32)):
    generate(batch, 4)
    speeds.append(batch * length / (generate(batch, 8 + length) - generate(batch, 8)))
print(*speeds)
"""


def run(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def aira(args: argparse.Namespace, dtype: str) -> Speeds:
    def bench(*more: object) -> list[float]:
        report = json.loads(run(args.aira, "bench", "-m", args.model, "--dtype", dtype, "-t", args.threads,
                                "-r", 1, "--json", *more))  # fmt: skip
        return [test["tokens_per_second"] for test in report["tests"]]

    prompt, decode = bench("-p", PROMPT, "-n", DECODE)
    return prompt, decode, *bench("-p", 0, "-n", 32, "-b", BATCH)


def llama(args: argparse.Namespace, gguf: Path) -> Speeds:
    # Repacked weights bring nothing for f16, and for q8_0 its AMX kernels fail on some machines.
    repack = ("--repack", 0) if gguf == args.gguf_q8 else ()
    report = json.loads(run(args.llama / "llama-bench", "-m", gguf, "-t", args.threads,
                            "-p", PROMPT, "-n", DECODE, "-r", 1, "-o", "json", *repack))  # fmt: skip
    prompt, decode = (test["avg_ts"] for test in report)
    table = run(args.llama / "llama-batched-bench", "-m", gguf, "-t", args.threads, "-c", 4096,
                "-npp", 16, "-ntg", 32, "-npl", BATCH, *(["-nr"] if repack else []))  # fmt: skip
    last = [cell.strip() for cell in table.strip().splitlines()[-1].split("|")]
    return prompt, decode, float(last[8])  # column S_TG


def transformers(args: argparse.Namespace) -> Speeds:
    prompt, decode = run(args.python, "-c", TRANSFORMERS, args.model, args.threads).split()
    return float(prompt), float(decode), NAN


def ctranslate2(args: argparse.Namespace, folder: Path, dtype: str) -> Speeds:
    prompt, decode, batch = run(args.python, "-c", CTRANSLATE2, folder, args.threads, dtype).split()
    return float(prompt), float(decode), float(batch)


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
    parser.add_argument("--llama", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--gguf-q8", type=Path)
    parser.add_argument("--ct2-f32", type=Path)
    parser.add_argument("--ct2-int8", type=Path)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()

    engines = {f"aira-cli {dtype}": lambda dtype=dtype: aira(args, dtype) for dtype in ("f16", "f32", "int8")}
    for name, gguf in (("llama.cpp F16", args.gguf), ("llama.cpp Q8_0", args.gguf_q8)):
        if args.llama and gguf:
            engines[name] = lambda gguf=gguf: llama(args, gguf)
    if args.python:
        engines["transformers f32"] = lambda: transformers(args)
        if args.ct2_f32:
            engines["CTranslate2 f32"] = lambda: ctranslate2(args, args.ct2_f32, "float32")
        if args.ct2_int8:
            engines["CTranslate2 int8"] = lambda: ctranslate2(args, args.ct2_int8, "int8")
    speeds: dict[str, list[Speeds]] = {name: [] for name in engines}
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
    print(f"| | prompt of {PROMPT}, tokens/s | decode, tokens/s | {BATCH} at once, tokens/s |\n|---|---|---|---|")
    for name, row in medians.items():
        print(f"| {name} | " + " | ".join("" if math.isnan(speed) else f"{speed:.0f}" for speed in row) + " |")
    print()
    for dtype, size in (("f16", 2), ("f32", 4), ("int8", 1 + 1 / 32)):
        limit = gigabytes_per_second * 1e9 / (parameters * size)
        print(f"aira-cli {dtype}: decode at {100 * medians[f'aira-cli {dtype}'][1] / limit:.0f} % of the memory's limit")
    for name, theirs in medians.items():
        kind = name.split()[-1].lower().replace("q8_0", "int8")
        if not name.startswith("aira-cli"):
            ratios = [ours / their for ours, their in zip(medians[f"aira-cli {kind}"], theirs)]
            print(f"aira-cli {kind} / {name}: prompt {ratios[0]:.2f}x, decode {ratios[1]:.2f}x, batch {ratios[2]:.2f}x")


def read_parameters(args: argparse.Namespace) -> int:
    """The model's parameters that a token reads: all but the position table, as aira-cli counts them."""
    info = json.loads(run(args.aira, "info", "-m", args.model, "--json"))
    return info["parameters"] - info["context"] * info["width"]


if __name__ == "__main__":
    main()
