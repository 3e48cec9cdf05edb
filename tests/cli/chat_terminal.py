"""What the tests of the chat share."""

import fcntl
import itertools
import json
import os
import re
import struct
import termios
import time

from harness import PATIENCE, CliTest, Terminal, model, scratch

SHORT = ("--seed", "1", "--max-new-tokens", "8")
HOT = (*SHORT, "--temperature", "5", "--top-p", "1", "--top-k", "0")
_numbers = itertools.count()


def as_shown(text):
    """What a terminal shows of an answer."""
    text = text.replace("\r", "")
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", text)


class ChatTerminal(Terminal):
    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def settle(self):
        """Reads what is drawn anew at the prompt, or `asked` would take that for the next prompt."""
        while self._read(0.3):
            pass

    def paste(self, text):
        self.type(f"\x1b[200~{text}\x1b[201~")


class ChatTest(CliTest):
    def start(self, *args, **how):
        """A chat that waits for its first question."""
        terminal = ChatTerminal("-m", how.pop("folder", None) or model(), *args, **how)
        terminal.wait_for("> ")
        return terminal

    def leave(self, terminal):
        terminal.type("/exit\n")
        self.assertEqual(terminal.end(), 0, terminal.screen)

    def asked(self, terminal, question):
        """What stands between `question` and the next prompt: the answer."""
        prompts = terminal.screen.count("\n> ")
        terminal.type(question + "\n")
        terminal.wait_for("\n> ", prompts + 1)
        return terminal.screen.rsplit("\n> ", 2)[-2].partition("\n")[2]

    def begin_answer(self, terminal):
        """Asks "um" and waits until some of the answer is on the screen."""
        terminal.type("um\n")
        terminal.wait_for("> um\n")
        seen = len(terminal.raw)
        while len(terminal.raw) < seen + 20:
            terminal._read(1)

    def answer(self, *args):
        """The answer of a run with these arguments as a terminal shows it."""
        return as_shown(self.succeed("-m", model(), *args).decode()[:-1])

    def saved(self, terminal):
        """What /save writes."""
        path = scratch(f"dialogue{next(_numbers)}.json")
        self.asked(terminal, f"/save {path}")
        # A prompt that was drawn anew looks like the one after the command.
        end = time.monotonic() + PATIENCE
        while not os.path.exists(path) and time.monotonic() < end:
            terminal._read(0.1)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def questions(self, terminal):
        """All questions that were answered, as the model got them."""
        return [message["content"] for message in self.saved(terminal)["messages"]
                if message["role"] == "user"]
