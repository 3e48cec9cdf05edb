"""Many questions at once: what stands beside a question changes nothing of its answer, and whatever
happens to the program, its reader or its writer, lines are whole and in order."""

import fcntl
import json
import os
import random
import resource
import signal
import subprocess
import time

from harness import (PATIENCE, CliTest, Terminal, environment, main, model, run, scratch,
                     slow_model, start)

HOT = ("--temperature", "3", "--top-p", "0.98", "--top-k", "200", "--min-p", "0.001")
STOPPED = (b"", b"", -signal.SIGINT)  # nothing more on stdout and stderr
LONG = {"context": 160}  # several pages of the cache


def questions(count):
    """Mixed lengths, none twice, some beginning alike, not ASCII alone."""
    source = random.Random(3)
    beginning = "Qual é a opinião do senhor sobre a questão número "
    result = []
    for number in range(count):
        text = beginning[:source.choice((0, 0, 5, len(beginning)))] + str(number)
        text += "".join(source.choices("aeiou çãé?☃", k=source.choice((0, 1, 7, 30, 50))))
        result.append(text.rstrip())
    return result


class Same(CliTest):
    """1,000 questions: the same bytes whatever runs at once, with however many threads."""

    QUESTIONS = questions(1000)
    WAYS = (("1", "1"), ("7", "2"), ("32", "1"), ("32", "2"))

    def ask(self, lines, batch, threads, *args):
        return self.succeed("-m", model(**LONG), "--seed", "9", "--max-new-tokens", "6", "--batch",
                            batch, "-t", threads, *args, stdin="\n".join(lines) + "\n")

    def all_the_same(self, *args, lines=None):
        lines = lines or self.QUESTIONS
        first = self.ask(lines, *self.WAYS[0], *args)
        for way in self.WAYS[1:]:
            self.assertTrue(first == self.ask(lines, *way, *args), way)
        return first

    def test_hot_answers_do_not_depend_on_the_batch(self):
        lines = self.all_the_same(*HOT).split(b"\n")
        self.assertEqual((len(lines), lines[-1]), (1001, b""))
        self.assertGreater(len(set(lines)), 900)

    def test_several_answers_do_not_depend_on_the_batch(self):
        lines = self.all_the_same(*HOT, "-n", "2").splitlines()
        alone = self.ask(self.QUESTIONS, "32", "2", *HOT).splitlines()
        self.assertTrue(lines[::2] == alone)

    def test_best_of_several_does_not_depend_on_the_batch(self):
        self.all_the_same(*HOT, "--best-of", "3", lines=self.QUESTIONS[:300])

    def test_beams_do_not_depend_on_the_batch(self):
        self.all_the_same("--num-beams", "3", "-n", "2", lines=self.QUESTIONS[:300])

    def test_json_lines_do_not_depend_on_the_batch(self):
        ways = ({}, {"num_return_sequences": 2}, {"num_beams": 3, "temperature": 0}, {"best_of": 3},
                {"temperature": 0, "logprobs": 2}, {"seed": 4}, {"max_new_tokens": 1},
                {"max_new_tokens": 60, "stop": "a"}, {"temperature": -1}, {"num_beams": 99})
        lines = [json.dumps({"id": i, "question": text, **ways[i % len(ways)]})
                 for i, text in enumerate(self.QUESTIONS)]
        results = {}
        for batch, threads in (("3", "1"), ("7", "2"), ("32", "2")):
            code, out, _ = run("-m", model(**LONG), "--jsonl", "--seed", "9", "--max-new-tokens",
                               "6", "--batch", batch, "-t", threads, *HOT, stdin="\n".join(lines))
            self.assertEqual(code, 1)  # the last two ways are refused
            results[batch] = [json.loads(line) for line in out.splitlines()]
            self.assertEqual([line["id"] for line in results[batch]], list(range(1000)))
        whole = [line for line in results["32"] if "answers" in line]
        self.assertEqual(len(whole), 800)
        for batch in ("3", "7"):
            self.assertTrue(whole == [line for line in results[batch] if "answers" in line], batch)

    def test_scores_do_not_depend_on_the_batch(self):
        lines = "".join(json.dumps({"text": text * 3}) + "\n" for text in self.QUESTIONS[:300])
        first, *others = (self.succeed("score", "-m", model(**LONG), "--batch", batch, "-t",
                                       threads, stdin=lines) for batch, threads in self.WAYS)
        for other in others:
            self.assertTrue(first == other)

    def test_the_built_in_model_in_every_dtype(self):
        lines = "\n".join(self.QUESTIONS[:120])
        for dtype in ("f32", "f16", "int8"):
            first, *others = (self.succeed("-q", "--seed", "9", "--max-new-tokens", "8", "--dtype",
                                           dtype, "--batch", batch, "-t", threads, *HOT,
                                           stdin=lines) for batch, threads in self.WAYS)
            self.assertEqual(first.count(b"\n"), 120)
            for other in others:
                self.assertTrue(first == other, dtype)

    def test_the_order_of_questions_changes_no_answer(self):
        first = self.ask(self.QUESTIONS, "32", "2", *HOT).splitlines()
        order = list(range(1000))
        random.Random(5).shuffle(order)
        shuffled = self.ask([self.QUESTIONS[i] for i in order], "32", "2", *HOT).splitlines()
        self.assertTrue([first[i] for i in order] == shuffled)

    def test_questions_asked_twice_are_answered_alike(self):
        out = self.ask(["Olá, você?"] * 100, "32", "2", *HOT)
        self.assertEqual(len(set(out.splitlines())), 1)


