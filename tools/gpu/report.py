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
    """Up to how many rows linear_few is not slower than the kernels for many, at every smaller number too; 0: never."""
    best = 0
    for times in sorted(linears, key=lambda times: times["rows"]):
        others = (times["tile_microseconds"], times.get("wgmma_microseconds"))
        if times["few_microseconds"] > min(filter(None, others)):
            break
        best = times["rows"]
    return best


def times(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.2f}x" if theirs else ""


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
    peers = {kind: {entry["batch"]: entry["tokens_per_second"] for entry in result.get(f"transformers_{kind}") or []}
             for kind in ("static", "eager")}  # fmt: skip
    rows = []
    for entry in result["aira"]:
        ours = entry["tokens_per_second"]
        row = [str(entry["batch"]), f"{ours:.0f}"]
        for theirs in (peer.get(entry["batch"]) for peer in peers.values()):
            row.append(f"{theirs:.0f} ({times(ours, theirs)})" if theirs else "not measured")
        rows.append(row)
    text = ("\n## Tokens/s\n\nDecoding from an empty cache, random weights of Aira's shape (124M), f16. Ours draws by the "
            "card's options; transformers takes the greatest logit. \"static\": static cache and CUDA graph.\n\n"
            + table(["sequences", "aira-cli", "transformers, static", "transformers, eager"], rows))  # fmt: skip
    for key, title in (("aira_int8", "In int8"), ("aira_from_512", "Behind 512 positions")):
        if result.get(key):
            text += f"\n{title}:\n\n" + table(["sequences", "tokens/s"], [
                [str(entry["batch"]), f"{entry['tokens_per_second']:.0f}"] for entry in result[key]])  # fmt: skip
    if result.get("aira_prompts"):
        theirs = {entry["batch"]: entry["tokens_per_second"] for entry in result.get("transformers_prompts") or []}
        text += "\nPrompts of 512 tokens, up to the first token:\n\n" + table(
            ["sequences", "aira-cli", "transformers, CUDA graph"],
            [[str(entry["batch"]), f"{entry['tokens_per_second']:.0f}", f"{theirs[entry['batch']]:.0f} "
              f"({times(entry['tokens_per_second'], theirs[entry['batch']])})" if entry["batch"] in theirs else "not measured"]
             for entry in result["aira_prompts"]])  # fmt: skip
    return text


def switches(result: dict[str, Any]) -> str:
    text = ""
    for position in ("0", "512"):
        measured = result.get(f"switches_from_{position}")
        if measured:
            names = [key for key in measured[0] if key.startswith("without_")]
            text += f"\nBehind {position} positions, tokens/s:\n\n" + table(
                ["sequences", "as it is", *(name.replace("_", " ") for name in names)],
                [[str(entry["batch"]), f"{entry['tokens_per_second']:.0f}",
                  *(f"{entry[name]:.0f} ({times(entry[name], entry['tokens_per_second'])})" for name in names)]
                 for entry in measured])  # fmt: skip
    return text and "\n## With each part left out\n\nMedians of rounds in turns in one process.\n" + text


def decision(hops: dict[str, Any]) -> str:
    """What the hops say of a persistent kernel, which gives values on through a barrier instead of a launch."""
    launch, barrier = (hops["microseconds"].get(f"exchange, {how}") for how in ("graph, early", "barrier"))
    if not launch or not barrier:
        return ""
    return f"From kernel to kernel {launch:.2f} us, through a barrier {barrier:.2f} us: " + (
        "a persistent kernel would save that difference." if barrier < launch else "a persistent kernel would save nothing.")  # fmt: skip


def hops(result: dict[str, Any]) -> str:
    measured = result.get("hops")
    if not measured:
        return ""
    return (
        "\n## Hops and bandwidths\n\nA block of 256 threads on each multiprocessor; in an exchange all blocks read the 768 floats "
        f"that the blocks before them wrote. {decision(measured)}\n\n"
        + table(["", "microseconds"], [[name, f"{number:.2f}"] for name, number in measured["microseconds"].items()])
        + "\n" + table(["", "GB/s"], [[name, f"{number:.0f}"] for name, number in measured["gb_per_second"].items()])
    )  # fmt: skip


def agreement(result: dict[str, Any]) -> str:
    if not result.get("agreement"):
        return ""
    keys = ("model", "dtype", "read", "divergence", "worst", "same_token", "answers")
    return "\n## Agreement with f32 on the CPU\n\n" + table(
        ["model", "on the GPU", "read", "divergence, nats", "at most", "same first token, %", "same greedy answers"],
        [[entry[key] for key in keys] for entry in result["agreement"]])  # fmt: skip


