"""The stages of tools/gpu-check."""
import json
import os
import re
import shutil
import statistics
import sys
from pathlib import Path

from runner import Runner, missing_libraries

BATCHES = ("1", "8", "64", "256")
# Every kernel, but not every model and shape: the sanitizers slow a GPU down a hundredfold.
SHORT = ("Every/Ops.LayerNorm/*:Every/Ops.Embed/*:Every/Ops.Attention/*:Every/Ops.SequencesShareAndCopyPages/*:"
         "Every/ModelGoldens.LogitsInF16/*_a:Every/Drawing.SaysWhen*")  # fmt: skip
OPERATIONS = ("Embed", "LayerNorm", "Linear", "Attention", "SequencesShareAndCopyPages")
QUESTION = "Qual a capital do Brasil?"
QUESTIONS = [f"{QUESTION[:-1]} {number}, e por quê?" for number in range(1000)]
ROUNDS = 5
SWITCHES = ("graph", "pdl", "few", "wgmma", "ahead")  # what batch-bench can leave out
# What programs print.
SPEEDS = [{"batch": 1, "tokens_per_second": 1.0}]
DRIVER = {"init_ms": 1.0, "context_ms": 1.0}
HOPS = {"microseconds": {"*": 1.0}, "gb_per_second": {"*": 1.0}}
KERNELS = {
    "copy_gb_per_second": 1.0,
    "kernels": [{"kernel": "", "shape": "", "microseconds": 1.0, "gb_per_second": 1.0, "percent_of_copy": 1.0}],
    "linears": [{"rows": 1, "few_microseconds": 1.0, "tile_microseconds": 1.0, "wgmma_microseconds": 1.0, "cublas_microseconds": 1.0,
                 "few_int8_microseconds": 1.0, "tile_int8_microseconds": 1.0, "wgmma_int8_microseconds": 1.0}],
}
# One kernel of each kind, in steps of decoding.
PROFILED = ("linear_few", "linear_wgmma", "decode_block", "prefill_block", "scan_block", "draw_block")


