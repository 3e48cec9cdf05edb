"""tools/eval/aira_client.py, which feeds lm-evaluation-harness, and the data of the tasks beside it."""

import json
import os
import stat
import sys
from unittest import mock

from harness import BINARY, ROOT, CliTest, environment, main, model, scratch

sys.path.insert(0, os.path.join(ROOT, "tools", "eval"))

import aira_client  # noqa: E402
from aira_client import AiraError, AiraScore, JsonProcess  # noqa: E402

CONTEXT = 64
TEXT = "Não há pão; só água. "


def program(name, body):
    """A Python program of its own that stands in for aira-cli."""
    path = scratch(name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!{sys.executable}\nimport json, os, signal, sys\n{body}")
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


class EvalClient(CliTest):
    def setUp(self):
        patch = mock.patch.dict(os.environ, environment(), clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def engine(self, folder=None):
        engine = AiraScore(folder or model(), aira=BINARY, dtype="f32", options=("--threads", "2"))
        self.addCleanup(lambda: engine.close())
        return engine

    def refused(self, what, says):
        with self.assertRaises(AiraError) as caught:
            what()
        message = str(caught.exception)
        self.assertIn(says, message)
        self.assertTrue(message.endswith("."), message)
        self.assertNotIn("\n", message)

    def test_texts_and_ids(self):
        engine = self.engine()
        texts = ["", "Olá\n\u2028\U0001f600", "<|endoftext|>é"]
        ids = engine.encode(texts)
        self.assertEqual(ids[2], [256, 0xC3, 0xA9])
        self.assertEqual(engine.decode(ids), texts)
        self.assertEqual(engine.context, CONTEXT)
        self.assertEqual(engine.special_ids(), {256, 257, 258, 259})
        self.assertEqual(engine.special("bos"), {"id": 256, "text": "<|endoftext|>"})
        self.assertIsNone(engine.special("sep"))

    def test_pairs_of_texts(self):
        engine = self.engine()
        pairs = [("um ", "dois"), ("São", " João")]
        by_text = engine.score_pairs(pairs)
        self.assertEqual(engine.encode(["São"], template=True), [list("São".encode())])
        ids = [(list(b"um"), list(b" dois")), (list("São".encode()), list(" João".encode()))]
        for one, other in zip(by_text, engine.score_ids(ids)):
            self.assertEqual(one["tokens"], other["tokens"])

    def test_more_requests_than_pipes_hold_keep_their_order(self):
        engine = self.engine()
        pairs = [([97, number % 251], [number % 13, number % 7, 98]) for number in range(5000)]
        ticks = []
        scores = engine.score_ids(pairs, lambda: ticks.append(1))
        self.assertEqual(len(ticks), len(pairs))
        for (_, after), score in zip(pairs, scores):
            self.assertEqual([token["id"] for token in score["tokens"]], after)
        for number in (0, 1234, 4999):
            [alone] = engine.score_ids([pairs[number]])
            self.assertEqual({**alone, "id": number}, scores[number])

    def test_no_requests(self):
        self.assertEqual(self.engine().score_ids([]), [])

    def test_what_does_not_fit_is_cut_off_on_the_left(self):
        engine = self.engine()
        ids = list((TEXT * 9).encode())
        after = ids[:5]
        room = CONTEXT + 1 - len(after)
        long, exact, short = engine.score_ids([(ids[:room + 30], after), (ids[30:room + 30], after),
                                               (ids[31:room + 30], after)])
        self.assertEqual(long["tokens"], exact["tokens"])
        self.assertNotEqual(exact["tokens"], short["tokens"])
        [longest] = engine.score_ids([(ids, ids[:CONTEXT])])
        self.assertEqual(len(longest["tokens"]), CONTEXT)
        self.refused(lambda: engine.score_ids([(ids, ids[:CONTEXT + 1])]), "65 tokens")

    def test_windows_of_long_texts(self):
        """As lm-evaluation-harness cuts them: each window predicts as many new tokens as the context
        holds, the last one fills its context with the tokens before them."""
        engine = self.engine()
        all_ids = list((TEXT * 12).encode())
        for count in (1, CONTEXT - 1, CONTEXT, CONTEXT + 1, 2 * CONTEXT, 2 * CONTEXT + 1, 200):
            text = bytes(all_ids[:count]).decode(errors="ignore")
            ids = [256, *text.encode()]
            expected = []
            for first in range(1, len(ids), CONTEXT):
                end = min(first + CONTEXT, len(ids))
                begin = max(0, end - CONTEXT - 1)
                [score] = engine.score_ids([(ids[begin:first], ids[first:end])])
                expected += score["tokens"]
            [score] = engine.score_text([text])
            self.assertEqual(score["tokens"], expected)

    def test_generation(self):
        engine = self.engine()
        greedy = {"prompt_ids": list(b"um"), "greedy": True, "max_new_tokens": 6}
        one, same, other = engine.generate([greedy, greedy, {**greedy, "repetition_penalty": 9.0}])
        self.assertEqual(len(one), 6)
        self.assertEqual(one, same)
        self.assertNotEqual(one, other)

    def test_a_line_that_fails_is_an_exception_with_its_sentence(self):
        engine = self.engine()
        good = ([97], [98])
        self.refused(lambda: engine.score_ids([good] * 3000 + [([97], [100000])] + [good] * 3000),
                     "request 3000: ")
        [score] = engine.score_ids([good])  # a new process
        self.assertEqual([token["id"] for token in score["tokens"]], [98])

    def test_a_model_that_is_not_there(self):
        self.refused(lambda: AiraScore(scratch("none"), aira=BINARY), scratch("none"))
        self.refused(lambda: AiraScore(model(), aira=scratch("none")), "cannot be started")
        self.refused(lambda: JsonProcess(scratch("none")).ask([{}]), "cannot be started")

    def test_an_option_that_the_program_refuses(self):
        engine = AiraScore(model(), aira=BINARY, options=("--threads", "0"))
        self.refused(lambda: engine.score_ids([([97], [98])]), "exit code 2: [E610] --threads")

    def test_a_program_that_ends_midway(self):
        echo = "for line in sys.stdin:\n    print(line, end='', flush=True)\n    "
        dies = program("dies", echo + "sys.stderr.write('aira-cli: error: No memory.\\n'); sys.exit(1)")
        self.refused(lambda: JsonProcess(dies).ask([{}] * 2000), "exit code 1: No memory.")
        killed = program("killed", echo + "os.kill(os.getpid(), signal.SIGKILL)")
        self.refused(lambda: JsonProcess(killed).ask([{}] * 2), "by signal 9")
        ends = program("ends", "sys.exit(0)")
        self.refused(lambda: JsonProcess(ends).ask([{}]), "exit code 0: it did not say why.")

    def test_a_program_that_answers_something_else(self):
        for name, answer, says in (("garbage", "'so'", "no answer"), ("list", "[1]", "no answer"),
                                   ("order", "json.dumps({'id': 5})", "answered request 5")):
            talks = program(name, f"for line in sys.stdin: print({answer}, flush=True)")
            self.refused(lambda: JsonProcess(talks).ask([{}] * 3), says)

    def test_a_half_line_is_no_answer(self):
        half = program("half", "sys.stdout.write('{\"id\": 0}'); sys.stdout.flush()")
        self.refused(lambda: JsonProcess(half).ask([{}]), "exit code 0")

    def test_a_failure_at_the_end_is_told(self):
        late = program("late", "for line in sys.stdin: print(line, end='', flush=True)\nsys.exit(1)")
        process = JsonProcess(late)
        self.assertEqual(process.ask([{"a": 1}]), [{"id": 0, "a": 1}])
        self.refused(process.close, "exit code 1")

    def test_defaults_of_generation(self):
        self.assertEqual(self.engine().generation_config(), {})
        given = {"repetition_penalty": 1.5}
        self.assertEqual(self.engine(model(generation=given)).generation_config(), given)


class EvalTasks(CliTest):
    def documents(self, name):
        path = os.path.join(os.path.dirname(aira_client.__file__), "tasks", "data", name)
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_arc(self):
        documents = self.documents("arc_pt.jsonl")
        self.assertEqual(len({document["question"] for document in documents}), 40)
        for document in documents:
            choices = document["choices"]
            self.assertEqual(choices["label"], list("ABCD"))
            self.assertEqual(len(set(choices["text"])), 4, document["question"])
            self.assertIn(document["answerKey"], choices["label"])
        keys = [document["answerKey"] for document in documents]
        self.assertTrue(all(keys.count(key) >= 5 for key in "ABCD"), keys)

    def test_truthfulqa(self):
        documents = self.documents("truthfulqa_pt.jsonl")
        self.assertEqual(len({document["question"] for document in documents}), 20)
        for document in documents:
            one, more = document["mc1_targets"], document["mc2_targets"]
            self.assertEqual(one["labels"], [1] + [0] * (len(one["choices"]) - 1))
            self.assertEqual(sorted(set(more["labels"])), [0, 1])
            for targets in (one, more):
                self.assertEqual(len(set(targets["choices"])), len(targets["labels"]))
            self.assertLessEqual(set(one["choices"]), set(more["choices"]))


if __name__ == "__main__":
    main()
