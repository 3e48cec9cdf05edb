"""The engine beside the harness's own model "hf": the same weights (f32), the tasks in this folder, one table.

tools/eval/run --check runs this in its environment. Ends with 1 when a figure differs by more than it may.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from aira_lm import AiraLM

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "cli"))

import tiny_model  # noqa: E402

TASKS = ("aira_arc_pt", "aira_truthfulqa_pt_mc1", "aira_truthfulqa_pt_mc2", "aira_texts_pt", "aira_answers_pt")
PER_TOKEN = 1e-3  # most difference of a log-likelihood
CONTINUOUS = {("aira_truthfulqa_pt_mc2", "acc"): 1e-4}  # of metrics that are no counts; perplexities: relative
PERPLEXITY = 1e-4


def random_model(folder: Path) -> Path:
    """Two layers of random f32 weights over bytes. Prompts of the tasks are longer than its context."""
    tiny_model.write(str(folder), layers=2, width=32, heads=4, context=160)
    names = {"tokenizer_class": "GPT2TokenizerFast", "eos_token": "<|endofcompletion|>", "model_max_length": 160}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    return folder


def evaluate(lm: AiraLM | HFLM) -> dict:
    manager = TaskManager(include_path=str(HERE / "tasks"), include_defaults=False)
    return simple_evaluate(model=lm, tasks=list(TASKS), task_manager=manager, log_samples=True, bootstrap_iters=0)


def metrics(results: dict, task: str) -> dict[str, float]:
    """By name, without the filter's."""
    values = {}
    for key, value in results["results"][task].items():
        name = key.partition(",")[0]
        if isinstance(value, (int, float)) and not name.endswith("_stderr") and name not in ("sample_len", "sample_count"):
            values[name] = value
    return values


def answers(results: dict, task: str) -> Iterator[tuple[str, object]]:
    """(the text scored or gone on from, what the model said), in order."""
    for sample in sorted(results["samples"][task], key=lambda sample: sample["doc_id"]):
        requests = sample["arguments"]
        requests = requests.values() if isinstance(requests, dict) else requests
        for request, (said, *_) in zip(requests, sample["resps"]):
            yield list(request.values() if isinstance(request, dict) else request), said


