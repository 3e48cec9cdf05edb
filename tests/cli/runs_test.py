"""Long runs: -o with --resume, --shard and merge, --max-errors, --retry-failed, summary, progress.

Whatever stops a run, the file that it goes on with ends as that of a run that nobody stopped."""

import fcntl
import json
import os
import random
import re
import resource
import signal
import struct
import termios
import time

from harness import CliTest, Terminal, environment, main, model, run, scratch, slow_model, start

HOT = ("--temperature", "3", "--top-k", "200")
BAD = "x" * 300  # does not fit the context


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path


def forget(path):
    for name in (path, path + ".aira-run"):
        if os.path.exists(name):
            os.remove(name)
    return path


JSONL = ("--jsonl",)
KINDS = ((), ("-n", "2"), JSONL, ("--csv", "pergunta"))


def questions_of(count, kind=(), bad=()):
    """A file of so many questions; those at `bad` fail."""
    texts = [BAD if i in bad else "" if i % 37 == 5 and not kind else f"Questão {i} ção?"
             for i in range(count)]
    if kind == JSONL:
        lines = [json.dumps({"id": f"é{i}", "question": text}) for i, text in enumerate(texts)]
    elif kind[:1] == ("--csv",):
        lines = ["id;pergunta;nota"] + [f'{i};"{text}\r\nfim";á' for i, text in enumerate(texts)]
    else:
        lines = texts
    return write(scratch("questions"), "\n".join(lines) + "\n")


def command(questions, *args):
    return ("-q", "-m", model(context=160), "--max-new-tokens", "5", "-f", questions, *HOT, *args)


def both(path):
    """A file and its journal."""
    return read(path), read(path + ".aira-run")


def undisturbed(questions, *args, code=0):
    """The file and journal of a run that nobody stops, with seed 7."""
    path = forget(scratch("whole"))
    got, out, err = run(*command(questions, "--seed", "7", "-o", path, *args))
    if (got, out) != (code, b""):
        raise AssertionError((got, out, err))
    return both(path)


def killed_often(args, path, kills, longest, seed=11):
    """Kills runs after random times and lets the last one come to its end; its exit code."""
    chance = random.Random(seed)
    for _ in range(kills):
        process = start(*args, "-o", path, "--resume")
        time.sleep(chance.uniform(0, longest))
        process.kill()
        process.communicate()
    return run(*args, "-o", path, "--resume")[0]