class Memory(CliTest):
    def peak(self, count, *args, stdin=None):
        """The most memory, in MB, that a run over so many short questions had."""
        path = scratch("questions")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(stdin(i) if stdin else f"{i}\n" for i in range(count))
        # AddressSanitizer would keep what is freed.
        env = environment(ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "")
                          + ":quarantine_size_mb=0:thread_local_quarantine_size_kb=0")
        process = start("-m", model(), "--max-new-tokens", "2", *args, "-f", path, env=env)
        lines = 0
        for _ in process.stdout:
            lines += 1
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        process.communicate()
        self.assertEqual((status, lines), (0, count))
        return usage.ru_maxrss / 1024

    def test_memory_does_not_grow_with_the_questions(self):
        few, many = self.peak(200), self.peak(8000)
        self.assertLess(many - few, 1.5)

    def test_memory_does_not_grow_with_json_lines(self):
        def line(number):
            return json.dumps({"id": number, "question": str(number)}) + "\n"

        few = self.peak(200, "--jsonl", stdin=line)
        many = self.peak(8000, "--jsonl", stdin=line)
        self.assertLess(many - few, 1.5)


class Flow(CliTest):
    """Answers leave as soon as they are there, and no more is read than is needed."""

    def test_an_answer_comes_before_the_next_line_is_written(self):
        for args, line in ((("-n", "2"), b"um\n"), (("--num-beams", "2", "-n", "2"), b"um\n"),
                           (("--jsonl",), b'{"question": "um"}\n')):
            process = start("-m", model(), "--max-new-tokens", "3", *args)
            for _ in range(3):
                process.stdin.write(line)
                process.stdin.flush()
                for _ in range(1 if "--jsonl" in args else 2):
                    self.assertTrue(process.stdout.readline().endswith(b"\n"))
            self.assertEqual((*process.communicate(), process.returncode), (b"", b"", 0))

    def test_half_a_line_keeps_nobody_waiting(self):
        args = ("-m", model(), "--max-new-tokens", "3", "--seed", "1")
        process = start(*args)
        process.stdin.write(b"um\ndo")
        process.stdin.flush()
        first = process.stdout.readline()
        out, _ = process.communicate(b"is\n\n\xc3\xa9")
        self.assertEqual(first + out, self.succeed(*args, stdin="um\ndois\n\né"))

    def test_a_writer_of_single_bytes(self):
        text = "um\n\ndois ção\r\ntrês".encode()
        args = ("-m", model(), "--max-new-tokens", "3", "--seed", "1")
        process = start(*args)
        for byte in text:
            process.stdin.write(bytes([byte]))
            process.stdin.flush()
            time.sleep(0.002)
        out, _ = process.communicate()
        self.assertEqual(out, self.succeed(*args, stdin=text))

    def test_a_long_answer_holds_back_later_ones_and_loses_none(self):
        lines = [{"id": i, "question": "um", "max_new_tokens": 1 if i % 100 else 50}
                 for i in range(700)]
        out = self.json_lines("-m", model(), "--jsonl", "--batch", "2",
                              stdin="\n".join(map(json.dumps, lines)))
        self.assertEqual([line["id"] for line in out], list(range(700)))
        self.assertEqual([len(line["answers"][0]["token_ids"]) for line in out],
                         [line["max_new_tokens"] for line in lines])

    def write_until_it_stops(self, fd, block, patience, most, complaint):
        """Writes to a pipe that does not block until nothing was taken for `patience` seconds: fewer than `most` bytes."""
        taken, quiet_since = 0, time.monotonic()
        while time.monotonic() - quiet_since < patience:
            try:
                taken += os.write(fd, block)
                quiet_since = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
            self.assertLess(taken, most, complaint)

    def test_a_slow_reader_stops_the_reading(self):
        for args, line in (((), b"um\n"), (("--jsonl",), b'{"question": "um"}\n'),
                           (("-n", "3"), b"um\n")):
            process = start("-m", model(), "--max-new-tokens", "20", *args)
            fd = process.stdin.fileno()
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
            fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
            os.set_blocking(fd, False)
            self.write_until_it_stops(fd, line * (4096 // len(line)), 0.5, 400_000,
                                      "nobody reads the answers, yet it reads on")
            process.kill()
            process.communicate()

    def test_no_more_is_read_than_is_needed(self):
        fifo = scratch("questions.fifo")
        os.mkfifo(fifo)
        process = start("-m", slow_model(), "--max-new-tokens", "8000", "--batch", "2", "-f", fifo)
        fd = os.open(fifo, os.O_WRONLY)
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(fd, False)
        self.write_until_it_stops(fd, b"x" * 1023 + b"\n", 1, 200_000, "it reads ahead of its work")
        self.assertIsNone(process.poll())
        process.kill()
        process.communicate()
        os.close(fd)

    def test_a_slow_reader_gets_everything(self):
        process = start("-m", model(), "--max-new-tokens", "20", "--seed", "1", "-f",
                        self.file_of(600))
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        out = b""
        while piece := os.read(process.stdout.fileno(), 2000):
            out += piece
            time.sleep(0.002)
        self.assertEqual((process.communicate()[1], process.returncode), (b"", 0))
        self.assertTrue(out == self.succeed("-m", model(), "--max-new-tokens", "20", "--seed", "1",
                                            stdin="\n".join(map(str, range(600)))))

    def file_of(self, count):
        path = scratch("numbers")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(map(str, range(count))))
        return path

    def test_errors_keep_their_place_between_answers(self):
        lines = ["um", "x" * 100, "", "dois", "y" * 200, "tres"] * 30
        args = ("-m", model(), "--seed", "1", "--max-new-tokens", "4", "-n", "2")
        code, out, err = run(*args, stdin="\n".join(lines))
        self.assertEqual(code, 1)
        good = {text: self.succeed(*args, stdin=text) for text in ("um", "dois", "tres")}
        self.assertEqual(out, b"".join(good.get(text, b"\n\n") for text in lines))
        self.assertEqual([int(line.split("line ")[1].split(":")[0]) for line in err.splitlines()],
                         [i + 1 for i, text in enumerate(lines) if len(text) >= 100])


