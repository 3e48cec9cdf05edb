"""tokenize, score, info and bench."""

import json
import math
import os
import re
import shutil

from harness import CliTest, main, model, scratch

END_OF_TEXT = 256


class Tokenize(CliTest):
    def tokenize(self, text, *args, **how):
        return self.succeed("tokenize", "-m", model(), *args, stdin=text, **how).decode()

    def test_lines(self):
        self.assertEqual(self.tokenize("ab\n\né\r\nx"), "97 98\n\n195 169\n120\n")

    def test_round_trip(self):
        text = "Olá, mundo!  Tudo bem?\n\n\t x\u2603 \U0001f600\nfim\n"
        self.assertEqual(self.tokenize(self.tokenize(text), "--decode"), text)

    def test_special_tokens(self):
        self.assertEqual(self.tokenize("<|endoftext|>"), f"{END_OF_TEXT}\n")
        self.assertEqual(self.tokenize("<|endoftext|>", "--plain"),
                         " ".join(str(byte) for byte in b"<|endoftext|>") + "\n")
        self.assertEqual(self.tokenize(f"{END_OF_TEXT}\n", "--decode"), "<|endoftext|>\n")

    def test_json_lines(self):
        args = ("tokenize", "-m", model(), "--jsonl")
        self.assertEqual(self.json_lines(*args, stdin='{"text": "a\\n<|endoftext|>"}\n'),
                         [{"model": model(), "ids": [97, 10, END_OF_TEXT]}])
        self.assertEqual(self.json_lines(*args, "--decode", stdin='{"ids": [97, 10], "id": 5}\n'),
                         [{"id": 5, "model": model(), "text": "a\n"}])

    def test_bad_json_lines(self):
        args = ("tokenize", "-m", model(), "--jsonl")
        for line in ("x", "{}", '{"text": 1}', '{"text": "a", "ids": [1]}', '{"ids": [1]}'):
            [result] = self.json_lines(*args, stdin=line, code=1)
            self.assertIn("error", result)
        for line in ('{"ids": [-1]}', '{"ids": 1}', '{"ids": [1.5]}', '{"ids": ["a"]}',
                     '{"ids": [99999999999]}', '{"text": "a"}', '{"ids": [97], "text": "a"}'):
            [result] = self.json_lines(*args, "--decode", stdin=line, code=1)
            self.assertIn("error", result)

    def test_bad_ids_keep_their_place(self):
        from harness import run
        code, out, err = run("tokenize", "-m", model(), "--decode", stdin="97\nx\n98 -1\n99\n")
        self.assertEqual((code, out), (1, b"a\n\n\nc\n"))
        self.assertIn("line 2", err)
        self.assertIn("line 3", err)

    def test_reads_no_weights(self):
        folder = shutil.copytree(model(), scratch("no-weights"))
        os.remove(os.path.join(folder, "model.safetensors"))
        self.assertEqual(self.succeed("tokenize", "-m", folder, stdin="a"), b"97\n")

    def test_an_empty_input(self):
        self.assertEqual(self.tokenize(""), "")