class Resume(CliTest):
    def test_a_file_holds_what_stdout_would(self):
        for kind in KINDS:
            with self.subTest(kind):
                questions = questions_of(40, kind, bad=(7,))
                code, out, _ = run(*command(questions, "--seed", "7", *kind))
                self.assertEqual((code, out), (1, undisturbed(questions, *kind, code=1)[0]))

    def killed(self, kills, longest, seed=11):
        for kind in KINDS:
            with self.subTest(kind):
                questions = questions_of(300, kind, bad=(100,))
                expected = undisturbed(questions, *kind, code=1)
                path = forget(scratch("killed"))
                args = command(questions, "--seed", "7", *kind)
                self.assertEqual(killed_often(args, path, kills, longest, seed), 1)
                self.assertTrue(both(path) == expected)

    def test_killed_at_any_moment_it_goes_on(self):
        self.killed(6, 0.4)

    def test_killed_at_any_moment_it_goes_on_slow(self):
        for seed in range(13):
            self.killed(6, 0.3, seed)

    def test_ten_thousand_questions_killed_fifty_times_slow(self):
        questions = write(scratch("many"), "".join(f"Quanto é {i} vezes 3?\n" for i in range(10_000)))
        args = ("-q", "--seed", "7", "--max-new-tokens", "8", "-f", questions)
        whole, path = scratch("undisturbed"), forget(scratch("killed"))
        begun = time.monotonic()
        self.succeed(*args, "-o", whole)
        # So that the kills fall all over the run.
        self.assertEqual(killed_often(args, path, 50, (time.monotonic() - begun) / 25 + 0.1), 0)
        self.assertTrue(both(path) == both(whole))
        parts = [forget(scratch(f"third{i}")) for i in (1, 2, 3)]
        for i, part in enumerate(parts, 1):
            self.succeed(*args, "--shard", f"{i}/3", "-o", part)
        self.succeed("merge", "-o", scratch("thirds"), *parts)
        self.assertTrue(both(scratch("thirds")) == both(whole))

    def test_cut_anywhere_it_goes_on(self):
        questions = questions_of(30, JSONL)
        expected = undisturbed(questions, *JSONL)
        path = scratch("cut")
        chance = random.Random(3)
        for _ in range(12):
            # What a kill may leave: the journal behind the file, each with a torn end.
            size = chance.randrange(len(expected[0]) + 1)
            whole_records = expected[0][:size].count(b"\n")
            journal = b"".join(expected[1].splitlines(True)[:1 + whole_records])
            journal = journal[:max(len(expected[1].splitlines(True)[0]),
                                   len(journal) - chance.randrange(60))]
            for name, content in ((path, expected[0][:size]), (path + ".aira-run", journal)):
                with open(name, "wb") as file:
                    file.write(content)
            self.succeed(*command(questions, "--seed", "7", *JSONL, "-o", path, "--resume"))
            self.assertTrue(both(path) == expected)

    def test_a_file_that_lost_its_end_goes_on(self):
        questions = questions_of(30)
        expected = undisturbed(questions)
        path = scratch("whole")
        os.truncate(path, len(expected[0]) // 2)
        self.succeed(*command(questions, "--seed", "7", "-o", path, "--resume"))
        self.assertEqual(both(path), expected)

    def test_the_drawn_seed_is_kept(self):
        questions = questions_of(60)
        path = forget(scratch("drawn"))
        args = command(questions, "-o", path)
        self.succeed(*args)
        whole = read(path)
        os.truncate(path, len(whole) // 3)
        self.succeed(*args, "--resume")
        self.assertEqual(read(path), whole)
        self.succeed(*args, "--resume")  # there is nothing left to do
        self.assertEqual(read(path), whole)

    def test_new_questions_at_the_end_are_answered(self):
        short, path = questions_of(20), forget(scratch("grows"))
        self.succeed(*command(short, "--seed", "7", "-o", path))
        long = questions_of(50)
        self.succeed(*command(long, "-o", path, "--resume"))
        self.assertEqual(both(path), undisturbed(long))

    def test_resume_begins_where_there_is_nothing(self):
        questions, path = questions_of(5), forget(scratch("none"))
        self.succeed(*command(questions, "--seed", "7", "-o", path, "--resume"))
        self.assertEqual(read(path), undisturbed(questions)[0])
        for name in (path, path + ".aira-run"):
            write(name, "")  # killed before the first answer
        self.succeed(*command(questions, "--seed", "7", "-o", path, "--resume"))
        self.assertEqual(read(path), undisturbed(questions)[0])

    def test_ctrl_c_says_how_to_go_on(self):
        questions, path = questions_of(3000), forget(scratch("stopped"))
        args = command(questions, "--seed", "7", "-o", path)[1:]
        process = start(*args)
        while not os.path.exists(path) or os.path.getsize(path) < 200:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        self.assertEqual((out, process.returncode), (b"", -signal.SIGINT))
        self.assertRegex(err.decode(), r"\Aaira-cli: lines done: \d+, failed: 0; \d+ tokens in "
                         r"[0-9:]+, \d+ tokens/s\.\naira-cli: [^\n]*--resume\.\n\Z")
        done = int(re.search(r"done: (\d+)", err.decode())[1])
        self.assertEqual((read(path).count(b"\n"), read(path)[-1:]), (done, b"\n"))
        self.assertLess(done, 3000)
        self.succeed(*args, "--resume")
        self.assertTrue(both(path) == undisturbed(questions))

    def test_scores_and_tokens_go_on_too(self):
        texts = [f"Olá, {i} vezes" for i in range(50)]
        jsonl = write(scratch("texts.jsonl"), "\n".join(json.dumps({"text": t}) for t in texts))
        lines = write(scratch("texts"), "\n".join(texts))
        for args in (("score", "-f", jsonl), ("tokenize", "-f", lines)):
            with self.subTest(args[0]):
                path = forget(scratch("out"))
                whole = self.succeed(*args, "-m", model())
                self.succeed(*args, "-m", model(), "-q", "-o", path)
                self.assertEqual(read(path), whole)
                os.truncate(path, len(whole) // 2)
                self.succeed(*args, "-m", model(), "-q", "-o", path, "--resume")
                self.assertEqual(read(path), whole)


class Refused(CliTest):
    """--resume does not mix what does not belong together, and nothing is written over."""

    def refuse(self, code, says, *args):
        path = scratch("whole")
        before = read(path)
        self.assertIn(says, self.fail_with(code, *args, "-o", path))
        self.assertEqual(read(path), before)

    def test_a_file_that_is_there(self):
        questions = questions_of(5)
        undisturbed(questions)
        self.refuse(1, "--resume", *command(questions, "--seed", "7"))

    def test_other_options_and_models_by_their_names(self):
        questions = questions_of(5)
        undisturbed(questions)
        for more, says in ((("--seed", "8"), "with --seed 7, not with --seed 8"),
                           (("--top-p", "0.5"), "without --top-p 0.5"),
                           (("--top-k", "3"), "with --top-k 200, not with --top-k 200 3"),
                           (("--jsonl",), "without --jsonl"),
                           (("--dtype", "int8"), "without --dtype int8"),
                           (("--shard", "1/2"), "without --shard 1/2"),
                           (("-m", model(layers=3)), "-m ")):
            self.refuse(1, says, *command(questions, *more), "--resume")
        self.refuse(1, "--temperature 3, which is missing", "-q", "-m", model(context=160),
                    "--max-new-tokens", "5", "--top-k", "200", "-f", questions, "--resume")

    def test_what_the_config_file_says_counts(self):
        questions, path = questions_of(9), forget(scratch("out"))
        args = command(questions, "--seed", "7", "-o", path)
        env = environment(AIRA_CONFIG=write(scratch("config"), "repetition_penalty = 1.5\n"))
        self.assertEqual(run(*args, env=env)[0], 0)
        self.assertEqual(run(*args, "--resume", env=env)[0], 0)
        before = both(path)
        for text, says in (("repetition_penalty = 1.6\n", "repetition_penalty = 1.5, not with "),
                           ("", "repetition_penalty = 1.5, which is missing"),
                           ("repetition_penalty = 1.5\ntypical_p = 0.9\n", "without typical_p = 0.9")):
            write(scratch("config"), text)
            code, _, err = run(*args, "--resume", env=env)
            self.assertEqual(code, 1)
            self.assertIn(says, err)
        self.assertEqual(both(path), before)

    def test_options_that_change_no_answer_may_differ(self):
        questions = questions_of(5)
        undisturbed(questions)
        self.succeed(*command(questions, "--batch", "3", "-t", "1", "--max-errors", "2", "--resume",
                                   "-o", scratch("whole"), "--progress", "auto"))

    def test_a_model_with_other_weights(self):
        questions = questions_of(5)
        undisturbed(questions)
        name = os.path.join(model(context=160), "model.safetensors")
        content = read(name)
        with open(name, "r+b") as file:
            file.seek(len(content) - 4)
            file.write(b"\0\0\x80?")
        self.refuse(1, "is not what it was", *command(questions), "--resume")
        with open(name, "wb") as file:
            file.write(content)

    def test_another_input_by_its_first_line_that_differs(self):
        questions = questions_of(20)
        undisturbed(questions)
        lines = read(questions).decode().split("\n")
        write(questions, "\n".join(lines[:11] + ["outra"] + lines[12:]))
        self.refuse(1, "Line 12 of the input", *command(questions), "--resume")
        write(questions, "\n".join(lines[:9]))
        self.refuse(1, "ends before line 10", *command(questions), "--resume")

    def test_a_file_that_was_changed(self):
        questions = questions_of(20)
        whole = undisturbed(questions)[0]
        lines = whole.split(b"\n")
        with open(scratch("whole"), "wb") as file:
            file.write(b"\n".join(lines[:8] + [b"x" * len(lines[8])] + lines[9:]))
        self.refuse(1, "answers line 9 of", *command(questions), "--resume")

    def test_a_file_without_its_journal(self):
        questions = questions_of(5)
        undisturbed(questions)
        os.remove(scratch("whole.aira-run"))
        self.refuse(1, ".aira-run", *command(questions), "--resume")
        write(scratch("whole.aira-run"), "{}\n")
        self.refuse(1, "journal", *command(questions), "--resume")

    def test_two_processes_at_one_file(self):
        path = forget(scratch("whole"))
        questions = write(scratch("one"), "um\n" * 9)
        args = ("-q", "-m", slow_model(), "-f", questions, "--max-new-tokens", "100000")
        process = start(*args, "-o", path)
        while not os.path.exists(path + ".aira-run"):
            time.sleep(0.01)
        time.sleep(0.1)
        self.assertIn("Another", self.fail_with(1, *args, "-o", path, "--resume"))
        process.kill()
        process.communicate()

    def test_wrong_usage(self):
        for args in (("--resume",), ("-o", ""), ("-o", "-"), ("-o", "x", "Olá"),
                     ("--shard", "0/3"), ("--shard", "4/3"), ("--shard", "3"),
                     ("-o", "x", "--retry-failed"), ("--max-errors", "-1"), ("--progress", "no"),
                     ("--csv", "a", "--jsonl")):
            self.fail_with(2, "-m", model(), *args)
        self.fail_with(2, "score", "--perplexity", "-o", "x", "-m", model())

    def test_a_full_disk_is_told_and_nothing_is_lost(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))

        questions = questions_of(60)
        expected = undisturbed(questions)
        path = forget(scratch("full"))
        args = command(questions, "--seed", "7", "-o", path)
        process = start(*args, prepare=small_files, env=environment(AIRA_CACHE="off"))
        _, err = process.communicate()
        self.assertEqual(process.returncode, 1)
        self.assertRegex(err.decode(), r"\Aaira-cli: error: \[E168\] [^\n]*--resume[^\n]*\n\Z")
        self.succeed(*args, "--resume")
        self.assertEqual(both(path), expected)


class Failed(CliTest):
    def test_too_many_errors_stop_the_run(self):
        for kind in (JSONL, ()):
            questions = questions_of(200, kind, bad=(3, 50, 60))
            path = forget(scratch("errors"))
            args = command(questions, "--seed", "7", *kind, "-o", path)
            code, out, err = run(*args, "--max-errors", "1")
            self.assertEqual((code, out), (1, b""))
            self.assertIn("[E182]", err)
            self.assertEqual(read(path).count(b"\n"), 51)
            code, _, _ = run(*args, "--resume", "--max-errors", "1")
            self.assertEqual(code, 1)
            self.assertEqual(both(path),
                             undisturbed(questions, *kind, code=1))

    def test_no_error_is_too_many(self):
        questions = questions_of(5)
        self.assertEqual(self.succeed(*command(questions, "--seed", "7", "--max-errors", "0")),
                         undisturbed(questions)[0])

    def test_failed_lines_are_asked_again_in_place(self):
        # The questions fit the second model alone; the journal is made to say that it was asked.
        questions = questions_of(60, bad=(7, 40))
        path = forget(scratch("retry"))
        args = ("-q", "--max-new-tokens", "5", "-f", questions, *HOT, "-n", "2", "-o", path)
        code, _, _ = run(*args, "-m", model(context=160), "--seed", "7")
        self.assertEqual(code, 1)
        good = forget(scratch("good"))
        self.succeed(*args, "-o", good, "-m", model(context=400), "--seed", "7")
        before = read(path).split(b"\n")
        with open(good + ".aira-run", "rb") as file:
            heading = file.readline()
        journal = read(path + ".aira-run").split(b"\n", 1)[1]
        with open(path + ".aira-run", "wb") as file:
            file.write(heading + journal)
        code, _, err = run(*args, "-m", model(context=400), "--resume", "--retry-failed")
        self.assertEqual((code, err), (0, ""))
        after = read(path).split(b"\n")
        self.assertEqual(len(before), len(after))
        for i, (old, new) in enumerate(zip(before, after)):
            self.assertEqual(old != new, i // 2 in (7, 40), i)
        wanted = read(good).split(b"\n")
        for i in (14, 15, 80, 81):
            self.assertEqual(after[i], wanted[i])
        self.assertFalse(os.path.exists(path + ".aira-retry"))
        again = read(path)
        self.succeed(*args, "-m", model(context=400), "--resume", "--retry-failed")
        self.assertEqual(read(path), again)

    def test_killed_while_it_asks_again_nothing_is_lost(self):
        questions = questions_of(150, JSONL, bad=range(0, 150, 3))
        expected = undisturbed(questions, *JSONL, code=1)
        path = scratch("whole")
        args = command(questions, *JSONL, "--retry-failed")
        self.assertEqual(killed_often(args, path, 6, 0.3), 1)
        self.assertTrue(both(path) == expected)
        # Killed between the two steps of the replacement.
        os.rename(path + ".aira-run", path + ".aira-retry.aira-run")
        write(path + ".aira-run", expected[1].decode().split("\n", 1)[0] + "\n1 0 1 0 failed\n")
        self.assertEqual(run(*command(questions, *JSONL, "-o", path, "--resume"))[0], 1)
        self.assertTrue(both(path) == expected)


class Shards(CliTest):
    def parts(self, questions, count, *args, code=0):
        paths = []
        for i in range(1, count + 1):
            paths.append(forget(scratch(f"part{i}")))
            got, _, err = run(*command(questions, "--seed", "7", "--shard", f"{i}/{count}", "-o",
                                            paths[-1], *args))
            self.assertIn(got, (0, code), err)
        return paths

    def test_three_parts_make_the_whole(self):
        for kind in KINDS:
            with self.subTest(kind):
                questions = questions_of(50, kind, bad=(8,))
                parts = self.parts(questions, 3, *kind, code=1)
                path = forget(scratch("merged"))
                self.succeed("merge", "-o", path, parts[2], parts[0], parts[1])
                self.assertTrue(both(path)
                                == undisturbed(questions, *kind, code=1))

    def test_a_part_takes_every_nth_line(self):
        questions = write(scratch("questions"), "um\ndois\ntres\nquatro\ncinco\n")
        whole = self.succeed(*command(questions, "--seed", "7")).splitlines(True)
        for i in (1, 2, 3):
            out = self.succeed(*command(questions, "--seed", "7", "--shard", f"{i}/3"))
            self.assertEqual(out, b"".join(whole[i - 1::3]))

    def test_more_parts_than_lines(self):
        questions = write(scratch("questions"), "um\n")
        path = forget(scratch("merged"))
        self.succeed("merge", "-o", path, *self.parts(questions, 3))
        self.assertEqual(read(path), undisturbed(questions)[0])

    def test_what_does_not_belong_together_is_refused(self):
        questions = questions_of(20)
        one, two, three = self.parts(questions, 3)
        path = scratch("never")

        def refused(says, *parts, code=1):
            self.assertIn(says, self.fail_with(code, "merge", "-o", path, *parts))
            self.assertFalse(os.path.exists(path) or os.path.exists(path + ".aira-run"))

        refused("2 files are given", one, two)
        refused("both part 1/3", one, two, one)
        refused("no part of a run", undisturbed(questions) and scratch("whole"))
        refused("--output", code=2)
        other = forget(scratch("other"))
        self.succeed(*command(questions, "--seed", "8", "--shard", "3/3", "-o", other))
        refused("--seed 7, not with --seed 8", one, two, other)
        with open(three + ".aira-run", "r+b") as file:
            file.truncate(len(read(three + ".aira-run")) - 2)
        refused("is not whole", one, two, three)

    def test_merged_files_are_never_written_over(self):
        parts = self.parts(questions_of(5), 2)
        path = write(scratch("precious"), "x")
        self.assertIn("there already", self.fail_with(1, "merge", "-o", path, *parts))
        self.assertEqual(read(path), b"x")


class Shown(CliTest):
    def test_json_progress(self):
        questions = questions_of(100, bad=(4,))
        for more in ((), ("-o", forget(scratch("out")))):
            code, _, err = run(*command(questions, "--jsonl", "--progress", "json", *more))
            self.assertEqual(code, 1)
            objects = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
            self.assertEqual((objects[-1]["state"], objects[-1]["done"], objects[-1]["failed"],
                              objects[-1]["total"], objects[-1]["fraction"]),
                             ("done", 100, 97, 100, 1))  # blank lines are skipped
            self.assertEqual(list(objects[-1]), [
                "state", "done", "failed", "total", "fraction", "tokens", "seconds",
                "tokens_per_second", "seconds_left"])

    def test_tokens_of_lines_that_a_terminal_sees_count(self):
        """Streamed, they are not printed by the loop over lines."""
        terminal = Terminal(*command(questions_of(3), "--progress", "json"))
        self.assertEqual(terminal.end(), 0)
        objects = re.findall(r'"tokens":(\d+)', terminal.screen)
        self.assertGreater(int(objects[-1]), 3)

    def test_a_run_with_a_file_ends_with_a_summary(self):
        questions = questions_of(20, bad=(4, 5))
        path = forget(scratch("out"))
        args = command(questions, "--seed", "7", "-o", path)[1:]
        code, out, err = run(*args)
        self.assertEqual((code, out), (1, b""))
        self.assertRegex(err, r"lines done: 20, failed: 2; \d+ tokens in [0-9:]+, \d+ tokens/s\.\n"
                         r"aira-cli: [^\n]*--retry-failed\.\n\Z")
        self.assertEqual(err.count("error: "), 2)
        code, _, err = run(*args, "--resume")
        self.assertEqual(code, 1)
        self.assertIn("lines done: 20, failed: 2; 0 tokens", err)

    def narrow(self, columns, term):
        questions = write(scratch("many"), "".join(f"{i}\n" for i in range(1500)))
        with open(scratch("answers"), "wb") as answers:
            terminal = Terminal("-m", model(context=160), "--max-new-tokens", "60", "-f", questions,
                                "--batch", "4", stdout=answers,
                                env=environment(AIRA_CACHE="off", TERM=term))
        fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        terminal.wait_for("lines done", 2)
        terminal.process.send_signal(signal.SIGINT)
        self.assertEqual(terminal.end(), -signal.SIGINT)
        return terminal.raw.decode()

    def test_progress_is_cut_to_the_width_of_the_terminal(self):
        raw = self.narrow(30, "xterm")
        updates = re.findall(r"\r([^\r\n\x1b]+)\x1b\[K", raw)
        self.assertTrue(all(len(one) <= 29 for one in updates), updates)
        self.assertEqual(len(updates[-1]), 29)

    def test_a_dumb_terminal_gets_no_escapes(self):
        raw = self.narrow(80, "dumb")
        self.assertNotIn("\x1b", raw)
        self.assertRegex(raw, r"\r\d+ of 1500 lines done, \d+ %, \d+ tokens/s, [0-9:]+ left")
        self.assertTrue(raw.endswith("tokens/s.\r\n"), raw[-100:])


if __name__ == "__main__":
    main()
