"""--choose and "choices": the answer is one of given texts."""

import json
import math
import os

from harness import ROOT, CliTest, Terminal, main, model, run

QUESTION = "Qual é a opção certa, João?"
TEXTS = ["sim", "não", "talvez, é só perguntar 😀"]
CHOOSE = "|".join(TEXTS)


class Choose(CliTest):
    def lines(self, *lines, args=(), code=0, **how):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        return self.json_lines("-m", model(**how), "--jsonl", *args, stdin=text, code=code)

    def choose(self, texts, question=QUESTION, **how):
        [line] = self.lines({"question": question, "choices": texts}, **how)
        return line

    def error(self, line, says, args=()):
        """What a bad line says between two good ones."""
        good = {"question": QUESTION, "choices": TEXTS}
        first, bad, last = self.lines(good, line, good, args=args, code=1)
        self.assertEqual(first, last)
        self.assertIn(says, bad["error"]["message"])

    def test_log_likelihoods_are_those_of_transformers(self):
        with open(os.path.join(ROOT, "tests/data/choices.json"), encoding="utf8") as file:
            goldens = json.load(file)
        out = self.json_lines("--jsonl", "--dtype", "f32", "-m",
                              os.path.join(ROOT, "tools/mini/model"),
                              stdin="".join(json.dumps(line) + "\n" for line, _ in goldens))
        for line, (asked, expected) in zip(out, goldens):
            with self.subTest(asked=asked):
                got = [choice["logprob"] for choice in line["choices"]]
                for one, other in zip(got, expected):
                    self.assertAlmostEqual(one, other, delta=1e-4)
                self.assertEqual(line["answers"][0]["text"],
                                 line["choices"][expected.index(max(expected))]["text"])
        self.assertEqual(len(out), len(goldens))

    def test_a_json_line(self):
        line = self.choose(TEXTS)
        self.assertEqual(list(line), ["model", "question", "answers", "choices", "usage"])
        [answer] = line["answers"]
        self.assertEqual([choice["text"] for choice in line["choices"]], TEXTS)
        best = max(line["choices"], key=lambda choice: choice["logprob"])
        self.assertEqual({key: answer[key] for key in best}, best)
        self.assertEqual(bytes(answer["token_ids"]).decode().strip(), answer["text"])
        self.assertEqual(answer["finish_reason"], "stop")
        self.assertAlmostEqual(sum(c["probability"] for c in line["choices"]), 1)
        for choice in line["choices"]:
            self.assertAlmostEqual(choice["probability"] / best["probability"],
                                   math.exp(choice["logprob"] - best["logprob"]))

    def test_the_same_alone_and_in_a_batch(self):
        questions = [f"{QUESTION} {'ção ' * (i % 7)}" for i in range(23)]
        alone = [self.choose(TEXTS, question, context=256)["choices"]
                 for question in questions[:7]]
        asked = [{"question": question, "choices": TEXTS} for question in questions]
        writing = [{"question": QUESTION, "greedy": True, "max_new_tokens": 5}] * 4
        for batch in ("1", "2", "3", "32"):
            with self.subTest(batch=batch):
                lines = self.lines(*writing, *asked, *writing, args=("--batch", batch, "-t", "2"),
                                   context=256)
                choices = [line["choices"] for line in lines[4:-4]]
                self.assertEqual(choices, [alone[i % 7] for i in range(23)])

    def test_texts_that_go_on_from_a_prompt_are_scored_as_by_score(self):
        texts = [" Lisboa", "Lisboa", " Évora", "\n", " a"]
        [chosen] = self.lines({"prompt": "A capital é", "choices": texts})
        [scored] = self.json_lines("-m", model(), "score", stdin=json.dumps(
            {"context": "A capital é", "continuations": texts}))
        self.assertEqual([choice["logprob"] for choice in chosen["choices"]],
                         [score["logprob"] for score in scored["scores"]])
        self.assertEqual([choice["text"] for choice in chosen["choices"]], texts)

    def test_the_end_of_an_answer_counts(self):
        # Without its end, the beginning of a text would always be likelier than the whole of it.
        whole = "A capital do Acre é Rio Branco."
        asked = ("Qual a capital do Acre?", whole, whole[:-1], whole[:12])
        out = self.succeed("-q", "-m", os.path.join(ROOT, "tools/mini/model"), "--choose",
                           "|".join(asked[1:]), asked[0])
        self.assertEqual(out.decode(), whole + "\n")
        [line] = self.lines({"prompt": QUESTION, "choices": ["a", "ab"]})
        self.assertEqual(line["answers"][0]["text"], "a")

    def test_lines_and_one_question(self):
        expected = self.choose(TEXTS)["answers"][0]["text"] + "\n"
        once = self.succeed("-m", model(), "--choose", CHOOSE, QUESTION)
        self.assertEqual(once.decode(), expected)
        lines = self.succeed("-m", model(), "--choose", " não  | sim|" + TEXTS[2],
                             stdin=f"{QUESTION}\n\n{QUESTION}")
        self.assertEqual(lines.decode(), expected + "\n" + expected)
        self.assertEqual(self.succeed("-m", model(), "--numbered", "--choose", CHOOSE, QUESTION)
                         .decode(), "Response 1: " + expected)

    def test_on_a_terminal(self):
        terminal = Terminal("-m", model(), "--choose", CHOOSE, QUESTION)
        expected = self.choose(TEXTS)["answers"][0]["text"]
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.screen, expected + "\n")
        chat = Terminal("-m", model(), "--choose", CHOOSE)
        self.assertEqual(chat.end(), 2)
        self.assertIn("--choose is for a question on the command line", chat.screen)

    def test_messages_and_other_fields(self):
        question, messages = self.lines(
            {"question": QUESTION, "choices": TEXTS, "tema": "é"},
            {"messages": [{"role": "user", "content": QUESTION}], "choices": [" sim", *TEXTS[1:]]})
        self.assertEqual(question["tema"], "é")
        self.assertEqual(question["choices"], messages["choices"])

    def test_a_bar_in_a_text(self):
        [line] = self.lines({"question": QUESTION}, args=("--choose", r"a\|b|c\\d|\n"))
        self.assertEqual([choice["text"] for choice in line["choices"]], ["a|b", r"c\d", r"\n"])

    def test_the_choices_of_a_line_replace_those_of_the_command_line(self):
        own, given = self.lines({"question": QUESTION, "choices": ["é", "ã"]},
                                {"question": QUESTION, "seed": 3}, args=("--choose", "sim|não"))
        self.assertEqual([choice["text"] for choice in own["choices"]], ["é", "ã"])
        self.assertEqual([choice["text"] for choice in given["choices"]], ["sim", "não"])

    def test_options_of_the_model_and_of_other_lines_yield(self):
        folder = dict(generation={"num_beams": 3, "do_sample": True, "temperature": 0.7})
        [line] = self.lines({"question": QUESTION, "choices": TEXTS}, **folder)
        self.assertEqual(line["choices"], self.choose(TEXTS)["choices"])
        [line] = self.lines({"question": QUESTION, "choices": TEXTS}, args=("--temperature", "2"))
        self.assertEqual(line["choices"], self.choose(TEXTS)["choices"])

    def test_bad_texts(self):
        for texts, says in {"sim": "at least two texts", "": "is empty", "sim||não": "is empty",
                            "sim|": "is empty", "sim| ": "is empty",
                            "sim|não| sim": 'has the text "sim" twice'}.items():
            with self.subTest(texts=texts):
                err = self.fail_with(2, "-m", "/nowhere", "--choose", texts, QUESTION)
                self.assertIn("--choose", err)
                self.assertIn(says, err)
        for texts, says in ((["sim"], "at least two texts"), ([], "at least two"),
                            (["a", ""], "is empty"), (["é", "a", "é "], 'the text "é" twice'),
                            ("sim|não", "a list of texts"), ([1, 2], "a list of texts")):
            with self.subTest(texts=texts):
                self.error({"question": QUESTION, "choices": texts}, '"choices"')
                self.error({"question": QUESTION, "choices": texts}, says)

    def test_options_that_do_not_go_with_it(self):
        for option in (("--temperature", "0.5"), ("--greedy",), ("-n", "2"), ("--num-beams", "3"),
                       ("--max-new-tokens", "5"), ("--logprobs", "2"), ("--best-of", "2")):
            with self.subTest(option=option):
                err = self.fail_with(2, "--choose", CHOOSE, *option, "--jsonl")
                name = option[0] if option[0] != "-n" else "--num-return-sequences"
                self.assertIn(f"{name} does not go with --choose", err)
        self.error({"question": QUESTION, "choices": TEXTS, "temperature": 0.5},
                   '"temperature" does not go with "choices"')
        self.error({"question": QUESTION, "choices": TEXTS, "max_tokens": 5},
                   '"max_tokens" does not go with "choices"')
        self.error({"question": QUESTION, "top_k": 3}, '"top_k" does not go with --choose',
                   args=("--choose", CHOOSE))

    def test_what_does_not_fit_the_context(self):
        self.error({"question": QUESTION, "choices": ["sim", "é" * 20]},
                   "and the longest choice 41, but the model's context holds 64")

    def test_a_template_and_many_choices(self):
        texts = [f"resposta número {i}" for i in range(40)]
        [line] = self.lines({"question": "?", "template": "{}\n", "choices": texts})
        [other] = self.lines({"question": "?", "template": "{}\n", "choices": texts},
                             args=("--batch", "5"))
        self.assertEqual(line["choices"], other["choices"])
        self.assertEqual(len(line["choices"]), 40)
        code, out, err = run("-m", model(), "--template", r"{}\n", "--choose", "|".join(texts), "?")
        self.assertEqual((code, out.decode()), (0, line["answers"][0]["text"] + "\n"), err)


if __name__ == "__main__":
    main()
