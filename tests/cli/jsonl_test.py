"""--jsonl: JSON lines in, JSON lines out."""

import json
import math
import signal

from harness import CliTest, main, model, run, slow_model, start

HOT = {"temperature": 5.0, "top_p": 1, "top_k": 0}


class JsonLines(CliTest):
    def ask(self, *lines, args=(), code=0):
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n"
                       for line in lines)
        return self.json_lines("-m", model(), "--seed", "1", "--max-new-tokens", "8", "--jsonl",
                               *args, stdin=text, code=code)

    def bad(self, line, says):
        """The error object that a bad line gives between two good ones."""
        good = {"question": "um", "id": 7}
        first, error, last = self.ask(good, line, good, code=1)
        self.assertEqual(first, last)
        self.assertEqual(first["id"], 7)
        self.assertEqual(set(error), {"id", "error"})
        self.assertEqual(set(error["error"]), {"message"})
        self.assertIn(says, error["error"]["message"])
        return error

    def test_a_question(self):
        [line] = self.ask({"question": "um"})
        self.assertEqual(list(line), ["model", "question", "answers"])
        self.assertEqual(line["question"], "um")
        [answer] = line["answers"]
        self.assertEqual(list(answer), ["text", "token_ids", "finish_reason", "logprob"])
        self.assertEqual(len(answer["token_ids"]), 8)
        self.assertEqual(answer["finish_reason"], "length")
        self.assertLess(answer["logprob"], 0)
        self.assertTrue(math.isfinite(answer["logprob"]))

    def test_the_same_text_as_a_pipe(self):
        [line] = self.ask({"question": "um"})
        out = self.succeed("-m", model(), "--seed", "1", "--max-new-tokens", "8", stdin="um\n")
        self.assertEqual(line["answers"][0]["text"].replace("\n", " "), out.decode()[:-1])

    def test_a_prompt_is_raw(self):
        question, prompt, raw = self.ask({"question": "um"}, {"prompt": "um"},
                                         {"prompt": "um", "greedy": True})
        self.assertEqual(list(prompt), ["model", "prompt", "answers"])
        self.assertNotEqual(question["answers"], prompt["answers"])
        out = self.succeed("-m", model(), "--raw", "--greedy", "--max-new-tokens", "8", "um")
        self.assertEqual(raw["answers"][0]["text"], out.decode()[:-1])

    def test_a_prompt_of_ids(self):
        marked = [257, *b"um", 258]
        lines = self.ask({"question": "um"}, {"prompt_ids": marked},
                         {"prompt": "um", "greedy": True},
                         {"prompt_ids": list(b"um"), "greedy": True})
        self.assertEqual(list(lines[1]), ["model", "prompt_ids", "answers"])
        self.assertEqual(lines[1]["prompt_ids"], marked)
        self.assertEqual(lines[0]["answers"], lines[1]["answers"])
        self.assertEqual(lines[2]["answers"], lines[3]["answers"])

    def test_ids_that_are_no_prompt(self):
        self.bad({"prompt_ids": []}, "empty")
        self.bad({"prompt_ids": "97"}, '"prompt_ids" must be a list of token ids')
        self.bad({"prompt_ids": [97, -1]}, '"prompt_ids" must be ')
        self.bad({"prompt_ids": [97, 100000]}, "100000")
        self.bad({"prompt_ids": [97] * 64}, "64")
        self.bad({"prompt_ids": [97], "prompt": "a"}, "one of them")

    def test_a_base_model_answers_prompts_and_refuses_questions(self):
        lines = self.json_lines("-m", model(markers=False), "--jsonl", "--max-new-tokens", "3",
                                stdin='{"prompt": "um"}\n{"question": "um"}\n', code=1)
        self.assertIn("answers", lines[0])
        self.assertIn("error", lines[1])

    def test_ids_are_echoed(self):
        ids = [1, "a", None, [1, {"b": 2}], {"z": 1, "a": [True]}, 1.5, -3, "\u00e9\u2028\U0001f600"]
        lines = self.ask(*({"id": value, "question": "um"} for value in ids))
        self.assertEqual([line["id"] for line in lines], ids)
        self.assertEqual(list(lines[0]), ["id", "model", "question", "answers"])

    def test_options_of_a_line(self):
        def texts(**options):
            [line] = self.ask({"question": "um", **options})
            return [answer["text"] for answer in line["answers"]]

        self.assertEqual(texts(**HOT), texts(**HOT))
        self.assertEqual(texts(**HOT, seed=1), texts(**HOT))
        self.assertNotEqual(texts(**HOT, seed=2), texts(**HOT))
        self.assertEqual(texts(greedy=True, seed=2), texts(greedy=True))
        self.assertEqual(len(texts(**HOT, num_return_sequences=3)), 3)
        self.assertEqual(texts(**HOT, num_return_sequences=3)[0], texts(**HOT)[0])
        [line] = self.ask({"question": "um", "max_new_tokens": 2, "repetition_penalty": 1.5})
        self.assertEqual(len(line["answers"][0]["token_ids"]), 2)

    def test_stop_texts_of_a_line(self):
        [whole] = self.ask({"question": "um", "greedy": True})
        text = whole["answers"][0]["text"]
        for stop in (text[2], [text[2]], ["nothing like it", text[2]]):
            [line] = self.ask({"question": "um", "greedy": True, "stop": stop})
            self.assertEqual(line["answers"][0]["finish_reason"], "stop")
            self.assertEqual(line["answers"][0]["text"], text[:text.index(text[2])].rstrip())

    def test_options_of_a_line_end_with_it(self):
        line = {"question": "um", **HOT}
        plain, _, again = self.ask({"question": "um"}, line, {"question": "um"})
        self.assertEqual(plain, again)

    def test_the_command_lines_options_are_the_lines_defaults(self):
        [line] = self.ask({"question": "um"}, args=("--max-new-tokens", "2", "-n", "2"))
        self.assertEqual([len(answer["token_ids"]) for answer in line["answers"]], [2, 2])

    def test_lines_that_are_not_json_objects(self):
        for line in ("", "{", "nonsense", "[1]", "3", "null", '"text"', '{"question": "um"} x',
                     "{'question': 'um'}", '{"question": "um",}', '{"question": NaN}',
                     '{"question": "\\ud800"}'):
            with self.subTest(line=line):
                self.assertIsNone(self.bad(line, "The line")["id"])

    def test_lines_that_lack_or_repeat_something(self):
        self.bad({}, "question")
        self.bad({"id": 1}, "question")
        self.bad({"question": "a", "prompt": "b"}, "one of them")
        self.bad({"question": 3}, "string")
        self.bad({"question": None}, "question")
        self.bad({"prompt": ["a"]}, "string")
        self.bad('{"question": "a", "question": "b"}', "twice")

    def test_bad_options(self):
        for key, values in {"temperature": [-1, "1", None, True], "top_p": [-1, 1.5, []],
                            "top_k": [-1, 1.5, "3"], "repetition_penalty": [0, -2],
                            "max_new_tokens": [0, 1.5], "greedy": [1, "true"],
                            "seed": [-1, 1.5, "1"], "num_return_sequences": [0, "2"],
                            "stop": [3, "", [""], [1], {}]}.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    error = self.bad({"id": "x", "question": "um", key: value}, "must be")
                    self.assertIn(f'"{key}"', error["error"]["message"])
                    self.assertEqual(error["id"], "x")

    def test_unknown_keys(self):
        for key in ("beams", "top-k", "Question", "model", ""):
            self.assertIn(json.dumps(key), self.bad({"question": "um", key: 1},
                                                    "option")["error"]["message"])

    def test_deep_and_large_values(self):
        deep = '{"question": "um", "id": ' + "[" * 100_000 + "]" * 100_000 + "}"
        self.bad(deep, "nested")
        self.bad('{"question": "um", "seed": 1e999}', "number")
        [line] = self.ask({"question": "um", "id": "x" * 1_000_000})
        self.assertEqual(len(line["id"]), 1_000_000)

    def test_too_long(self):
        self.bad({"question": "x" * 1_000_000}, "1000002")

    def test_invalid_utf8_and_nul(self):
        code, out, _ = run("-m", model(), "--jsonl", stdin=b'{"question": "\xff"}\n'
                           b'{"question": "a\x00b"}\n{"question": "a\\u0000b"}\n')
        lines = [json.loads(line) for line in out.decode().splitlines()]
        self.assertEqual(code, 1)
        self.assertIn("UTF-8", lines[0]["error"]["message"])
        self.assertIn("error", lines[1])
        self.assertEqual(lines[2]["question"], "a\0b")

    def test_one_sentence_on_stderr_for_bad_lines(self):
        _, _, err = run("-m", model(), "--jsonl", stdin="x\n{}\n")
        self.assertRegex(err, r"\Aaira-cli: error: \[E004\] 2 of 2 lines [^\n]*\n\Z")

    def test_ctrl_c_leaves_no_half_line(self):
        process = start("-m", slow_model(), "--jsonl", "--max-new-tokens", "100000")
        process.stdin.write(b'x\n{"question": "um"}\n')
        process.stdin.flush()
        self.assertIn(b"error", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        self.assertEqual((out, err, process.returncode), (b"", b"", -signal.SIGINT))


if __name__ == "__main__":
    main()
