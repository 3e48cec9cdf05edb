#!/usr/bin/env python3
"""Runs what tools/gpu-check --build made, on this machine's GPU, and writes the report.

usage: run.py FOLDER --results FOLDER
"""
import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report

BATCHES = ("1", "8", "64", "256")
# Every kernel, but not every model and shape: the sanitizers slow a GPU down a hundredfold.
SHORT = "Every/Ops.LayerNorm/*:Every/Ops.Embed/*:Every/Ops.Attention/*:Every/ModelGoldens.GreedyIds/*_a"
QUESTION = "Qual a capital do Brasil?"


def missing_libraries(listing: str) -> set[str]:
    """Names of the libraries that ldd does not find here, or finds too old."""
    pattern = r"^\s*(\S+) => not found|/([^/\s]+): version `[^']+' not found"
    return {absent or old for absent, old in re.findall(pattern, listing, re.MULTILINE)}


class Runner:
    def __init__(self, folder: Path, libraries: Path) -> None:
        self.folder = folder
        self.steps: list[dict[str, object]] = []
        # The machine's own libraries where it has them: others may need them newer than the carried ones.
        for program in (folder / "bin").iterdir():
            listing = subprocess.run(["ldd", program], capture_output=True, text=True)
            for name in missing_libraries(listing.stdout + listing.stderr):
                if (folder / "lib" / name).exists() and not (libraries / name).exists():
                    (libraries / name).symlink_to(folder / "lib" / name)
        paths = [str(libraries), os.environ.get("LD_LIBRARY_PATH", ""), "/usr/local/cuda/lib64"]
        self.environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, paths))}

    def step(self, name: str, command: list[str], seconds: int, python: bool = False) -> str | None:
        """Runs a command in the folder; its stdout, or None when it failed. Python gets no carried libraries."""
        environment = dict(os.environ) if python else self.environment
        start = time.monotonic()
        try:
            done = subprocess.run(command, cwd=self.folder, env=environment, timeout=seconds, text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, errors="replace")  # fmt: skip
            code, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired:
            code, out, err = -1, "", f"still running after {seconds} seconds"
        except OSError as error:
            code, out, err = -1, "", str(error)
        step = {"name": name, "status": "passed" if code == 0 else "failed",
                "seconds": round(time.monotonic() - start, 1), "detail": report.detail_of(out)}  # fmt: skip
        if code != 0:
            step["output"] = (out + err)[-3000:]
        self.steps.append(step)
        print(f"{name}: {step['status']} ({step['seconds']} s) {step['detail']}", file=sys.stderr, flush=True)
        return out if code == 0 else None

    def skip(self, name: str, reason: str) -> None:
        self.steps.append({"name": name, "status": "skipped", "seconds": 0, "detail": reason})
        print(f"{name}: skipped: {reason}", file=sys.stderr, flush=True)

    def read_json(self, name: str, command: list[str], seconds: int, python: bool = False) -> object:
        out = self.step(name, command, seconds, python)
        try:
            return None if out is None else json.loads(out)
        except ValueError:
            self.steps[-1].update(status="failed", output=f"This is not JSON: {out[-2000:]}")
            return None


def device() -> dict[str, str]:
    names = ("name", "driver_version", "compute_cap", "memory.total", "clocks.max.sm")
    out = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"],
                         capture_output=True, text=True, check=True).stdout  # fmt: skip
    return dict(zip(names, (value.strip() for value in out.splitlines()[0].split(","))))


def correctness(runner: Runner) -> None:
    tests = str(runner.folder / "bin" / "aira-gpu-tests")
    runner.step("operations and models", [tests], 240)
    sanitizer = shutil.which("compute-sanitizer", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
    for tool in ("memcheck", "racecheck", "synccheck"):
        if sanitizer is None:
            runner.skip(f"compute-sanitizer {tool}", "there is no compute-sanitizer on this machine")
        else:
            command = [sanitizer, "--tool", tool, "--error-exitcode", "9", tests, f"--gtest_filter={SHORT}"]
            runner.step(f"compute-sanitizer {tool}", command, 180)
    program = str(runner.folder / "bin" / "aira-cli")
    answers = [runner.step(f"an answer of the built-in model, {where}",
                           [program, "--device", where, "--greedy", "-q", QUESTION], 60)
               for where in ("cuda", "cpu")]  # fmt: skip
    if None not in answers and answers[0] != answers[1]:
        runner.steps[-2].update(status="failed", output=f"cuda: {answers[0]}cpu: {answers[1]}")


def speed(runner: Runner) -> dict[str, object]:
    result: dict[str, object] = {}
    result["kernels"] = runner.read_json("kernels", [str(runner.folder / "bin" / "kernel-bench")], 150)
    with tempfile.TemporaryDirectory() as model:
        script = str(runner.folder / "tools" / "random_model.py")
        if runner.step("a random model of 124M parameters", [sys.executable, script, model], 60, True) is None:
            return result
        bench = str(runner.folder / "bin" / "batch-bench")
        result["aira"] = runner.read_json("tokens/s, aira-cli f16", [bench, model, *BATCHES], 150)
        script = str(runner.folder / "tools" / "transformers_speed.py")
        command = [sys.executable, script, model, *BATCHES]
        result["transformers"] = runner.read_json("tokens/s, transformers f16", command, 240, True)
    return result


def check(runner: Runner, results: Path) -> int:
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    result: dict[str, object] = {"date": today, "device": device(),
                                 "built": json.loads((runner.folder / "built.json").read_text())}  # fmt: skip
    correctness(runner)
    result.update(speed(runner))
    result["steps"] = runner.steps
    results.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9.]+", "-", str(result["device"]["name"])).strip("-").lower()  # type: ignore[index]
    (results / f"{name}-{today}.json").write_text(json.dumps(result, indent=1) + "\n")
    (results / f"{name}-{today}.md").write_text(report.markdown(result))
    print(results / f"{name}-{today}.md")
    return 1 if any(step["status"] == "failed" for step in runner.steps) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as libraries:
        return check(Runner(args.folder.resolve(), Path(libraries)), args.results)


if __name__ == "__main__":
    sys.exit(main())
