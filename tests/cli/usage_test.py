"""Help, version and everything on a command line that is refused with exit code 2."""

import os
import re

from harness import CliTest, main, model, run, start


class Usage(CliTest):
    def refused(self, *args, says):
        err = self.fail_with(2, *args)
        self.assertIn(says, err)

    def test_help_goes_to_stdout(self):
        out = self.succeed("--help").decode()
        request = re.findall(r"^\| `(?:-\w, )?(--[a-z-]+)",
                             self.succeed("help", "options").decode(), re.MULTILINE)
        self.assertIn("--top-k", request)
        own = ["--model", "--adapter", "--device", "--dtype", "--threads", "--file", "--jsonl", "--raw",
               "--plain", "--template", "--history", "--numbered", "--batch", "--stats", "--quiet", "--carbon-intensity",
               "--no-stream", "--version", "--help", "--stdin", "--whole", "--null", "--log", "--csv", "--output",
               "--resume", "--retry-failed", "--shard", "--max-errors", "--progress", "--choose", "--show-probs"]
        listed = re.findall(r"^  (?:-\w,|   ) (--[a-z-]+)", out, re.MULTILINE)
        self.assertEqual(sorted(listed), sorted(request + own))
        self.assertIn("--top-k K ", out)
        self.assertIn("(30)", out)
        self.assertIn("Examples:", out)
        self.assertTrue(out.endswith("\n"))
        self.assertEqual(self.succeed("-h").decode(), out)

    def test_help_of_every_command(self):
        for command in ("chat", "tokenize", "score", "info", "bench"):
            out = self.succeed(command, "--help").decode()
            self.assertIn(f"aira-cli {command}", out)
            self.assertIn("--model", out)
            self.assertNotIn("uestion per line", out)
            self.assertEqual(self.succeed("help", command).decode(), out)
            self.assertIn(f"\n  {command} ", self.succeed("help").decode())
        self.assertEqual(self.succeed("help"), self.succeed("--help"))
        self.refused("help", "nothing", says='There is no command "nothing"')

    def test_version(self):
        out = self.succeed("--version").decode()
        self.assertRegex(out, r"\Aaira-cli \d+\.\d+\.\d+( \([0-9a-f]{12}\+?\))?\n"
                              r"Instruction sets: (\w+, )*portable\n"
                              r"CUDA module: (none|/.*/libaira_cuda\.so)\n"
                              r"libcurl: .+\n"
                              r"Languages: English(, Portuguese)?\n"
                              r"Compiler: \S+ .*\d\n\Z")
        self.assertEqual(self.succeed("version").decode(), out)

    def test_a_chat_needs_a_terminal(self):
        self.refused("chat", says="terminal")

    def test_unknown_options(self):
        for option in ("--foo", "-z", "--beams", "--temprature=1"):
            self.refused(option, says=f'There is no option "{option}"')

    def test_what_is_not_built_in(self):
        self.refused("--device", "tpu", "x", says="--device must be auto, cpu or cuda")
        self.refused("--dtype", "int4", "x", says="--dtype must be auto, f32, f16 or int8")

    def test_a_device_that_is_not_there(self):
        if os.path.exists("/dev/nvidiactl") or os.path.exists("/dev/dxg"):
            self.skipTest("this machine has an NVIDIA driver")
        err = self.fail_with(1, "--device", "cuda", "x")
        self.assertIn("There is no NVIDIA driver on this machine", err)

    def test_bad_values(self):
        table = {
            "--temperature": ("-1", "nan", "inf", "hot", ""),
            "--top-p": ("-0.1", "1.01", "nan", "x"),
            "--top-k": ("-1", "1.5", "x", "99999999999999999999"),
            "--repetition-penalty": ("0", "-1", "nan", "inf", "x"),
            "--max-new-tokens": ("0", "-5", "1.5", "many"),
            "--seed": ("-1", "1.5", "x", "18446744073709551616"),
            "--num-return-sequences": ("0", "-1", "1.5", "x"),
            "--threads": ("0", "-1", "x", "100000"),
            "--stop": ("",),
            "--device": ("gpu", ""),
            "--dtype": ("f64", ""),
        }
        for option, values in table.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    self.refused(option, value, "x", says=f"{option} must be ")

    def test_a_value_may_stand_after_an_equals_sign(self):
        self.refused("--temperature=-1", "x", says="--temperature must be ")
        self.refused("--temperature=", "x", says="--temperature needs a value")

    def test_missing_values(self):
        for option in ("--temperature", "--seed", "-m", "-n", "-f", "--stop", "-t"):
            self.refused(option, says="needs a value")

    def test_flags_take_no_value(self):
        for option in ("--greedy", "--raw", "--jsonl", "--stats", "--quiet"):
            self.refused(f"{option}=1", says=f"{option} takes no value")

    def test_several_words_want_quotes(self):
        self.refused("qual", "é", "a", "capital", says="quotes")

    def test_an_empty_question(self):
        self.refused("", says="empty")

    def test_options_that_mean_nothing_together(self):
        self.refused("-f", "file", "question", says="not both")
        self.refused("--jsonl", "question", says="--jsonl")
        self.refused("--history", "question", says="--history")
        self.refused("--history", says="terminal")  # stdin is a pipe here
        self.refused("--history", "--raw", says="--raw")
        self.refused("tokenize", "--plain", "--decode", says="--decode")
        self.refused("bench", "-p", "0", "-n", "0", says="nothing to measure")

    def test_commands_refuse_options_of_others(self):
        self.refused("tokenize", "--temperature", "1", says="--temperature")
        self.refused("score", "--jsonl", says="--jsonl")
        self.refused("info", "--stats", says="--stats")
        self.refused("bench", "--seed", "1", says="--seed")
        self.refused("bench", "word", says='"word"')

    def test_a_command_after_model_options(self):
        out = self.succeed("-q", "-m", model(), "--threads=1", "info")
        self.assertIn(b"11776", out)
        self.refused("--greedy", "info", says="goes first")

    def test_a_command_name_as_a_question(self):
        for word in ("info", "help", "version", "chat"):
            out = self.succeed("-m", model(), "--max-new-tokens", "1", "--", word)
            self.assertEqual(out.count(b"\n"), 1)

    def test_a_question_that_looks_like_an_option(self):
        for question in ("--help", "-m", "--", "-5 graus?"):
            out = self.succeed("-m", model(), "--max-new-tokens", "1", "--", question)
            self.assertTrue(out.endswith(b"\n"))
            self.assertNotIn(b"Examples", out)

    def test_brackets_in_a_question_are_its_own(self):
        common = ("-m", model(), "--seed", "1", "--max-new-tokens", "8")
        for question in ("[a,b]", "{x}", "++", "%"):
            self.assertEqual(self.succeed(*common, question),
                             self.succeed(*common, stdin=question))

    def test_the_last_one_of_an_option_counts(self):
        common = ("-m", model(), "--max-new-tokens", "8", "x")
        self.assertEqual(self.succeed("--seed", "1", "--seed", "2", *common),
                         self.succeed("--seed", "2", *common))

    def test_errors_leave_colours_out(self):
        _, _, err = run("--foo")
        self.assertNotIn("\x1b", err)

    def test_help_on_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            process = start("--help", stdout=full)
            _, err = process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"stdout", err)


if __name__ == "__main__":
    main()
