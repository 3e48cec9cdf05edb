#!/usr/bin/env python3
"""Runs what tools/gpu-check --build made, on this machine's GPU, stage by stage, and writes the report.

usage: run.py FOLDER --results FOLDER [--seconds N] [--from STAGE | --only STAGE]

Both files are written anew after each stage, and when the run is ended by SIGTERM: what was measured is never lost.
What each stage printed is kept in FOLDER/logs.
"""
import argparse
import datetime
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import report

BATCHES = ("1", "8", "64", "256")
# Every kernel, but not every model and shape: the sanitizers slow a GPU down a hundredfold.
SHORT = ("Every/Ops.LayerNorm/*:Every/Ops.Embed/*:Every/Ops.Attention/*:Every/Ops.SequencesShareAndCopyPages/*:"
         "Every/ModelGoldens.GreedyIds/*_a:Every/Drawing.SaysWhen*")  # fmt: skip
OPERATIONS = ("Embed", "LayerNorm", "Linear", "Attention", "SequencesShareAndCopyPages")
QUESTION = "Qual a capital do Brasil?"
QUESTIONS = [f"{QUESTION[:-1]} {number}, e por quê?" for number in range(1000)]
ROUNDS = 5
# One kernel of each kind, in steps of decoding.
PROFILED = ("linear_few", "linear_tile", "decode_block", "prefill_block", "scan_block", "draw_block")


def missing_libraries(listing: str) -> set[str]:
    """Names of the libraries that ldd does not find here, or finds too old."""
    pattern = r"^\s*(\S+) => not found|/([^/\s]+): version `[^']+' not found"
    return {absent or old for absent, old in re.findall(pattern, listing, re.MULTILINE)}


def cuda_folders() -> list[str]:
    """Where cuBLAS may be: the toolkit's folder, and Python packages of NVIDIA's."""
    folders = ["/usr/local/cuda/lib64"]
    for path in dict.fromkeys(Path(entry) for entry in sys.path if entry):
        folders += sorted(map(str, path.glob("nvidia/*/lib")))
    return folders


class Ended(Exception):
    """SIGTERM, or a device that no longer works."""


