"""Stand-ins for everything that tools/gpu-check runs: what was built, and the machine's tools."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


SWITCHED = {"batch": 1, "tokens_per_second": 30.0, "without_graph": 15.0, "without_pdl": 29.0, "without_few": 31.0, "without_wgmma": 25.0, "without_ahead": 20.0}
HOPS = {"microseconds": {"exchange, graph, early": 0.7, "exchange, barrier": 1.1}, "gb_per_second": {"read": 3100.0}}
GRAPH = "rows 1, nodes 64, kernels 64, edges 63, programmatic 63"


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
            "linears": [{"rows": rows, "few_microseconds": few, "tile_microseconds": 4.0, "wgmma_microseconds": 2.0, "cublas_microseconds": 3.0,
                         "few_int8_microseconds": 0.5, "tile_int8_microseconds": 4.0,
                         "wgmma_int8_microseconds": 5.0}
                        for rows, few in ((1, 1.0), (8, 2.0), (16, 5.0), (32, 1.0))],
        },
        "aira": [{"batch": 1, "tokens_per_second": 30.0}, {"batch": 8, "tokens_per_second": 10.0}],
        "transformers_static": [{"batch": 1, "tokens_per_second": 20.0}],
        "aira_int8": [{"batch": 8, "tokens_per_second": 12.0}],
        "aira_prompts": [{"batch": 1, "tokens_per_second": 7.0}],
        "switches_from_0": [SWITCHED],
        "hops": HOPS,
        "graphs": [GRAPH],
        "agreement": [{"model": "built-in", "dtype": "f16", "read": "at once", "divergence": "1e-5", "worst": "2e-5",
                       "same_token": "99.9", "answers": "3 of 4"}],
    }  # fmt: skip


def write_script(path: Path, lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + lines)
    path.chmod(0o755)


def gpu_check(tools: str, *arguments: object) -> subprocess.CompletedProcess:
    """tools/gpu-check with the programs of the folder `tools` before the system's."""
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run([ROOT / "tools" / "gpu-check", *map(str, arguments)], env=environment, text=True,
                          capture_output=True, timeout=60)  # fmt: skip


class StandIns(unittest.TestCase):
    """--run where every program is a stand-in."""

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
        write_script(self.folder / "bin" / "batch-bench",
                     f"[ -z \"$AIRA_CUDA_NODES\" ] || echo 'graph: {GRAPH}' >&2\necho '{json.dumps([SWITCHED])}'\n")  # fmt: skip
        write_script(self.folder / "bin" / "hop-bench", f"echo '{json.dumps(HOPS)}'\n")
        write_script(self.folder / "bin" / "quality-bench",
                     "read -r question && echo '1 of 1 greedy answers are the same'\n"
                     "for how in '' ', token by token'; do\n"
                     "echo \"7 positions$how: divergence 1.2e-05 on average, 3.4e-05 at most; same first token 98.70 %\"\ndone\n")  # fmt: skip
        (self.folder / "mini").mkdir()
        (self.folder / "mini" / "questions.txt").write_text("Por quê?\n")
        (self.folder / "tools").mkdir()
        for name in ("run.py", "runner.py", "stages.py", "report.py"):
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
        self.said = done.stderr
        [written] = (self.folder / "results").glob("big-gpu-*.json")
        self.assertEqual(done.stdout.strip(), str(written.with_suffix(".md")))
        return done.returncode, json.loads(written.read_text()), written.with_suffix(".md").read_text()
