"""tools/gpu-check without a GPU: its arguments, its sentence where there is none, its steps and its report."""
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from gpu_check_standins import ROOT, gpu_check, sample, write_script

sys.path.insert(0, str(ROOT / "tools" / "gpu"))

import report  # noqa: E402
from runner import Runner, fits, missing_libraries  # noqa: E402


class Report(unittest.TestCase):
    def test_has_every_part(self):
        text = report.markdown(sample())
        for part in ("# A GPU, 2000-01-01", "commit 0000000", "| racecheck | failed | 2.0 |", "a hazard",
                     "| 1 | 30 | 20 (1.50x) | not measured |", "| 8 | 10 | not measured |", "up to 8 rows",
                     "In int8", "| 8 | 12 |", "Prompts of 512 tokens", "| 1 | 7 |",
                     "| 8 | 2.0 | 4.0 | 2.0 | 3.0 | 0.5 | 4.0 | 5.0 |",
                     "| layernorm | 1x7 | 1.00 | 2 | 3 % |", "moves 66 GB/s",
                     "| 1 | 30 | 15 (0.50x) | 29 (0.97x) | 31 (1.03x) | 25 (0.83x) | 20 (0.67x) |",
                     "From kernel to kernel 0.70 us, through a barrier 1.10 us: a persistent kernel would save nothing.",
                     "| exchange, barrier | 1.10 |", "| read | 3100 |", "| built-in | f16 | at once | 1e-5 | 2e-5 | 99.9 | 3 of 4 |"):  # fmt: skip
            self.assertIn(part, text)

    def test_key_numbers(self):
        lines = report.key_numbers(sample()).splitlines()
        for line in ("| steps not passed | racecheck, memcheck |", "| tokens/s, 8 at once | 10 |", "| tokens/s in int8, 8 at once | 12 |",
                     "| of transformers, static, 1 at once | 1.50x |",
                     "| gain of each part, 1 at once | graph 2.00x, pdl 1.03x, few 0.97x, wgmma 1.20x, ahead 1.50x |", "| read, GB/s | 3100 |",
                     "| graph | rows 1, nodes 64, kernels 64, edges 63, programmatic 63 |",
                     "| built-in, f16, at once: same first token | 99.9 % |"):  # fmt: skip
            self.assertIn(line, lines)

    def test_a_faster_barrier_is_told(self):
        hops = {"microseconds": {"exchange, graph, early": 0.7, "exchange, barrier": 0.5}, "gb_per_second": {}}
        self.assertIn("would save that difference", report.decision(hops))
        self.assertEqual(report.decision({"microseconds": {}, "gb_per_second": {}}), "")

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
    def runner(self, folder: Path, libraries: Path) -> Runner:
        (folder / "bin").mkdir()
        return Runner(folder, libraries)

    def test_finds_what_ldd_misses(self):
        listing = (
            "\tlibutf8proc.so.2 => not found\n\tlibm.so.6 => /lib/libm.so.6 (0x1)\n"
            "x: /lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by x)\n"
        )
        self.assertEqual(missing_libraries(listing), {"libutf8proc.so.2", "libstdc++.so.6"})

    def test_only_what_has_the_form_fits(self):
        like = [{"batch": 1, "speed": 1.0, "parts": {"*": 1.0}}]
        good = {"batch": 2, "speed": 3, "parts": {"any": 2.5}, "more": ""}
        self.assertTrue(fits([], like) and fits([good, good], like))
        for bad in ({}, {**good, "batch": "2"}, {**good, "speed": float("nan")}, {**good, "speed": None}, {**good, "parts": []},
                    {**good, "parts": {"any": "x"}}, 5):  # fmt: skip
            self.assertFalse(fits([good, bad], like), bad)
        self.assertFalse(fits(good, like))

    def test_steps_are_recorded(self):
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as libraries:
            runner = self.runner(Path(folder), Path(libraries))
            self.assertEqual(runner.read_json("good", [1.0], [sys.executable, "-c", "print('[1]')"], 60), [1])
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
            runner = Runner(Path(folder), Path(libraries), seconds=0)
            self.assertIsNone(runner.step("late", [sys.executable, "-c", "pass"], 60))
            self.assertEqual(runner.steps[0]["status"], "skipped")


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
