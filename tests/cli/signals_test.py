"""Signals end the program as shells expect: whole lines first, then death by the signal itself."""

import array
import fcntl
import os
import resource
import shutil
import signal
import termios
import time
import unittest

from harness import BINARY, PATIENCE, CliTest, Terminal, main, model, slow_model, start

PAGE = resource.getpagesize()
LONG = ("--max-new-tokens", "100000")


class Signals(CliTest):
    ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def test_a_batch_dies_by_each_signal_after_whole_lines(self):
        for number in self.ENDING:
            with self.subTest(number):
                process = start("-m", slow_model(), *LONG)
                process.stdin.write("\npergunta número um\n".encode())
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"\n")
                process.send_signal(number)
                self.assertEqual((*process.communicate(), process.returncode), (b"", b"", -number))

    def test_one_question_dies_by_each_signal_after_its_line(self):
        for number in self.ENDING:
            with self.subTest(number):
                process = start("-m", slow_model(), *LONG, "Olá")
                out = os.read(process.stdout.fileno(), 1)
                process.send_signal(number)
                rest, err = process.communicate()
                self.assertEqual((err, process.returncode), (b"", -number))
                self.assertTrue((out + rest).endswith(b"\n"))

    def test_nobody_reads_the_answers(self):
        for number in self.ENDING:
            for args in ((), ("Olá",)):
                with self.subTest(number, args=args):
                    reading, writing = os.pipe()
                    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 2 * PAGE)
                    os.write(writing, b"x" * PAGE)
                    process = start("-m", slow_model(), *LONG, *args, stdout=writing)
                    os.close(writing)
                    if not args:
                        process.stdin.write("\numa\nduas\n".encode())
                        process.stdin.flush()
                    # The first letters fill the pipe, which has room for a page of them.
                    waiting = array.array("i", [0])
                    while waiting[0] <= PAGE:
                        self.assertIsNone(process.poll())
                        fcntl.ioctl(reading, termios.FIONREAD, waiting)
                    process.send_signal(number)
                    err = process.communicate(timeout=PATIENCE)[1]
                    self.assertEqual((err, process.returncode), (b"", -number))
                    os.close(reading)

    def test_ignored_signals_stay_ignored(self):
        def ignore():
            for number in self.ENDING:
                signal.signal(number, signal.SIG_IGN)

        process = start("-m", model(), "--max-new-tokens", "3", prepare=ignore)
        process.stdin.write(b"um\n")
        process.stdin.flush()
        process.stdout.readline()
        for number in self.ENDING:
            process.send_signal(number)
        out, err = process.communicate("três\n".encode())
        self.assertEqual((out.count(b"\n"), err, process.returncode), (1, b"", 0))

    @unittest.skipUnless(shutil.which("bash"), "no bash")
    def test_the_first_ctrl_c_ends_a_shell_loop(self):
        loop = f'for i in 1 2 3; do "{BINARY}" -m "{slow_model()}" --max-new-tokens 100000 Oi; '\
               'echo "round $i"; done'
        terminal = Terminal(program=("bash", "-c", loop))
        while len(terminal.raw) < 20:
            terminal._read(1)
        terminal.type("\x03")
        self.assertEqual(terminal.end(), -signal.SIGINT)
        self.assertNotIn("round", terminal.screen)

    def test_the_chat_leaves_the_terminal_as_it_was(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            for answering in (False, True):
                with self.subTest(number, answering=answering):
                    terminal = Terminal("-m", slow_model(), *LONG)
                    before = terminal.modes
                    self.assertTrue(before & termios.ECHO)
                    terminal.wait_for("> ")
                    self.assertFalse(termios.tcgetattr(terminal.master)[3] & termios.ECHO)
                    if answering:
                        terminal.type("olá\r")
                        size = len(terminal.raw) + 40
                        while len(terminal.raw) < size:
                            terminal._read(1)
                    terminal.process.send_signal(number)
                    end = time.monotonic() + PATIENCE
                    while terminal.process.poll() is None and time.monotonic() < end:
                        terminal._read(0.05)
                    self.assertEqual(termios.tcgetattr(terminal.master)[3], before)
                    self.assertEqual(terminal.end(), -number)


if __name__ == "__main__":
    main()