def whole_programs(result: dict[str, Any]) -> str:
    text = ""
    if result.get("start"):
        driver = result.get("driver") or {}
        known = f" The driver alone takes {driver['init_ms']:.0f} ms to start and {driver['context_ms']:.0f} ms for its context." if driver else ""
        text += f"\n## Starting\n\nWhole processes, one question and up to 20 tokens, medians.{known}\n\n" + table(
            ["model", "milliseconds"], [[entry["model"], f"{entry['milliseconds']:.0f}"] for entry in result["start"]])  # fmt: skip
    if result.get("pipes"):
        text += "\n## Questions from a file\n\nWhole processes, 1,000 questions, 32 tokens each.\n\n" + table(
            ["options", "questions/s", "answers as with --batch 1"],
            [[entry["options"], f"{entry['questions_per_second']:.0f}", f"{entry['same_answers']:.1%}" if "same_answers" in entry else ""]
             for entry in result["pipes"]])  # fmt: skip
    return text


def kernels(result: dict[str, Any]) -> str:
    measured = result.get("kernels")
    if not measured:
        return ""
    rows = [[entry["kernel"], entry["shape"], f"{entry['microseconds']:.2f}", f"{entry['gb_per_second']:.0f}",
             f"{entry['percent_of_copy']:.0f} %"] for entry in measured["kernels"]]  # fmt: skip
    linears = [[str(times["rows"]), *(f"{times[f'{name}_microseconds']:.1f}" for name in ("few", "tile", "wgmma", "cublas", "few_int8", "tile_int8", "wgmma_int8"))]
               for times in measured["linears"]]  # fmt: skip
    return (
        f"\n## Linear maps\n\nThe four of a layer together, microseconds, in graphs as below. In f16, linear_few is not slower than the others "
        f"up to {threshold(measured['linears'])} rows (`few_rows` in src/cuda/cuda_backend.cc).\n\n"
        + table(["rows", "linear_few", "linear_tile", "linear_wgmma", "cuBLAS, products only", "linear_few, int8", "linear_tile, int8",
                 "linear_wgmma, int8"], linears)
        + f"\n## Kernels\n\nMedians of one among many in a graph, each starting early as in a step. A copy in "
        f"device memory moves {measured['copy_gb_per_second']:.0f} GB/s (read and written) in the same run.\n\n"
        + table(["kernel", "shape", "microseconds", "GB/s", "of the copy's"], rows)
    )  # fmt: skip


def key_numbers(result: dict[str, Any]) -> str:
    """The numbers that matter most, for the end of the run."""
    rows = []
    failed = [step["name"] for step in result["steps"] if step["status"] != "passed"]
    rows.append(["steps not passed", ", ".join(failed) or "none"])
    for entry in result.get("aira") or []:
        rows.append([f"tokens/s, {entry['batch']} at once", f"{entry['tokens_per_second']:.0f}"])
    for entry in result.get("aira_int8") or []:
        rows.append([f"tokens/s in int8, {entry['batch']} at once", f"{entry['tokens_per_second']:.0f}"])
    for kind in ("static", "eager"):
        peers = {entry["batch"]: entry["tokens_per_second"] for entry in result.get(f"transformers_{kind}") or []}
        for entry in result.get("aira") or []:
            if peers.get(entry["batch"]):
                rows.append([f"of transformers, {kind}, {entry['batch']} at once",
                             times(entry["tokens_per_second"], peers[entry["batch"]])])  # fmt: skip
    for entry in result.get("switches_from_0") or []:
        parts = [f"{key[8:]} {times(entry['tokens_per_second'], entry[key])}" for key in entry if key.startswith("without_")]
        rows.append([f"gain of each part, {entry['batch']} at once", ", ".join(parts)])
    if result.get("hops"):
        rows += [[f"{name}, GB/s", f"{rate:.0f}"] for name, rate in result["hops"]["gb_per_second"].items()]
        rows.append(["hops", decision(result["hops"])])
    rows += [["graph", line] for line in result.get("graphs") or []]
    for entry in result.get("agreement") or []:
        rows.append([f"{entry['model']}, {entry['dtype']}, {entry['read']}: same first token", f"{entry['same_token']} %"])
    rows += [[f"start, {entry['model']}, ms", f"{entry['milliseconds']:.0f}"] for entry in result.get("start") or []]
    rows += [[f"questions/s, {entry['options']}", f"{entry['questions_per_second']:.0f}"] for entry in result.get("pipes") or []]
    return table(["key numbers", ""], rows)


def markdown(result: dict[str, Any]) -> str:
    device, built = result["device"], result["built"]
    return (
        f"# {device['name']}, {result['date']}\n\nDriver {device['driver_version']}, compute capability "
        f"{device['compute_cap']}, {device['memory.total']}; commit {built['commit']}, CUDA {built['nvcc']}, built for "
        f"{built['architecture']}.\n\n" + checks(result) + tokens(result) + switches(result) + hops(result)
        + whole_programs(result) + agreement(result) + kernels(result)
    )  # fmt: skip
