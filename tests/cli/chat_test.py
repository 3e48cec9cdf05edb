"""The chat in a pseudo-terminal."""

import os
import signal
import subprocess
import time

from chat_terminal import HOT, SHORT, ChatTerminal, ChatTest
from harness import Terminal, environment, main, model, run, scratch, slow_model, start


class Chat(ChatTest):
    def test_a_question_and_an_answer(self):
        terminal = self.start(*SHORT)
        answer = self.asked(terminal, "um")
        self.assertEqual(answer, self.answer(*SHORT, "um"))
        self.assertEqual(answer, self.asked(terminal, "um"))
        self.leave(terminal)

    def test_waiting_costs_nothing(self):
        terminal = self.start(*SHORT, "-t", "8")
        self.rests(terminal.process)
        self.asked(terminal, "um")
        self.rests(terminal.process)
        self.leave(terminal)

    def test_ctrl_d_leaves(self):
        terminal = self.start(*SHORT)
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)

    def test_empty_lines_are_passed_over(self):
        terminal = self.start(*SHORT)
        terminal.type("\n  \n\n")
        self.asked(terminal, "um")
        self.leave(terminal)

    def test_a_question_that_is_too_long(self):
        terminal = self.start(*SHORT)
        self.assertIn("too long", self.asked(terminal, "x" * 100))
        self.asked(terminal, "um")
        self.leave(terminal)

    def test_without_history_every_question_stands_alone(self):
        terminal = self.start(*SHORT, "--stats")
        for _ in range(2):
            self.assertIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.leave(terminal)

    def test_ctrl_c_stops_the_answer_only(self):
        terminal = self.start("--max-new-tokens", "100000", folder=slow_model())
        self.begin_answer(terminal)
        terminal.type("\x03")
        terminal.wait_for("\n> ", 2)
        self.asked(terminal, "/params max_new_tokens 3")
        self.asked(terminal, "dois")
        self.leave(terminal)

    def test_ctrl_c_stops_several_answers_at_once(self):
        """The question after it is answered as if nothing had been."""
        for how in (("-n", "4"), ("-n", "4", "--numbered"), ("--best-of", "4"),
                    ("--num-beams", "4", "-n", "2")):
            with self.subTest(how=how):
                terminal = self.start("--seed", "1", "--max-new-tokens", "8000", *how,
                                      folder=slow_model())
                for times in (2, 3):
                    terminal.type("um\n")
                    terminal.wait_for("> um\n", times - 1)
                    if how[0] != "-n":
                        time.sleep(0.3)  # nothing is printed before the end
                    seen = len(terminal.raw)
                    while how[0] == "-n" and len(terminal.raw) < seen + 20:
                        terminal._read(1)
                    terminal.type("\x03")
                    terminal.wait_for("\n> ", times)
                self.asked(terminal, "/params max_new_tokens 5")
                self.assertEqual(self.asked(terminal, "dois ção"),
                                 self.answer("-m", slow_model(), "--seed", "1",
                                             "--max-new-tokens", "5", *how, "dois ção"))
                self.leave(terminal)

    def test_ctrl_c_at_the_prompt_drops_the_line(self):
        terminal = self.start(*SHORT)
        terminal.type("half a line")
        terminal.wait_for("half a line")
        terminal.type("\x03")
        terminal.wait_for("\n> ", terminal.screen.count("\n> ") + 1)
        answer = self.asked(terminal, "um")
        self.assertEqual(answer, self.answer(*SHORT, "um"))
        self.leave(terminal)

    def test_colours(self):
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False),
                                    ({"TERM": "dumb"}, False)):
            terminal = self.start(*SHORT, env=environment(**variables))
            self.assertEqual(b"\x1b[1m" in terminal.raw, coloured, variables)
            self.leave(terminal)

    def test_answers_alone_go_to_stdout(self):
        terminal = self.start(*SHORT, stdout=subprocess.PIPE)
        self.asked(terminal, "um")
        self.leave(terminal)
        with terminal.process.stdout as stdout:
            self.assertEqual(stdout.read(), self.succeed("-m", model(), *SHORT, "um"))

    def test_a_base_model_needs_raw(self):
        terminal = Terminal("-m", model(markers=False))
        self.assertEqual(terminal.end(), 1)
        self.assertIn("--raw", terminal.screen)
        raw = self.start("--raw", *SHORT, folder=model(markers=False))
        self.asked(raw, "um")
        self.leave(raw)

    def test_a_question_on_the_command_line_needs_no_chat(self):
        terminal = Terminal("-m", model(), *SHORT, "um")
        self.assertEqual(terminal.end(), 0)
        self.assertNotIn("> ", terminal.screen)
        self.assertNotIn("\x1b", terminal.raw.decode(errors="replace"))

    def test_ctrl_c_in_one_shot(self):
        terminal = Terminal("-m", slow_model(), "--max-new-tokens", "100000", "um")
        while len(terminal.raw) < 20:
            terminal._read(1)
        terminal.process.send_signal(signal.SIGINT)
        self.assertEqual(terminal.end(), -signal.SIGINT)


if __name__ == "__main__":
    main()