class Ends(CliTest):
    """The program is stopped with a batch in flight."""

    WAYS = ((), ("-n", "3"), ("--jsonl",), ("--jsonl", "-n", "3"), ("--num-beams", "2"))

    FAILED = r"\Aaira-cli: error: \[E001\] Writing to stdout failed: [^\n]*\.\n\Z"

    def feed(self, *args, count=3000, **how):
        """A program at work on the file of so many questions."""
        path = scratch("questions")
        with open(path, "w", encoding="utf-8") as file:
            for number in range(count):
                text = f"pergunta número {number}"
                file.write((json.dumps({"question": text}) if "--jsonl" in args else text) + "\n")
        return start("-m", model(**LONG), "--seed", "2", "--max-new-tokens", "30", *args, "-f",
                     path, **how)

    def whole(self, args, count):
        """The first lines of a run that nobody stops."""
        process = self.feed(*args, count=count)
        out, _ = process.communicate()
        self.assertEqual(process.returncode, 0)
        return out

    def test_a_reader_that_leaves_is_no_error(self):
        for args in self.WAYS:
            with self.subTest(args=args):
                process = self.feed(*args)
                first = process.stdout.readline()
                process.stdout.close()
                self.assertEqual((process.stderr.read(), process.wait(PATIENCE)), (b"", 0))
                process.stderr.close()
                process.stdin.close()
                self.assertTrue(self.whole(args, 1).startswith(first))

    def test_head_gets_its_lines(self):
        process = self.feed("-n", "2")
        head = subprocess.run(["head", "-3"], stdin=process.stdout, capture_output=True, check=True)
        process.stdout.close()
        self.assertEqual((process.stderr.read(), process.wait(PATIENCE)), (b"", 0))
        process.stderr.close()
        process.stdin.close()
        self.assertEqual(head.stdout, b"".join(self.whole(("-n", "2"), 2).splitlines(True)[:3]))

    def test_ctrl_c_leaves_whole_lines_and_none_twice(self):
        for args in self.WAYS:
            with self.subTest(args=args):
                process = self.feed(*args)
                out = b"".join(process.stdout.readline() for _ in range(40))
                process.send_signal(signal.SIGINT)
                out += process.stdout.read()  # communicate() would lose what is buffered
                self.assertEqual((*process.communicate(), process.returncode), STOPPED)
                self.assertTrue(out.endswith(b"\n"))
                count = out.count(b"\n")
                self.assertLess(count, 3000)
                # The same as without: nothing is missing, half there, or there twice.
                answers = 3 if args == ("-n", "3") else 1
                again = self.whole(args, -(-count // answers))
                self.assertTrue(again.startswith(out))

    def test_ctrl_c_while_nobody_reads(self):
        process = self.feed()
        fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        out = process.stdout.readline()
        time.sleep(0.3)  # the pipe is full
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        out += process.stdout.read()
        self.assertEqual((*process.communicate(), process.returncode), STOPPED)
        self.assertTrue(out.endswith(b"\n"))
        self.assertTrue(self.whole((), out.count(b"\n")) == out)

    def test_ctrl_c_while_the_first_answers_are_at_work(self):
        for args in self.WAYS:
            with self.subTest(args=args):
                process = start("-m", slow_model(), "--max-new-tokens", "100000", *args)
                jsonl = "--jsonl" in args
                question = b'{"question": "um"}\n' if jsonl else b"um\n"
                process.stdin.write((b"x\n" if jsonl else b"\n") + question * 50)
                process.stdin.flush()
                for _ in range(3 if args == ("-n", "3") else 1):
                    process.stdout.readline()  # of the first line, which asks nothing
                time.sleep(0.2)
                process.send_signal(signal.SIGINT)
                self.assertEqual((*process.communicate(), process.returncode), STOPPED)

    def test_a_full_disk_is_told_once_with_many_answers_at_work(self):
        for args in self.WAYS:
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                process = self.feed(*args, stdout=full)
                _, err = process.communicate()
                self.assertEqual(process.returncode, 1)
                self.assertRegex(err.decode(), self.FAILED)

    def test_a_disk_that_fills_up_midway(self):
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

        path = scratch("answers")
        for args in self.WAYS:
            with self.subTest(args=args):
                whole = self.whole(args, 100)
                with open(path, "wb") as file:
                    process = self.feed(*args, stdout=file, prepare=small_files,
                                        env=environment(AIRA_CACHE="off"))
                _, err = process.communicate()
                self.assertEqual(process.returncode, 1)
                self.assertRegex(err.decode(), self.FAILED)
                with open(path, "rb") as file:
                    self.assertEqual(file.read(), whole[:1000])


class OnATerminal(CliTest):
    """The progress line: where people see stderr and the answers go elsewhere."""

    def work(self, *args, lines=4000, to_file=True):
        path = scratch("questions")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{i}\n" for i in range(lines))
        with open(scratch("answers"), "wb") as out:
            how = {"stdout": out} if to_file else {}
            return Terminal("-m", model(**LONG), "--max-new-tokens", "100", "--batch", "4", "-f",
                            path, *args, env=environment(AIRA_CACHE="off"), **how)

    def test_progress_is_shown_and_taken_away(self):
        terminal = self.work()
        terminal.wait_for("tokens/s")
        terminal.wait_for(" left")
        self.assertIn(" lines done, ", terminal.screen)
        terminal.type("\x03")
        self.assertEqual(terminal.end(), -signal.SIGINT)
        # A summary takes its place.
        self.assertRegex(terminal.raw.decode(), r"\r\x1b\[Kaira-cli: lines done: \d+, failed: 0; "
                         r"\d+ tokens in [0-9:]+, \d+ tokens/s\.\r\n\Z")
        self.assertEqual(terminal.raw.count(b"\n"), 1)

    def test_no_progress_when_quiet_or_beside_answers(self):
        for args, to_file in ((("-q",), True), ((), False)):
            terminal = self.work(*args, lines=800, to_file=to_file)
            self.assertEqual(terminal.end(), 0)
            self.assertNotIn("lines done", terminal.screen)

    def test_other_lines_do_not_mix_with_progress(self):
        terminal = self.work("--stats")
        terminal.wait_for("lines done", 2)
        terminal.process.send_signal(signal.SIGINT)
        self.assertEqual(terminal.end(), -signal.SIGINT)
        for line in terminal.raw.decode().split("\r\n"):
            before, _, seen = line.rpartition("\r")
            self.assertTrue(before == "" or seen.startswith("\x1b[K"), line)  # it is wiped out
            self.assertRegex(seen, r"\A(\x1b\[K)?(aira-cli: (prompt|start: |lines done: |energy: ).*)?\Z")


if __name__ == "__main__":
    main()
