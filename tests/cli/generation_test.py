"""What a model's generation_config.json asks for, and what goes before it."""

import json

from harness import CliTest, main, model, run

THREE_BEAMS = {"do_sample": False, "repetition_penalty": 1.0, "max_new_tokens": 12,
               "min_new_tokens": 5, "no_repeat_ngram_size": 2, "num_beams": 3,
               "num_return_sequences": 3}


def lines_of(*lines):
    return "".join(json.dumps(line) + "\n" for line in lines)


class Generation(CliTest):
    def answers(self, folder, *args, line=None):
        asked = lines_of({"question": "Olá, três?", **(line or {})})
        return self.json_lines("-m", folder, "--jsonl", *args, stdin=asked)[0]["answers"]

    def test_beams_and_answers_of_the_file_count(self):
        folder = model(generation=THREE_BEAMS)
        self.assertEqual(len(self.succeed("-m", folder, "Olá, três?").splitlines()), 3)
        answers = self.answers(folder)
        self.assertEqual(len(answers), 3)
        self.assertEqual(sorted(a["score"] for a in answers)[::-1], [a["score"] for a in answers])
        one = self.answers(folder, "-n", "1", line={"num_beams": 1})
        self.assertEqual(len(one), 1)
        self.assertNotIn("score", one[0])

    def test_a_line_goes_before_the_command_line_and_that_before_the_file(self):
        folder = model(generation={"do_sample": False, "max_new_tokens": 7})
        for count, args, line in ((7, (), {}), (5, ("--max-new-tokens", "5"), {}),
                                  (3, ("--max-new-tokens", "5"), {"max_new_tokens": 3})):
            self.assertEqual(len(self.answers(folder, *args, line=line)[0]["token_ids"]), count)

    def test_max_length_counts_the_prompt(self):
        folder = model(generation={"max_length": 9})
        asked = {"prompt_ids": [65, 66, 67, 68]}
        got = self.json_lines("-m", folder, "--jsonl", stdin=lines_of(asked))[0]["answers"]
        self.assertEqual(len(got[0]["token_ids"]), 5)
        got = self.json_lines("-m", folder, "--jsonl", code=1,
                              stdin=lines_of({"prompt_ids": [65] * 9}))[0]["error"]["message"]
        self.assertIn('"max_length" allows 9', got)

    def test_end_ids_are_the_files(self):
        asked = {"greedy": True, "repetition_penalty": 1, "max_new_tokens": 12}
        ids = self.answers(model(), line=asked)[0]["token_ids"]
        end = next(id for id in ids[1:] if id != ids[0])
        until = ids[:ids.index(end) + 1]
        folder = model(generation={"eos_token_id": [end, 4000]})
        self.assertEqual(self.answers(folder, line=asked)[0]["token_ids"], until)
        self.assertEqual(self.answers(folder, "--eos-token-id", "-1", line=asked)[0]["token_ids"],
                         ids)

    def test_what_plays_no_part_is_not_looked_at(self):
        odd = {"do_sample": False, "temperature": 0.0, "top_p": 0.0, "top_k": -1,
               "pad_token_id": -1, "eos_token_id": -1, "max_new_tokens": 6}
        plain = {"do_sample": False, "max_new_tokens": 6}
        self.assertEqual(self.succeed("-m", model(generation=odd), "x"),
                         self.succeed("-m", model(generation=plain), "x"))

    def test_temperature_0_and_top_p_0_are_greedy(self):
        greedy = self.answers(model(), "--greedy")
        self.assertEqual(self.answers(model(), "--temperature", "0"), greedy)
        self.assertEqual(self.answers(model(), line={"temperature": 0}), greedy)
        self.assertEqual(self.answers(model(), "--top-p", "0", "--temperature", "3"), greedy)

    def test_what_is_not_supported_is_named_once(self):
        folder = model(generation={"guidance_scale": 1.5, "penalty_alpha": 0.6, "top_hat": 1,
                                   "max_new_tokens": 2, "encoder_repetition_penalty": 2.0,
                                   "use_cache": False})
        code, _, err = run("-m", folder, stdin="a\nb\n")
        self.assertEqual(code, 0)
        self.assertRegex(err, r'\Aaira-cli: In [^\n]*generation_config.json, [^\n]*: '
                              r'"encoder_repetition_penalty", "guidance_scale", "penalty_alpha", "top_hat"\.\n\Z')
        self.assertEqual(run("-m", folder, "-q", stdin="a\n")[2], "")

    def test_a_wrong_value_is_named_with_its_file(self):
        for key, value in (("max_new_tokens", "many"), ("bad_words_ids", [[]])):
            err = self.fail_with(1, "-m", model(generation={key: value}), "x")
            self.assertIn(f'generation_config.json: "{key}" must be', err)

    def test_a_stop_text_ends_beams(self):
        beams = ("--num-beams", "3", "--max-new-tokens", "12", "--length-penalty", "1")
        whole = self.answers(model(), *beams)[0]
        stops = [word for letter in set(whole["text"]) for word in ("--stop-strings", letter)]
        cut = self.answers(model(), *beams, *stops)[0]
        self.assertEqual(cut["finish_reason"], "stop")
        self.assertLess(len(cut["token_ids"]), len(whole["token_ids"]))
        self.assertFalse(set(cut["text"]) & set(whole["text"]))

    def test_a_stop_text_may_begin_in_the_prompt(self):
        # In this model every byte is a token.
        asked = [{"prompt": chr(97 + i), "greedy": True, "max_new_tokens": 6} for i in range(26)]
        found = self.json_lines("-m", model(), "--jsonl", stdin=lines_of(*asked))
        line, ids = next((line, ids) for line, ids in
                         zip(asked, [f["answers"][0]["token_ids"] for f in found])
                         if 32 < ids[0] < 127)
        [got] = self.json_lines("-m", model(), "--jsonl",
                                stdin=lines_of({**line, "stop": line["prompt"] + chr(ids[0])}))
        self.assertEqual(got["answers"][0]["token_ids"], ids[:1])

    def test_info_says_where_defaults_come_from(self):
        folder = model(markers=False, generation={"do_sample": True, "top_k": 7, "num_beams": 2})
        code, out, err = run("info", "--json", "-m", folder)
        self.assertEqual(code, 0)
        self.assertIn("not sampled", err)
        info = json.loads(out)
        self.assertEqual(info["generation"]["top_k"], 7)
        self.assertEqual(info["generation"]["temperature"], 1)
        origin = info["generation_from"]
        self.assertEqual([origin[name] for name in ("top_k", "do_sample", "greedy", "num_beams")],
                         ["generation_config.json"] * 4)
        self.assertEqual((origin["temperature"], origin["max_new_tokens"]),
                         ("transformers", "default"))
        self.assertRegex(self.succeed("info", "-m", model(generation={"top_k": 7})).decode(),
                         r"\ntop_k +7  \(generation_config.json\)\n")


if __name__ == "__main__":
    main()