class Check:
    """The stages, in the order in which they are worth most for their time."""

    def __init__(self, runner: Runner, result: dict[str, object], model: Path) -> None:
        self.runner, self.result, self.model = runner, result, model
        self.bin = runner.folder / "bin"

    def random_model(self) -> bool:
        if (self.model / "config.json").exists():
            return True
        script = str(self.runner.folder / "tools" / "random_model.py")
        return self.runner.step("a random model of 124M parameters", [sys.executable, script, str(self.model), "--tokenizer"], 60, True) is not None

    def libraries(self) -> None:
        """Which libraries each program finds, and how long the driver takes."""
        script = str(self.runner.folder / "tools" / "driver.py")
        self.result["driver"] = self.runner.read_json("driver and context", DRIVER, [sys.executable, script], 30, True)
        for program in sorted(self.bin.iterdir()):
            listing = self.runner.step(f"libraries of {program.name}", ["ldd", str(program)], 10)
            if missing := missing_libraries(listing or ""):
                self.runner.steps[-1].update(status="failed", detail=f"missing: {', '.join(sorted(missing))}")

    def tests(self) -> None:
        tests = str(self.bin / "aira-gpu-tests")
        if self.runner.step("operations, models, drawing", [tests], 90) is not None:
            return
        for operation in OPERATIONS:  # which kernel it is
            self.runner.step(f"operation {operation} alone", [tests, f"--gtest_filter=Every/Ops.{operation}/*"], 30,
                             CUDA_LAUNCH_BLOCKING="1")  # fmt: skip

    def healthy(self) -> bool:
        """Whether the device still computes, asked after a failure."""
        command = [str(self.bin / "aira-gpu-tests"), "--gtest_filter=Every/Ops.Embed/*"]
        return self.runner.step("the device after a failure", command, 30) is not None

    def graphs(self) -> None:
        """Steps launched one kernel at a time, as graphs and with early starts: the same bits, and what is in the graphs."""
        variables = {"AIRA_TEST_MODEL": str(self.model)} if self.random_model() else {}
        self.runner.step("the same bits by graph, early start and linear kernel",
                         [str(self.bin / "aira-gpu-tests"), "--gtest_filter=Every/CudaSwitches.*"], 60, **variables)  # fmt: skip
        name = "what graphs contain"
        command = [str(self.bin / "batch-bench"), str(self.model), "--tokens", "8", "1", "8", "16"]
        if variables and self.runner.step(name, command, 30, AIRA_CUDA_NODES="on") is not None:
            found = re.findall(r"^graph: (.*)$", self.runner.log(name).read_text(errors="replace"), re.MULTILINE)
            self.result["graphs"] = list(dict.fromkeys(found))

    def hops(self) -> None:
        self.result["hops"] = self.runner.read_json("hops and bandwidths", HOPS, [str(self.bin / "hop-bench")], 30)

    def switches(self) -> None:
        """Decoding with and without each part of the design, in turns in one process."""
        if not self.random_model():
            return
        like = [{**SPEEDS[0], **{f"without_{name}": 1.0 for name in SWITCHES}}]
        for position in ("0", "512"):
            self.result[f"switches_from_{position}"] = self.runner.read_json(
                f"each part left out, behind {position} positions", like,
                [str(self.bin / "batch-bench"), str(self.model), "--without", ",".join(SWITCHES), "--from", position, *BATCHES], 90)  # fmt: skip

    def agreement(self) -> None:
        """What the GPU computes beside f32 on the CPU: the small model's answers, and logits of Aira's shape."""
        data = self.runner.folder / "mini"
        runs = [("built-in", data, dtype, data / "questions.txt") for dtype in ("f32", "f16", "int8")]
        if self.random_model():
            runs += [("124M, random", self.model, dtype, Path(os.devnull)) for dtype in ("f32", "f16", "int8")]
        found = []
        for model, folder, dtype, questions in runs:
            out = self.runner.step(f"agreement with the CPU, {model}, {dtype}",
                                   [str(self.bin / "quality-bench"), str(folder), dtype, "cuda"], 60, stdin=questions)  # fmt: skip
            for how, *numbers in re.findall(r"positions(.*): divergence (\S+) on average, (\S+) at most; same first token (\S+) %", out or ""):
                answers = re.search(r"(\d+ of \d+) greedy answers", out)
                found.append({"model": model, "dtype": dtype, "read": how.strip(", ") or "at once", "divergence": numbers[0],
                              "worst": numbers[1], "same_token": numbers[2], "answers": answers[1] if answers else ""})  # fmt: skip
        self.result["agreement"] = found

    def answers(self) -> None:
        program = str(self.bin / "aira-cli")
        answers = [self.runner.step(f"an answer of the built-in model, {where}",
                                    [program, "--device", where, "--dtype", "f32", "--greedy", "-q", QUESTION], 30)
                   for where in ("cuda", "cpu")]  # fmt: skip
        if None not in answers and answers[0] != answers[1]:
            self.runner.steps[-2].update(status="failed", output=f"cuda: {answers[0]}cpu: {answers[1]}")

    def tokens(self) -> None:
        if not self.random_model():
            return
        bench = [str(self.bin / "batch-bench"), str(self.model)]
        self.result["aira"] = self.runner.read_json("tokens/s, aira-cli f16", SPEEDS, [*bench, *BATCHES], 60)
        self.result["aira_int8"] = self.runner.read_json("tokens/s, aira-cli int8", SPEEDS, [*bench, "--dtype", "int8", *BATCHES], 60)
        self.result["aira_from_512"] = self.runner.read_json(
            "tokens/s behind 512 positions, aira-cli f16", SPEEDS, [*bench, "--from", "512", *BATCHES], 60)  # fmt: skip
        self.result["aira_prompts"] = self.runner.read_json(
            "prompts of 512 tokens, aira-cli f16", SPEEDS, [*bench, "--prompt", "512", "1", "8"], 60)  # fmt: skip

    def start(self) -> None:
        """Whole processes with one question each: the built-in model, and one of Aira's size."""
        if not self.random_model():
            return
        times: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for name, model in (("built-in", []), ("124M", ["-m", str(self.model), "--raw"])):
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
        files = {suffix: self.model / f"questions.{suffix}" for suffix in ("txt", "jsonl")}
        files["txt"].write_text("".join(f"{question}\n" for question in QUESTIONS))
        files["jsonl"].write_text("".join(json.dumps({"question": question}) + "\n" for question in QUESTIONS))
        measured, first = [], None
        for name, options in (("--batch 1", ["--batch", "1"]), ("--batch 32", ["--batch", "32"]), ("--batch 256", ["--batch", "256"]),
                              ("--batch 256 --jsonl", ["--batch", "256", "--jsonl"])):  # fmt: skip
            command = [str(self.bin / "aira-cli"), "-m", str(self.model), "--device", "cuda", "--raw", "--seed", "1", "--max-new-tokens", "32",
                       "-q", *options, "-f", str(files["jsonl" if "--jsonl" in options else "txt"])]  # fmt: skip
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
            rows = ["--prompt", "512", "1"] if kernel == "prefill_block" else ["256" if kernel == "linear_wgmma" else "1"]
            self.runner.step(f"ncu {kernel}", [
                profiler, "--set", "basic", "--section", "MemoryWorkloadAnalysis", "--section", "WarpStateStats",
                "--kernel-name", f"regex:{kernel}", "--launch-skip", "20", "--launch-count", "3",
                str(self.bin / "batch-bench"), str(self.model), *rows], 60)  # fmt: skip

    def transformers(self) -> None:
        self.peer("static", *BATCHES)
        self.peer("prompts", "1", "8")

    def eager(self) -> None:
        self.peer("eager", *BATCHES)

    def peer(self, kind: str, *batches: str) -> None:
        if self.random_model():
            script = str(self.runner.folder / "tools" / "transformers_speed.py")
            self.result[f"transformers_{kind}"] = self.runner.read_json(
                f"transformers f16, {kind}", SPEEDS, [sys.executable, script, kind, str(self.model), *batches], 120, True)  # fmt: skip

    def kernels(self) -> None:
        self.result["kernels"] = self.runner.read_json("kernels", KERNELS, [str(self.bin / "kernel-bench")], 90)

    def memcheck(self) -> None:
        self.sanitize("memcheck")

    def races(self) -> None:
        self.sanitize("racecheck", "synccheck")

    def sanitize(self, *tools: str) -> None:
        sanitizer = shutil.which("compute-sanitizer", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
        for tool in tools:
            if sanitizer is None:
                self.runner.skip(f"compute-sanitizer {tool}", "there is no compute-sanitizer on this machine")
            else:
                command = [sanitizer, "--tool", tool, "--error-exitcode", "9", str(self.bin / "aira-gpu-tests"), f"--gtest_filter={SHORT}"]
                self.runner.step(f"compute-sanitizer {tool}", command, 60)
                self.runner.step(f"compute-sanitizer {tool}, the kernels for many rows", command, 60, AIRA_CUDA_FEW="off")


STAGES = ("libraries", "tests", "graphs", "hops", "answers", "tokens", "memcheck", "switches", "kernels", "start", "pipes",
          "agreement", "profile", "transformers", "races", "eager")  # fmt: skip