class Runner:
    def __init__(self, folder: Path, libraries: Path, seconds: float = 1e9, save: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self.save = save
        self.end = time.monotonic() + seconds
        self.steps: list[dict[str, object]] = []
        self.elapsed = 0.0  # seconds of the last step
        (folder / "logs").mkdir(exist_ok=True)
        # The machine's own libraries where it has them: others may need them newer than the carried ones.
        for program in (folder / "bin").iterdir():
            listing = subprocess.run(["ldd", program], capture_output=True, text=True)
            for name in missing_libraries(listing.stdout + listing.stderr):
                if (folder / "lib" / name).exists() and not (libraries / name).exists():
                    (libraries / name).symlink_to(folder / "lib" / name)
        paths = [str(libraries), os.environ.get("LD_LIBRARY_PATH", ""), *cuda_folders()]
        self.environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, paths))}

    def step(self, name: str, command: list[str], seconds: float, python: bool = False,
             **variables: str) -> str | None:  # fmt: skip
        """Runs a command in the folder for at most `seconds` or the rest of the run; its stdout, or None if it failed.
        All of its processes end with it. Python gets no carried libraries."""
        left = self.end - time.monotonic()
        if left < 1:
            self.skip(name, "no time was left")
            return None
        seconds = min(seconds, left)
        environment = {**(os.environ if python else self.environment), **variables}
        log = self.folder / "logs" / (re.sub(r"\W+", "-", name) + ".log")
        start = time.monotonic()
        with tempfile.TemporaryFile("w+", errors="replace") as out, open(log, "w+", errors="replace") as err:
            try:
                running = subprocess.Popen(command, cwd=self.folder, env=environment, text=True, stdin=subprocess.DEVNULL,
                                           stdout=out, stderr=err, start_new_session=True)  # fmt: skip
            except OSError as error:
                code, problem = -1, str(error)
            else:
                try:
                    code, problem = running.wait(seconds), ""
                except subprocess.TimeoutExpired:
                    code, problem = -1, f"still running after {seconds:.0f} seconds"
                finally:
                    try:
                        os.killpg(running.pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                    running.wait()
            out.seek(0)
            text = out.read()
            err.seek(0)
            said = text + err.read() + problem
            err.write(text + problem)
        self.elapsed = time.monotonic() - start
        step: dict[str, object] = {"name": name, "status": "passed" if code == 0 else "failed",
                                   "seconds": round(self.elapsed, 1), "detail": report.detail_of(said)}  # fmt: skip
        if code != 0:
            step["output"] = said[-3000:]
        self.note(step)
        return text if code == 0 else None

    def skip(self, name: str, reason: str) -> None:
        self.note({"name": name, "status": "skipped", "seconds": 0, "detail": reason})

    def note(self, step: dict[str, object]) -> None:
        self.steps.append(step)
        print(f"{step['name']}: {step['status']} ({step['seconds']} s) {step['detail']}", file=sys.stderr, flush=True)
        self.save()

    def read_json(self, name: str, command: list[str], seconds: float, python: bool = False) -> object:
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


class Check:
    """The stages, in the order in which they are worth most for their time."""

    def __init__(self, runner: Runner, result: dict[str, object], model: Path) -> None:
        self.runner, self.result, self.model = runner, result, model
        self.bin = runner.folder / "bin"

    def random_model(self) -> bool:
        if (self.model / "config.json").exists():
            return True
        script = str(self.runner.folder / "tools" / "random_model.py")
        return self.runner.step("a random model of 124M parameters", [sys.executable, script, str(self.model)], 60, True) is not None

    def libraries(self) -> None:
        """Which libraries each program finds, and how long the driver takes."""
        script = str(self.runner.folder / "tools" / "driver.py")
        self.result["driver"] = self.runner.read_json("driver and context", [sys.executable, script], 60, True)
        for program in sorted(self.bin.iterdir()):
            listing = self.runner.step(f"libraries of {program.name}", ["ldd", str(program)], 10)
            if missing := missing_libraries(listing or ""):
                self.runner.steps[-1].update(status="failed", detail=f"missing: {', '.join(sorted(missing))}")

    def tests(self) -> None:
        tests = str(self.bin / "aira-gpu-tests")
        if self.runner.step("operations, models, drawing", [tests], 120) is not None:
            return
        for operation in OPERATIONS:  # which kernel it is
            self.runner.step(f"operation {operation} alone", [tests, f"--gtest_filter=Every/Ops.{operation}/*"], 30,
                             CUDA_LAUNCH_BLOCKING="1")  # fmt: skip

    def healthy(self) -> bool:
        """Whether the device still computes, asked after a failure."""
        command = [str(self.bin / "aira-gpu-tests"), "--gtest_filter=Every/Ops.Embed/*"]
        return self.runner.step("the device after a failure", command, 30) is not None

    def answers(self) -> None:
        program = str(self.bin / "aira-cli")
        answers = [self.runner.step(f"an answer of the built-in model, {where}",
                                    [program, "--device", where, "--dtype", "f32", "--greedy", "-q", QUESTION], 60)
                   for where in ("cuda", "cpu")]  # fmt: skip
        if None not in answers and answers[0] != answers[1]:
            self.runner.steps[-2].update(status="failed", output=f"cuda: {answers[0]}cpu: {answers[1]}")

    def tokens(self) -> None:
        if not self.random_model():
            return
        bench = [str(self.bin / "batch-bench"), str(self.model)]
        self.result["aira"] = self.runner.read_json("tokens/s, aira-cli f16", [*bench, *BATCHES], 60)
        self.result["aira_from_512"] = self.runner.read_json(
            "tokens/s behind 512 positions, aira-cli f16", [*bench, "--from", "512", *BATCHES], 60)  # fmt: skip
        self.result["aira_prompts"] = self.runner.read_json(
            "prompts of 512 tokens, aira-cli f16", [*bench, "--prompt", "512", "1", "8"], 60)  # fmt: skip

    def start(self) -> None:
        """Whole processes with one question each: the built-in model, and one of Aira's size."""
        if not self.random_model():
            return
        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, model in (("built-in", []), ("124M", ["-m", str(self.model)])):
                command = [str(self.bin / "aira-cli"), *model, "--device", "cuda", "--greedy", "--max-new-tokens", "20",
                           "--stats", QUESTION]  # fmt: skip
                if self.runner.step(f"a start with the {name} model", command, 60) is not None:
                    times.setdefault(name, []).append(self.runner.elapsed * 1000)
        self.result["start"] = [{"model": name, "milliseconds": round(statistics.median(all_times), 1)}
                                for name, all_times in times.items()]  # fmt: skip

    def pipes(self) -> None:
        """A thousand questions through the whole program, and whether the batch changes their answers."""
        if not self.random_model():
            return
        questions = self.model / "questions.txt"
        questions.write_text("".join(f"{question}\n" for question in QUESTIONS))
        measured, first = [], None
        for name, options in (("--batch 1", ["--batch", "1"]), ("--batch 32", ["--batch", "32"]), ("--batch 256", ["--batch", "256"]),
                              ("--batch 256 --jsonl", ["--batch", "256", "--jsonl"])):  # fmt: skip
            command = [str(self.bin / "aira-cli"), "-m", str(self.model), "--device", "cuda", "--seed", "1", "--max-new-tokens", "32",
                       "-q", *options, "-f", str(questions)]  # fmt: skip
            out = self.runner.step(f"{len(QUESTIONS)} questions, {name}", command, 60)
            if out is None:
                continue
            entry: dict[str, object] = {"options": name, "questions_per_second": len(QUESTIONS) / self.runner.elapsed}
            lines = out.splitlines()
            if "--jsonl" not in options:
                first = first or lines
                entry["same_answers"] = sum(ours == theirs for ours, theirs in zip(lines, first)) / len(QUESTIONS)
            measured.append(entry)
        self.result["pipes"] = measured

    def profile(self) -> None:
        profiler = shutil.which("ncu", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
        if profiler is None or not self.random_model():
            self.runner.skip("ncu", "there is no ncu on this machine")
            return
        for kernel in PROFILED:
            rows = ["--prompt", "512", "1"] if kernel == "prefill_block" else ["256" if kernel == "linear_tile" else "1"]
            self.runner.step(f"ncu {kernel}", [
                profiler, "--set", "basic", "--section", "MemoryWorkloadAnalysis", "--section", "WarpStateStats",
                "--kernel-name", f"regex:{kernel}", "--launch-skip", "20", "--launch-count", "3",
                str(self.bin / "batch-bench"), str(self.model), *rows], 60)  # fmt: skip

    def transformers(self) -> None:
        if not self.random_model():
            return
        script = str(self.runner.folder / "tools" / "transformers_speed.py")
        for kind in ("static", "eager"):
            self.result[f"transformers_{kind}"] = self.runner.read_json(
                f"transformers f16, {kind}", [sys.executable, script, kind, str(self.model), *BATCHES], 120, True)  # fmt: skip

    def kernels(self) -> None:
        self.result["kernels"] = self.runner.read_json("kernels", [str(self.bin / "kernel-bench")], 90)

    def sanitizers(self) -> None:
        sanitizer = shutil.which("compute-sanitizer", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
        for tool in ("memcheck", "racecheck", "synccheck"):
            if sanitizer is None:
                self.runner.skip(f"compute-sanitizer {tool}", "there is no compute-sanitizer on this machine")
            else:
                command = [sanitizer, "--tool", tool, "--error-exitcode", "9", str(self.bin / "aira-gpu-tests"), f"--gtest_filter={SHORT}"]
                self.runner.step(f"compute-sanitizer {tool}", command, 120)


STAGES = ("libraries", "tests", "answers", "tokens", "start", "pipes", "transformers", "kernels", "profile", "sanitizers")


def check(folder: Path, results: Path, seconds: float, stages: tuple[str, ...]) -> int:
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    result: dict[str, object] = {"date": today, "device": device(), "built": json.loads((folder / "built.json").read_text())}
    name = re.sub(r"[^A-Za-z0-9.]+", "-", str(result["device"]["name"])).strip("-").lower()  # type: ignore[index]
    results.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        for suffix, text in (("json", json.dumps(result, indent=1) + "\n"), ("md", report.markdown(result))):
            part = results / f"{name}-{today}.{suffix}.part"
            part.write_text(text)
            part.replace(part.with_suffix(""))

    def ended(*_: object) -> None:
        raise Ended

    signal.signal(signal.SIGTERM, ended)
    with tempfile.TemporaryDirectory() as libraries, tempfile.TemporaryDirectory() as model:
        runner = Runner(folder, Path(libraries), seconds, save)
        result["steps"] = runner.steps
        one = Check(runner, result, Path(model))
        try:
            for stage in stages:
                before = len(runner.steps)
                getattr(one, stage)()
                if any(step["status"] == "failed" for step in runner.steps[before:]) and not one.healthy():
                    raise Ended
                save()
        except Ended:
            runner.skip(f"{stage} and later stages", "the run ended early")
    save()
    print(results / f"{name}-{today}.md")
    return 1 if any(step["status"] == "failed" for step in runner.steps) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1e9, help="end after this time")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--from", dest="first", choices=STAGES, default=STAGES[0], help="begin with this stage")
    which.add_argument("--only", choices=STAGES, help="this stage alone")
    args = parser.parse_args()
    stages = (args.only,) if args.only else STAGES[STAGES.index(args.first) :]
    return check(args.folder.resolve(), args.results.resolve(), args.seconds, stages)


if __name__ == "__main__":
    sys.exit(main())
