"""The questions that the arrow keys bring back."""

import os
import random
import re
import time

from chat_terminal import SHORT, ChatTest
from harness import environment, main, scratch

HEADER = "_HiStOrY_V2_\n"


class History(ChatTest):
    def setUp(self):
        self.env = environment(XDG_STATE_HOME=scratch(self.id()))
        self.path = os.path.join(scratch(self.id()), "aira-cli", "history")

    def lines(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read().removeprefix(HEADER).splitlines()

    def test_lines_are_kept_for_the_next_session(self):
        terminal = self.start(*SHORT, env=self.env)
        self.asked(terminal, "uma pergunta")
        terminal.paste("duas\nlinhas de ção")
        self.asked(terminal, "")
        self.leave(terminal)
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(self.path)).st_mode & 0o077, 0)
        again = self.start(*SHORT, env=self.env)
        again.type("\x1b[A")
        again.wait_for("> /exit")
        again.type("\x1b[A")
        again.wait_for("duas\nlinhas de ção")
        self.asked(again, "")
        again.type("\x1b[A" * 6)  # both lines, /exit, both lines, and up
        again.wait_for("> uma pergunta")
        self.asked(again, "")
        self.assertEqual(self.questions(again), ["duas\nlinhas de ção", "uma pergunta"])
        self.leave(again)

    def killed(self, times, seed):
        """kill -9 at random moments: the file can be read, and the next session goes on with it."""
        dice = random.Random(seed)
        for number in range(times):
            terminal = self.start(*SHORT, env=self.env)
            terminal.type(f"um {number}\rdois {number}\rtrês {number}\r")
            terminal.wait_for("> ")
            time.sleep(dice.uniform(0, 0.1))
            before = len(self.lines()) if os.path.exists(self.path) else 0
            terminal.process.kill()
            terminal.end()
            lines = self.lines() if os.path.exists(self.path) else []
            self.assertGreaterEqual(len(lines), before)
            self.assertTrue(all(re.fullmatch(r"(um|dois|três)\\040\d+", line) for line in lines), lines)
        terminal = self.start(*SHORT, env=self.env)
        self.asked(terminal, "quatro")
        self.leave(terminal)
        self.assertEqual(self.lines(), [*lines, "quatro", "/exit"])
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["history"])

    def test_killed_while_it_is_written(self):
        self.killed(5, 1)

    def test_killed_while_it_is_written_slow(self):
        self.killed(100, 2)

    def test_two_chats_lose_nothing(self):
        one, two = (self.start(*SHORT, env=self.env) for _ in range(2))
        for number in range(3):
            self.asked(one, f"um {number}")
            self.asked(two, f"dois {number}")
            self.asked(two, f"dois {number}")  # asked twice, kept once
        one.type("\x1b[A")
        one.wait_for("> um 2", 2)  # its own
        one.type("\x15")
        self.leave(one)
        self.leave(two)
        self.assertEqual(self.lines(), ["um\\0400", "dois\\0400", "um\\0401", "dois\\0401",
                                        "um\\0402", "dois\\0402", "/exit"])
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["history"])

    def test_a_thousand_lines(self):
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(HEADER + "".join(f"linha{i}\n" for i in range(1003)))
        terminal = self.start(*SHORT, env=self.env)
        self.asked(terminal, "um")
        lines = self.lines()
        self.assertEqual((len(lines), lines[0], lines[-1]), (1000, "linha4", "um"))
        self.asked(terminal, "x" * 20000)  # too long to be kept
        self.assertEqual(self.lines(), lines)
        self.leave(terminal)

    def test_a_file_of_something_else_is_left_alone(self):
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("um\n")
        terminal = self.start(*SHORT, env=self.env)
        self.assertIn("cannot be read", terminal.screen)
        self.asked(terminal, "dois")
        self.leave(terminal)
        self.assertEqual(self.lines(), ["um"])

    def test_links(self):
        """The history may be kept elsewhere; nothing is written through a link that is in the way."""
        elsewhere, other = scratch("elsewhere"), scratch("other")
        folder = os.path.dirname(self.path)
        os.makedirs(folder)
        for path in (elsewhere, other):
            with open(path, "w", encoding="utf-8") as file:
                file.write(HEADER)
        os.symlink(elsewhere, self.path)
        os.symlink(other, elsewhere + ".unfinished")
        terminal = self.start(*SHORT, env=self.env)
        self.asked(terminal, "um")
        self.leave(terminal)
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(self.lines(), ["um", "/exit"])
        with open(other, encoding="utf-8") as file:
            self.assertEqual(file.read(), HEADER)
        self.assertEqual(os.listdir(folder), ["history"])

    def test_no_place_for_the_history(self):
        terminal = self.start(*SHORT, env=environment(XDG_STATE_HOME="/proc/none"))
        self.asked(terminal, "um")
        self.leave(terminal)


if __name__ == "__main__":
    main()
