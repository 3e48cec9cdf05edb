"""Options that do not go together, and words that are no option, command or value: what is refused,
what yields, and what the sentence proposes."""

import itertools
import json
import os

from harness import CliTest, Terminal, environment, main, model, run, scratch, tiny_model

DRAWS = {"temperature": 0.7, "top_k": 5, "top_p": 0.7, "min_p": 0.1, "typical_p": 0.7,
         "epsilon_cutoff": 0.01, "eta_cutoff": 0.01}
VALUES = {
    **DRAWS, "max_new_tokens": 3, "max_length": 33, "repetition_penalty": 1.1, "presence_penalty": 0.1, "frequency_penalty": -0.1,
    "no_repeat_ngram_size": 3, "min_new_tokens": 2, "min_length": 3, "greedy": True,
    "do_sample": True, "seed": 3, "num_return_sequences": 2, "best_of": 2, "stop": ["é"],
    "eos_token_id": [7], "stop_on_loop": True, "bad_words": ["ç"], "bad_words_ids": [[5, 9]],
    "suppress_tokens": [6], "begin_suppress_tokens": [5], "forced_bos_token_id": [5],
    "forced_eos_token_id": [5], "logit_bias": {"5": -1.5}, "sequence_bias": [[[5, 9], -1.5]],
    "exponential_decay_length_penalty": [3, 1.5], "logprobs": 1, "num_beams": 2,
    "length_penalty": 0.5, "early_stopping": True, "renormalize_logits": True}


def names_of_options():
    table = run("help", "options")[1].decode().splitlines()
    return [row.split("|")[2].strip(" `") for row in table if row.startswith("| `-")]


def refused_pairs():
    pairs = [("greedy", "do_sample"), ("greedy", "best_of"), ("num_beams", "do_sample"),
             ("num_beams", "best_of"), ("num_beams", "logprobs"), ("num_beams", "stop_on_loop"),
             ("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")]
    pairs += [(one, draw) for one in ("greedy", "num_beams") for draw in DRAWS]
    return {frozenset(pair) for pair in pairs}


