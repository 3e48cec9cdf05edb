"""Folders as people make them give what transformers gives: tests/data/folders.

Each folder is put together from files.tar.xz in a folder of its own and asked what cases.json says:
ids of texts, ids and texts of answers, or a sentence that refuses it. tools/goldens/folders.py
made both. The random generation configs are from generation_configs.py there, the scores from
scores.py.
"""

import json
import os
import shutil
import tarfile

from harness import ROOT, CliTest, environment, main, run, scratch

DATA = os.path.join(ROOT, "tests", "data", "folders")


def cases(*groups):
    with open(os.path.join(DATA, "cases.json"), encoding="utf-8") as file:
        return [case for case in json.load(file) if case["name"].split("/")[0] in groups]


class Archive:
    """The distinct files of all folders; each is unpacked once and linked into the folders."""

    def __init__(self):
        self.place = scratch("files")
        with tarfile.open(os.path.join(DATA, "files.tar.xz")) as archive:
            archive.extractall(self.place)

    def build(self, case):
        folder = scratch(case["name"])
        for name, number in case["files"].items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.link(os.path.join(self.place, str(number)), path)
        return folder


class Folders(CliTest):
    maxDiff = None

    def in_folder(self, case, *args, stdin):
        """(exit code, JSON lines, stderr) of a run with the folder's model."""
        model = os.path.join(self.folder, case.get("model", ""))
        text = "".join(json.dumps(line) + "\n" for line in stdin)
        code, out, err = run(*args, "-m", model, stdin=text, env=environment(AIRA_CACHE="off"))
        return code, [json.loads(line) for line in out.decode().splitlines()], err

    def ask(self, case):
        args = [arg.replace("{folder}", self.folder) for arg in case.get("args", ())]
        return self.in_folder(case, "--jsonl", "--device", "cpu", "--dtype", "f32", *args,
                              stdin=[line["in"] for line in case["lines"]])

    def check_answers(self, case):
        code, lines, err = self.ask(case)
        self.assertEqual(code, 0, err + "".join(json.dumps(x) for x in lines if "error" in x))
        if case.get("differs") == "refused there":
            return
        want = [line["answers"] for line in case["lines"]]
        got = [line["answers"] for line in lines]
        ids = [[a["token_ids"] for a in answers] for answers in got]
        want_ids = [[a["ids"] for a in answers] for answers in want]
        if "why_different" in case and "differs" not in case:
            self.assertNotEqual(ids, want_ids, "no longer different: " + case["why_different"])
            return
        self.assertEqual(ids, want_ids)
        if case.get("differs") == "text":
            self.assertNotEqual([[a["text"] for a in answers] for answers in got],
                                [[a["text"] for a in answers] for answers in want])
            return
        questions = ["question" in line["in"] for line in case["lines"]]  # trimmed, unlike prompts
        self.assertEqual([[a["text"] for a in answers] for answers in got],
                         [[a["text"].strip() if question else a["text"] for a in answers]
                          for answers, question in zip(want, questions)])
        if case.get("note") != "*":
            self.assertEqual(err.count("\n"), 1 if "note" in case else 0, err)
            self.assertIn(case.get("note", ""), err)

    def check_texts(self, case):
        texts = case.get("texts", [])
        for args, key in (((), "ids"), (("--template",), "template")):
            chosen = [text for text in texts if key in text]
            if chosen:
                code, lines, err = self.in_folder(case, "tokenize", "--jsonl", *args,
                                                  stdin=[{"text": t["text"]} for t in chosen])
                self.assertEqual(code, 0, err)
                self.assertEqual([(t["text"], line.get("ids")) for t, line in zip(chosen, lines)],
                                 [(t["text"], t[key]) for t in chosen])

    def check_refusal(self, case):
        code, lines, err = self.ask(case)
        said = err + "".join(line["error"]["message"] for line in lines if "error" in line)
        self.assertEqual((code, [line for line in lines if "answers" in line]), (1, []), said)
        self.assertIn(case["error"], said)
        self.assertEqual(os.path.exists("run-by-pickle"), False)

    def check(self, *groups):
        archive = Archive()
        for case in cases(*groups):
            self.folder = archive.build(case)
            if "error" in case:
                with self.subTest(folder=case["name"]):
                    self.check_refusal(case)
            else:
                with self.subTest(folder=case["name"], what="texts"):
                    self.check_texts(case)
                with self.subTest(folder=case["name"], what="answers"):
                    self.check_answers(case)
            shutil.rmtree(self.folder)

    def check_config(self, record):
        """One random generation config, in the file that it stands in."""
        path = os.path.join(self.folder, "generation_config.json")
        content = dict(record["config"])
        if os.path.exists(path):
            os.remove(path)
        if "legacy" in record:
            path = os.path.join(self.folder, "config.json")
            os.remove(path)
            content = {**self.config, **content}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(content, file)
        case = {"lines": [{"in": {"prompt": prompt}} for prompt, _ in record.get("answers", [])]}
        code, lines, err = self.ask(case if case["lines"] else {"lines": [{"in": {"prompt": "e"}}]})
        said = err + "".join(line["error"]["message"] for line in lines if "error" in line)
        if "refused" in record:
            self.assertEqual((code, [x for x in lines if "answers" in x]), (1, []), said)
            self.assertTrue(any(name in said for name in record["refused"]), said)
        else:
            self.assertEqual(code, 0, said)
            self.assertEqual([[a["token_ids"] for a in line["answers"]] for line in lines],
                             [ids for _, ids in record["answers"]])

    def check_configs(self, step):
        [case] = [case for case in cases("generation") if case["name"] == "generation/greedy"]
        archive = Archive()
        with open(os.path.join(DATA, "generation_configs.json"), encoding="utf-8") as file:
            records = json.load(file)
        for number in range(0, len(records), step):
            self.folder = archive.build(case)
            with open(os.path.join(self.folder, "config.json"), encoding="utf-8") as file:
                self.config = json.load(file)
            record = records[number]
            with self.subTest(folder=f"random/{number}", config=json.dumps(record["config"])):
                self.check_config(record)
            shutil.rmtree(self.folder)

    def test_random_generation_configs(self):
        self.check_configs(7)

    def test_all_random_generation_configs_slow(self):
        self.check_configs(1)

    def test_scores(self):
        archive = Archive()
        with open(os.path.join(DATA, "scores.json"), encoding="utf-8") as file:
            scores = json.load(file)
        for case in cases("generation", "tokenizer"):
            if case["name"] not in scores:
                continue
            self.folder = archive.build(case)
            pairs = scores[case["name"]]
            code, lines, err = self.in_folder(
                case, "score", "--device", "cpu", "--dtype", "f32",
                stdin=[{"context": pair[0], "continuation": pair[1]} for pair in pairs])
            with self.subTest(folder=case["name"]):
                self.assertEqual(code, 0, err)
            for (context, continuation, logprob, greedy, ids), line in zip(pairs, lines):
                with self.subTest(folder="score/" + case["name"], context=context,
                                  text=continuation):
                    self.assertEqual([token["id"] for token in line.get("tokens", [])], ids, line)
                    self.assertAlmostEqual(line["logprob"], logprob, delta=1e-4 * len(ids))
                    self.assertEqual(line["is_greedy"], greedy)
            shutil.rmtree(self.folder)

    def test_weights(self):
        self.check("weights")

    def test_config(self):
        self.check("config", "activations")

    def test_generation_config(self):
        self.check("generation", "legacy", "noted")

    def test_language_generation(self):
        self.check("language")

    def test_tokenizer_files(self):
        self.check("tokenizer")

    def test_chat_templates(self):
        self.check("chat")

    def test_adapters(self):
        self.check("adapter")

    def test_deliberate_differences(self):
        self.check("different")

    def test_refusals(self):
        self.check("refused")


if __name__ == "__main__":
    main()
