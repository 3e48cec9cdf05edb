"""What the machine does not give: threads, memory, room for files. One sentence, or fewer of them."""

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import time
import unittest

import faults
from harness import BINARY, CliTest, environment, main, model, run, scratch, start

QUESTION = "Qual é a capital de Portugal?"


def limit(what, most):
    return lambda: resource.setrlimit(what, (most, most))


class Threads(CliTest):
    """RLIMIT_NPROC counts the threads of a user and does not bind root: a user of our own."""

    def asked(self, threads, *args, stdin=None, allowed=None, path=None, command=("--greedy",)):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        user = 1_000_000_000 + os.getpid()

        def prepare():
            os.setgid(user)
            os.setuid(user)
            limit(resource.RLIMIT_NPROC, allowed)()

        # That user may be unable to reach the binary by its name.
        with open(BINARY, "rb") as binary:
            process = start(*command, "-t", str(threads), *args, prepare=prepare,
                            env=environment(AIRA_CACHE=path or "off", HOME="/nonexistent"),
                            executable=f"/proc/self/fd/{binary.fileno()}",
                            pass_fds=(binary.fileno(),))
            out, err = process.communicate(None if stdin is None else stdin.encode(), timeout=120)
        return process.returncode, out.decode(), err.decode()

    def test_fewer_threads_give_the_same_answer(self):
        _, expected, _ = run("-q", "--greedy", QUESTION)
        for allowed, threads in ((40, 3), (5, 2), (5, 16), (8, 1024), (4, 1)):
            with self.subTest(allowed=allowed, threads=threads):
                code, out, err = self.asked(threads, QUESTION, allowed=allowed)
                self.assertEqual((code, out), (0, expected.decode()), err)
                told = "The system allows this program" in err
                self.assertEqual(told, threads + 3 > allowed, err)
                self.assertEqual(self.asked(threads, "-q", QUESTION, allowed=allowed)[2], "")

    def test_lines_with_fewer_threads(self):
        expected = self.succeed("-q", "--greedy", stdin="olá\noi\n").decode()
        code, out, err = self.asked(7, "-q", stdin="olá\noi\n", allowed=5)
        self.assertEqual((code, out, err), (0, expected, ""))

    def test_no_thread_at_all_is_a_sentence(self):
        for allowed in (1, 2, 3):
            for args in ((QUESTION,), ("-f", "-")):
                with self.subTest(allowed=allowed, args=args):
                    code, out, err = self.asked(4, "-q", *args, stdin="olá\n", allowed=allowed)
                    if code == 0:  # enough for this one after all
                        self.assertTrue(out.strip())
                        continue
                    self.assertEqual((code, out), (1, ""), err)
                    self.assertRegex(err, r"\Aaira-cli: error: \[E232\] [^\n]*ulimit -u[^\n]*\.\n\Z")
        self.assertEqual(self.asked(4, "-q", QUESTION, allowed=1)[0], 1)


    def test_a_server_without_threads(self):
        code, out, err = self.asked(1, "-q", "--port", "0", allowed=1, command=("serve",))
        self.assertEqual((code, out), (1, ""), err)
        self.assertRegex(err, r"\Aaira-cli: error: \[E232\] [^\n]*ulimit -u[^\n]*\.\n\Z")


class Files(CliTest):
    def test_the_cache_does_not_fit(self):
        folder = scratch("cache-limit")
        ask = ("-m", model(), "--raw", "--seed", "1", "--max-new-tokens", "9", "olá")
        expected = self.succeed(*ask, env=environment(AIRA_CACHE="off"))
        code, out, err = run(*ask, env=environment(AIRA_CACHE=folder),
                             prepare=limit(resource.RLIMIT_FSIZE, 4096))
        self.assertEqual((code, out), (0, expected), err)
        self.assertRegex(err, r"\Aaira-cli: Converted weights were not kept in [^\n]*: "
                              r"File too large\.\n\Z")
        self.assertEqual(os.listdir(folder), [])

    def test_stdout_hits_the_limit(self):
        with open(scratch("limited"), "wb") as file:
            process = start("--help", stdout=file, prepare=limit(resource.RLIMIT_FSIZE, 1000))
            err = process.communicate(timeout=120)[1].decode()
        self.assertEqual(process.returncode, 1)
        self.assertEqual(err, "aira-cli: error: [E001] Writing to stdout failed: File too large.\n")
        self.assertEqual(os.path.getsize(scratch("limited")), 1000)

    def test_a_file_of_answers_hits_the_limit(self):
        questions, path, whole = scratch("questions"), scratch("limited-o"), scratch("whole-o")
        with open(questions, "w", encoding="utf-8") as file:
            file.writelines(f"{i}?\n" for i in range(300))
        ask = ("-q", "-m", model(), "--seed", "1", "--max-new-tokens", "9", "-f", questions)
        self.succeed(*ask, "-o", whole)
        code, out, err = run(*ask, "-o", path, prepare=limit(resource.RLIMIT_FSIZE, 2000))
        self.assertEqual((code, out), (1, b""))
        self.assertRegex(err, r'\Aaira-cli: error: \[E168\] Writing to "[^\n]*limited-o" failed: File too '
                              r"large\. [^\n]*--resume goes on\.\n\Z")
        self.succeed(*ask, "-o", path, "--resume")
        for ending in ("", ".aira-run"):
            with open(path + ending, "rb") as one, open(whole + ending, "rb") as other:
                self.assertEqual(one.read(), other.read())

    def test_what_a_killed_run_left_goes(self):
        folder = scratch("cache-stale-files")
        os.makedirs(folder)
        stale = os.path.join(folder, "outro-0123-f32.packed.unfinished")
        others = [os.path.join(folder, name) for name in ("notas.unfinished", "x.packed")]
        for path in (stale, *others):
            with open(path, "w", encoding="utf-8") as file:
                file.write("metade")
        self.succeed("-m", model(), "--raw", "a", env=environment(AIRA_CACHE=folder))
        self.assertEqual([name for name in os.listdir(folder) if name.endswith(".packed.unfinished")],
                         [])
        for path in others:
            self.assertTrue(os.path.exists(path))


