"""Questions line by line through pipes and files."""

import os
import signal

from harness import CliTest, main, model, run, scratch, slow_model, start

HOT = ("--temperature", "5", "--top-p", "1", "--top-k", "0")


class Pipe(CliTest):
    def ask(self, text, *args):
        return self.succeed("-m", model(), "--seed", "1", "--max-new-tokens", "8", *HOT, *args,
                            stdin=text)

    def test_no_input_no_output(self):
        for text in (b"",):
            self.assertEqual(self.ask(text), b"")
        with open("/dev/null", "rb") as null:
            process = start("-m", model(), stdin=null)
            self.assertEqual((*process.communicate(), process.returncode), (b"", b"", 0))

    def test_one_line_for_each_question_in_order(self):
        out = self.ask("um\ndois\ntres\n")
        self.assertEqual(out.count(b"\n"), 3)
        self.assertEqual(out, self.ask("um\n") + self.ask("dois\n") + self.ask("tres\n"))

    def test_waiting_costs_nothing(self):
        process = start("-m", model(), "--max-new-tokens", "8", "-t", "8")
        for _ in range(2):
            process.stdin.write(b"um\n")
            process.stdin.flush()
            self.assertTrue(process.stdout.readline().endswith(b"\n"))
            self.rests(process)
        self.assertEqual(process.communicate()[0], b"")

    def test_the_last_line_may_lack_its_end(self):
        self.assertEqual(self.ask("um\ndois"), self.ask("um\ndois\n"))

    def test_crlf(self):
        self.assertEqual(self.ask("um\r\ndois\r\n"), self.ask("um\ndois\n"))
        self.assertEqual(self.ask("\r\n"), b"\n")

    def test_empty_lines_keep_their_place(self):
        one, two = self.ask("um"), self.ask("dois")
        self.assertEqual(self.ask("\num\n\n\ndois\n\n"), b"\n" + one + b"\n\n" + two + b"\n")
        self.assertEqual(self.ask("\num\n", "-n", "2"), b"\n\n" + self.ask("um", "-n", "2"))

    def test_two_answers_two_lines(self):
        out = self.ask("um\ndois\n", "-n", "2")
        lines = out.splitlines(keepends=True)
        self.assertEqual(len(lines), 4)
        self.assertEqual(lines[0], self.ask("um\n"))
        self.assertNotEqual(lines[0], lines[1])
        self.assertEqual(b"".join(lines[2:]), self.ask("dois\n", "-n", "2"))

    def test_the_answer_does_not_depend_on_its_line(self):
        alone = self.ask("um")
        self.assertEqual(self.ask("x\n" * 5 + "um\n").splitlines(True)[5], alone)
        self.assertEqual(self.succeed("-m", model(), "--seed", "1", "--max-new-tokens", "8", *HOT,
                                      "um").replace(b"\n", b" ")[:-1] + b"\n", alone)

    def test_one_line_each_whatever_the_answers_hold(self):
        out = self.ask("\n".join(map(str, range(300))), "--max-new-tokens", "40").decode()
        self.assertEqual(len(out.split("\n")), 301)
        self.assertEqual(len(out.splitlines()), 300)  # also by Unicode's line breaks

    def test_odd_letters(self):
        out = self.ask(b"\x01\n\xf0\x9f\x98\x80\n\xef\xbf\xbd\n\xf4\x8f\xbf\xbf\n\t\n")
        self.assertEqual(len(out.split(b"\n")), 6)
        out.decode()

    def test_questions_from_a_file(self):
        path = scratch("questions.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("um\n\ndois")
        expected = self.ask("um\n\ndois")
        self.assertEqual(self.ask("", "-f", path), expected)
        self.assertEqual(self.ask("um\n\ndois", "-f", "-"), expected)

    def test_files_that_cannot_be_read(self):
        self.assertIn("No such file", self.fail_with(1, "-m", model(), "-f", scratch("none")))
        self.assertIn("directory", self.fail_with(1, "-m", model(), "-f", scratch("")))

    def test_a_question_that_is_too_long_keeps_its_place(self):
        text = "um\n" + "x" * 1_000_000 + "\ndois\n"
        code, out, err = run("-m", model(), "--seed", "1", "--max-new-tokens", "8", *HOT,
                             stdin=text)
        self.assertEqual(code, 1)
        self.assertEqual(out, self.ask("um") + b"\n" + self.ask("dois"))
        self.assertRegex(err, r"\Aaira-cli: error: \[E687\] line 2: .*too long.*1000000.*64.*\n\Z")

    def test_every_answer_of_a_long_question_keeps_its_place(self):
        code, out, _ = run("-m", model(), "-n", "3", stdin="x" * 100 + "\n")
        self.assertEqual((code, out), (1, b"\n\n\n"))

    def test_a_base_model_is_refused_before_the_first_line(self):
        self.assertIn("--raw", self.fail_with(1, "-m", model(markers=False), stdin="um\n"))

    def test_raw_lines(self):
        self.assertNotEqual(self.ask("um", "--raw"), self.ask("um"))

    def test_lines_come_out_as_they_are_answered(self):
        process = start("-m", model(), "--max-new-tokens", "3")
        for _ in range(3):
            process.stdin.write(b"um\n")
            process.stdin.flush()
            self.assertTrue(process.stdout.readline().endswith(b"\n"))
        self.assertEqual(process.communicate(), (b"", b""))
        self.assertEqual(process.returncode, 0)

    def test_a_closed_reader_is_quiet(self):
        process = start("-m", model(), "--max-new-tokens", "3")
        process.stdout.close()
        process.stdin.write(b"um\n" * 100)
        process.stdin.close()
        self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(process.wait(), 0)
        process.stderr.close()

    def test_a_line_that_is_too_long_costs_no_other_answer(self):
        path = scratch("long-line")
        with open(path, "wb") as file:
            file.write(b"um\n")
            file.seek(65 << 20)
            file.write(b"x\ndois\n")
            file.seek(65 << 20, os.SEEK_CUR)
            file.write(b"x")
        code, out, err = run("-m", model(), "--seed", "1", "--max-new-tokens", "8", *HOT, "-f", path)
        um, dois = self.ask("um\ndois").splitlines(keepends=True)
        self.assertEqual((code, out), (1, um + b"\n" + dois + b"\n"))
        self.assertEqual(err, "".join(f"aira-cli: error: [E100] line {n}: This line is longer than "
                                      "64 MiB.\n" for n in (2, 4)))

    def test_a_full_disk_is_told_once(self):
        with open("/dev/full", "wb") as full:
            process = start("-m", model(), stdout=full)
            _, err = process.communicate(b"um\ndois\n")
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err.decode(), r"\Aaira-cli: error: [^\n]*stdout[^\n]*\n\Z")

    def test_ctrl_c_leaves_no_half_line(self):
        process = start("-m", slow_model(), "--max-new-tokens", "100000")
        process.stdin.write(b"\num\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual((*process.communicate(), process.returncode), (b"", b"", -signal.SIGINT))

    def test_ctrl_c_while_waiting_for_a_line(self):
        process = start("-m", model(), "--max-new-tokens", "3")
        process.stdin.write(b"um\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(), -signal.SIGINT)
        process.communicate()

    def test_an_ignored_ctrl_c_stays_ignored(self):
        process = start("-m", model(), "--max-new-tokens", "3",
                        prepare=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.stdin.write(b"um\n")
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(b"dois\n")
        self.assertEqual((out.count(b"\n"), err, process.returncode), (1, b"", 0))

    def test_stdin_that_is_closed_is_told(self):
        process = start("-m", model(), stdin=None, prepare=lambda: os.close(0))
        out, err = process.communicate()
        self.assertEqual((out, process.returncode), (b"", 1))
        self.assertIn(b"stdin", err)


if __name__ == "__main__":
    main()
