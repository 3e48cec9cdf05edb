"""The options of answering: what each does, what it refuses, and which do not go together. That the
algorithms are right is shown elsewhere, by goldens."""

import json
import math
import os

from harness import CliTest, environment, main, model, scratch, slow_model, start

HOT = ("--temperature", "5", "--top-p", "1", "--top-k", "0", "--seed", "1")
ARGS = ("--seed", "1", "--max-new-tokens", "12")
GREEDY = {"greedy": True, "repetition_penalty": 1}


def line_of(**options):
    return json.dumps({"question": "olá", **options})


def answers_to(test, **options):
    """The answers to one question, with options by their JSON names."""
    [line] = test.json_lines("-m", model(context=256), "--jsonl", *ARGS, stdin=line_of(**options))
    return line["answers"]


def answer_to(test, **options):
    [only] = answers_to(test, **options)
    return only


def ids_of(test, **options):
    return answer_to(test, **options)["token_ids"]


def refused(test, says, **options):
    [line] = test.json_lines("-m", model(context=256), "--jsonl", *ARGS, stdin=line_of(**options),
                             code=1)
    test.assertIn(says, line["error"]["message"])


def hot(**options):
    return {"temperature": 5.0, "top_p": 1, "top_k": 0, "repetition_penalty": 1, **options}


class Cuts(CliTest):
    """Options that change what can be drawn."""

    def test_min_p(self):
        greedy = ids_of(self, **GREEDY)
        self.assertEqual(ids_of(self, **hot(min_p=1)), greedy)
        self.assertNotEqual(ids_of(self, **hot(min_p=0.0001)), greedy)
        self.assertEqual(ids_of(self, **hot(min_p=0)), ids_of(self, **hot()))

    def test_typical_p(self):
        self.assertEqual(ids_of(self, **hot(typical_p=1)), ids_of(self, **hot()))
        self.assertNotEqual(ids_of(self, **hot(typical_p=0.05)), ids_of(self, **hot()))
        # So little keeps one token: the same one whatever the seed.
        self.assertEqual(ids_of(self, **hot(typical_p=1e-6)),
                         ids_of(self, **hot(typical_p=1e-6, seed=2)))

    def test_no_repeat_ngram_size(self):
        free = ids_of(self, **GREEDY, max_new_tokens=60)
        self.assertLess(len(set(free)), len(free))
        for size in (1, 2, 3):
            ids = ids_of(self, **GREEDY, max_new_tokens=60, no_repeat_ngram_size=size)
            grams = list(zip(*(ids[i:] for i in range(size))))
            self.assertEqual(len(set(grams)), len(grams))

    def test_min_new_tokens(self):
        biased = {**GREEDY, "logit_bias": {"259": 100}}  # the end token, otherwise never likely
        self.assertEqual(answer_to(self, **biased)["finish_reason"], "stop")
        self.assertEqual(ids_of(self, **biased), [259])
        self.assertEqual(ids_of(self, **biased, min_new_tokens=5)[5:], [259])
        self.assertEqual(len(ids_of(self, **biased, min_new_tokens=12)), 12)

    def test_bad_words(self):
        text = answer_to(self, **GREEDY)["text"]
        letter = next(letter for letter in text if letter.isascii() and letter.isalnum())
        self.assertNotIn(letter, answer_to(self, **GREEDY, bad_words=letter)["text"])
        both = answer_to(self, **GREEDY, bad_words=[letter, "b"], max_new_tokens=60)["text"]
        self.assertNotIn(letter, both)
        by_flags = self.succeed("-m", model(context=256), *ARGS, "--greedy", "--max-new-tokens",
                                "60", "--repetition-penalty", "1", "--bad-words", letter,
                                "--bad-words", "b", "olá").decode()
        self.assertEqual(by_flags.strip("\n"), both.strip("\n"))

    def test_logit_bias(self):
        self.assertEqual(ids_of(self, **GREEDY, logit_bias={"65": 100}), [65] * 12)
        out = self.succeed("-m", model(), *ARGS, "--greedy", "--repetition-penalty", "1",
                           "--logit-bias", "65=100", "--logit-bias", "66=101", "olá")
        self.assertEqual(out, b"B" * 12 + b"\n")

    def test_refusals_in_json_lines(self):
        for name, values in {"min_p": (-0.1, 1.1, "1"), "typical_p": (0, 2, None),
                             "no_repeat_ngram_size": (-1, 1.5), "min_new_tokens": (-1, "3"),
                             "bad_words": ("", [""], 3, [1]), "num_beams": (0, 1.5, "2", 5000),
                             "logit_bias": ({"x": 1}, {"-1": 1}, {"1": "x"}, [1], {"1": 1e39}),
                             "length_penalty": ("x", None), "early_stopping": (1, "maybe"),
                             "best_of": (0, -1, "2"), "stop_on_loop": (1, "true"),
                             "logprobs": (-1, 1001, 1.5, True)}.items():
            for value in values:
                with self.subTest(name=name, value=value):
                    refused(self, f'"{name}" must be ', **{name: value})
        refused(self, "259", logit_bias={"260": 1})