@faults.WITH_SHIM
class SlowDisk(CliTest):
    """Reserving room for the packed file takes longer than anybody waits."""

    def ask(self, folder, stdin=None, **more):
        """The file system's calls of a run, and stderr."""
        counts = scratch("counts")
        env = environment(AIRA_CACHE=folder, LD_PRELOAD=faults.SHIM, FAULT_COUNTS=counts, **more)
        process = start("-m", model(), "--greedy", "--max-new-tokens", "3", env=env)
        process.stdin.write("olá\n".encode())
        process.stdin.flush()
        process.stdout.readline()
        if stdin is not None:
            stdin()
        err = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 0, err)
        with open(counts) as file:
            counted = dict(line.split() for line in file)
        os.remove(counts)
        return int(counted["fallocate"]), err

    def give_up(self, name):
        folder = scratch(name)
        late = {"FAULT": "fallocate:1:late", "FAULT_DELAY": "5500000"}
        calls, err = self.ask(folder, **late)
        self.assertGreater(calls, 0)
        self.assertRegex(err, r"\Aaira-cli: Converted weights were not kept in [^\n]*: that takes too long; "
                              r"only a run of more than 20 seconds tries it again\.\n\Z")
        for _ in range(2):
            self.assertEqual(self.ask(folder, **late), (0, ""))
        return folder

    def test_it_costs_a_wait_once(self):
        self.give_up("slow-disk")

    def test_a_long_run_tries_again_slow(self):
        folder = self.give_up("slow-disk-again")

        def wait():
            end = time.monotonic() + 60
            while not any(name.endswith(".packed") for name in os.listdir(folder)):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)

        self.assertEqual(self.ask(folder, wait), (1, ""))
        self.assertEqual([name for name in os.listdir(folder) if "unfinished" in name], [])


class CacheVariable(CliTest):
    def test_words_for_none(self):
        folder = scratch("cwd-off")
        os.makedirs(folder)
        for word in ("off", "OFF", "Off", "none", "None", "0", "no", "false"):
            with self.subTest(word=word):
                code, _, err = run("-m", model(), "--raw", "a", cwd=folder,
                                   env=environment(AIRA_CACHE=word, XDG_CACHE_HOME=folder))
                self.assertEqual((code, err), (0, ""))
        self.assertEqual(os.listdir(folder), [])

    def test_home_and_variables(self):
        home = scratch("casa")
        os.makedirs(home)
        for value, place in (("~", home), ("~/caché", home + "/caché"), ("$HOME/b", home + "/b"),
                             ("${HOME}/c", home + "/c"), ("./none", home + "/none")):
            with self.subTest(value=value):
                self.succeed("-m", model(), "--raw", "a", cwd=home,
                             env=environment(AIRA_CACHE=value, HOME=home))
                self.assertEqual(len([name for name in os.listdir(place) if "packed" in name]), 1)
        self.assertEqual(sorted(name for name in os.listdir(home) if "packed" not in name),
                         ["b", "c", "caché", "none"])


class Memory(CliTest):
    def test_little_address_space_is_a_sentence(self):
        ends = set()
        for megabytes in (24, 40, 64, 96, 160, 256, 400):
            with self.subTest(megabytes=megabytes):
                code, out, err = run("-q", "-t", "2", "--greedy", QUESTION,
                                     env=environment(AIRA_CACHE="off"),
                                     prepare=limit(resource.RLIMIT_AS, megabytes << 20))
                ends.add(code)
                if code != 0 and "error while loading shared libraries" not in err:
                    self.assertEqual((code, out), (1, b""), err)
                    self.assertRegex(err, r"\Aaira-cli: error: (\[E\d+\] )?[^\n]*\.\n\Z")
        self.assertIn(1, ends)


if __name__ == "__main__":
    main()