class Comparison:
    def __init__(self, name: str, folder: Path, program: str | None):
        self.name = name
        self.aira = AiraLM(str(folder), program, dtype="f32")
        self.hf = HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=1)
        self.hf.model.generation_config.max_new_tokens = None  # transformers would prefer it to the task's max_gen_toks
        self.problems: list[str] = []
        self.worst = 0.0

    def run(self) -> list[str]:
        """The table's rows."""
        rows = []
        results = evaluate(self.aira), evaluate(self.hf)
        for task in TASKS:
            ours, theirs = (metrics(result, task) for result in results)
            if not ours or ours.keys() != theirs.keys():
                self.problems.append(f"{task}: metrics are {sorted(ours)} and {sorted(theirs)}")
            for metric, value in ours.items():
                difference = value - theirs[metric]
                allowed = CONTINUOUS.get((task, metric), 0.0)
                if "per" in metric:
                    allowed = PERPLEXITY * theirs[metric]
                if not abs(difference) <= allowed:
                    self.problems.append(f"{task}: {metric} is {value}, with hf {theirs[metric]}")
                rows.append(f"| {self.name} | {task} | {metric} | {value:.7g} | {theirs[metric]:.7g} | {difference:+.1e} |")
            self.compare_answers(task, *(list(answers(result, task)) for result in results))
        self.compare_special_cases()
        rows.append(f"| {self.name} | all | log-likelihood per token, largest difference | | | {self.worst:.1e} |")
        return rows

    def compare_answers(self, task: str, ours: list, theirs: list) -> None:
        if not ours or [asked for asked, _ in ours] != [asked for asked, _ in theirs]:
            self.problems.append(f"{task}: the requests are not the same")
        texts = [text for asked, _ in ours for text in asked if isinstance(text, str)]
        if self.aira.engine.encode(texts) != [self.hf.tok_encode(text) for text in texts]:
            self.problems.append(f"{task}: token ids are not the same")
        for (asked, mine), (_, other) in zip(ours, theirs):
            if isinstance(mine, str):
                if mine != other:
                    self.problems.append(f"{task}: after {asked[0]!r} come {mine!r} and with hf {other!r}")
                continue
            mine, other = (said if isinstance(said, (list, tuple)) else (said, None) for said in (mine, other))
            self.compare_scores(task, asked[-1], mine, other)

    def compare_scores(self, task: str, text: str, ours: tuple, theirs: tuple) -> None:
        tokens = max(1, len(self.hf.tok_encode(text)))
        difference = abs(float(ours[0]) - float(theirs[0])) / tokens
        self.worst = max(self.worst, difference)
        if not difference <= PER_TOKEN or ours[1] != theirs[1]:
            self.problems.append(f"{task}: {text[:60]!r} has {tuple(ours)}, with hf {tuple(theirs)}")

    def compare_special_cases(self) -> None:
        """What no task asks: no context, spaces at its end, special tokens, contexts of all lengths; and the program's own
        windows of long texts."""
        length = self.aira.max_length
        letters = "São João não dorme; " * length
        pairs = [("", "Olá"), ("Olá, ", "mundo"), ("um  \n", "dois"), ("<|endofinstruction|>", " sim"), ("ã", "é")]
        pairs += [(letters[:size], " coração") for size in range(length - 9, length + 9)]
        requests = [((before, after), *self.encoded(before, after)) for before, after in pairs]
        scores = (lm._loglikelihood_tokens(requests, disable_tqdm=True) for lm in (self.aira, self.hf))
        for (_, after), ours, theirs in zip(pairs, *scores):
            self.compare_scores("pairs", after, ours, theirs)
        self.compare_texts()
        self.compare_windows(letters)
        self.compare_generation(letters)

    def compare_generation(self, letters: str) -> None:
        """Prompts too long for the context, stop texts, options."""
        sizes = (7, self.aira.max_length - 31, self.aira.max_length, len(letters))
        requests = [(letters[:size], {"until": ["ão", "\n\n"], "max_gen_toks": 30}) for size in sizes]
        requests += [("São", {"until": [], "max_gen_toks": 9, "repetition_penalty": 1.7, "min_new_tokens": 4})]
        requests += [("São", {"until": [], "max_gen_toks": 9, "num_beams": 3})]
        instances = [Instance("generate_until", {}, request, 0) for request in requests]
        texts = (lm.generate_until(instances, disable_tqdm=True) for lm in (self.aira, self.hf))
        for (prompt, _), ours, theirs in zip(requests, *texts):
            if ours != theirs:
                self.problems.append(f"generation: after {prompt[:40]!r} come {ours!r}, with hf {theirs!r}")

    def compare_texts(self) -> None:
        """500 pairs with white space everywhere, encoded by aira-cli itself."""
        draw = random.Random(14)
        words = ["São", "João", "não", "dorme", "2", ";", "<|endoftext|>", "🙂", "é", "Lisboa", "'s", "a.", "ß"]
        blanks = ["", " ", " ", " ", "  ", "\n", " \n", "\t", "\u00a0", "\u3000 "]

        def text(most: int) -> str:
            parts = [draw.choice(blanks) + draw.choice(words) for _ in range(draw.randint(1, most))]
            return "".join(parts) + draw.choice(blanks)

        pairs = [(text(9), text(4)) for _ in range(500)]
        instances = [Instance("loglikelihood", {}, pair, 0) for pair in pairs]
        theirs = self.hf.loglikelihood(instances, disable_tqdm=True)
        for (before, after), score, other in zip(pairs, self.aira.engine.score_pairs(pairs), theirs):
            self.compare_scores(f"text pairs after {before!r}", after, (score["logprob"], score["is_greedy"]), other)

    def encoded(self, before: str, after: str) -> tuple[list[int], list[int]]:
        ours, theirs = (
            lm._encode_pair(before, after) if before else ([lm.prefix_token_id], lm.tok_encode(after)) for lm in (self.aira, self.hf)
        )
        if ours != theirs:
            self.problems.append(f"pairs: {before!r} and {after!r} are {ours}, with hf {theirs}")
        return ours

    def compare_windows(self, letters: str) -> None:
        """aira-cli's windows for {"text"} beside the harness's, with the token that aira-cli puts before a text."""
        engine = self.aira.engine
        end = engine.encode(["<|endoftext|>"])[0]
        prefix = end[0] if len(end) == 1 else engine.special("eos")["id"]
        length = engine.context
        [ids] = engine.encode([letters])
        for count in (1, length - 1, length, length + 1, 2 * length, 2 * length + 1, 3 * length - 1):
            text = engine.decode([ids[:count]])[0]
            [same] = engine.encode([text])
            windows = [make_disjoint_window(window) for window in get_rolling_token_windows(same, prefix, length, 1)]
            expected = [token for score in engine.score_ids(windows) for token in score["tokens"]]
            if engine.score_text([text])[0]["tokens"] != expected:
                self.problems.append(f"windows: a text of {len(same)} tokens is not scored in the harness's windows")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aira", help="the program (build/aira-cli)")
    program = parser.parse_args().aira
    logging.disable(logging.WARNING)
    problems = []
    rows = ["| model | task | metric | aira | hf | difference |", "|---|---|---|---:|---:|---:|"]
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder in (("aira-mini", ROOT / "tools/mini/model"), ("random", random_model(Path(scratch) / "random"))):
            with contextlib.redirect_stderr(io.StringIO()):  # a progress bar for each window
                comparison = Comparison(name, folder, program)
                rows += comparison.run()
            problems += [f"{name}, {problem}" for problem in comparison.problems]
    print("\n".join(rows))
    for problem in problems:
        print(f"DIFFERENT: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
