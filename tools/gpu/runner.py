"""Runs one program after the other, each bounded in time, and keeps what they said."""
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import report


MOST = 1 << 24  # characters of an output that are looked at


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


def fits(value: object, like: object) -> bool:
    """Whether what a program printed has the form of this example; "*" is any key, numbers are finite."""
    if isinstance(like, dict) and "*" in like:
        return isinstance(value, dict) and all(fits(one, like["*"]) for one in value.values())
    if isinstance(like, dict):
        return isinstance(value, dict) and all(key in value and fits(value[key], part) for key, part in like.items())
    if isinstance(like, list):
        return isinstance(value, list) and all(fits(one, like[0]) for one in value)
    if isinstance(like, float):
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, type(like))


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

    def log(self, name: str) -> Path:
        """What the step of this name said."""
        return self.folder / "logs" / (re.sub(r"\W+", "-", name) + ".log")

    def step(self, name: str, command: list[str], seconds: float, python: bool = False, stdin: Path = Path(os.devnull),
             **variables: str) -> str | None:  # fmt: skip
        """Runs a command in the folder for at most `seconds` or the rest of the run; its stdout, or None if it failed.
        All of its processes end with it. Python gets no carried libraries."""
        left = self.end - time.monotonic()
        if left < 1:
            self.skip(name, "no time was left")
            return None
        seconds = min(seconds, left)
        environment = {**(os.environ if python else self.environment), **variables}
        start = time.monotonic()
        with (tempfile.TemporaryFile("w+", errors="replace") as out, open(self.log(name), "w+", errors="replace") as err,
              open(stdin) as questions):  # fmt: skip
            try:
                running = subprocess.Popen(command, cwd=self.folder, env=environment, text=True, stdin=questions,
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
            text = out.read(MOST)
            err.seek(0)
            said = text + err.read(MOST) + problem
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

    def read_json(self, name: str, like: object, command: list[str], seconds: float, python: bool = False) -> object:
        """What a command prints, if it has the form of `like`."""
        out = self.step(name, command, seconds, python)
        try:
            value = None if out is None else json.loads(out)
        except ValueError:
            value = ""
        if value is None or fits(value, like):
            return value
        self.steps[-1].update(status="failed", output=f"This was not expected: {out[-2000:]}")
        return None


def device() -> dict[str, str]:
    names = ("name", "driver_version", "compute_cap", "memory.total", "clocks.max.sm")
    out = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"],
                         capture_output=True, text=True, check=True, timeout=30).stdout  # fmt: skip
    return dict(zip(names, (value.strip() for value in out.splitlines()[0].split(","))))
