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
        self.assertEqual(list(error), ["id", "line", "error"])
        self.assertEqual(error["line"], 2)
        self.assertLessEqual(set(error["error"]), {"code", "message"})
        self.assertIn(says, error["error"]["message"])
        return error

    def test_a_question(self):
        [line] = self.ask({"question": "um"})
        self.assertEqual(list(line), ["model", "question", "answers", "usage"])
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
        self.assertEqual(list(prompt), ["model", "prompt", "answers", "usage"])
        self.assertNotEqual(question["answers"], prompt["answers"])
        out = self.succeed("-m", model(), "--raw", "--greedy", "--max-new-tokens", "8", "um")
        self.assertEqual(raw["answers"][0]["text"], out.decode()[:-1])

    def test_a_prompt_of_ids(self):
        marked = [257, *b"um", 258]
        lines = self.ask({"question": "um"}, {"prompt_ids": marked},
                         {"prompt": "um", "greedy": True},
                         {"prompt_ids": list(b"um"), "greedy": True})
        self.assertEqual(list(lines[1]), ["model", "prompt_ids", "answers", "usage"])
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
        self.assertEqual(list(lines[0]), ["id", "model", "question", "answers", "usage"])

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
        for line in ("{", "nonsense", "[1]", "3", "null", '"text"', '{"question": "um"} x',
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

    def test_fields_of_others_are_passed_through(self):
        others = {"topic": "geo", "step": 3, "": None, "length": [1, {"é": 2}], "prompt_id": 17,
                  "answer": "A", "name": "\u2028"}
        plain, line = self.ask({"question": "um"}, {"question": "um", "id": 1, **others})
        self.assertEqual(line, {"id": 1, **plain, **others})
        self.assertEqual(list(line)[:5], ["id", "model", "question", "answers", "usage"])
        [line] = self.json_lines("-m", model(), "score", stdin='{"text": "um", "doc": "é"}')
        self.assertEqual(line["doc"], "é")
        [line] = self.json_lines("-m", model(), "tokenize", "--jsonl",
                                 stdin='{"text": "um", "doc": "é"}')
        self.assertEqual((line["doc"], line["ids"]), ("é", list(b"um")))

    def test_mistyped_options_are_told(self):
        for key, meant in {"temprature": "temperature", "topk": "top_k", "top-k": "top_k",
                           "maxNewTokens": "max_new_tokens", "temp": "temperature",
                           "repeat_penalty": "repetition_penalty", "Question": "question",
                           "stop_string": "stop_strings", "templte": "template",
                           "num_beam": "num_beams"}.items():
            with self.subTest(key=key):
                error = self.bad({"question": "um", key: 1}, f'"{meant}"')
                self.assertIn(f'"{key}"', error["error"]["message"])
                self.assertEqual(error["error"]["code"], "E111")
        code, out, _ = run("-m", model(), "score", stdin='{"text": "um", "logprob_": 1, "contxt": 1}')
        self.assertEqual(code, 1)
        self.assertIn(b'\\"context\\"', out)

    def test_names_of_the_output_are_refused(self):
        for key in ("model", "answers", "usage", "error", "line"):
            self.assertIn(json.dumps(key), self.bad({"question": "um", key: 1},
                                                    "another name")["error"]["message"])

    def test_names_of_other_programs(self):
        ours, theirs = self.ask({"question": "um", "num_return_sequences": 2, "max_new_tokens": 3,
                                 "greedy": True},
                                {"question": "um", "n": 2, "max_tokens": 3, "temperature": 0})
        self.assertEqual(ours, theirs)
        self.bad({"question": "um", "n": 0}, '"n" must be a whole number from 1')
        self.bad({"question": "um", "n": 2, "num_return_sequences": 2}, "the same option")

    def test_usage(self):
        [line] = self.ask({"question": "dois", "n": 2, "max_tokens": 3})
        self.assertEqual(line["usage"], {"prompt_tokens": 6, "completion_tokens": 6,
                                         "total_tokens": 12})

    def test_blank_lines_count_but_are_not_answered(self):
        lines = self.ask("", {"question": "um"}, " \t\r", "x", code=1)
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[1]["line"], 4)
        self.assertIn("(byte 1)", lines[1]["error"]["message"])
        self.assertNotIn("line 1", lines[1]["error"]["message"])

    def test_deep_and_large_values(self):
        deep = '{"question": "um", "id": ' + "[" * 100_000 + "]" * 100_000 + "}"
        self.bad(deep, "nested")
        self.bad('{"question": "um", "seed": 1e999}', "number")
        [line] = self.ask({"question": "um", "id": "x" * 1_000_000})
        self.assertEqual(len(line["id"]), 1_000_000)

    def test_too_long(self):
        self.bad({"question": "x" * 1_000_000}, "1000000 bytes")

    def test_invalid_utf8_and_nul(self):
        code, out, _ = run("-m", model(), "--jsonl", stdin=b'{"question": "\xff"}\n'
                           b'{"question": "a\x00b"}\n{"question": "a\\u0000b"}\n')
        lines = [json.loads(line) for line in out.decode().splitlines()]
        self.assertEqual(code, 1)
        self.assertIn("UTF-8", lines[0]["error"]["message"])
        self.assertIn("iconv", lines[0]["error"]["message"])
        self.assertIn("NUL", lines[1]["error"]["message"])
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


def turn(role, content):
    return {"role": role, "content": content}


