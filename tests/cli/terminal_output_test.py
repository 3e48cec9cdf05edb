"""Nothing out of a model, a question or a name makes a terminal do something; pipes get the bytes."""

import json
import os
import re
import shutil
import subprocess

import tiny_model
from chat_terminal import HOT, ChatTerminal
from harness import CliTest, environment, main, model, run, scratch

OWN = "\x1b]0;own\x07"
# What the program itself sends: line breaks, and in a terminal's own time colours.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
MANY = ("--seed", "1", *HOT[4:], "--max-new-tokens", "60")


class TerminalOutput(CliTest):
    def shown(self, *args, stdin=b""):
        """What a terminal gets on stdout and stderr."""
        terminal = ChatTerminal(*args, stdin=subprocess.PIPE, env=environment(AIRA_CACHE="off"))
        terminal.process.stdin.write(stdin)
        terminal.process.stdin.close()
        terminal.end()
        return terminal.raw.decode()

    def test_answers(self):
        piped = self.succeed("-m", model(), "--raw", *MANY, "um").decode()
        self.assertRegex(piped, CONTROL)
        lines = json.dumps({"prompt": "um" + OWN + "\x9b1m"}).encode()
        for args, stdin in (((*MANY, "um"), b""), (("--raw", *MANY, "um"), b""),
                            (("--raw", "--no-stream", *MANY, "um"), b""), (MANY, b"um\n"),
                            (("--raw", "--no-stream", *MANY), b"um\n"), (("--jsonl", *MANY), lines)):
            with self.subTest(args=args):
                text = self.shown("-m", model(), *args, stdin=stdin)
                self.assertGreater(len(text), 40)
                self.assertNotRegex(text, CONTROL)

    def test_ids_as_text(self):
        ids = b"27 93 48 59 7\n"
        self.assertIn(b"\x1b", self.succeed("tokenize", "-m", model(), "--decode", stdin=ids))
        text = self.shown("tokenize", "-m", model(), "--decode", stdin=ids)
        self.assertEqual(text.strip(), "\N{REPLACEMENT CHARACTER}]0;\N{REPLACEMENT CHARACTER}")

    def folder(self):
        """A model whose special token and whose shard have names that give orders."""
        folder = scratch("own")
        shutil.rmtree(folder, ignore_errors=True)
        tiny_model.write(folder)
        path = os.path.join(folder, "tokenizer.json")
        with open(path, encoding="utf-8") as file:
            tokenizer = json.load(file)
        tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 260, "content": OWN})
        with open(path, "w", encoding="utf-8") as file:
            json.dump(tokenizer, file)
        with open(os.path.join(folder, "special_tokens_map.json"), "w", encoding="utf-8") as file:
            json.dump({"eos_token": OWN, "pad_token": OWN}, file)
        return folder

    def test_names(self):
        folder = self.folder()
        self.assertNotRegex(self.shown("info", "-m", folder), CONTROL)
        self.assertIn("own", self.shown("info", "-m", folder))
        shard = f"model{OWN}.safetensors"
        os.remove(os.path.join(folder, "model.safetensors"))
        with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
            json.dump({"weight_map": {"wte.weight": shard}}, file)
        for args in (("-m", folder, "um"), ("info", "-m", folder), ("-m", folder + OWN, "um"),
                     ("-f", OWN), ("--stop", OWN, "--min-p", OWN, "um"), ("tokenize", OWN)):
            with self.subTest(args=args):
                self.assertNotRegex(self.shown(*args), CONTROL)
                self.assertNotRegex(run(*args)[2], CONTROL)


if __name__ == "__main__":
    main()
