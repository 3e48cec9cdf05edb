"""Where answers and prompts go, and how answers look on a terminal."""

import os
import re
import signal
import subprocess

from chat_terminal import HOT, SHORT, ChatTerminal, ChatTest, as_shown
from harness import environment, main, model, scratch, slow_model, start

QUESTION = "Escreva um poema sobre o mar."  # the built-in model says that it cannot


class Output(ChatTest):
    def test_without_stderr_the_chat_is_on_the_terminal(self):
        terminal = self.start(*SHORT, stderr=subprocess.DEVNULL)
        self.assertEqual(terminal.screen, "> ")
        self.assertEqual(self.asked(terminal, "um"), self.answer(*SHORT, "um"))
        self.assertIn("/help, /ajuda", self.asked(terminal, "/help"))
        self.assertIn("[E204]", self.asked(terminal, "/nada"))
        self.asked(terminal, "um\x1b[D\x7fdois ")
        self.assertEqual(self.questions(terminal)[-1], "dois m")
        self.leave(terminal)

    def test_the_answers_alone_go_where_stdout_goes(self):
        for stderr in (None, subprocess.PIPE):
            streams = {"stderr": stderr} if stderr else {}
            terminal = self.start(*SHORT, stdout=subprocess.PIPE, **streams)
            self.asked(terminal, "um")
            self.leave(terminal)
            with terminal.process.stdout as out:
                self.assertEqual(out.read(), self.succeed("-m", model(), *SHORT, "um"))
            if stderr:
                with terminal.process.stderr as err:
                    self.assertEqual(err.read(), b"")

    def shown(self, columns, *args, before=lambda terminal: None):
        """What a one-shot run prints on a terminal of that width."""
        terminal = ChatTerminal(*args, size=(24, columns))
        before(terminal)
        self.assertEqual(terminal.end(), 0, terminal.screen)
        return terminal.screen

    def test_answers_wrap_at_words(self):
        plain = self.succeed("-q", "--seed", "1", QUESTION).decode()[:-1]
        self.assertGreater(len(plain), 40)
        for columns in (20, 37, 200):
            for how in ((), ("--no-stream",)):
                shown = self.shown(columns, "-q", "--seed", "1", *how, QUESTION)
                self.assertEqual(re.sub(r"\s+", " ", shown), plain + " ")
                lines = shown[:-1].split("\n")
                self.assertLessEqual(max(map(len, lines)), columns)
                self.assertEqual(lines, [line.rstrip() for line in lines])
                for line, after in zip(lines, lines[1:]):
                    self.assertGreater(len(line + " " + after.split()[0]), columns)
        self.assertEqual(self.shown(0, "-q", "--seed", "1", QUESTION), plain + "\n")
        raw = ("-q", "--seed", "1", "--raw", "--max-new-tokens", "40", "A capital de Portugal")
        self.assertEqual(self.shown(20, *raw), self.succeed(*raw).decode())

    def test_answers_wrap_in_the_chat_and_after_a_resize(self):
        terminal = ChatTerminal("-q", "--seed", "1")
        terminal.wait_for("> ")
        terminal.resize(24, 20)
        terminal.settle()
        first = self.asked(terminal, QUESTION).splitlines()
        self.assertGreater(len(first), 2)
        self.assertLessEqual(max(map(len, first)), 20)
        terminal.resize(24, 60)
        terminal.settle()
        again = self.asked(terminal, QUESTION).splitlines()
        self.assertLess(len(again), len(first))
        self.assertEqual(" ".join(again), " ".join(first))
        self.leave(terminal)

    def test_a_window_that_changes_while_an_answer_is_written(self):
        terminal = self.start("--seed", "1", "--max-new-tokens", "300", folder=slow_model())
        terminal.type("um\n")
        for columns in (20, 7, 1, 0, 90):
            seen = len(terminal.raw)
            # On a busy machine the answer may be over before it was read.
            while len(terminal.raw) < seen + 30 and terminal.screen.count("\n> ") < 2:
                terminal._read(1)
            terminal.resize(5, columns)
        terminal.wait_for("\n> ", 2)
        self.asked(terminal, "/params max_new_tokens 3")
        self.asked(terminal, "dois")
        self.leave(terminal)

    def test_a_terminal_of_twenty_columns(self):
        terminal = self.start(*SHORT, env=environment(TERM="dumb"))
        terminal.resize(6, 20)
        terminal.settle()
        self.asked(terminal, "uma pergunta que não cabe em vinte colunas" + "\x1b[D" * 29 + "X")
        self.assertEqual(self.questions(terminal), ["uma pergunta Xque não cabe em vinte colunas"])
        self.leave(terminal)

    def test_a_pipe_to_a_terminal_streams(self):
        """Tokens appear as they come, lines in order."""
        options = ("-m", slow_model(), "--seed", "1", "--max-new-tokens", "200")
        terminal = ChatTerminal(*options, stdin=subprocess.PIPE)
        terminal.process.stdin.write("um\n\ndois ção\n".encode())
        terminal.process.stdin.close()
        while not terminal.raw:
            terminal._read(1)
        self.assertNotIn("\n", terminal.screen)  # a piece of a line
        self.assertEqual(terminal.end(), 0)
        expected = as_shown(self.succeed(*options, stdin="um\n\ndois ção\n").decode())
        self.assertEqual(re.sub(" +", " ", terminal.screen), re.sub(" +", " ", expected))

    def test_a_pipe_to_a_terminal_and_lines_that_fail(self):
        terminal = ChatTerminal("-m", model(), *SHORT, "-n", "2", stdin=subprocess.PIPE)
        terminal.process.stdin.write(b"um\n" + b"x" * 100 + b"\num\n")
        terminal.process.stdin.close()
        self.assertEqual(terminal.end(), 1)
        one = self.answer(*SHORT, "-n", "2", "um")
        start_of, end = terminal.screen.split("aira-cli: error: ")
        self.assertEqual(start_of, one + "\n")
        self.assertTrue(end.endswith(".\n\n\n" + one + "\n"), end)

    def test_ctrl_c_in_a_pipe_to_a_terminal(self):
        terminal = ChatTerminal("-m", slow_model(), "--max-new-tokens", "8000",
                                stdin=subprocess.PIPE)
        terminal.process.stdin.write(b"um\ndois\n")
        terminal.process.stdin.flush()
        while len(terminal.raw) < 20:
            terminal._read(1)
        terminal.process.send_signal(signal.SIGINT)
        self.assertIn(terminal.end(), (130, -signal.SIGINT))
        self.assertEqual(terminal.screen.count("\n"), 1)
        terminal.process.stdin.close()

    def test_no_stream_writes_an_answer_at_once(self):
        options = ("-m", slow_model(), "--seed", "1", "--max-new-tokens", "100")
        for how in ((), ("-n", "3", "--numbered")):
            out = self.succeed(*options, *how, "um")
            # A packet for each write().
            reader, writer = os.pipe2(os.O_DIRECT)
            process = start(*options, *how, "--no-stream", "um", stdout=writer)
            os.close(writer)
            pieces = list(iter(lambda: os.read(reader, 1 << 16), b""))
            os.close(reader)
            process.communicate()
            self.assertEqual(b"".join(pieces), out)
            self.assertEqual(len(pieces), 3 if how else 1)

    def test_no_stream_in_the_chat(self):
        terminal = self.start(*HOT, "--no-stream", "-n", "2")
        self.assertEqual(self.asked(terminal, "um"), self.answer(*HOT, "-n", "2", "um"))
        self.leave(terminal)
        terminal = self.start("--no-stream", "--max-new-tokens", "8000", folder=slow_model())
        terminal.type("um\n")
        terminal.wait_for("> um\n")
        terminal.type("\x03")
        terminal.wait_for("\n> ", 2)
        self.leave(terminal)


if __name__ == "__main__":
    main()
