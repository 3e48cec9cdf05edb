"""The static program where there is nothing else: no libraries, locales, terminal descriptions, users,
not even /tmp or /proc. Part of the tests of a build with AIRA_STATIC."""

import os
import shutil
import subprocess
import unittest

from harness import BINARY, CliTest, Terminal, environment, main, scratch

QUESTION = "Qual é a capital do Brasil?"
ANSWER = "A capital do Brasil é Brasília."


@unittest.skipIf(os.geteuid() != 0, "only root may change the root folder")
class EmptyRoot(CliTest):
    def setUp(self):
        self.root = scratch("root")
        os.makedirs(self.root, exist_ok=True)
        shutil.copy(BINARY, os.path.join(self.root, "aira-cli"))
        self.program = ("chroot", self.root, "/aira-cli")

    def run_there(self, *args, stdin="", **env):
        done = subprocess.run([*self.program, *args], input=stdin.encode(), capture_output=True,
                              env=environment(**env), timeout=120)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def test_answers(self):
        self.assertEqual(self.run_there(QUESTION)[:2], (0, ANSWER + "\n"))
        self.assertEqual(self.run_there(stdin=f"{QUESTION}\n\n{QUESTION}\n")[:2],
                         (0, f"{ANSWER}\n\n{ANSWER}\n"))

    def test_speaks_portuguese(self):
        code, _, error = self.run_there("--top-k", "três", "x", LC_ALL="pt_BR.UTF-8")
        self.assertEqual(code, 2)
        self.assertIn("três", error)
        self.assertIn("aira-cli: erro: ", error)

    def test_home_folders_without_users(self):
        env = environment()
        del env["HOME"]
        done = subprocess.run([*self.program, "-m", "~ninguém/modelo", "x"], env=env, capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("~ninguém/modelo", done.stderr.decode())

    def test_the_chat_edits_as_on_xterm(self):
        """ESC [ C without a description too, and letters are shown as they are."""
        for term in ("xterm", "tmux-256color", "unknown-terminal", "dumb"):
            terminal = Terminal(program=self.program, env=environment(TERM=term, LC_ALL="C"))
            terminal.wait_for("> ")
            terminal.type("capital do Brásil?\x01Qual é a 日\x7f\x1b[F\x1b[D\x1b[D\x1b[D\x1b[D\x7fa\n")
            terminal.wait_for(ANSWER)
            terminal.type("/exit\n")
            self.assertEqual(terminal.end(), 0, terminal.screen)
            self.assertNotIn("termcap", terminal.screen)
            self.assertIn("日", terminal.screen)
            self.assertEqual(b"\x1b[@" in terminal.raw, term != "dumb", terminal.raw)


if __name__ == "__main__":
    main()