class Several(CliTest):
    """Beams and the best of several answers."""

    def test_beams_come_best_first_and_need_no_seed(self):
        four = answers_to(self, num_beams=4, num_return_sequences=4)
        self.assertEqual(len({tuple(beam["token_ids"]) for beam in four}), 4)
        scores = [beam["score"] for beam in four]
        self.assertEqual(scores, sorted(scores, reverse=True))
        self.assertEqual(four, answers_to(self, num_beams=4, num_return_sequences=4, seed=99))
        self.assertEqual(four[:1], answers_to(self, num_beams=4))

    def test_a_beams_score_is_its_logprob_over_its_length(self):
        for penalty in (0, 0.3, 2, -1):
            for beam in answers_to(self, num_beams=3, num_return_sequences=3,
                                   length_penalty=penalty, repetition_penalty=1):
                length = len(beam["token_ids"])
                self.assertAlmostEqual(beam["score"], beam["logprob"] / length**penalty, places=9)
        [line] = self.json_lines("score", "-m", model(context=256), stdin=json.dumps(
            {"context_ids": [257, *"olá".encode(), 258], "continuation_ids": beam["token_ids"]}))
        self.assertAlmostEqual(line["logprob"], beam["logprob"], delta=1e-4)

    def test_beams_find_what_is_at_least_as_probable(self):
        beam = answer_to(self, num_beams=8, length_penalty=0, repetition_penalty=1,
                         max_new_tokens=3)
        self.assertGreaterEqual(beam["logprob"] + 1e-6,
                                answer_to(self, **GREEDY, max_new_tokens=3)["logprob"])

    def test_length_penalty_prefers_long_beams(self):
        def length(penalty):  # an end is about as likely as anything else
            return len(ids_of(self, num_beams=4, length_penalty=penalty, early_stopping=False,
                                repetition_penalty=1, logit_bias={"259": 4.0}))

        self.assertLess(length(-5.0), length(5.0))

    def test_early_stopping_values(self):
        biased = {"num_beams": 3, "logit_bias": {"259": 4.0}, "length_penalty": 1.0}
        for value in (True, False, "never"):
            text = json.dumps(value).strip('"')
            answer = answer_to(self, **biased, early_stopping=value)
            out = self.succeed("-m", model(context=256), *ARGS, "--num-beams", "3",
                               "--logit-bias", "259=4", "--length-penalty", "1",
                               "--early-stopping", text, "olá").decode()
            self.assertEqual(out[:-1], answer["text"])

    def test_beams_in_every_way_of_asking(self):
        [first, second] = answers_to(self, num_beams=3, num_return_sequences=2)
        args = ("-m", model(context=256), *ARGS, "--num-beams", "3", "-n", "2")
        self.assertEqual(self.succeed(*args, "olá").decode(),
                         first["text"] + "\n" + second["text"] + "\n")
        out = self.succeed(*args, "--batch", "1", stdin="olá\n\nolá")
        self.assertEqual(out.count(b"\n"), 6)

    def test_best_of_gives_the_most_probable_ones(self):
        drawing = hot()
        best = answers_to(self, **drawing, best_of=6, num_return_sequences=2)
        drawn = answers_to(self, **drawing, num_return_sequences=6)
        drawn.sort(key=lambda answer: -answer["logprob"] / -len(answer["token_ids"]), reverse=True)
        self.assertEqual(best, drawn[:2])
        args = ("-m", model(context=256), *ARGS, *HOT[:6], "--repetition-penalty", "1",
                "--best-of", "6")
        self.assertEqual(self.succeed(*args, "olá").decode().strip(), best[0]["text"])
        self.assertEqual(self.succeed(*args, "--batch", "1", "olá"), self.succeed(*args, "olá"))

    def test_what_does_not_go_together(self):
        for says, args in (
                ("--best-of 2 does not go with --num-beams 2", ("--best-of", "2", "--num-beams", "2")),
                ("--best-of 2 cannot give 3", ("--best-of", "2", "-n", "3")),
                ("--num-return-sequences must be", ("--num-beams", "2", "-n", "3")),
                ("--stop-on-loop does not go with --num-beams 2", ("--num-beams", "2", "--stop-on-loop")),
                ("--logprobs 1 does not go with --num-beams 2", ("--num-beams", "2", "--jsonl", "--logprobs", "1")),
                ("--logprobs needs --jsonl", ("--logprobs", "1")),
                ("--numbered is for lines", ("--numbered", "--jsonl"))):
            with self.subTest(args=args):
                self.assertIn(says, self.fail_with(2, "-m", model(), *args, stdin="olá\n"))
        refused(self, '"best_of": 2 does not go with "num_beams": 2', num_beams=2, best_of=2)
        refused(self, "(--batch)", num_beams=33)

    def test_bad_values(self):
        for option, values in {"--batch": ("0", "-1", "x", "4097"), "--best-of": ("0", "x", "1.5"),
                               "--num-beams": ("0", "x", "4097"), "--min-p": ("-1", "1.1", "x"),
                               "--length-penalty": ("x", "nan", "inf"), "--logprobs": ("-1", "x"),
                               "--early-stopping": ("maybe", "1", ""), "--typical-p": ("0", "2"),
                               "--no-repeat-ngram-size": ("-1", "x"), "--bad-words": ("",),
                               "--min-new-tokens": ("-1", "1.5"),
                               "--logit-bias": ("5", "x=1", "5=x", "=1", "-1=1", "5=", "5=inf",
                                                "99999999999=1", "5=1e39")}.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    err = self.fail_with(2, "-m", model(), option, value, "olá")
                    self.assertIn(f"{option} must be ", err)
        self.assertIn("--stop-on-loop takes no value", self.fail_with(2, "--stop-on-loop=1", "x"))
        self.assertIn("out of range 0..259", self.fail_with(1, "-m", model(), "--logit-bias", "260=1", "x"))


