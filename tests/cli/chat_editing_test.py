"""What is typed and pasted into the chat."""

import os
import signal
import termios
import threading

from chat_terminal import SHORT, ChatTest
from harness import environment, main, scratch, slow_model

KEYS = {"left": "\x1b[D", "word left": "\x1b[1;5D", "word right": "\x1b[1;5C", "home": "\x1b[1~",
        "end": "\x1b[4~", "delete": "\x1b[3~"}


class Editing(ChatTest):
    def becomes(self, typed, question, *args, **how):
        """Checks what is asked when `typed` and Enter are typed."""
        terminal = self.start(*SHORT, *args, **how)
        self.asked(terminal, typed)
        self.assertEqual(self.questions(terminal), [question], repr(typed))
        return terminal

    def test_letters_with_accents_can_be_edited(self):
        self.leave(self.becomes("ação\x7f\x7f\x7fão", "aão"))  # three letters back, two forth

    def test_accents_without_a_locale(self):
        terminal = self.becomes("ção", "ção", env=environment(LC_ALL="C"))
        self.assertNotIn("\\303", terminal.screen)
        self.leave(terminal)

    def test_keys_of_several_terminals(self):
        for term in ("xterm", "xterm-256color", "screen", "tmux-256color", "linux", "dumb"):
            terminal = self.start(*SHORT, env=environment(TERM=term))
            for typed, question in (
                    ("um três\x1b[1;5Ddois ", "um dois três"),
                    ("um três\x1b[5Ddois ", "um dois três"),
                    ("um três\x1bOddois ", "um dois três"),
                    ("um três\x1bbdois ", "um dois três"), ("b c\x01\x1b[1;5C!", "b! c"),
                    ("b c\x1b[1~a ", "a b c"), ("b c\x1b[Ha ", "a b c"),
                    ("b c\x1bOHa ", "a b c"), ("b\x1b[D\x1b[D\x1b[4~c", "bc"),
                    ("b\x1b[7~\x1b[Fc", "bc"), ("bcd\x1b[D\x1b[D\x1b[3~", "bd"),
                    ("ação\x1b[D\x1b[D\x1b[3~", "aço"), ("bc\x1bOD!", "b!c")):
                self.asked(terminal, typed)
                self.assertEqual(self.questions(terminal)[-1], question, (term, typed))
            self.leave(terminal)

    def test_other_keys_type_nothing(self):
        keys = ("\x1b[5~", "\x1b[6~", "\x1b[2~", "\x1bOP", "\x1b[15~", "\x1b[24~", "\x1b[[A",
                "\x1b[[E",
                "\x1b[1;2A", "\x1b[1;5B", "\x1b[3;5~", "\x1b[200;1;7u", "\x1b[<0;3;4M", "\x1b[I",
                "\x1b[?62;c", "\x1b\x1b[5~")
        terminal = self.start(*SHORT)
        for key in keys:
            self.asked(terminal, f"a{key}b")
        self.assertEqual(self.questions(terminal), ["ab"] * len(keys))
        self.leave(terminal)

    def test_sequences_that_come_in_pieces(self):
        terminal = self.start(*SHORT)
        for piece in ("um três", "\x1b", "[", "1;", "5D", "dois ", "\x1b[2", "00~", "a\nb", "\x1b[201",
                      "~"):
            terminal.type(piece)
            terminal._read(0.02)
        self.asked(terminal, "")
        self.assertEqual(self.questions(terminal), ["um dois a\nbtrês"])
        self.leave(terminal)

    def test_vi_keys_in_editrc(self):
        with open(scratch(".editrc"), "w", encoding="utf-8") as file:
            file.write("bind -v\n")
        self.addCleanup(os.remove, scratch(".editrc"))
        terminal = self.start(*SHORT)
        for typed, question in (("um\x1b[200~x\ny\x1b[201~", "umx\ny"), ("a\x1b[5~b", "ab"),
                                ("ação\x1b[1;5Db", "açãob")):
            self.asked(terminal, typed)
            self.assertEqual(self.questions(terminal)[-1], question)
        terminal.type("abc\x1b")
        terminal._read(0.2)
        self.asked(terminal, "x")  # deletes the letter under the cursor
        self.assertEqual(self.questions(terminal)[-1], "ab")
        self.leave(terminal)

    def test_a_paste_is_one_question(self):
        for pasted, question in (("um\ndois", "um\ndois"),
                                 ("um\r\ndois\r\n\r\ntrês", "um\ndois\n\ntrês"),
                                 ("Qual\ta capital?", "Qual a capital?"),
                                 ("/exit\n/help", "/exit\n/help"),
                                 ("linha\\\nlinha", "linha\\\nlinha"),
                                 ("a\x1b[Ab", "a\x1b[Ab"), ("fim\n", "fim")):
            terminal = self.start(*SHORT)
            terminal.paste(pasted)
            answer = self.asked(terminal, "")
            self.assertTrue(answer)
            self.assertEqual(self.questions(terminal), [question])
            self.leave(terminal)

    def test_a_paste_waits_for_enter_and_can_be_edited(self):
        terminal = self.start(*SHORT)
        terminal.type("antes ")
        terminal.paste("um\ndois\n")
        terminal.wait_for("dois")
        terminal.type("x\x7fdepois\x1b[A\x1b[A!\x1b[B?")  # up to the first line, down to the second
        self.asked(terminal, "")
        self.assertEqual(self.questions(terminal), ["ante!s um\ndois?\ndepois"])
        self.leave(terminal)

    def test_a_paste_while_an_answer_is_written(self):
        terminal = self.start("--seed", "1", "--max-new-tokens", "3000", folder=slow_model())
        self.begin_answer(terminal)
        terminal.paste("esta\npergunta")
        terminal.wait_for("> esta\npergunta")
        self.assertEqual(terminal.screen.count("pergunta"), 1)  # nothing has echoed it
        terminal.type("\x15/params max_new_tokens 3\n")
        terminal.wait_for("max_new_tokens 3")
        self.leave(terminal)

    def test_ctrl_c_in_a_paste_that_does_not_end(self):
        terminal = self.start(*SHORT)
        terminal.type("\x1b[200~um\ndois")
        terminal._read(0.1)
        terminal.type("\x03")
        terminal.wait_for("\n> ", 2)
        self.asked(terminal, "três")
        self.assertEqual(self.questions(terminal), ["três"])
        self.leave(terminal)

    def test_new_lines_by_hand(self):
        terminal = self.start(*SHORT)
        for typed, question in (("um\x1b\rdois", "um\ndois"), ("um\x1b\ndois", "um\ndois"),
                                ("um\\\ndois\\\ntrês", "um\ndois\ntrês"), ("a\\b", "a\\b")):
            self.asked(terminal, typed)
            self.assertEqual(self.questions(terminal)[-1], question)
        self.leave(terminal)

    def test_tab(self):
        terminal = self.becomes("Qual\ta capital?", "Qual a capital?")
        self.assertIn("/help, /ajuda", self.asked(terminal, "/he\t"))
        self.assertEqual(self.asked(terminal, "/params te\t0.5"), "temperature 0.5")
        self.assertEqual(self.asked(terminal, "/params max-n\t"), "max_new_tokens 8")
        self.assertIn("history on", self.asked(terminal, "/hi\ton"))
        terminal.type("/params top\t\t")
        terminal.wait_for("\ntop_k  top_p  \n> /params top_")
        terminal.type("\x15/params temperaturas\t")
        while not terminal.raw.endswith(b"\a"):
            terminal._read(0.1)
        terminal.type("\x15")
        self.leave(terminal)

    def test_the_terminal_is_given_back(self):
        terminal = self.start(*SHORT)
        self.assertIn(b"\x1b[?2004h", terminal.raw)
        self.assertFalse(termios.tcgetattr(terminal.master)[3] & termios.ECHO)
        terminal.process.send_signal(signal.SIGTSTP)  # which does not stop who has no shell
        while not terminal.raw.endswith(b"\x1b[?2004l"):
            terminal._read(0.1)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.wait_for("> ", 2)
        terminal.settle()
        self.asked(terminal, "um")
        terminal.type("/exit\n")
        terminal.wait_for("/exit\n")
        terminal.process.wait(10)
        self.assertTrue(termios.tcgetattr(terminal.master)[3] & termios.ECHO)
        self.assertEqual(terminal.end(), 0)
        self.assertGreater(terminal.raw.rfind(b"\x1b[?2004l"), terminal.raw.rfind(b"\x1b[?2004h"))
        dumb = self.start(*SHORT, env=environment(TERM="dumb"))
        self.leave(dumb)
        self.assertNotIn(b"\x1b", dumb.raw)

    def test_bytes_that_are_not_utf8(self):
        terminal = self.start(*SHORT)
        os.write(terminal.master, "caf\xe9\n".encode("latin-1"))
        terminal.wait_for("\n> ", 2)
        self.assertEqual(terminal.screen.count("[E201]"), 1)
        os.write(terminal.master, b"\x1b[200~ma\xe7\xe3\x1b[201~\n")
        terminal.wait_for("[E201]", 2)
        terminal.wait_for("\n> ", 3)
        os.write(terminal.master, "caf\xe9".encode("latin-1"))
        self.asked(terminal, "\x7fé")  # mended
        self.assertEqual(self.questions(terminal), ["café"])
        self.leave(terminal)

    def feed(self, terminal, data):
        """Types what is more than a terminal holds."""
        thread = threading.Thread(target=self.write_all, args=(terminal.master, data))
        thread.start()
        terminal.wait_for("[E200]", terminal.screen.count("[E200]") + 1)
        thread.join()
        while not terminal.screen.endswith("\n> "):  # the prompt after it, so that asked() finds its own
            terminal._read(1)

    @staticmethod
    def write_all(file, data):
        while data:
            data = data[os.write(file, data[:65536]):]

    def refuses_long_lines(self, size):
        terminal = self.start(*SHORT)
        self.feed(terminal, b"\x1b[200~" + b"palavra " * (size // 8) + b"\n\x1b[201~")
        self.feed(terminal, b"palavra\t" * (size // 8) + b"\n")
        self.asked(terminal, "um")
        self.assertEqual(self.questions(terminal), ["um"])
        with open(f"/proc/{terminal.process.pid}/status") as file:
            peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
        self.assertLess(peak, 120000)  # kB
        self.leave(terminal)

    def test_a_long_line_is_refused(self):
        terminal = self.start(*SHORT)
        self.feed(terminal, b"\x1b[200~" + b"palavra " * 140000 + b"\n\x1b[201~")
        self.asked(terminal, "um")
        self.assertEqual(self.questions(terminal), ["um"])
        self.leave(terminal)

    def test_a_very_long_line_is_refused_slow(self):
        self.refuses_long_lines(20 << 20)


if __name__ == "__main__":
    main()
