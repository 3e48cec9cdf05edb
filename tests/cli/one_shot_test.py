"""One question on the command line."""

import os
import re
import signal

from harness import CliTest, main, model, run, slow_model, start


class OneShot(CliTest):
    def ask(self, *args, **how):
        return self.succeed("-m", model(), "--max-new-tokens", "12", *args, **how)

    def test_prints_the_answer_and_a_line_end(self):
        out = self.ask("--seed", "1", "Oi")
        self.assertTrue(out.endswith(b"\n"))
        self.assertTrue(out.strip())
        self.assertEqual(out.decode(), out.decode())  # valid UTF-8

    def test_the_seed_decides(self):
        hot = ("--temperature", "5", "--top-p", "1", "--top-k", "0", "Oi")
        self.assertEqual(self.ask("--seed", "1", *hot), self.ask("--seed", "1", *hot))
        self.assertNotEqual(self.ask("--seed", "1", *hot), self.ask("--seed", "2", *hot))

    def test_threads_change_nothing(self):
        self.assertEqual(self.ask("--seed", "1", "-t", "1", "Oi"),
                         self.ask("--seed", "1", "-t", "3", "Oi"))

    def test_greedy_needs_no_seed(self):
        self.assertEqual(self.ask("--greedy", "Oi"), self.ask("--greedy", "Oi"))

    def test_a_greedy_model_samples_when_asked(self):
        folder = model(generation={"do_sample": False})
        hot = ("-m", folder, "--max-new-tokens", "12", "--top-p", "1", "--top-k", "0", "x")
        greedy = self.succeed("-m", folder, "--max-new-tokens", "12", "x")
        self.assertEqual(greedy, self.succeed("-m", folder, "--max-new-tokens", "12", "--greedy",
                                              "x"))
        self.assertNotEqual(greedy, self.succeed("--temperature", "9", "--seed", "1", *hot))

    def test_generation_config_is_the_default(self):
        folder = model(generation={"max_new_tokens": 3})
        _, _, err = run("-m", folder, "--stats", "x")
        self.assertIn("answer 3 tokens", err)

    def test_several_answers(self):
        hot = ("--temperature", "5", "--top-p", "1", "--top-k", "0", "--seed", "1", "Oi")
        one = self.ask(*hot)
        two = self.ask("-n", "2", *hot)
        self.assertTrue(two.startswith(one))
        self.assertGreater(len(two), len(one))

    def test_stop_texts_end_and_are_not_printed(self):
        whole = self.ask("--greedy", "Oi").decode().strip("\n")
        stop = whole[3:5]
        cut = self.ask("--greedy", "--stop", "not in there", "--stop", stop, "Oi").decode()
        self.assertEqual(cut.strip("\n"), whole[:whole.index(stop)].rstrip())

    def test_the_question_wins_over_stdin(self):
        self.assertEqual(self.ask("--seed", "1", "Oi", stdin="other\nlines\n"),
                         self.ask("--seed", "1", "Oi"))

    def test_stats_on_stderr(self):
        code, _, err = run("-m", model(), "--stats", "--seed", "77", "--dtype", "f32", "-t", "1",
                           "--max-new-tokens", "5", "Oi")
        self.assertEqual(code, 0)
        for part in ("prompt 4 tokens", "answer 5 tokens", "first token", "tokens/s", "MB", "cpu",
                     "f32", "seed 77"):
            self.assertIn(part, err)
        start, *_ = err.splitlines()  # what the start took is told once
        for part in ("program", "tokenizer", "weights", "prompt", "5 tokens"):
            self.assertIn(part, start)

    def test_int8(self):
        code, out, err = run("-m", model(), "--stats", "--dtype", "int8", "--seed", "5",
                             "--max-new-tokens", "5", "Olá, você?")
        self.assertEqual(code, 0)
        self.assertIn(", int8, seed 5", err)
        self.assertEqual(out, self.ask("--dtype", "int8", "--seed", "5", "-t", "1",
                                       "--max-new-tokens", "5", "Olá, você?"))

    def test_a_drawn_seed_can_be_used_again(self):
        hot = ("--temperature", "5", "--top-p", "1", "--top-k", "0", "Oi")
        _, out, err = run("-m", model(), "--max-new-tokens", "12", "--stats", *hot)
        seed = re.search(r"seed (\d+)\n", err)[1]
        self.assertEqual(self.ask("--seed", seed, *hot), out)

    def test_too_long(self):
        err = self.fail_with(1, "-m", model(), "palavra " * 40)
        self.assertIn("too long", err)
        self.assertIn("64", err)
        self.assertIn("322", err)

    def test_raw_and_the_markers(self):
        self.assertNotEqual(self.ask("--greedy", "Oi"), self.ask("--greedy", "--raw", "Oi"))
        self.ask("--raw", "")

    def test_a_base_model_needs_raw(self):
        base = model(markers=False)
        self.assertIn("--raw", self.fail_with(1, "-m", base, "Oi"))
        out = self.succeed("-m", base, "--raw", "--max-new-tokens", "3", "Oi")
        self.assertTrue(out.endswith(b"\n"))

    def test_markers_in_a_question_are_plain_text(self):
        _, _, err = run("-m", model(), "--stats", "--max-new-tokens", "1", "<|endoftext|>")
        self.assertIn(f"prompt {2 + len('<|endoftext|>')} tokens", err)

    def test_invalid_utf8_in_the_question(self):
        err = self.fail_with(1, "-m", model(), b"a\xff\xc3")
        self.assertIn("[E146] The question is not UTF-8", err)

    def test_streams_as_tokens_come(self):
        process = start("-m", slow_model(), "--max-new-tokens", "100000", "Oi")
        self.assertTrue(os.read(process.stdout.fileno(), 1))
        self.assertIsNone(process.poll())
        process.kill()
        process.communicate()

    def test_ctrl_c_ends_by_sigint(self):
        process = start("-m", slow_model(), "--max-new-tokens", "100000", "Oi")
        os.read(process.stdout.fileno(), 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        self.assertEqual((process.returncode, err), (-signal.SIGINT, b""))
        self.assertTrue(out.endswith(b"\n"))

    def test_a_closed_reader_is_quiet(self):
        process = start("-m", slow_model(), "--max-new-tokens", "100000", "Oi")
        os.read(process.stdout.fileno(), 1)
        process.stdout.close()
        _, err = process.stderr.read(), process.stderr
        self.assertEqual((process.wait(), _), (0, b""))
        err.close()
        process.stdin.close()

    def test_a_full_disk_is_told(self):
        with open("/dev/full", "wb") as full:
            process = start("-m", model(), "Oi", stdout=full)
            _, err = process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err.decode(), r"\Aaira-cli: error: .*stdout.*\n\Z")

    def test_a_closed_stdout_is_told(self):
        process = start("-m", model(), "Oi", stdout=None, prepare=lambda: os.close(1))
        _, err = process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertIn("stdout", err.decode())


if __name__ == "__main__":
    main()
