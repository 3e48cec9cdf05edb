#!/usr/bin/env python3
"""Evaluates a running `aira-cli serve` with lm-evaluation-harness's own client of OpenAI's interface, `local-completions`,
and compares every figure and every log-likelihood with tools/eval's (the model `aira`, which asks the program directly).
One request at a time and eight, with the tokenizer of the model's folder and the server's own.

usage: lm_eval_scores.py http://127.0.0.1:PORT MODEL_FOLDER PROGRAM      (the server: serve -m MODEL_FOLDER --dtype f32)
"""
import json
import os
import sys
from itertools import product
from pathlib import Path
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "eval"))

from aira_lm import AiraLM  # noqa: E402
from lm_eval import simple_evaluate  # noqa: E402
from lm_eval.models.openai_completions import LocalCompletionsAPI  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

TASKS = ["aira_arc_pt", "aira_truthfulqa_pt_mc1", "aira_truthfulqa_pt_mc2", "aira_answers_pt"]
MOST = 1e-4  # difference of a log-likelihood: the harness adds up what the server wrote as decimal numbers


def evaluate(model: object) -> dict:
    manager = TaskManager(include_path=str(ROOT / "tools" / "eval" / "tasks"), include_defaults=False)
    return simple_evaluate(model=model, tasks=TASKS, task_manager=manager, log_samples=True, bootstrap_iters=0)


def figures(results: dict) -> dict:
    return {(task, name): value for task in TASKS for name, value in results["results"][task].items()
            if isinstance(value, (int, float)) and "stderr" not in name and not name.startswith("sample")}  # fmt: skip


def said(results: dict) -> list:
    """What the model said to each request, in order."""
    return [one for task in TASKS for sample in sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
            for one in sample["filtered_resps"]]  # fmt: skip


def main() -> int:
    url, folder, program = sys.argv[1:]
    with urlopen(f"{url}/v1/models") as reply:
        model = json.load(reply)["data"][0]["id"]
    os.chdir(ROOT / "tools" / "eval")  # where the tasks look for their data
    expected = evaluate(AiraLM(folder, program, dtype="f32"))
    problems = 0
    for batch, backend in product((1, 8), ("huggingface", "remote")):
        server = LocalCompletionsAPI(base_url=f"{url}/v1/completions", model=model, tokenizer=folder,
                                     tokenizer_backend=backend, batch_size=batch, max_length=256, seed=1234)  # fmt: skip
        got = evaluate(server)
        worst, others = 0.0, 0
        for ours, theirs in zip(said(got), said(expected), strict=True):
            if isinstance(ours, str):
                others += ours != theirs
            else:
                worst = max(worst, abs(float(ours[0]) - float(theirs[0])))
                others += bool(ours[1]) != bool(theirs[1])
        wrong = [f"{name}: {value}, not {figures(expected)[name]}" for name, value in figures(got).items()
                 if abs(value - figures(expected)[name]) > (1e-6 if "mc2" in name[0] else 0)]  # fmt: skip
        problems += len(wrong) + others + (worst > MOST)
        print(f"batch {batch}, tokenizer {backend}: {len(figures(got))} figures, {len(said(got))} answers; "
              f"log-likelihoods differ by {worst:.1e} at most, {others} answers differ", *wrong, sep="\n  ")  # fmt: skip
    return problems > 0


if __name__ == "__main__":
    sys.exit(main())