class Score(CliTest):
    def score(self, *lines, code=0, args=()):
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n"
                       for line in lines)
        return self.json_lines("score", "-m", model(), *args, stdin=text, code=code)

    def test_a_continuation(self):
        [result] = self.score({"context": "ab", "continuation": "cd"})
        self.assertEqual(list(result), ["model", "logprob", "is_greedy", "tokens"])
        self.assertEqual([token["id"] for token in result["tokens"]], [99, 100])
        self.assertAlmostEqual(result["logprob"],
                               sum(token["logprob"] for token in result["tokens"]), places=6)
        self.assertIs(result["is_greedy"], False)

    def test_a_text_stands_after_the_end_of_text_token(self):
        whole, same = self.score({"text": "abc"}, {"context": "", "continuation": "abc"})
        self.assertEqual(whole, same)
        self.assertEqual(len(whole["tokens"]), 3)

    def test_exactly_one_token_is_greedy(self):
        letters = [chr(byte) for byte in range(128)]
        results = self.score(*({"context": "ab", "continuation": letter} for letter in letters))
        line = json.dumps({"prompt": "ab", "max_new_tokens": 1, "greedy": True,
                           "repetition_penalty": 1})
        [answered] = self.json_lines("-m", model(), "--jsonl", stdin=line)
        [token] = answered["answers"][0]["token_ids"]
        greedy = [result["tokens"][0]["id"] for result in results if result["is_greedy"]]
        self.assertEqual(greedy, [token] if token < 128 else [])
        if token < 128:
            self.assertAlmostEqual(results[token]["logprob"], answered["answers"][0]["logprob"],
                                   places=5)
        best = max(result["logprob"] for result in results)
        self.assertGreaterEqual(answered["answers"][0]["logprob"], best - 1e-5)

    def test_pairs_are_encoded_as_the_harness_does(self):
        """Blanks at the end of the context belong to the continuation; special tokens count."""
        def ids(context, continuation):
            [result] = self.score({"context": context, "continuation": continuation})
            return [token["id"] for token in result["tokens"]]

        self.assertEqual(ids("a \u00a0\n", "b"), [32, 0xC2, 0xA0, 10, 98])
        self.assertEqual(ids("a", " b "), [32, 98, 32])
        self.assertEqual(ids(" \n", "b"), [32, 10, 98])
        self.assertEqual(ids("<|endofinstruction|>", "é<|endoftext|>"), [0xC3, 0xA9, END_OF_TEXT])
        self.assertEqual(ids("", "<|endoftext|>a"), [97])
        spaced, moved = self.score({"context": "um ", "continuation": "x"},
                                   {"context": "um", "continuation": " x"})
        self.assertEqual(spaced, moved)

    def test_several_continuations(self):
        texts = [" dois", " três", ""]
        line = {"context": "um", "logprobs": 3, "id": 4}
        [several] = self.score({**line, "continuations": texts})
        self.assertEqual(list(several), ["id", "model", "scores"])
        alone = self.score(*({**line, "continuation": text} for text in texts))
        for one, score in zip(alone, several["scores"], strict=True):
            self.assertEqual(one, {"id": 4, "model": model(), **score})
        [none] = self.score({"context": "um", "continuations": []})
        self.assertEqual(none["scores"], [])
        for bad in ("a", [1], ["a", None], {}):
            [error] = self.score({"context": "um", "continuations": bad}, code=1)
            self.assertIn('"continuations" must be a list of texts', error["error"]["message"])

    def test_the_most_probable_tokens(self):
        line = {"text": "aé" * 60}
        plain, none, three = self.score(line, {**line, "logprobs": 0}, {**line, "logprobs": 3})
        self.assertEqual(plain["tokens"], [{k: token[k] for k in ("id", "logprob")}
                                           for token in three["tokens"]])
        self.assertTrue(all(token["top"] == [] for token in none["tokens"]))
        for token in three["tokens"]:
            chances = [one["logprob"] for one in token["top"]]
            self.assertEqual(chances, sorted(chances, reverse=True))
            self.assertEqual(len(chances), 3)
            self.assertGreaterEqual(chances[0], token["logprob"])
        for bad in (-1, 1001, "3"):
            [error] = self.score({**line, "logprobs": bad}, code=1)
            self.assertIn('"logprobs" must be', error["error"]["message"])

    def test_perplexity_of_a_text(self):
        text = "São  João\n\nnão dorme.\n" * 9
        path = scratch("text.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        [result] = self.json_lines("score", "--perplexity", "-m", model(), "-f", path, stdin="")
        [piped] = self.json_lines("score", "--perplexity", "-m", model(), stdin=text)
        self.assertEqual(result, piped)
        [scored] = self.score({"text": text})
        total = scored["logprob"]
        counts = {"tokens": len(scored["tokens"]), "words": len(re.split(r"\s+", text)),
                  "bytes": len(text.encode())}
        self.assertEqual({name: result[name] for name in counts}, counts)
        self.assertAlmostEqual(result["logprob"], total)
        for name, count in (("perplexity", "tokens"), ("word_perplexity", "words"),
                            ("byte_perplexity", "bytes")):
            self.assertAlmostEqual(math.log(result[name]), -total / counts[count])
        self.assertAlmostEqual(result["bits_per_byte"], -total / counts["bytes"] / math.log(2))
        self.assertIn("empty", self.fail_with(1, "score", "--perplexity", "-m", model()))
        self.assertIn("/none", self.fail_with(1, "score", "--perplexity", "-m", model(), "-f", "/none"))

    def test_an_empty_continuation(self):
        [result] = self.score({"context": "ab", "continuation": ""})
        self.assertEqual(result, {"model": model(), "logprob": 0, "is_greedy": True, "tokens": []})

    def test_bad_lines_keep_their_place(self):
        good = {"text": "a", "id": 1}
        bad = ["x", "{}", {"text": 1}, {"context": "a"}, {"continuation": "a"},
               {"text": "a", "context": "b"}, {"text": "a", "logprob": 3}, {"context_ids": [1]},
               {"continuation_ids": [260]}, {"context": "x", "continuation": "x" * 1000}]
        lines = self.score(*[line for pair in zip(bad, [good] * len(bad)) for line in pair], code=1)
        for error, result in zip(lines[::2], lines[1::2]):
            self.assertIn("message", error["error"])
            self.assertEqual(result["id"], 1)
        self.assertIn("too long", lines[-2]["error"]["message"])


    def test_a_long_text_is_scored_in_windows(self):
        [line] = self.score({"text": "aé" * 300})
        self.assertEqual(len(line["tokens"]), 900)

    def test_ids(self):
        by_text, by_ids, bare = self.score(
            {"context": "a", "continuation": "b"},
            {"context_ids": [64 + 33], "continuation_ids": [64 + 34]},
            {"continuation_ids": [64 + 34]})
        self.assertEqual(len(by_ids["tokens"]), 1)
        self.assertNotEqual(by_ids["logprob"], bare["logprob"])


class Info(CliTest):
    def test_json(self):
        info = json.loads(self.succeed("info", "--json", "-m", model()))
        self.assertEqual(info["place"], model())
        self.assertEqual(info["parameters"], 11776)
        self.assertEqual((info["layers"], info["width"], info["heads"], info["context"]),
                         (2, 16, 2, 64))
        self.assertEqual((info["vocabulary"], info["stored_as"], info["runs_as"]),
                         (260, "f32", "f16"))
        self.assertIs(info["question_markers"], True)
        self.assertEqual(info["generation"]["top_k"], 30)
        self.assertIn("cpu", info["backend"])

    def test_int8(self):
        info = json.loads(self.succeed("info", "--json", "--dtype", "int8", "-m", model()))
        self.assertEqual(info["runs_as"], "int8")

    def test_text(self):
        out = self.succeed("info", "-m", model()).decode()
        for word in ("11776", "f32", "markers", "temperature", "cpu", model()):
            self.assertIn(word, out)

    def test_a_base_model(self):
        info = json.loads(self.succeed("info", "--json", "-m", model(markers=False)))
        self.assertIs(info["question_markers"], False)

    def test_a_folder_without_a_tokenizer(self):
        folder = shutil.copytree(model(), scratch("no-tokenizer"))
        os.remove(os.path.join(folder, "tokenizer.json"))
        info = json.loads(self.succeed("info", "--json", "-m", folder))
        self.assertIn("tokenizer", info["tokenizer_problem"])


class Bench(CliTest):
    def test_table(self):
        out = self.succeed("bench", "-m", model(), "-p", "16", "-n", "8", "-r", "2").decode()
        for word in ("prompt 16", "decode 8 at 16", "32 sequences", "tokens/s", "GB/s",
                     " %", "f16", "cpu"):
            self.assertIn(word, out)

    def test_json(self):
        report = json.loads(self.succeed("bench", "--json", "-m", model(context=1024), "-n", "30",
                                         "-r", "1"))
        self.assertGreater(report["memory_gb_per_second"], 0)
        tests = report["tests"]
        self.assertEqual([(test["test"], test["tokens"], test.get("position"),
                           test.get("sequences")) for test in tests],
                         [("prompt", 512, None, 1), ("decode", 30, 16, 1), ("decode", 30, 994, 1),
                          ("decode", 30, 16, 8), ("decode", 30, 16, 32)])
        for test in tests:
            self.assertGreater(test["tokens_per_second"], 0)
            self.assertEqual("percent_of_bandwidth" in test, test["test"] == "decode")
            self.assertEqual(test["rounds"], 1)

    def test_json_without_a_tokenizer(self):
        folder = shutil.copytree(model(), scratch("bench"))
        os.remove(os.path.join(folder, "tokenizer.json"))
        report = json.loads(self.succeed("bench", "--json", "-m", folder, "-p", "64", "-n", "0",
                                         "-r", "3", "--dtype", "f32", "-t", "1"))
        [test] = report["tests"]
        self.assertEqual((test["test"], test["tokens"], test["rounds"]), ("prompt", 64, 3))
        self.assertEqual((report["dtype"], report["threads"]), ("f32", 1))
        self.assertGreater(test["tokens_per_second"], 0)

    def test_longer_than_the_context(self):
        self.assertIn("64", self.fail_with(1, "bench", "-m", model(), "-p", "65"))
        out = self.succeed("bench", "-m", model(), "-r", "1").decode()  # the defaults fit
        self.assertIn("prompt 64", out)
        self.assertIn("decode 48 at 16", out)


if __name__ == "__main__":
    main()
