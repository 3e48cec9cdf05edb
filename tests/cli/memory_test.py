"""The most memory that a run takes, whatever its input asks for."""

import json
import os

from harness import CliTest, environment, main, scratch, start

MB = 1 << 20
ASK = {"question": "Oi", "max_new_tokens": 2}


def peak_of(*args):
    """Runs the program: exit code, peak resident memory in MB, stdout."""
    out = scratch("out")
    with open(out, "wb") as stdout, open(scratch("err"), "wb") as stderr:
        process = start(*args, env=environment(AIRA_CACHE="off"), stdout=stdout, stderr=stderr)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    with open(out, "rb") as file:
        return process.returncode, usage.ru_maxrss * 1024 / MB, file.read()


class Memory(CliTest):
    def peak(self, lines):
        """Peak in MB of a run with these JSON lines, and its output lines."""
        path = scratch("lines.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            for line in lines:
                json.dump(line, file, ensure_ascii=False)
                file.write("\n")
        code, peak, out = peak_of("--jsonl", "-q", "--seed", "1", "-f", path)
        self.assertIn(code, (0, 1))
        return peak, [json.loads(line) for line in out.splitlines()]

    def test_lines_that_wait_for_a_slow_one(self):
        """Their number would allow 512 of them: 5 GB of ids in all their copies."""
        slow = {**ASK, "min_new_tokens": 400, "max_new_tokens": 400, "num_return_sequences": 60}
        bad = {"id": "x" * (8 * MB), "question": 7}
        peak, results = self.peak([slow] + [bad] * 40)
        self.assertEqual(["error" in one for one in results], [False] + [True] * 40)
        self.assertLess(peak, 500)

    def test_a_question_of_60_mb(self):
        peak, results = self.peak([{**ASK, "question": "olá mundo " * 5_400_000}, ASK])
        self.assertEqual(results[0]["error"]["code"], "E687")
        self.assertEqual(results[1]["question"], "Oi")
        self.assertLess(peak, 450)

    def test_a_line_that_is_too_long(self):
        peak, results = self.peak([{**ASK, "question": "x" * (70 * MB)}, ASK])
        self.assertEqual(results[0]["error"]["code"], "E100")
        self.assertEqual(results[1]["question"], "Oi")
        self.assertLess(peak, 250)

    def test_as_many_log_probabilities_as_there_may_be(self):
        most = {**ASK, "num_return_sequences": 200, "logprobs": 1000, "min_new_tokens": 10,
                "max_new_tokens": 10}
        longer = {"question": "Oi", "num_return_sequences": 200, "logprobs": 1000, "max_length": 64}
        peak, results = self.peak([most, {**most, "num_return_sequences": 201}, longer])
        self.assertEqual(len(results[0]["answers"]), 200)
        self.assertEqual(len(results[0]["answers"][199]["logprobs"][9]["top"]), 1000)
        for refused in results[1:]:
            self.assertEqual(refused["error"]["code"], "E686")
        self.assertLess(peak, 500)


if __name__ == "__main__":
    main()
