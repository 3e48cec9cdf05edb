#!/usr/bin/env python3
"""Runs what tools/gpu-check --build made, on this machine's GPU, stage by stage, and writes the report.

usage: run.py FOLDER --results FOLDER [--seconds N] [--from STAGE | --only STAGE...]

Both files are written anew after each stage, and when the run is ended by SIGTERM: what was measured is never lost.
What each stage printed is kept in FOLDER/logs.
"""
import argparse
import datetime
import json
import re
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import report
from runner import Ended, Runner, device
from stages import STAGES, Check


def run_stage(one: Check, stage: str) -> None:
    """What goes wrong here, and not in a program, costs no more than the stage either."""
    try:
        getattr(one, stage)()
    except Ended:
        raise
    except Exception:
        one.runner.note({"name": stage, "status": "failed", "seconds": 0, "detail": "", "output": traceback.format_exc()})


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
                run_stage(one, stage)
                if any(step["status"] == "failed" for step in runner.steps[before:]) and not one.healthy():
                    raise Ended
                save()
        except Ended:
            runner.skip(f"{stage} and later stages", "the run ended early")
    save()
    print(report.key_numbers(result), file=sys.stderr)
    print(results / f"{name}-{today}.md")
    return 1 if any(step["status"] == "failed" for step in runner.steps) else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1e9, help="end after this time")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--from", dest="first", choices=STAGES, default=STAGES[0], help="begin with this stage")
    which.add_argument("--only", choices=STAGES, nargs="+", help="these stages alone")
    args = parser.parse_args()
    stages = tuple(args.only) if args.only else STAGES[STAGES.index(args.first) :]
    return check(args.folder.resolve(), args.results.resolve(), args.seconds, stages)


if __name__ == "__main__":
    sys.exit(main())