class Told(CliTest):
    """What is told about answers, and when they end."""

    def test_numbered(self):
        args = ("-m", model(), *ARGS, *HOT[:6])
        plain = self.succeed(*args, "-n", "2", stdin="um\n\ndois").splitlines()
        numbered = self.succeed(*args, "-n", "2", "--numbered", stdin="um\n\ndois").splitlines()
        expected = [b"" if i in (2, 3) else b"Response %d: %s" % (1 + i % 2, line)
                    for i, line in enumerate(plain)]
        self.assertEqual(numbered, expected)
        streamed = self.succeed(*args, "-n", "2", "--numbered", "um").decode()
        whole = self.succeed(*args, "-n", "2", "um").decode()
        self.assertTrue(streamed.startswith("Response 1: "))
        self.assertEqual(streamed.count("\nResponse 2: "), 1)
        self.assertEqual(streamed.replace("Response 1: ", "").replace("Response 2: ", ""), whole)
        for how in (("--num-beams", "2"), ("--best-of", "3")):
            lines = self.succeed(*args[:6], *how, "-n", "2", "--numbered", stdin="um").splitlines()
            self.assertEqual([line[:12] for line in lines], [b"Response 1: ", b"Response 2: "])

    def test_stop_on_loop(self):
        loop = {**GREEDY, "logit_bias": {"65": 100}, "max_new_tokens": 100}
        self.assertEqual(answer_to(self, **loop)["finish_reason"], "length")
        answer = answer_to(self, **loop, stop_on_loop=True)
        self.assertEqual((answer["finish_reason"], answer["token_ids"]), ("loop", [65] * 16))
        args = ("-m", model(context=256), "--greedy", "--logit-bias", "65=100", "--stop-on-loop")
        self.assertEqual(self.succeed(*args, "olá"), b"A" * 16 + b"\n")
        self.assertEqual(self.succeed(*args, stdin="olá"), b"A" * 16 + b"\n")

    def test_stop_on_loop_lets_other_answers_alone(self):
        drawing = hot(max_new_tokens=40)
        self.assertEqual(answer_to(self, **drawing, stop_on_loop=True), answer_to(self, **drawing))

    def test_logprobs(self):
        for options in (GREEDY, hot(), hot(best_of=3), {"repetition_penalty": 1.5}):
            answer = answer_to(self, **options, logprobs=3)
            self.assertEqual(list(answer), ["text", "token_ids", "finish_reason", "logprob",
                                            "logprobs"])
            steps = answer["logprobs"]
            self.assertEqual([step["id"] for step in steps], answer["token_ids"])
            self.assertAlmostEqual(sum(step["logprob"] for step in steps), answer["logprob"],
                                   places=9)
            for step in steps:
                self.assertEqual(list(step), ["id", "logprob", "top"])
                top = [token["logprob"] for token in step["top"]]
                self.assertEqual((len(top), top), (3, sorted(top, reverse=True)))
                self.assertLessEqual(step["logprob"], top[0])
                for token in step["top"]:
                    if token["id"] == step["id"]:
                        self.assertEqual(token["logprob"], step["logprob"])
        self.assertEqual(answer_to(self, **GREEDY, logprobs=0)["logprobs"][0]["top"], [])
        every = answer_to(self, **GREEDY, logprobs=1000)["logprobs"][0]["top"]
        self.assertEqual(len({token["id"] for token in every}), 260)
        self.assertAlmostEqual(sum(math.exp(token["logprob"]) for token in every), 1, places=5)

    def test_logprobs_agree_with_score(self):
        for dtype in ("f32", "f16", "int8"):
            [line] = self.json_lines("-m", model(), "--jsonl", "--dtype", dtype, *ARGS, stdin=(
                line_of(**hot(), logprobs=0)))
            [answer] = line["answers"]
            scored = json.dumps({"context_ids": [257, *"olá".encode(), 258],
                                 "continuation_ids": answer["token_ids"]})
            [score] = self.json_lines("score", "-m", model(), "--dtype", dtype, stdin=scored)
            self.assertAlmostEqual(score["logprob"], answer["logprob"], delta=1e-4)
            for step, token in zip(answer["logprobs"], score["tokens"]):
                self.assertEqual(step["id"], token["id"])
                self.assertAlmostEqual(step["logprob"], token["logprob"], delta=1e-4)

    def test_scores_of_windows(self):
        text = "opinião número " * 20  # 340 bytes, a context of 64
        ids = list(text.encode())
        whole, by_ids = self.json_lines(
            "score", "-m", model(), stdin=json.dumps({"text": text}) + "\n"
            + json.dumps({"continuation_ids": ids}))
        self.assertEqual(whole, by_ids)
        self.assertEqual([token["id"] for token in whole["tokens"]], ids)
        expected = []  # lm-evaluation-harness: each window predicts 64, the last one is filled up
        windows = [([256], ids[:64])]
        for begin in range(64, len(ids), 64):
            end = min(begin + 64, len(ids))
            windows.append((ids[end - 65:begin], ids[begin:end]))
        for line in self.json_lines("score", "-m", model(), stdin="\n".join(
                json.dumps({"context_ids": context, "continuation_ids": continuation})
                for context, continuation in windows)):
            expected += line["tokens"]
        self.assertEqual(whole["tokens"], expected)

    def test_stop_texts_are_never_half_printed(self):
        # Every letter is a token here, so each stop text is spread over several.
        args = ("-m", slow_model(), "--greedy", "--repetition-penalty", "1", "--max-new-tokens")
        text = self.succeed(*args, "40", "olá").decode()
        stop = text[20:26]
        expected = text[:text.index(stop)].rstrip()
        process = start(*args, "40", "--stop", stop, "--stop", "no such text", "olá")
        seen = b""
        while piece := os.read(process.stdout.fileno(), 1):
            seen += piece
            self.assertTrue((expected + "\n").encode().startswith(seen), seen)
        self.assertEqual((seen.decode(), *process.communicate()), (expected + "\n", b"", b""))

    def test_the_beginning_of_a_stop_text_is_text_after_all(self):
        args = ("-m", model(), "--greedy", "--logit-bias", "65=100", "--repetition-penalty", "1",
                "--max-new-tokens", "7")
        self.assertEqual(self.succeed(*args, "--stop", "AAB", "olá"), b"A" * 7 + b"\n")
        self.assertEqual(self.succeed(*args, "--stop", "AA", "olá"), b"\n")


