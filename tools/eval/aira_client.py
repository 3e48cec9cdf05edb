"""aira-cli as a Python object: texts to ids and back, log-likelihoods, answers. Standard library only.

Each way of using the program is one process that stays for as long as the object does. Requests are written to it by
a thread while answers are read, for the program takes no more lines than it can work on.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

Ids = list[int]
END_OF_TEXT = "<|endoftext|>"
BUILT = Path(__file__).resolve().parents[2] / "build" / "aira-cli"


class AiraError(Exception):
    """One sentence that says what went wrong, the program's own where it has one."""


class JsonProcess:
    """A program with JSON lines in and out, answers in the order of the requests."""

    def __init__(self, *command: str):
        self._command = command
        self._process: subprocess.Popen | None = None
        self._asked = 0

    def ask(self, requests: Sequence[dict], on_answer: Callable[[], object] = lambda: None) -> list[dict]:
        """The answers to the requests. Whatever goes wrong ends the process and is an AiraError."""
        process = self._start()
        first = self._asked
        self._asked += len(requests)
        writer = threading.Thread(target=self._write, args=(process, requests, first), daemon=True)
        writer.start()
        answers = []
        try:
            for number in range(first, self._asked):
                answers.append(self._read(process, number))
                on_answer()
        except BaseException:
            self._drop()  # the writer then finds the pipe closed
            raise
        finally:
            writer.join()
            if self._process is None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        return answers

    def close(self) -> None:
        """Lets the program end by itself; AiraError when it says that something failed."""
        process = self._process
        if process is not None:
            process.stdin.close()
            if process.wait() != 0:
                raise self._end(process)
            self._drop()

    def _start(self) -> subprocess.Popen:
        if self._process is None:
            self._said = tempfile.TemporaryFile()
            try:
                self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said)
            except OSError as error:
                self._said.close()
                raise AiraError(f"{self._command[0]} cannot be started: {error.strerror}.") from error
        return self._process

    @staticmethod
    def _write(process: subprocess.Popen, requests: Sequence[dict], first: int) -> None:
        try:
            for number, request in enumerate(requests, first):
                process.stdin.write(json.dumps({"id": number, **request}).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            pass  # it has ended, and so has its output: the reader finds out why

    def _read(self, process: subprocess.Popen, number: int) -> dict:
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            raise self._end(process)
        try:
            answer = json.loads(line)
            given = answer["id"]
        except (ValueError, TypeError, KeyError) as error:
            raise AiraError(f"aira-cli printed something that is no answer: {line[:80]!r}.") from error
        if "error" in answer:
            raise AiraError(f"aira-cli could not answer request {number}: {answer['error']['message']}")
        if given != number:
            raise AiraError(f"aira-cli answered request {given} when it was request {number}'s turn.")
        return answer

    def _end(self, process: subprocess.Popen) -> AiraError:
        """Why the process ended."""
        code = process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        self._drop()
        errors = [line.removeprefix("aira-cli: error: ") for line in lines if line.startswith("aira-cli: error: ")]
        how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
        return AiraError(f"aira-cli ended {how}: {errors[-1] if errors else 'it did not say why.'}")

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        process.stdout.close()
        self._said.close()


class AiraScore:
    """A model that aira-cli runs. `options` are those that all of its commands have, such as --threads."""

    def __init__(self, model: str, aira: str | None = None, dtype: str = "auto", batch: int = 32, options: Sequence[str] = ()):
        program = str(aira or BUILT)
        chosen = ("-q", "-m", str(model))
        runs = ("--dtype", dtype, "--batch", str(batch), *options)
        try:
            info = subprocess.run([program, "info", "--json", *chosen], capture_output=True, text=True)
        except OSError as error:
            raise AiraError(f"{program} cannot be started: {error.strerror}.") from error
        if info.returncode != 0:
            raise AiraError(info.stderr.strip().removeprefix("aira-cli: error: "))
        self.info = json.loads(info.stdout)
        if "tokenizer_problem" in self.info:
            raise AiraError(self.info["tokenizer_problem"])
        self.context: int = self.info["context"]
        self._encoder = JsonProcess(program, "tokenize", "--jsonl", *chosen)
        self._template_encoder = JsonProcess(program, "tokenize", "--jsonl", "--template", *chosen)
        self._decoder = JsonProcess(program, "tokenize", "--jsonl", "--decode", *chosen)
        self._scorer = JsonProcess(program, "score", *chosen, *runs)
        self._writer = JsonProcess(program, "--jsonl", *chosen, *runs)

    def special(self, role: str) -> dict | None:
        """{"id", "text"} of the tokenizer's "bos", "eos", ...; None when it has none. What tokenizer_config.json does not
        name, GPT-2's tokenizer class in transformers does."""
        named = self.info["special_tokens"].get(role)
        if named is None and role in ("bos", "eos"):
            [ids] = self.encode([END_OF_TEXT])
            named = {"id": ids[0], "text": END_OF_TEXT} if len(ids) == 1 else None
        return named

    def special_ids(self) -> set[int]:
        """All ids that are no text."""
        ids = {token["id"] for token in self.info["special_tokens"].values()}
        file = Path(self.info["place"]) / "tokenizer.json"
        if file.is_file():
            added = json.loads(file.read_text(encoding="utf-8")).get("added_tokens") or []
            ids |= {token["id"] for token in added if token.get("special")}
        return ids

    def generation_config(self) -> dict:
        """The model's generation_config.json; what aira-cli made of it when the model is no folder."""
        if not (Path(self.info["place"]) / "config.json").is_file():
            return self.info["generation"]
        file = Path(self.info["place"]) / "generation_config.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def encode(self, texts: Sequence[str], template: bool = False) -> list[Ids]:
        """Special tokens in a text are recognised. With `template`, the tokenizer's own template is applied."""
        encoder = self._template_encoder if template else self._encoder
        return [answer["ids"] for answer in encoder.ask([{"text": text} for text in texts])]

    def decode(self, lists: Sequence[Ids]) -> list[str]:
        return [answer["text"] for answer in self._decoder.ask([{"ids": ids} for ids in lists])]

    def score_ids(self, pairs: Sequence[tuple[Ids, Ids]], on_answer: Callable[[], object] = lambda: None) -> list[dict]:
        """Of each (context, continuation): {"logprob", "is_greedy", "tokens"} of the continuation. What does not fit
        before it is cut off on the left."""
        requests = []
        for before, after in pairs:
            if len(after) > self.context:
                raise AiraError(f"A continuation takes {len(after)} tokens, but the model's context holds {self.context}.")
            kept = before[max(0, len(before) + len(after) - self.context - 1) :]
            requests.append({"context_ids": kept, "continuation_ids": after})
        return self._scorer.ask(requests, on_answer)

    def score_pairs(self, pairs: Sequence[tuple[str, str]]) -> list[dict]:
        """Of each (context, continuation), texts that the program itself encodes as the harness does."""
        return self._scorer.ask([{"context": before, "continuation": after} for before, after in pairs])

    def score_text(self, texts: Sequence[str]) -> list[dict]:
        """The program's own way with whole texts: after its end-of-text token, in windows when they are long."""
        return self._scorer.ask([{"text": text} for text in texts])

    def generate(self, requests: Sequence[dict], on_answer: Callable[[], object] = lambda: None) -> list[Ids]:
        """The generated ids; a request is {"prompt_ids", and options under their long names}."""
        return [answer["answers"][0]["token_ids"] for answer in self._writer.ask(requests, on_answer)]

    def close(self) -> None:
        for process in (self._encoder, self._template_encoder, self._decoder, self._scorer, self._writer):
            process.close()
