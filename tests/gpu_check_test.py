"""tools/gpu-check without a GPU: its arguments, its sentence where there is none, and the report it would write."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "gpu"))

import report  # noqa: E402
import run  # noqa: E402


def sample() -> dict:
    """A result with made-up numbers."""
    kernel = {"kernel": "layernorm", "shape": "1x7", "microseconds": 1.0, "gb_per_second": 2.0, "percent_of_copy": 3.0}
    return {
        "date": "2000-01-01",
        "device": {"name": "A GPU", "driver_version": "1.2", "compute_cap": "9.0", "memory.total": "1 MiB"},
        "built": {"commit": "0000000", "architecture": "90", "nvcc": "13.0"},
        "steps": [
            {"name": "operations", "status": "passed", "seconds": 1.0, "detail": "3 tests passed"},
            {"name": "racecheck", "status": "failed", "seconds": 2.0, "detail": "", "output": "a hazard"},
            {"name": "memcheck", "status": "skipped", "seconds": 0, "detail": "not there"},
        ],
        "kernels": {
            "copy_gb_per_second": 66.0,
            "kernels": [kernel],
            "linears": [{"rows": rows, "few_microseconds": few, "tile_microseconds": 2.0, "cublas_microseconds": 3.0}
                        for rows, few in ((1, 1.0), (8, 2.0), (16, 5.0), (32, 1.0))],
        },
        "aira": [{"batch": 1, "tokens_per_second": 30.0}, {"batch": 8, "tokens_per_second": 10.0}],
        "transformers_static": [{"batch": 1, "tokens_per_second": 20.0}],
        "aira_prompts": [{"batch": 1, "tokens_per_second": 7.0}],
    }  # fmt: skip


class Report(unittest.TestCase):
    def test_has_every_part(self):
        text = report.markdown(sample())
        for part in ("# A GPU, 2000-01-01", "commit 0000000", "| racecheck | failed | 2.0 |", "a hazard",
                     "| 1 | 30 | 20 (1.50x) | not measured |", "| 8 | 10 | not measured |", "up to 8 rows",
                     "Prompts of 512 tokens", "| 1 | 7 |",
                     "| layernorm | 1x7 | 1.00 | 2 | 3 % |", "moves 66 GB/s"):  # fmt: skip
            self.assertIn(part, text)

    def test_says_nothing_of_what_was_not_measured(self):
        text = report.markdown({**sample(), "kernels": None, "aira": None})
        self.assertIn("## Checks", text)
        self.assertNotIn("Tokens/s", text)
        self.assertNotIn("## Kernels", text)

    def test_the_threshold_ends_where_tiles_are_first_faster(self):
        linears = sample()["kernels"]["linears"]
        self.assertEqual(report.threshold(linears), 8)
        self.assertEqual(report.threshold(linears[::-1]), 8)
        self.assertEqual(report.threshold(linears[2:]), 0)

    def test_reads_counts(self):
        self.assertEqual(report.detail_of("x\n[  PASSED  ] 12 tests.\n[  FAILED  ] 1 test, listed below:\n"),
                         "12 tests passed, 1 test failed")  # fmt: skip
        self.assertEqual(report.detail_of("========= ERROR SUMMARY: 0 errors\n"), "ERROR SUMMARY: 0 errors")


class Running(unittest.TestCase):
    def runner(self, folder: Path, libraries: Path) -> run.Runner:
        (folder / "bin").mkdir()
        return run.Runner(folder, libraries)

    def test_finds_what_ldd_misses(self):
        listing = (
            "\tlibutf8proc.so.2 => not found\n\tlibm.so.6 => /lib/libm.so.6 (0x1)\n"
            "x: /lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by x)\n"
        )
        self.assertEqual(run.missing_libraries(listing), {"libutf8proc.so.2", "libstdc++.so.6"})

    def test_steps_are_recorded(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as libraries:
            runner = self.runner(Path(folder), Path(libraries))
            self.assertEqual(runner.read_json("good", [sys.executable, "-c", "print('[1]')"], 60), [1])
            self.assertIsNone(runner.step("bad", [sys.executable, "-c", "exit('a sentence')"], 60))
            self.assertIsNone(runner.step("slow", [sys.executable, "-c", "import time; time.sleep(60)"], 1))
            self.assertIsNone(runner.step("missing", [f"{folder}/nothing"], 60))
            self.assertEqual([step["status"] for step in runner.steps], ["passed", "failed", "failed", "failed"])
            self.assertIn("a sentence", runner.steps[1]["output"])
            self.assertIn("still running after 1 seconds", runner.steps[2]["output"])
            self.assertIn("a sentence", (Path(folder) / "logs" / "bad.log").read_text())

    def test_what_a_step_started_ends_with_it(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as libraries:
            runner = self.runner(Path(folder), Path(libraries))
            child = "import subprocess, sys, time; c = subprocess.Popen(['sleep', '60']); print(c.pid, flush=True); time.sleep(60)"
            self.assertIsNone(runner.step("parent", [sys.executable, "-c", child], 2))
            pid = int(runner.steps[0]["output"].split()[0])
            for _ in range(100):  # a killed process stays in the table until its new parent looks
                state = Path(f"/proc/{pid}/stat")
                if not state.exists() or state.read_text().split()[2] == "Z":
                    return
                time.sleep(0.05)
            self.fail(f"process {pid} still runs")

    def test_no_step_starts_when_the_time_is_over(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as libraries:
            (Path(folder) / "bin").mkdir()
            runner = run.Runner(Path(folder), Path(libraries), seconds=0)
            self.assertIsNone(runner.step("late", [sys.executable, "-c", "pass"], 60))
            self.assertEqual(runner.steps[0]["status"], "skipped")


def write_script(path: Path, lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + lines)
    path.chmod(0o755)


def gpu_check(tools: str, *arguments: object) -> subprocess.CompletedProcess:
    """tools/gpu-check with the programs of the folder `tools` before the system's."""
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run([ROOT / "tools" / "gpu-check", *map(str, arguments)], env=environment, text=True,
                          capture_output=True, timeout=60)  # fmt: skip