class Pairs(CliTest):
    """The command line's pairs are in tests/command_line_test.cpp."""

    def test_every_pair_in_json_lines(self):
        self.assertEqual(sorted(VALUES), sorted(names_of_options()))
        pairs = list(itertools.combinations(VALUES, 2))
        lines = [json.dumps({"question": "olá", **{name: VALUES[name] for name in pair}})
                 for pair in pairs]
        got = self.json_lines("-m", model(), "--jsonl", "--max-new-tokens", "3",
                              stdin="\n".join(lines), code=1)
        self.assertEqual(len(got), len(pairs))
        for pair, line in zip(pairs, got):
            with self.subTest(pair=pair):
                needs_beams = ({"length_penalty", "early_stopping"} & set(pair)
                               and "num_beams" not in pair)
                refused = frozenset(pair) in refused_pairs()
                self.assertEqual("error" in line, bool(refused or needs_beams), line)
                if refused:
                    for name in pair:
                        written = f'"{name}": {json.dumps(VALUES[name])}'
                        self.assertIn(written, line["error"]["message"])
                elif needs_beams:
                    self.assertIn('"num_beams" of at least 2', line["error"]["message"])

    def test_what_asks_for_nothing_goes_with_everything(self):
        nothing = {"temperature": 0, "top_k": 0, "top_p": 1, "min_p": 0, "typical_p": 1,
                   "epsilon_cutoff": 0, "eta_cutoff": 0, "best_of": 1, "do_sample": False,
                   "stop_on_loop": False, "seed": 9}
        lines = [json.dumps({"question": "olá", **one, **nothing})
                 for one in ({"num_beams": 2}, {"greedy": True})]
        plain = [json.dumps({"question": "olá", **one}) for one in ({"num_beams": 2}, {"greedy": True})]
        ask = ("-m", model(), "--jsonl", "--max-new-tokens", "5")
        self.assertEqual([line["answers"] for line in self.json_lines(*ask, stdin="\n".join(lines))],
                         [line["answers"] for line in self.json_lines(*ask, stdin="\n".join(plain))])

    def test_a_line_beside_the_command_line(self):
        def one(line, *args, code=0):
            [got] = self.json_lines("-m", model(), "--jsonl", *args, code=code,
                                    stdin=json.dumps({"question": "olá", **line}))
            return got

        short = ("--max-new-tokens", "3")
        self.assertIn('"num_beams": 2 searches for the best answer and --temperature 0.70 is for',
                      one({"num_beams": 2}, *short, "--temperature", "0.70", code=1)["error"]["message"])
        self.assertIn("--best-of 2 does not go with \"num_beams\": 2",
                      one({"num_beams": 2}, *short, "--best-of", "2", code=1)["error"]["message"])
        # One and the same setting: the line's counts.
        one({"do_sample": True}, *short, "--greedy")
        one({"num_beams": 2, "temperature": 0}, *short, "--temperature", "0.7")
        [answer] = one({"max_length": 10}, "--max-new-tokens", "3", "--greedy")["answers"]
        self.assertNotEqual(len(answer["token_ids"]), 3)
        # What all lines are told may be for some of them.
        one({}, *short, "--length-penalty", "2")
        one({"num_beams": 2}, *short, "--length-penalty", "2")

    def test_on_the_command_line(self):
        for says, args in (
                ("--num-beams 3 searches for the best answer and --temperature 0.5 is for drawing",
                 ("--num-beams", "3", "--temperature", "0.5")),
                ("--greedy takes the most probable token and --top-p 0.9 is for drawing",
                 ("--top-p", "0.9", "--greedy")),
                ("--greedy and --do-sample", ("--greedy", "--do-sample")),
                ("--greedy takes the most probable token and --best-of 3",
                 ("--greedy", "--best-of", "3")),
                ("--temperature 0 takes the most probable token and --do-sample",
                 ("--temperature", "0", "--do-sample")),
                ("--max-new-tokens 5 and --max-length 9", ("--max-new-tokens", "5", "--max-length", "9")),
                ("--min-new-tokens 9 is more than --max-new-tokens 5.",
                 ("--max-new-tokens", "5", "--min-new-tokens", "9")),
                ("--length-penalty 0.5 is for beam search, which --num-beams of at least 2",
                 ("--length-penalty", "0.5")),
                ("--early-stopping never is for beam search", ("--early-stopping", "never")),
                ("--stats writes to stderr what --quiet keeps", ("--stats", "-q"))):
            with self.subTest(args=args):
                self.assertIn(says, self.fail_with(2, "-m", model(), *args, "olá"))

    def test_harmless_pairs(self):
        for args in (("--greedy", "--seed", "3"), ("--num-beams", "2", "--seed", "3"),
                     ("--num-beams", "2", "--greedy"), ("--greedy", "-n", "2"),
                     ("--temperature", "0", "--top-p", "0.9"), ("--numbered",),
                     ("--num-beams", "2", "--length-penalty", "0.5", "--early-stopping", "never")):
            with self.subTest(args=args):
                self.succeed("-m", model(), "--max-new-tokens", "3", *args, "olá")

    def test_a_models_defaults_yield(self):
        folder = tiny_model.write(scratch("beams-by-default"))
        with open(os.path.join(folder, "generation_config.json"), "w", encoding="utf-8") as file:
            json.dump({"num_beams": 3, "max_new_tokens": 9}, file)
        ask = ("-m", folder, "--seed", "1")
        self.succeed(*ask, "--length-penalty", "0.5", "olá")  # there are beams
        drawn = self.succeed(*ask, "--temperature", "2.5", "olá")
        self.assertEqual(drawn, self.succeed(*ask, "--temperature", "2.5", "--num-beams", "1", "olá"))
        self.assertNotEqual(drawn, self.succeed(*ask, "olá"))
        [line] = self.json_lines(*ask, "--jsonl", "--logprobs", "1", stdin='{"question": "olá"}')
        self.assertIn("logprobs", line["answers"][0])
        [line] = self.json_lines(*ask, "--jsonl", stdin='{"question": "olá", "min_new_tokens": 12}')
        self.assertEqual(len(line["answers"][0]["token_ids"]), 12)

    def test_in_the_chat(self):
        terminal = Terminal("-m", model(), "--max-new-tokens", "3")
        terminal.wait_for("> ")
        for command, says in (("num_beams 2", "\nnum_beams 2\n> "),
                              ("temperature 0.5", '"num_beams" 2 searches for the best answer and '
                               '"temperature" 0.5 is for drawing; leave one of them out.\n> '),
                              ("max_length 9", "\nmax_length 9\n> "),
                              ("max_new_tokens 8", "\nmax_new_tokens 8\n> ")):
            terminal.type(f"/params {command}\n")
            terminal.wait_for(says)
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)


