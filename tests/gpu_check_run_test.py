"""Whole runs of tools/gpu-check over stand-ins that work, fail, hang and write rubbish."""
import os
import subprocess
import sys
import time
import unittest

from gpu_check_standins import ROOT, StandIns, write_script


class WholeRun(StandIns):
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
        self.assertIn("| ncu linear_wgmma | passed |", text)
        self.assertIn("| 124M, random | f16 | token by token | 1.2e-05 | 3.4e-05 | 98.70 |  |", text)
        self.assertIn("| built-in | f32 | at once | 1.2e-05 | 3.4e-05 | 98.70 | 1 of 1 |", text)
        self.assertEqual(result["graphs"], ["rows 1, nodes 64, kernels 64, edges 63, programmatic 63"])
        table = self.said.rstrip().split("\n\n")[-1]  # the key numbers come last
        self.assertIn("| steps not passed | none |", table)
        self.assertIn("| gain of each part, 1 at once | graph 2.00x,", table)

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
        self.assertIn("| graphs and later stages | skipped |", text)

    def test_another_answer_on_the_gpu_is_a_failure(self):
        write_script(self.folder / "bin" / "aira-cli", 'case "$*" in *cuda*) echo x ;; *) echo y ;; esac\n')
        code, _, text = self.check()
        self.assertEqual(code, 1)
        self.assertIn("| an answer of the built-in model, cuda | failed |", text)

    def test_rubbish_is_a_failure_and_leaves_the_rest(self):
        for name in ("batch-bench", "hop-bench", "kernel-bench", "quality-bench"):
            write_script(self.folder / "bin" / name, "printf '\\377\\000[{\"batch\": \"one\"}]' | tee /dev/stderr\n")
        write_script(self.folder / "bin" / "batch-bench", "echo '[{\"batch\": \"one\"}]'\n")
        code, result, text = self.check()
        self.assertEqual(code, 1)
        failed = {step["name"] for step in result["steps"] if step["status"] == "failed"}
        self.assertLessEqual({"tokens/s, aira-cli f16", "hops and bandwidths", "kernels", "each part left out, behind 512 positions"}, failed)
        self.assertIn("This was not expected", text)
        self.assertEqual((result["aira"], result["hops"], result["agreement"], result["graphs"]), (None, None, [], []))
        self.assertIn("| compute-sanitizer racecheck | passed |", text)  # the last stage

    def test_a_file_that_is_missing_costs_a_stage(self):
        (self.folder / "mini" / "questions.txt").unlink()
        code, _, text = self.check("--from", "agreement")
        self.assertEqual(code, 1)
        self.assertIn("| agreement | failed |", text)
        self.assertIn("questions.txt", text)
        self.assertIn("| compute-sanitizer racecheck | passed |", text)

    def test_crashes_leave_the_rest(self):
        for name in ("batch-bench", "hop-bench", "kernel-bench", "quality-bench", "aira-cli"):
            write_script(self.folder / "bin" / name, "kill -SEGV $$\n")
        (self.folder / "tools" / "driver.py").write_text("import os; os.abort()")
        code, result, text = self.check()
        self.assertEqual(code, 1)
        self.assertIn("agreement with the CPU, 124M, random, f16", {step["name"] for step in result["steps"] if step["status"] == "failed"})
        self.assertIn("| compute-sanitizer racecheck | passed |", text)

    def test_every_stage_survives_its_programs_hanging(self):
        for program in (self.folder / "bin").iterdir():
            write_script(program, "sleep 60\n")
        for stage in ("graphs", "hops", "switches", "agreement"):
            start = time.monotonic()
            code, result, text = self.check("--only", stage, "--seconds", "1.5")
            self.assertLess(time.monotonic() - start, 20, stage)
            self.assertEqual(code, 1, stage)
            self.assertIn("still running after ", text, stage)

    def test_what_fails_leaves_the_rest(self):
        write_script(self.folder / "bin" / "kernel-bench", "echo 'kernel-bench: error: broken' >&2\nexit 1\n")
        code, result, text = self.check()
        self.assertEqual(code, 1)
        self.assertIsNone(result["kernels"])
        self.assertIn("kernel-bench: error: broken", text)
        self.assertIn("| 1 | 30 | 20 (1.50x) | 20 (1.50x) |", text)


if __name__ == "__main__":
    unittest.main()