class WholeRun(unittest.TestCase):
    """--run with stand-ins for everything that was built and for the machine's tools."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tools = self.folder / "machine"
        write_script(self.tools / "nvidia-smi",
                     "case $1 in *=compute_cap) echo 9.0 ;; *) echo 'Big GPU, 1.2, 9.0, 1 MiB, 1 MHz' ;; esac\n")  # fmt: skip
        write_script(self.tools / "compute-sanitizer", "echo \"========= ERROR SUMMARY: 0 errors\"\n")
        write_script(self.folder / "bin" / "aira-gpu-tests", "echo '[  PASSED  ] 3 tests.'\n")
        write_script(self.folder / "bin" / "aira-cli", "echo answer\n")
        write_script(self.folder / "bin" / "kernel-bench", f"echo '{json.dumps(sample()['kernels'])}'\n")
        write_script(self.folder / "bin" / "batch-bench", "echo '[{\"batch\": 1, \"tokens_per_second\": 30.0}]'\n")
        (self.folder / "tools").mkdir()
        for name in ("run.py", "report.py"):
            shutil.copy(ROOT / "tools" / "gpu" / name, self.folder / "tools")
        (self.folder / "tools" / "driver.py").write_text("print('{\"init_ms\": 7.0, \"context_ms\": 8.0}')")
        write_script(self.tools / "ldd", "echo '\tlibc.so.6 => /lib/libc.so.6 (0x1)'\n")
        write_script(self.tools / "ncu", "echo '==PROF== 3 kernels'\n")
        (self.folder / "tools" / "random_model.py").write_text(
            "import pathlib, sys; pathlib.Path(sys.argv[1], 'config.json').touch()")  # fmt: skip
        (self.folder / "tools" / "transformers_speed.py").write_text(
            "print('[{\"batch\": 1, \"tokens_per_second\": 20.0}]')")  # fmt: skip
        (self.folder / "built.json").write_text(json.dumps(sample()["built"]))

    def check(self, *options: str) -> tuple[int, dict, str]:
        done = gpu_check(self.tools, "--run", self.folder, "--results", self.folder / "results", *options)
        [written] = (self.folder / "results").glob("big-gpu-*.json")
        self.assertEqual(done.stdout.strip(), str(written.with_suffix(".md")))
        return done.returncode, json.loads(written.read_text()), written.with_suffix(".md").read_text()

    def test_writes_both_files(self):
        code, result, text = self.check()
        self.assertEqual(code, 0, result["steps"])
        self.assertEqual({step["status"] for step in result["steps"]}, {"passed"})
        self.assertIn("| operations, models, drawing | passed |", text)
        self.assertIn("| compute-sanitizer racecheck | passed |", text)
        self.assertIn("| 1 | 30 | 20 (1.50x) | 20 (1.50x) |", text)
        self.assertIn("The driver alone takes 7 ms to start and 8 ms for its context.", text)
        self.assertIn("| built-in | ", text)
        self.assertRegex(text, r"\| --batch 256 \| [0-9]+ \| 0\.1% \|")  # the stand-in answers one line of 1,000
        self.assertIn("| ncu linear_tile | passed |", text)

    def test_a_missing_library_is_named(self):
        write_script(self.tools / "ldd", "echo '\tlibcublas.so.13 => not found'\n")
        code, _, text = self.check("--only", "libraries")
        self.assertEqual(code, 1)
        self.assertIn("| libraries of kernel-bench | failed | 0.0 | missing: libcublas.so.13 |", text)

    def test_names_the_operation_that_fails(self):
        write_script(self.folder / "bin" / "aira-gpu-tests",
                     'case "$CUDA_LAUNCH_BLOCKING$*" in 1*Linear*|"") exit 1 ;; esac\n')  # fmt: skip
        code, result, _ = self.check("--only", "tests")
        self.assertEqual(code, 1)
        failed = [step["name"] for step in result["steps"] if step["status"] == "failed"]
        self.assertEqual(failed, ["operations, models, drawing", "operation Linear alone"])

    def test_a_device_that_no_longer_works_ends_the_run(self):
        write_script(self.folder / "bin" / "aira-gpu-tests", "exit 1\n")
        code, result, _ = self.check("--from", "tests")
        self.assertEqual(code, 1)
        self.assertEqual([step["name"] for step in result["steps"][-2:]],
                         ["the device after a failure", "tests and later stages"])  # fmt: skip
        self.assertFalse(result.get("aira"))

    def test_one_stage_and_later_ones(self):
        _, result, _ = self.check("--only", "answers")
        self.assertEqual({step["name"].split(",")[0] for step in result["steps"]}, {"an answer of the built-in model"})
        _, result, _ = self.check("--from", "kernels")
        self.assertEqual(result["steps"][0]["name"], "kernels")

    def test_a_hang_costs_no_more_than_the_time_there_is(self):
        write_script(self.folder / "bin" / "aira-gpu-tests", "sleep 60\n")
        start = time.monotonic()
        code, result, text = self.check("--from", "tests", "--seconds", "3")
        self.assertLess(time.monotonic() - start, 20)
        self.assertEqual(code, 1)
        self.assertIn("still running after 3 seconds", text)
        self.assertEqual({step["status"] for step in result["steps"][1:]}, {"skipped"})

    def test_sigterm_leaves_a_report(self):
        write_script(self.folder / "bin" / "batch-bench", "sleep 60\n")
        command = [sys.executable, "-B", self.folder / "tools" / "run.py", self.folder, "--results", self.folder / "results"]
        running = subprocess.Popen(command, env={**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
        for line in running.stderr:
            if line.startswith("a random model"):
                break
        running.terminate()
        running.communicate(timeout=30)
        [written] = (self.folder / "results").glob("big-gpu-*.md")
        text = written.read_text()
        self.assertIn("| operations, models, drawing | passed |", text)
        self.assertIn("| tokens and later stages | skipped |", text)

    def test_another_answer_on_the_gpu_is_a_failure(self):
        write_script(self.folder / "bin" / "aira-cli", 'case "$*" in *cuda*) echo x ;; *) echo y ;; esac\n')
        code, _, text = self.check()
        self.assertEqual(code, 1)
        self.assertIn("| an answer of the built-in model, cuda | failed |", text)

    def test_what_fails_leaves_the_rest(self):
        write_script(self.folder / "bin" / "kernel-bench", "echo 'kernel-bench: error: broken' >&2\nexit 1\n")
        code, result, text = self.check()
        self.assertEqual(code, 1)
        self.assertIsNone(result["kernels"])
        self.assertIn("kernel-bench: error: broken", text)
        self.assertIn("| 1 | 30 | 20 (1.50x) | 20 (1.50x) |", text)


class Arguments(unittest.TestCase):
    def gpu_check(self, *arguments: str) -> subprocess.CompletedProcess:
        with tempfile.TemporaryDirectory() as tools:  # a machine without a GPU
            write_script(Path(tools) / "nvidia-smi", "echo 'No devices were found'\nexit 6\n")
            return gpu_check(tools, *arguments)

    def test_without_a_gpu_it_is_one_sentence(self):
        for arguments in ((), ("--run", "/tmp")):
            done = self.gpu_check(*arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn("there is no NVIDIA GPU on this machine", done.stderr)

    def test_wrong_usage(self):
        for arguments in (("--bild",), ("--build",), ("--build", "a", "--run", "b")):
            done = self.gpu_check(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("usage: tools/gpu-check", done.stderr)

    def test_never_builds_over_something_else(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "mine").touch()
            done = self.gpu_check("--build", folder)
            self.assertEqual(done.returncode, 1)
            self.assertIn("holds other things", done.stderr)
            self.assertTrue((Path(folder) / "mine").exists())

    def test_help(self):
        done = self.gpu_check("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("--build FOLDER", done.stdout)


if __name__ == "__main__":
    unittest.main()
