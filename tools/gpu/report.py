"""The report of tools/gpu-check as Markdown, from the same numbers as its JSON."""
import re
from typing import Any


def detail_of(output: str) -> str:
    """googletest's counts, and compute-sanitizer's, in a program's output."""
    found = re.findall(r"\[  (PASSED|FAILED|SKIPPED) +\] (\d+ tests?)", output)
    parts = [f"{count} {word.lower()}" for word, count in found]
    parts += re.findall(r"========= (ERROR SUMMARY: .*|RACECHECK SUMMARY: .*)", output)
    return ", ".join(parts)


def threshold(linears: list[dict[str, Any]]) -> int:
    """Up to how many rows our own kernel is not slower than cuBLAS, at every smaller number too; 0: never."""
    best = 0
    for pair in sorted(linears, key=lambda pair: pair["rows"]):
        if pair["skinny_microseconds"] > pair["cublas_microseconds"]:
            break
        best = pair["rows"]
    return best


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def checks(result: dict[str, Any]) -> str:
    text = "## Checks\n\n" + table(["check", "result", "seconds", ""], [
        [step["name"], step["status"], str(step["seconds"]), step["detail"]] for step in result["steps"]])  # fmt: skip
    for step in result["steps"]:
        if step["status"] == "failed":
            text += f"\nWhat `{step['name']}` said last:\n\n```\n{step.get('output', '').strip()}\n```\n"
    return text


def tokens(result: dict[str, Any]) -> str:
    if not result.get("aira"):
        return ""
    others = {entry["batch"]: entry["tokens_per_second"] for entry in result.get("transformers") or []}
    rows = []
    for entry in result["aira"]:
        ours, theirs = entry["tokens_per_second"], others.get(entry["batch"])
        compared = [f"{theirs:.0f}", f"{ours / theirs:.2f}x"] if theirs else ["not measured", ""]
        rows.append([str(entry["batch"]), f"{ours:.0f}", *compared])
    return ("\n## Tokens/s\n\nDecoding from an empty cache, random weights of Aira's shape (124M), f16. Ours brings all "
            "logits to host memory; transformers takes the greatest on the GPU.\n\n"
            + table(["sequences", "aira-cli", "transformers", ""], rows))  # fmt: skip


def kernels(result: dict[str, Any]) -> str:
    measured = result.get("kernels")
    if not measured:
        return ""
    rows = [[entry["kernel"], entry["shape"], f"{entry['microseconds']:.2f}", f"{entry['gb_per_second']:.0f}",
             f"{entry['percent_of_copy']:.0f} %"] for entry in measured["kernels"]]  # fmt: skip
    pairs = [[str(pair["rows"]), f"{pair['skinny_microseconds']:.1f}", f"{pair['cublas_microseconds']:.1f}"]
             for pair in measured["linears"]]  # fmt: skip
    return (
        f"\n## Linear maps: our kernel or cuBLAS\n\nThe four of a layer together, f16, microseconds. Our own is not "
        f"slower up to {threshold(measured['linears'])} rows (`kSkinnyRows` in src/cuda/cuda_backend.cc).\n\n"
        + table(["rows", "linear_skinny", "cuBLAS and what goes around it"], pairs)
        + f"\n## Kernels\n\nMedians; a copy in device memory moves {measured['copy_gb_per_second']:.0f} GB/s (read and "
        "written) in the same run.\n\n" + table(["kernel", "shape", "microseconds", "GB/s", "of the copy's"], rows)
    )  # fmt: skip


def markdown(result: dict[str, Any]) -> str:
    device, built = result["device"], result["built"]
    return (
        f"# {device['name']}, {result['date']}\n\nDriver {device['driver_version']}, compute capability "
        f"{device['compute_cap']}, {device['memory.total']}; commit {built['commit']}, CUDA {built['nvcc']}, built for "
        f"{built['architecture']}.\n\n" + checks(result) + tokens(result) + kernels(result)
    )  # fmt: skip
