"""--stats: the energy of a run, by counters that look like the kernel's and that a thread moves."""

import contextlib
import json
import os
import re
import threading

from chat_terminal import ChatTest
from harness import (BINARY, CliTest, environment, main, model, run, scratch, slow_model,
                     start)

ENERGY = re.compile(r"aira-cli: energy: ([\d.]+) J per answer, ([\d.]+) J per 1,000 tokens, ([\d.]+) J"
                    r"( and ([\d.]+) g of CO2)? in all, used by the whole machine \(([^)]*)\)")
MISSING = "aira-cli: energy: not available here: "
TOKENS = 120  # of an answer: long enough for the counters to move meanwhile on a busy machine
SHORT = ("--max-new-tokens", str(TOKENS))
MOST = 262143328850


class Counters:
    """A tree like /sys/class/powercap; the counters of its zones run while it is used with `with`."""

    def __init__(self, name, zones=(("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "dram"))):
        self.folder = scratch(name)
        self.files = []
        for zone, label in zones:
            folder = os.path.join(self.folder, zone)
            os.makedirs(folder)
            for file, text in (("name", label), ("max_energy_range_uj", str(MOST)),
                               ("energy_uj", str(MOST - 7))):
                with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
                    out.write(text + "\n")
            self.files.append(os.path.join(folder, "energy_uj"))

    def set(self, microjoules):
        for path in self.files:
            with contextlib.suppress(FileNotFoundError):
                with open(path, "r+b", buffering=0) as file:
                    file.write(b"%014d\n" % (microjoules % (MOST + 1)))

    def __enter__(self):
        self.stop = threading.Event()

        def work():
            at = MOST - 7
            while not self.stop.wait(0.0005):
                at += 1000
                self.set(at)

        self.thread = threading.Thread(target=work)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def environment(self, **more):
        return environment(AIRA_POWERCAP=self.folder, **more)


class Energy(CliTest):
    def figures(self, err):
        """Of the only line of energy: joules an answer, per 1,000 tokens and in all, grams, parts."""
        [found] = [ENERGY.fullmatch(line) for line in err.splitlines() if "J per answer" in line]
        self.assertTrue(found, err)
        per_answer, per_tokens, joules, _, grams, parts = found.groups()
        return float(per_answer), float(per_tokens), float(joules), grams and float(grams), parts

    def test_one_question(self):
        with Counters("uma-ação") as counters:
            code, _, err = run("-m", slow_model(), *SHORT, "--stats", "-n", "2", "Oi",
                               env=counters.environment())
        self.assertEqual(code, 0)
        per_answer, per_tokens, joules, grams, parts = self.figures(err)
        self.assertGreater(joules, 0)
        self.assertAlmostEqual(joules, 2 * per_answer, delta=joules / 50)
        self.assertAlmostEqual(per_tokens, 1000 * joules / (2 * TOKENS), delta=per_tokens / 50)
        self.assertIsNone(grams)
        self.assertEqual(parts, "package-0, dram")
        self.assertIn("energy", err.splitlines()[-1])

    def test_lines_are_summed_up_at_the_end(self):
        with Counters("linhas") as counters:
            code, _, err = run("-m", slow_model(), *SHORT, "--stats", "--carbon-intensity", "98.5",
                               stdin="olá\n\nmaçã\nOi\n", env=counters.environment())
        self.assertEqual(code, 0)
        per_answer, per_tokens, joules, grams, _ = self.figures(err)
        self.assertAlmostEqual(joules, 3 * per_answer, delta=joules / 50)
        self.assertAlmostEqual(per_tokens, 1000 * joules / (3 * TOKENS), delta=per_tokens / 50)
        self.assertAlmostEqual(grams, joules / 3.6e6 * 98.5, delta=grams / 50)
        self.assertIn("energy", err.splitlines()[-1])

    def test_beside_the_summary_of_a_file(self):
        lines = scratch("perguntas.txt")
        with open(lines, "w", encoding="utf-8") as file:
            file.write("olá\n" + "é" * 9000 + "\nOi\n")  # the second is too long
        with Counters("arquivo") as counters:
            code, _, err = run("-m", slow_model(), *SHORT, "--stats", "-f", lines, "-o", scratch("saída"),
                               env=counters.environment())
        self.assertEqual(code, 1)
        per_answer, _, joules, _, _ = self.figures(err)
        self.assertAlmostEqual(joules, 2 * per_answer, delta=joules / 50)  # what failed is no answer
        self.assertIn("lines done: 3, failed: 1", err)
        with Counters("outro") as counters:  # it is not part of what a run must have in common
            code, _, err = run("-m", slow_model(), *SHORT, "--stats", "--carbon-intensity", "1", "-f", lines,
                               "-o", scratch("saída"), "--resume", env=counters.environment())
        self.assertEqual(code, 1, err)
        self.assertNotIn("energy", err)  # nothing was answered

    def test_progress_for_programs(self):
        with Counters("programas") as counters:
            _, _, err = run("-m", slow_model(), *SHORT, "--stats", "--jsonl", "--progress", "json",
                            "--carbon-intensity", "500", stdin='{"question": "olá", "n": 2}\n',
                            env=counters.environment())
        [energy] = [json.loads(line)["energy"] for line in err.splitlines() if line.startswith("{")]
        joules = energy["joules"]
        self.assertGreater(joules, 0)
        self.assertAlmostEqual(energy["joules_per_answer"], joules / 2)
        self.assertAlmostEqual(energy["joules_per_1000_tokens"], 1000 * joules / (2 * TOKENS))
        self.assertAlmostEqual(energy["grams_co2"], joules / 7200)
        self.assertEqual((energy["counted"], energy["missing"]), (["package-0", "dram"], []))

    def test_where_the_intensity_comes_from(self):
        config = scratch("config")
        with open(config, "w", encoding="utf-8") as file:
            file.write("carbon-intensity = 36000\n")
        cases = ((), None, 0.01), ((), "72e3", 0.02), (("--carbon-intensity", "0"), "72000", 0)
        for number, (args, variable, grams_per_joule) in enumerate(cases):
            more = {"AIRA_CONFIG": config, **({"AIRA_CARBON_INTENSITY": variable} if variable else {})}
            with self.subTest(args=args), Counters(f"de{number}") as counters:
                _, _, err = run("-m", slow_model(), *SHORT, "--stats", *args, "Oi",
                                env=counters.environment(**more))
                _, _, joules, grams, _ = self.figures(err)
                self.assertAlmostEqual(grams, grams_per_joule * joules, delta=joules / 2000)
        with open(config, "w", encoding="utf-8") as file:
            file.write("dtype = f16\ncarbon_intensity = pouca\n")
        err = self.fail_with(1, "-m", slow_model(), "Oi", env=environment(AIRA_CONFIG=config))
        self.assertIn('line 2 of', err)
        self.assertIn('carbon_intensity must be a number from 0 to 100000, not "pouca"', err)

    def test_bench(self):
        args = ("bench", "-m", model(), "-p", "60", "-n", "40", "-r", "9")
        with Counters("medida") as counters:
            report = json.loads(self.succeed(*args, "--json", env=counters.environment()))
            table = self.succeed(*args, env=counters.environment()).decode()
        self.assertEqual(report["energy"]["missing"], [])
        some = [test["joules_per_1000_tokens"] for test in report["tests"]
                if "joules_per_1000_tokens" in test]
        self.assertGreater(len(some), 0)
        self.assertIn("J/1,000 tokens", table)
        code, out, err = run(*args, env=environment(AIRA_POWERCAP=scratch("nada")))
        self.assertEqual(code, 0)
        self.assertNotIn("J/1,000 tokens", out.decode())
        self.assertIn("energy: not available here: ", err)


class InTheChat(ChatTest):
    def test_each_question_has_its_own(self):
        with Counters("conversa") as counters:
            terminal = self.start(*SHORT, "--stats", folder=slow_model(),
                                  env=counters.environment())
            for question in ("olá", "maçã"):
                [found] = ENERGY.finditer(self.asked(terminal, question))
                self.assertEqual(found[1], found[3])
            self.leave(terminal)


class NotAvailable(CliTest):
    def test_the_reason_is_told_once(self):
        env = environment(AIRA_POWERCAP=scratch("não-há"))
        code, _, err = run("-m", model(), *SHORT, "--stats", stdin="olá\nOi\n", env=env)
        self.assertEqual(code, 0)
        self.assertEqual(err.count(MISSING), 1, err)
        self.assertRegex(err, re.escape(MISSING + scratch("não-há")) + r" has no counters [^\n]*\.\n\Z")
        _, _, err = run("-m", model(), *SHORT, "--stats", "--jsonl", "--progress", "json",
                        stdin='{"question": "olá"}\n', env=env)
        [energy] = [json.loads(line)["energy"] for line in err.splitlines() if line.startswith("{")]
        self.assertIsNone(energy["joules"])
        self.assertEqual(len(energy["missing"]), 1)

    def test_counters_of_root(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become another user")
        counters = Counters("de-root")
        for path in counters.files:
            os.chmod(path, 0o400)
        user = 1_000_000_000 + os.getpid()
        os.chmod(os.path.dirname(counters.folder), 0o755)

        def prepare():
            os.setgid(user)
            os.setuid(user)

        with open(BINARY, "rb") as binary:  # that user may be unable to reach it by its name
            process = start(*SHORT, "--stats", "Oi", prepare=prepare,
                            env=counters.environment(AIRA_CACHE="off", HOME="/nonexistent"),
                            executable=f"/proc/self/fd/{binary.fileno()}",
                            pass_fds=(binary.fileno(),))
            _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        self.assertIn(f"sudo chmod o+r {counters.folder}/intel-rapl:*/energy_uj.\n", err.decode())
        self.assertEqual(err.decode().count(MISSING), 1)

    def test_a_counter_that_fails_midway(self):
        with Counters("some", (("intel-rapl:0", "package-0"), ("intel-rapl:1", "package-1"))) as counters:
            process = start("-m", slow_model(), *SHORT, "--stats", env=counters.environment())
            process.stdin.write("olá\n".encode())
            process.stdin.flush()
            process.stdout.readline()
            os.remove(counters.files.pop())
            _, err = process.communicate(timeout=120)
        err = err.decode()
        self.assertIn("(package-0)", err)
        self.assertRegex(err, MISSING + r"[^\n]*intel-rapl:1/energy_uj cannot be read: No such file or "
                                        r"directory\.\n\Z")

    def test_nothing_is_read_without_stats(self):
        counters = Counters("fila")
        for path in counters.files:
            os.remove(path)
            os.mkfifo(path)  # whose reader would wait for ever
        self.succeed("-m", model(), *SHORT, "-q", "Oi", env=counters.environment())
        self.succeed("-m", model(), *SHORT, "-q", stdin="olá\nOi\n", env=counters.environment())

    def test_wrong_usage(self):
        for args, says in ((("--carbon-intensity", "5"), "--stats"),
                           (("--stats", "--carbon-intensity", "-1"), '--carbon-intensity must be'),
                           (("--stats", "--carbon-intensity", "muito"), '"muito"'),
                           (("--stats", "--carbon-intensity", "nan"), '"nan"')):
            with self.subTest(args=args):
                self.assertIn(says, self.fail_with(2, *args, "Oi"))
        code, _, err = run("--stats", "Oi", env=environment(AIRA_CARBON_INTENSITY="5 g"))
        self.assertEqual(code, 2)
        self.assertIn('AIRA_CARBON_INTENSITY must be a number from 0 to 100000, not "5 g"', err)
        self.succeed("-m", model(), *SHORT, "Oi", env=environment(AIRA_CARBON_INTENSITY="5"))


if __name__ == "__main__":
    main()