class Messages(CliTest):
    def ask(self, *lines, args=(), code=0, folder=None):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return self.json_lines("-m", folder or model(), "--greedy", "--max-new-tokens", "5",
                               "--jsonl", *args, stdin=text, code=code)

    def message(self, line, **how):
        [line] = self.ask(line, code=1, **how)
        return line["error"]["message"]

    def test_the_last_question_after_the_turns(self):
        marked = [257, *b"um", 258, *"é".encode(), 259, 257, *b"dois", 258]
        ids, line, parts = self.ask(
            {"prompt_ids": marked},
            {"messages": [turn("user", "um"), turn("assistant", "é"), turn("user", "dois")]},
            {"messages": [turn("user", "um"), turn("assistant", "é"),
                          turn("user", [{"type": "text", "text": "do"},
                                        {"type": "text", "text": "is"}])]})
        self.assertEqual(line["answers"], ids["answers"])
        self.assertEqual(parts["answers"], ids["answers"])
        self.assertEqual(line["usage"]["prompt_tokens"], len(marked))
        one, question = self.ask({"messages": [turn("user", "um")]}, {"question": "um"})
        self.assertEqual(one["answers"], question["answers"])

    def test_a_system_message_without_a_place_is_told(self):
        for role in ("system", "developer"):
            said = self.message({"messages": [turn(role, "Seja breve."), turn("user", "um")]})
            self.assertIn("system", said)

    def test_messages_that_are_no_dialogue(self):
        user, other = turn("user", "um"), turn("assistant", "a")
        for messages, says in [([], "must be a list"), ("um", "must be a list"),
                               ([user, user], "Message 2"), ([other], "Message 1"),
                               ([user, other], "last"), ([user, turn("system", "s")], "Message 2"),
                               ([turn("bot", "s")], '"bot"'), ([turn("user", 3)], "message 1"),
                               ([turn("user", [{"type": "image_url"}])], "message 1"),
                               ([user, other, {"role": "user"}], "message 3"), ([3], "object")]:
            with self.subTest(messages=messages):
                self.assertIn(says, self.message({"messages": messages}))
        self.assertIn("one of them", self.message({"messages": [user], "question": "um"}))
        self.assertIn("--raw", self.message({"messages": [user]}, args=("--raw",)))


class OpenAiBatch(CliTest):
    def line(self, id, body, url="/v1/chat/completions", **more):
        return {"custom_id": id, "method": "POST", "url": url, "body": body, **more}

    def ask(self, *lines, code=0):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return self.json_lines("-m", model(), "--seed", "1", "--max-new-tokens", "5", "--jsonl",
                               stdin=text, code=code)

    def test_chat_completions(self):
        body = {"model": "gpt-x", "messages": [turn("user", "um")], "max_tokens": 4, "n": 2,
                "stream": False, "user": "u", "frequency_penalty": 0, "stop": None}
        plain, batch = self.ask({"question": "um", "max_tokens": 4, "n": 2}, self.line("á-1", body))
        self.assertEqual(list(batch), ["id", "custom_id", "response", "error"])
        self.assertEqual((batch["custom_id"], batch["error"]), ("á-1", None))
        self.assertEqual(batch["response"]["status_code"], 200)
        self.assertIsInstance(batch["response"]["request_id"], str)
        done = batch["response"]["body"]
        self.assertEqual(done["object"], "chat.completion")
        self.assertEqual(done["model"], model())
        self.assertIsInstance(done["created"], int)
        self.assertEqual(done["usage"], plain["usage"])
        self.assertEqual(done["choices"],
                         [{"index": i, "message": turn("assistant", answer["text"]),
                           "logprobs": None, "finish_reason": answer["finish_reason"]}
                          for i, answer in enumerate(plain["answers"])])

    def test_completions(self):
        plain, text, listed, ids = self.ask(
            {"prompt": "um"}, *(self.line("a", {"prompt": prompt}, url="/v1/completions")
                                for prompt in ("um", ["um"], list(b"um"))))
        for line in (text, listed, ids):
            self.assertEqual(line["response"]["body"]["object"], "text_completion")
            self.assertEqual(line["response"]["body"]["choices"][0]["text"],
                             plain["answers"][0]["text"])

    def test_what_is_refused(self):
        body = {"messages": [turn("user", "um")]}
        for line, says in [
                (self.line("a", {**body, "stream": True}), '"stream"'),
                (self.line("a", {**body, "frequency_penalty": "0.5"}), '"frequency_penalty"'),
                (self.line("a", {**body, "tool_choice": "auto"}), '"tool_choice"'),
                (self.line("a", {**body, "temprature": 1}), '"temperature"'),
                (self.line("a", {**body, "max_tokens": 0}), '"max_tokens" must be'),
                (self.line("a", body, url="/v1/embeddings"), '"url"'),
                (self.line("a", body, method="GET"), '"method"'),
                (self.line("a", {}), '"messages"'),
                (self.line("a", {"prompt": ["um", "dois"]}, url="/v1/completions"), '"prompt'),
                (self.line("a", 3), '"body"'),
                (self.line(7, body), '"custom_id"')]:
            with self.subTest(line=line):
                _, failed = self.ask(self.line("b", body), line, code=1)
                self.assertEqual((failed["custom_id"], failed["line"], failed["response"]),
                                 (line["custom_id"], 2, None))
                self.assertIn(says, failed["error"]["message"])


if __name__ == "__main__":
    main()