class EightBits(CliTest):
    def test_int8_in_every_command(self):
        common = ("-m", model(), "--dtype", "int8")
        self.assertIn("int8", self.succeed("info", *common).decode())
        report = json.loads(self.succeed("bench", *common, "-p", "8", "-n", "4", "-r", "1",
                                         "--json"))
        self.assertTrue(report["tests"])
        [score] = self.json_lines("score", *common, stdin='{"text": "olá"}')
        [exact] = self.json_lines("score", *common, "--dtype", "f32", stdin='{"text": "olá"}')
        self.assertNotEqual(score, exact)
        self.assertAlmostEqual(score["logprob"], exact["logprob"], delta=0.2)

    def test_int8_answers_are_the_same_with_and_without_the_cache(self):
        lines = "\n".join(map(str, range(50)))
        args = ("-m", model(), "--dtype", "int8", "--max-new-tokens", "8", *HOT)
        env = environment(XDG_CACHE_HOME=scratch("int8-cache"))
        first = self.succeed(*args, stdin=lines, env=env)
        [name] = [name for name in os.listdir(os.path.join(scratch("int8-cache"), "aira"))
                  if "int8" in name]
        self.assertTrue(name)
        self.assertEqual(self.succeed(*args, stdin=lines, env=env), first)
        off = environment(AIRA_CACHE="off")
        self.assertEqual(self.succeed(*args, stdin=lines, env=off), first)
        for how in (("--batch", "1", "-t", "1"), ("--batch", "7", "-t", "2")):
            self.assertEqual(self.succeed(*args, *how, stdin=lines, env=off), first)
        self.assertNotEqual(self.succeed(*args, "--dtype", "f32", stdin=lines), first)

    def test_int8_beams_and_json_lines(self):
        args = ("-m", model(), "--dtype", "int8", "--jsonl", "--max-new-tokens", "8")
        first, second = self.json_lines(*args, stdin=line_of(num_beams=3) + "\n" + line_of())
        self.assertIn("score", first["answers"][0])
        self.assertEqual(len(second["answers"]), 1)


if __name__ == "__main__":
    main()
