"""Scenarios for faults.py that answer lines."""

import json
import os
import re

from faults import Scenario, Wrong
from harness import model


class Lines(Scenario):
    """Questions on lines, one of which does not fit the context."""

    code = 1
    lines = ["oi", "x" * 300, "olá", "bom dia", "tchau"]
    args = ()

    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def ask(self, folder, **more):
        args = ("-m", model(), "-t", "2", "--greedy", "--max-new-tokens", "5", "--batch", "2")
        return self.talk((*self.args, *args), self.text().encode(), self.env(folder, **more))

    def failed(self, line):
        """Whether this output is that of a line that failed."""
        return line == b""

    def judge(self, fault, code, out, err):
        if code != self.code and code != 1:
            raise Wrong(f"exit code {code}: {err[-300:]!r}")
        right = self.right.split(b"\n")
        *lines, rest = out.split(b"\n")
        if len(lines) >= len(right) or not right[len(lines)].startswith(rest):
            raise Wrong(f"{len(lines)} lines and {rest!r}")
        failed = 0
        for line, expected in zip(lines, right):
            if line != expected and not self.failed(line):
                raise Wrong(f"{line!r} instead of {expected!r}")
            failed += line != expected
        whole = len(lines) == len(right) - 1
        said = len(re.findall(r"^aira-cli: error: \[E\d+\] [^\n]*\.$", err, re.M))
        if said < self.sentences(failed, whole) and fault[0] != "write":
            raise Wrong(f"{failed} lines failed, whole: {whole}; it says {err[-300:]!r}")

    def sentences(self, failed, whole):
        """At least so many are needed: one of each line and one of what ended it all."""
        return failed + (0 if whole else 1)


class Pipe(Lines):
    name = "pipe"


class JsonLines(Lines):
    """Failed lines say so in their place."""

    name = "jsonl"
    args = ("--jsonl",)
    lines = [json.dumps(line) for line in (
        {"id": 1, "question": "oi"}, {"id": 2, "question": "x" * 300}, {"id": 3, "question": "olá"},
        {"id": 4, "prompt": "bom dia", "num_beams": 2})]

    def failed(self, line):
        return "code" in json.loads(line)["error"]

    def sentences(self, failed, whole):
        return 1


class File(Lines):
    """Answers that go to a file; what a fault leaves, --resume completes to the last byte."""

    name = "file"
    code = 0
    lines = ["oi", "olá", "bom dia"]

    def prepare(self, folder):
        with open(os.path.join(folder, "questions"), "w", encoding="utf-8") as file:
            file.write(self.text())

    def ask(self, folder, *args, **more):
        path = os.path.join(folder, "out")
        args = ("-q", "-m", model(), "-t", "2", "--seed", "7", "--max-new-tokens", "5", "--resume",
                "-f", os.path.join(folder, "questions"), "-o", path, *args)
        code, out, err = self.talk(args, None, self.env(folder, **more))
        if os.path.exists(path):
            with open(path, "rb") as file:
                out += file.read()
        return code, out, err

    def judge(self, fault, code, out, err):
        super().judge(fault, code, out, err)
        if fault[0] == "fsync" and code == 0:
            raise Wrong("it says done of what may never reach the disk")

    def again(self, folder):
        return self.ask(folder, "--retry-failed")
