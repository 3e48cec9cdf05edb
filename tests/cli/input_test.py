"""Input in any encoding, and texts beside a question."""

import json
import os
import subprocess

from harness import (BINARY, PATIENCE, CliTest, Terminal, environment, main, model, run, scratch,
                     start)

HOT = ("--seed", "1", "--max-new-tokens", "8", "--temperature", "5", "--top-p", "1", "--top-k", "0")
LINES = "água\r\n\nÉ \U0001f600?\n\u20ac"


def write(name, content):
    path = scratch(name)
    with open(path, "wb") as file:
        file.write(content)
    return path


class Encodings(CliTest):
    def ask(self, text, *args):
        return self.succeed("-m", model(), *HOT, *args, stdin=text)

    def test_byte_order_marks_and_utf_16(self):
        expected = self.ask(LINES)
        self.assertEqual(expected.count(b"\n"), 4)
        for codec, mark in (("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"),
                            ("utf-16-be", b"\xfe\xff")):
            with self.subTest(codec=codec):
                content = mark + LINES.encode(codec)
                self.assertEqual(self.ask(content), expected)
                self.assertEqual(self.ask("", "-f", write(codec, content)), expected)

    def test_single_bytes_through_a_pipe(self):
        expected = self.ask(LINES)
        for content in (LINES.encode(), b"\xef\xbb\xbf" + LINES.encode(), LINES.encode("utf-16"),
                        b"\xfe\xff" + LINES.encode("utf-16-be")):
            process = start("-m", model(), *HOT, bufsize=0)
            for byte in content:
                process.stdin.write(bytes([byte]))
            self.assertEqual(process.communicate()[0], expected)

    def test_utf_16_across_chunks(self):
        text = "x" + "\U0001f600" * 40_000 + "\num\n"  # each character has bytes in two chunks
        plain, wide = (run("-m", model(), *HOT, stdin=text.encode(codec))
                       for codec in ("utf-8", "utf-16"))
        self.assertEqual(plain, wide)
        self.assertEqual(plain[1], b"\n" + self.ask("um"))  # the first is too long

    def test_files_one_after_the_other(self):
        mark = b"\xef\xbb\xbf"
        self.assertEqual(self.ask(mark + b"um\n" + mark + b"dois\n"), self.ask("um\ndois\n"))

    def test_short_inputs(self):
        for content in (b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"):
            self.assertEqual(self.ask(content), b"")
        for content in (b"\xff", b"\xfe", b"\xef\xbb", b"\xff\xfea"):
            code, out, err = run("-m", model(), stdin=content)
            self.assertEqual((code, out), (1, b""))
            self.assertRegex(err, r"\Aaira-cli: error: \[E10[24]\] line 1 of stdin: [^\n]*\n\Z")

    def test_what_is_no_text_ends_the_run_after_the_lines_before_it(self):
        latin = "um\ndois\nmaçã\ntrês\n".encode("latin-1")
        for content, line, says in [
                (latin, 3, "(byte 3 is 0xE7)"), (latin, 3, "iconv -f WINDOWS-1252 -t UTF-8"),
                (b"um\ndois\n\xed\xa0\x80\n", 3, "UTF-8"), (b"um\ndois\n\xc3", 3, "UTF-8"),
                (b"um\ndois\na\x00b\n", 3, "NUL"),
                ("um\ndois\n\ud800x\n".encode("utf-16", "surrogatepass"), 3, "half a character"),
                ("um\ndois\n\udc00\n".encode("utf-16", "surrogatepass"), 3, "half a character"),
                ("um\ndois\n\n".encode("utf-16")[:-1], 3, "half a character")]:
            with self.subTest(content=content, says=says):
                path = write("wrong.txt", content)
                for args, stdin, name in (((), content, "stdin"),
                                          (("-f", path), b"", json.dumps(path))):
                    code, out, err = run("-m", model(), *HOT, *args, stdin=stdin)
                    self.assertEqual((code, out), (1, self.ask("um\ndois\n")))
                    self.assertRegex(err, r"\Aaira-cli: error: \[E\d+\] [^\n]*\.\n\Z")
                    self.assertIn(f"line {line} of {name}: ", err)
                    self.assertIn(says, err)

    def test_other_kinds_of_unicode(self):
        self.assertIn("UTF-16LE", self.fail_with(1, "-m", model(), stdin="um".encode("utf-16-le")))
        self.assertIn("UTF-32", self.fail_with(1, "-m", model(), stdin="um".encode("utf-32")))

    def test_every_reader(self):
        latin = "maçã".encode("latin-1")
        for args in (("tokenize",), ("score", "--perplexity"), ("--whole",), ("--stdin", "Oi"),
                     ("Oi {}",), ("-0",), ("--raw",)):
            with self.subTest(args=args):
                err = self.fail_with(1, "-m", model(), *args, stdin=latin)
                self.assertIn("1 of stdin: ", err)
                self.assertIn("iconv", err)
        for args in (("score",), ("--jsonl",), ("tokenize", "--jsonl")):
            with self.subTest(args=args):
                code, out, _ = run("-m", model(), *args, stdin=b"{}\n{\"text\": \"" + latin + b"\"}")
                self.assertEqual(code, 1)
                error = json.loads(out.splitlines()[1])
                self.assertEqual(error["line"], 2)
                self.assertIn("iconv", error["error"]["message"])

    def test_whole_texts_name_the_line(self):
        err = self.fail_with(1, "-m", model(), "--whole", stdin=b"um\n\xc3\xa9 \xe9\n")
        self.assertIn("line 2 of stdin: ", err)
        self.assertIn("byte 4 is 0xE9", err)

    def test_tokenize_and_perplexity_read_utf_16(self):
        for args in (("tokenize",), ("score", "--perplexity")):
            self.assertEqual(self.succeed("-m", model(), *args, stdin="É isto".encode("utf-16")),
                             self.succeed("-m", model(), *args, stdin="É isto"))

    def test_templates_that_are_no_text(self):
        err = self.fail_with(1, "-m", model(), "--template", b"\xe9 {}", "um")
        self.assertIn("--template is not UTF-8", err)

    def test_a_long_line_takes_little_more_than_itself(self):
        path = write("sixty.txt", b"\n\n" + b"x" * (60 << 20) + b"\xff\n")  # is read, then refused
        process = start("-m", model(), "-f", path, stdout=subprocess.DEVNULL)
        process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdin.close()
        process.stderr.close()
        self.assertEqual(process.returncode, 1)
        self.assertLess(usage.ru_maxrss, 200 << 10)


class TextBesideAQuestion(CliTest):
    def ask(self, *args, stdin="", **how):
        return self.succeed("-m", model(), *HOT, *args, stdin=stdin, **how)

    def sh(self, script, stdin=b""):
        """stdout and stderr of a shell script in which $aira asks."""
        env = environment(aira=" ".join((BINARY, "-m", model(), *HOT)))
        done = subprocess.run(["bash", "-c", script], input=stdin, env=env, timeout=PATIENCE,
                              capture_output=True, check=False)
        return done.stdout, done.stderr.decode()

    def test_stdin_goes_after_the_question(self):
        expected = self.ask("Resuma:\numa maçã\n\nverde")
        self.assertEqual(self.ask("--stdin", "Resuma:", stdin="uma maçã\n\nverde\n\n"), expected)
        self.assertEqual(self.ask("--stdin", "Resuma:",
                                  stdin="uma maçã\n\nverde".encode("utf-16")), expected)

    def test_a_place_for_it(self):
        expected = self.ask("Diga uma maçã e uma maçã!")
        question = "Diga {} e {}!"
        path = write("text.txt", "uma maçã\n".encode())
        self.assertEqual(self.ask(question, stdin="uma maçã\n"), expected)
        self.assertEqual(self.ask("--stdin", question, stdin="uma maçã\n"), expected)
        with open(path, "rb") as file:
            process = start("-m", model(), *HOT, question, stdin=file)
            self.assertEqual(process.communicate(), (expected, b""))
        self.assertEqual(self.sh(f'$aira "{question}" < {path}'), (expected, ""))
        self.assertEqual(self.sh(f'cat {path} | $aira "{question}"'), (expected, ""))
        self.assertEqual(self.sh(f'$aira "{question}" < <(sleep 0.2; cat {path})'), (expected, ""))

    def test_a_text_with_braces_stays_as_it_is(self):
        expected = self.json_lines("-m", model(), *HOT, "--jsonl",
                                   stdin='{"question": "Diga a {} b!"}')[0]["answers"][0]["text"]
        self.assertEqual(self.ask("Diga {}!", stdin="a {} b").decode(), expected + "\n")

    def test_with_a_template(self):
        self.assertEqual(self.ask("--template", "P: {}\\nR:", "Diga {}!", stdin="um\n"),
                         self.ask("--template", "P: {}\\nR:", "Diga um!"))

    def test_braces_without_a_text_are_braces(self):
        with open("/dev/null", "rb") as null:
            process = start("-m", model(), *HOT, "O que é {}?", stdin=null)
            out, err = process.communicate()
        self.assertEqual((process.returncode, err, out.count(b"\n") > 0), (0, b"", True))

    def test_an_empty_text_is_an_error(self):
        for args in (("--stdin", "Resuma:"), ("Resuma: {}",), ("--whole",)):
            self.assertIn("empty", self.fail_with(1, "-m", model(), *args))

    def test_a_loop_keeps_its_stdin(self):
        loop = 'while read -r q; do $aira "$q"; done'
        path = write("loop.txt", "um\no que é {}?\ntrês\n".encode())
        one, three = self.ask("um"), self.ask("três")
        with open(path, "rb") as file:
            content = file.read()
        for script, stdin in ((f"{loop} < {path}", b""), (f"cat {path} | {loop}", b""),
                              (loop, content)):
            with self.subTest(script=script):
                out, err = self.sh(script, stdin)
                self.assertTrue(out.startswith(one) and out.endswith(three), out)
                self.assertEqual(err.count("\n"), 1, err)  # about {}
                self.assertIn("--stdin", err)

    def test_a_loop_gets_no_notes(self):
        out, err = self.sh("printf 'um\\ndois\\n' | while read -r q; do $aira \"$q\"; done")
        self.assertEqual((out, err), (self.ask("um") + self.ask("dois"), ""))

    def test_a_text_that_is_not_read_is_told(self):
        for script in ("echo texto | $aira um", "$aira um < <(echo texto)",
                       f"$aira um < {write('text.txt', b'texto')}"):
            out, err = self.sh(script)
            self.assertEqual(out, self.ask("um"))
            self.assertRegex(err, r"\Aaira-cli: [^\n]*--stdin [^\n]*\n\Z")
        for script in ("echo texto | $aira -q um", "$aira um < /dev/null", "$aira um <&-",
                       "true | $aira um", "sleep 1 | $aira um", ": > empty; $aira um < empty"):
            with self.subTest(script=script):
                self.assertEqual(self.sh(f"cd {scratch('')}; {script}"), (self.ask("um"), ""))

    def test_a_terminal_gets_no_note(self):
        terminal = Terminal("-q", "Qual a capital do Acre?")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(terminal.screen, "A capital do Acre é Rio Branco.\n")

    def test_all_of_the_input_is_one_question(self):
        expected = self.ask("uma\n\nmaçã")
        path = write("whole.txt", "uma\n\nmaçã\n".encode())
        self.assertEqual(self.ask("--whole", stdin="\ufeffuma\n\nmaçã\n"), expected)
        self.assertEqual(self.ask("--whole", "-f", path), expected)

    def test_questions_between_nuls(self):
        lines = self.json_lines("-m", model(), *HOT, "--jsonl",
                                stdin='{"question": "uma\\nmaçã"}\n{"question": "um\\r"}')
        expected = "".join(" ".join(line["answers"][0]["text"].splitlines()) + "\n" for line in lines)
        for end in ("", "\0"):
            out = self.ask("-0", stdin="uma\nmaçã\0um\r" + end)
            self.assertEqual(out.decode().split(), expected.split())
            self.assertEqual(self.ask("--null", stdin=("uma\nmaçã\0um\r" + end).encode("utf-16")), out)
        err = self.fail_with(1, "-m", model(), "-0", stdin=b"\xe9\0um")
        self.assertIn("text 1 of stdin", err)

    def test_a_hyphen_is_stdin(self):
        for args in (("-",), ("-q", "-"), ("-", "-q")):
            self.assertEqual(self.ask(*args, stdin="um\ndois\n"), self.ask(stdin="um\ndois\n"))
        terminal = Terminal("-q", "-")
        terminal.type("Qual a capital do Acre?\n")
        terminal.wait_for("Rio Branco.")
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)

    def test_what_does_not_go_together(self):
        for args, says in [(("--stdin",), "--whole"), (("--whole", "um"), "--whole"),
                           (("-0", "um"), "--null"), (("--whole", "--jsonl"), "--jsonl"),
                           (("--whole", "-0"), "one of them"), (("-f", "x", "-"), "not both")]:
            with self.subTest(args=args):
                self.assertIn(says, self.fail_with(2, "-m", model(), *args))


if __name__ == "__main__":
    main()