class Suggestions(CliTest):
    def proposed(self, *args):
        err = self.fail_with(2, *args)
        self.assertRegex(err, r"There is no (option|command) \"[^\n]*\n")
        return err.splitlines()[0].split("; ", 1)[-1].split(": ", 2)[-1]

    def test_options(self):
        for word, option in (("--temprature=1", "--temperature"), ("--temp", "--temperature"),
                             ("-temperature", "--temperature"), ("--Temperature", "--temperature"),
                             ("--max-tokens", "--max-new-tokens"), ("--max_tokens", "--max-new-tokens"),
                             ("--n-predict", "--max-new-tokens"), ("--num-predict", "--max-new-tokens"),
                             ("--top_k", "--top-k"), ("--topk=3", "--top-k"), ("-top_p", "--top-p"),
                             ("--n", "--num-return-sequences"), ("--repeat-penalty", "--repetition-penalty"),
                             ("--beams", "--num-beams"), ("--batch-size", "--batch"), ("-b", "--batch"),
                             ("--json", "--jsonl"), ("--jsnol", "--jsonl"), ("--modle", "--model"),
                             ("--hf-repo", "--model"), ("--lora", "--adapter"), ("--silent", "--quiet"),
                             ("--quantize", "--dtype"), ("--n-threads", "--threads"), ("-v", "--stats"),
                             ("--num-bemas", "--num-beams"), ("--verison", "--version")):
            with self.subTest(word=word):
                self.assertEqual(self.proposed(word, "0.5", "olá"), f"the nearest is {option}.")

    def test_what_other_programs_have(self):
        for word, says in (("-p", 'aira-cli "QUESTION".'), ("--prompt", 'aira-cli "QUESTION".'),
                           ("--system", "--template"), ("-sys", "--template"), ("--stream", "streamed"),
                           ("--ctx-size", "aira-cli info"), ("--n_ctx", "aira-cli info"),
                           ("-ngl", "--device cuda"), ("--gpu", "--device cuda"),
                           ("--cpu", "--device cpu"), ("-i", "chat")):
            with self.subTest(word=word):
                err = self.fail_with(2, word, "olá")
                self.assertIn(f'There is no option "{word}": ', err)
                self.assertIn(says, err)

    def test_of_another_command_only_its_own(self):
        self.assertIn('There is no option "--temperature" here.',
                      self.fail_with(2, "score", "--temperature", "1"))
        self.assertIn("the nearest is --decode.", self.fail_with(2, "tokenize", "--decoed"))
        self.assertIn("the nearest is --prompt-tokens.", self.fail_with(2, "bench", "--prompt_tokens", "5"))

    def test_what_is_like_nothing(self):
        for word in ("--foo", "-z", "--água", "--" + "x" * 5000):
            self.assertIn("a question that begins with - goes after --.", self.fail_with(2, word))

    def test_commands(self):
        for word, command in (("scroe", "score"), ("tokenise", "tokenize"), ("benhc", "bench"),
                              ("infos", "info"), ("tokenizer", "tokenize")):
            with self.subTest(word=word):
                self.assertIn(f'There is no command "{word}"; the nearest is {command}. ',
                              self.fail_with(2, "-m", model(), word, "--batch", "3"))
                self.assertIn(f"the nearest is {command}.", self.fail_with(2, "help", word))

    def test_questions_of_one_word_stay_questions(self):
        for word in ("que", "cat", "what", "olá", "Scroe", "versão", "bem"):
            self.succeed("-m", model(), "--max-new-tokens", "1", word)
        self.succeed("-m", model(), "--max-new-tokens", "1", "--", "scroe")

    def test_in_json_lines_and_the_chat(self):
        [line] = self.json_lines("-m", model(), "--jsonl", code=1,
                                 stdin='{"question": "olá", "temprature": 1}')
        self.assertIn('"temprature"', line["error"]["message"])
        self.assertIn('"temperature"', line["error"]["message"])
        terminal = Terminal("-m", model())
        terminal.wait_for("> ")
        terminal.type("/params temp 0.5\n")
        terminal.wait_for('There is no request option "temp"; the nearest is "temperature".\n> ')
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)


if __name__ == "__main__":
    main()
