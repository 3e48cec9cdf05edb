"""--show-probs: answers in a terminal with the probability of each token."""

import codecs
import json
import math
import os
import re

from harness import CliTest, Terminal, environment, main, model, scratch

QUESTION = "Qual é a opção, João?"
# Answers with many an "é", whose two tokens are one character.
HOT = ("--seed", "5", "--temperature", "3", "--top-k", "0", "--top-p", "1", "--max-new-tokens", "24",
       "--logit-bias", "195=7", "--sequence-bias", "195,169=60")
SGR = re.compile(r"\x1b\[([0-9;]*)m")
COLOURS = {"": 0.9, "38;5;16;48;5;229": 0.5, "38;5;16;48;5;214": 0.2, "38;5;16;48;5;166": 0.05,
           "38;5;231;48;5;90": 0}


def on_screen(text):
    """Without the control characters that would move a terminal's cursor."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)


def luminance(index):
    """Of one of the 256 colours of a terminal."""
    if index >= 232:
        channels = [8 + 10 * (index - 232)] * 3
    else:
        levels = (0, 95, 135, 175, 215, 255)
        channels = [levels[(index - 16) // step % 6] for step in (36, 6, 1)]
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4
              for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


class ShowProbs(CliTest):
    def shown(self, *args, env=None, code=0, **how):
        """What aira-cli writes to a terminal, \\r\\n as \\n."""
        terminal = Terminal("-m", model(), *args, env=env, **how)
        self.assertEqual(terminal.end(), code, terminal.screen)
        return terminal.raw.decode().replace("\r\n", "\n")

    def units(self, answer):
        """[bytes, probability] of what an answer's tokens are whole characters of, from its log-
        probabilities in a JSON line."""
        units, text, logprob = [], "", 0
        decoder = codecs.getincrementaldecoder("utf8")("replace")
        for token in answer["logprobs"]:
            if token["id"] < 256:
                text += decoder.decode(bytes([token["id"]]))
                logprob += token["logprob"]
                if decoder.getstate()[0] == b"":
                    units.append((text, math.exp(logprob)))
                    text, logprob = "", 0
        if rest := text + decoder.decode(b"", True):
            units.append((rest, math.exp(logprob)))
        return units

    def answer(self, *args, **fields):
        [line] = self.json_lines("-m", model(), *HOT, "--jsonl", "--logprobs", "2", *args,
                                 stdin=json.dumps({"question": QUESTION, **fields}))
        return line["answers"][0]

    def test_colours_are_those_of_the_probabilities(self):
        answer = self.answer()
        screen = self.shown(*HOT, "-q", "--show-probs", QUESTION)
        self.assertEqual(SGR.sub("", screen), on_screen(answer["text"]) + "\n")
        shown = []  # (text, colour)
        colour = ""
        for text, code in zip(SGR.split(screen)[::2], [*SGR.split(screen)[1::2], ""]):
            if text:
                shown.append((text, colour))
            colour = "" if code == "0" else code
        expected = on_screen("".join(text for text, _ in self.units(answer)).strip())
        self.assertEqual("".join(text for text, _ in shown), expected + "\n")
        letters = [(letter, colour) for text, colour in shown for letter in text][:-1]
        wanted = [(letter, next(c for c, least in COLOURS.items() if p >= least))
                  for text, p in self.units(answer) for letter in on_screen(text)]
        while wanted[0][0].isspace():
            wanted.pop(0)
        self.assertEqual(letters, wanted[:len(letters)])

    def test_colours_can_be_read_and_told_apart(self):
        steps = []
        for colour in list(COLOURS)[1:]:
            front, back = (luminance(int(index)) for index in re.findall(r"8;5;(\d+)", colour))
            low, high = sorted((front, back))
            self.assertGreaterEqual((high + 0.05) / (low + 0.05), 4.5, colour)
            steps.append(back + 0.05)
        for lighter, darker in zip(steps, steps[1:]):
            self.assertGreater(lighter / darker, 1.5)

    def test_the_legend(self):
        screen = self.shown(*HOT, "--show-probs", QUESTION)
        self.assertRegex(screen, r"\Aaira-cli: probability of a token: [^\n]*≥ 90 %[^\n]*< 5 %")
        for colour in list(COLOURS)[1:]:
            self.assertIn(f"\x1b[{colour}m", screen.split("\n")[0])
        with open(scratch("legend"), "wb") as file:
            self.assertNotIn("aira-cli", self.shown(*HOT, "--show-probs", QUESTION, stderr=file))
        self.assertEqual(os.path.getsize(scratch("legend")), 0)

    def test_numbers_where_there_are_no_colours(self):
        answer = self.answer()
        self.assertIn("é", answer["text"])
        expected = "".join(f"{on_screen(text)}[{100 * p:.0f}]"
                           for text, p in self.units(answer))
        for env in (environment(NO_COLOR="1"), environment(TERM="dumb")):
            legend, _, screen = self.shown(*HOT, "--show-probs", QUESTION, env=env).partition("\n")
            self.assertIn("the number behind a token", legend)
            self.assertNotIn("\x1b", screen)
            self.assertEqual(re.sub(r"\s*\[", "[", screen.strip()),
                             re.sub(r"\s*\[", "[", expected).lstrip("["), answer)

    def test_alternatives(self):
        answer = self.answer()
        lines = self.shown(*HOT, "-q", "--show-probs", "--logprobs", "2", QUESTION,
                           env=environment(NO_COLOR="1")).rstrip("\n").split("\n")
        table = [line for line in lines if line.startswith("  ")]
        self.assertEqual(len(table), len(answer["logprobs"]))
        for line, token in zip(table, answer["logprobs"]):
            cells = re.findall(r'(<?[0-9.]+) % "((?:[^"\\]|\\.)*)"', line)
            rest = [top for top in token["top"] if top["id"] != token["id"]]
            self.assertEqual(len(cells), 1 + len(rest))
            for (percent, text), one in zip(cells, [token, *rest]):
                if one["id"] < 128 and chr(one["id"]) not in '\\"' and one["id"] > 31:
                    self.assertEqual(text, chr(one["id"]))
                elif 128 <= one["id"] < 256:
                    self.assertEqual(text, f"\\x{one['id']:02x}")
                share = 100 * math.exp(one["logprob"])
                self.assertEqual(percent, f"{share:.1f}" if share >= 0.05 else "<0.1")

    def test_several_answers(self):
        screen = self.shown(*HOT, "-q", "-n", "3", "--numbered", "--show-probs", QUESTION)
        [line] = self.json_lines("-m", model(), *HOT, "-n", "3", "--jsonl",
                                 stdin=json.dumps({"question": QUESTION}))
        self.assertEqual(SGR.sub("", screen), "".join(
            f"Response {i}: {on_screen(answer['text'])}\n" for i, answer in enumerate(line["answers"], 1)))

    def test_choices(self):
        screen = self.shown("-q", "--show-probs", "--choose", "sim|não", QUESTION)
        [line] = self.json_lines("-m", model(), "--jsonl", stdin=json.dumps(
            {"question": QUESTION, "choices": ["sim", "não"]}))
        self.assertEqual(screen.rstrip("\n").split("\n"), [
            line["answers"][0]["text"],
            *(f"  {100 * choice['probability']:5.1f} %  {choice['text']}"
              for choice in line["choices"])])

    def test_in_the_chat(self):
        chat = Terminal("-m", model(), *HOT, "--show-probs")
        chat.wait_for("> ")
        chat.type(QUESTION + "\r")
        chat.wait_for("> ", 2)
        chat.type("/params logprobs 1\r")
        chat.wait_for("> ", 3)
        chat.type("/params best_of 2\r")
        chat.wait_for("does not go with")
        chat.wait_for("> ", 4)
        chat.type(QUESTION + "\r")
        chat.wait_for("  |  ")
        chat.wait_for("> ", 5)
        chat.type("\x04")
        self.assertEqual(chat.end(), 0)
        self.assertIn("probability of a token", chat.screen)
        self.assertEqual(chat.screen.count("probability of a token"), 1)
        self.assertIn("\x1b[38;5;231;48;5;90m", chat.raw.decode())

    def test_what_it_does_not_go_with(self):
        for args in ((QUESTION,), ("-f", "/dev/null"), ("--jsonl",)):
            self.assertIn("on a terminal", self.fail_with(2, "--show-probs", *args))
        for option, name in (("--num-beams", "--num-beams"), ("--best-of", "--best-of")):
            self.assertIn(f"--show-probs does not go with {name}",
                          self.fail_with(2, "--show-probs", option, "2", QUESTION))
        self.assertIn("--logprobs needs --jsonl", self.fail_with(2, "--logprobs", "1", QUESTION))
        lines = Terminal("-m", model(), "--show-probs", "-f", "/dev/null")
        self.assertEqual(lines.end(), 2)


if __name__ == "__main__":
    main()
