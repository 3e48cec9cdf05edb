"""The languages of messages: how one is chosen, that no message lacks its translation, and that
nothing but words depends on it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
import unittest

import harness
from harness import CliTest, environment, model, run

CATALOGUE = os.path.join(harness.ROOT, "src", "locale", "pt_BR.po")
MAN_PAGE = os.path.join(harness.ROOT, "tools", "docs", "man_page.py")
sys.path.insert(0, os.path.dirname(MAN_PAGE))
import man_page  # noqa: E402
TOOL = os.path.join(harness.ROOT, "tools", "messages")
ID = re.compile(r"\A\[(E\d+)\] ")
PLACE = re.compile(r"\{(\d?)\}")
COMMANDS = ("", "chat", "tokenize", "score", "info", "pull", "list", "rm", "doctor", "bench", "serve", "merge", "completion",
            "help", "version")


def in_portuguese(**more):
    return environment(AIRA_LANG="pt", **more)


def places(pattern):
    """The numbers of the values that a pattern asks for."""
    numbers = []
    for number in PLACE.findall(pattern):
        numbers.append(int(number) if number else numbers[-1] + 1 if numbers else 0)
    return sorted(numbers)


def catalogue(path=CATALOGUE):
    """The messages of a .po file and their translations."""
    text = subprocess.run(["msgcat", "--no-wrap", "--no-location", path], check=True,
                          capture_output=True).stdout.decode()
    messages = {}
    for entry in text.split("\n\n")[1:]:
        found = re.search(r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)', entry, re.MULTILINE)
        original, translation = ("".join(json.loads(line) for line in part.splitlines())
                                 for part in found.groups())
        messages[original] = translation
    return messages


def described(text):
    """The options and commands in a help text and what it says of them."""
    found = {}
    for block in text.split("\n\n"):
        lines = block.split("\n")[1:]
        if lines and re.match("  +-|  [a-z]+  ", lines[0]):
            for tag, said in man_page.items_of(lines):
                found[re.match("[-a-z0-9, ]*[a-z]", tag)[0]] = said
    return found


def sources():
    for folder in ("src", "kernels"):
        for place, _, names in os.walk(os.path.join(harness.ROOT, folder)):
            for name in names:
                if name.endswith((".cc", ".h")):
                    with open(os.path.join(place, name)) as file:
                        yield os.path.relpath(os.path.join(place, name), harness.ROOT), file.read()


class Language(CliTest):
    def message(self, **variables):
        """What is said of a wrong option."""
        env = environment(**variables)
        env.pop("LC_ALL") if "LC_ALL" not in variables else None
        env.pop("LANGUAGE", None) if "LANGUAGE" not in variables else None
        for name in ("LANG", "LC_MESSAGES"):
            if name not in variables:
                env.pop(name, None)
        code, out, err = run("--top-k", "x", env=env)
        self.assertEqual((code, out), (2, b""))
        return err

    def test_it_is_that_of_aira_lang_or_of_the_locale(self):
        portuguese = ({"AIRA_LANG": "pt"}, {"AIRA_LANG": "pt_BR"}, {"AIRA_LANG": "pt-BR"},
                      {"AIRA_LANG": "pt", "LC_ALL": "en_US.UTF-8"}, {"AIRA_LANG": "pt", "LC_ALL": "C"},
                      {"LC_ALL": "pt_BR.UTF-8"}, {"LC_ALL": "pt_PT@euro", "LANG": "en_US.UTF-8"},
                      {"LC_MESSAGES": "pt_BR.UTF-8", "LANG": "en_US.UTF-8"}, {"LANG": "pt"},
                      {"LC_ALL": "", "LANG": "pt_BR.utf8"},
                      {"LANG": "de_DE.UTF-8", "LANGUAGE": "de:pt_BR:en"},
                      {"LC_ALL": "pt_BR.UTF-8", "LOCPATH": "/nowhere"})
        english = ({}, {"AIRA_LANG": "en"}, {"AIRA_LANG": "en_US.UTF-8", "LC_ALL": "pt_BR.UTF-8"},
                   {"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8", "LANG": "pt_BR.UTF-8"},
                   {"LC_ALL": "C.UTF-8", "LANGUAGE": "pt"}, {"LC_ALL": "POSIX", "LANGUAGE": "pt"},
                   {"LC_MESSAGES": "en_US.UTF-8", "LANG": "pt_BR.UTF-8"}, {"LANG": "ptx_XX.UTF-8"},
                   {"LANG": "pt_BR.UTF-8", "LANGUAGE": "en:pt"}, {"LANG": "de_DE.UTF-8"})
        for variables in portuguese:
            with self.subTest(variables):
                self.assertIn("--top-k deve ser um número inteiro", self.message(**variables))
        for variables in english:
            with self.subTest(variables):
                self.assertIn("--top-k must be a whole number", self.message(**variables))

    def test_an_unknown_one_is_told_once(self):
        err = self.message(AIRA_LANG="tlh\x1b[31m", LANG="pt_BR.UTF-8")
        self.assertEqual(err.count("AIRA_LANG"), 1)
        self.assertIn(r'AIRA_LANG is "tlh\x1b[31m"; it must be pt or en.', err)
        self.assertIn("--top-k must be", err)

    def test_children_and_numbers_do_not_depend_on_it(self):
        lines = '{"question": "Qual a capital do Acre?"}\n{"question": 3, "id": "ç"}\n{"top_k": "x"}\n'
        results = []
        for env in (environment(), in_portuguese(LC_ALL="pt_BR.UTF-8")):
            code, out, _ = run("-m", model(), "--jsonl", "--seed", "1", stdin=lines, env=env)
            results.append((code, [json.loads(line) for line in out.decode().splitlines()]))
        english, portuguese = results
        self.assertNotEqual(english, portuguese)
        for _, answers in results:
            for answer in answers:
                answer.get("error", {}).pop("message", None)
        self.assertEqual(english, portuguese)
        self.assertEqual(*[self.succeed("info", "-m", model(), "--json", env=env)
                           for env in (environment(), in_portuguese())])

    def test_errors_keep_their_ids_and_exit_codes(self):
        for words in (("--top-k", "x"), ("-m", model(), "--max-length", "1", "Olá"),
                      ("-m", "/", "Olá"), ("-m", model(), "x" * 10000)):
            english, portuguese = (run(*words, env=env) for env in (environment(), in_portuguese()))
            self.assertEqual(english[:2], portuguese[:2])
            self.assertNotEqual(english[2], portuguese[2])
            self.assertEqual(re.findall(r"\[E\d+\]", english[2]),
                             re.findall(r"\[E\d+\]", portuguese[2]))
            self.assertRegex(english[2], r"error: \[E\d+\] ")

    def test_the_help_fits_80_columns(self):
        for env in (environment(), in_portuguese()):
            for command in COMMANDS:
                out = self.succeed("help", *([command] if command else []), env=env).decode()
                for line in out.splitlines():
                    self.assertEqual(unicodedata.normalize("NFC", line), line)
                    self.assertLessEqual(len(line), 80, line)


    def test_the_examples_of_the_help_work(self):
        """With the built-in model; those for another model are left out."""
        folder = harness.scratch("examples")
        os.makedirs(os.path.join(folder, "bin"))
        os.symlink(harness.BINARY, os.path.join(folder, "bin", "aira-cli"))
        for name, text in (("perguntas.txt", "Bom dia!\nO que é fotossíntese?\n"),
                           ("perguntas.jsonl", '{"question": "Qual a capital do Acre?"}\n'),
                           ("turma.csv", "aluno,pergunta\nAna,Quanto é 3 vezes 4?\n"),
                           ("livro.txt", "Era uma vez um gato.\n")):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        env = environment()
        env["PATH"] = os.path.join(folder, "bin") + os.pathsep + env["PATH"]
        if b"built in" not in self.succeed("info"):
            self.skipTest("no model is built in")
        for command in COMMANDS:
            text = self.succeed("help", *([command] if command else [])).decode()
            for line in re.findall(r"^  ((?:echo .*)?aira-cli .*)$", text, re.MULTILINE):
                if re.search(r" -m | [\w.]+/[A-Za-z]|^aira-cli (bench|pull|serve)", line):
                    continue
                done = subprocess.run(["bash", "-c", line], cwd=folder, env=env,
                                      stdin=subprocess.DEVNULL, capture_output=True)
                self.assertEqual(done.returncode, 0, line + "\n" + done.stderr.decode())
                said = done.stdout.decode().strip()
                self.assertTrue(said or " > " in line or " -o " in line, line)
                self.assertNotIn("Desculpe", said, line)

    def test_the_help_is_translated(self):
        for command in COMMANDS:
            english, portuguese = (
                described(self.succeed("help", *([command] if command else []), env=env).decode())
                for env in (environment(), in_portuguese()))
            self.assertEqual(list(english), list(portuguese))
            for name, description in english.items():
                self.assertNotEqual(description, portuguese[name], f"{command} {name}")

    def test_the_man_page_names_every_option(self):
        """It is made from --help, and troff finds nothing wrong with it."""
        for env, language in ((environment(), "en"), (in_portuguese(), "pt")):
            page = subprocess.run([sys.executable, MAN_PAGE, harness.BINARY, language], check=True,
                                  env=env, capture_output=True).stdout.decode()
            text = page.replace("\\-", "-").replace("\\e", "\\")
            for command in COMMANDS:
                out = self.succeed("help", *([command] if command else []), env=env).decode()
                for name in described(out):
                    self.assertTrue(f"\n\\fB{name}" in text, name)
            if shutil.which("groff"):
                shown = subprocess.run(["groff", "-man", "-Tutf8", "-K", "utf8", "-ww"],
                                       input=page.encode(), capture_output=True)
                self.assertEqual(shown.stderr, b"")
                self.assertIn("AIRA-CLI(1)", shown.stdout.decode())


class Messages(unittest.TestCase):
    def setUp(self):
        if not shutil.which("msgmerge"):
            self.skipTest("gettext is not installed")

    def test_the_catalogue_has_every_message_and_no_other(self):
        with tempfile.TemporaryDirectory() as folder:
            collected = os.path.join(folder, "pt_BR.po")
            shutil.copy(CATALOGUE, collected)
            subprocess.run([TOOL, collected], check=True, capture_output=True)
            with open(collected) as now, open(CATALOGUE) as kept:
                self.assertEqual(now.read(), kept.read(), "run tools/messages and translate")
        with open(CATALOGUE) as file:
            self.assertNotIn("fuzzy", file.read())

    def test_every_message_is_translated(self):
        missing = [pattern for pattern, translation in catalogue().items() if not translation]
        self.assertEqual(missing, [])

    def test_translations_keep_ids_and_values(self):
        for pattern, translation in catalogue().items():
            if not translation:
                continue
            for of in (ID.findall, places, lambda text: text.endswith("\n"),
                       lambda text: set(re.findall(r"--[a-z][a-z-]+", text))):
                self.assertEqual(of(pattern), of(translation), pattern)

    def test_an_id_belongs_to_one_message(self):
        patterns = {}
        for pattern in catalogue():
            for error in ID.findall(pattern):
                self.assertNotIn(error, patterns, pattern)
                patterns[error] = pattern

    def test_every_error_has_an_id(self):
        """No literal follows where one error is passed on as another, or comes from a table, whose
        sentences must have ids."""
        passed_on = re.compile(r"\A(error\.tag\(\)|error\)|(rule|pair)\.sentence)")
        for path, text in sources():
            for found in re.finditer(r"\b(?:throw |return |= |\()(?:Usage)?Error\(\s*", text):
                rest = text[found.end():found.end() + 60]
                self.assertTrue(rest.startswith('"[E') or passed_on.match(rest), f"{path}: {rest}")


if __name__ == "__main__":
    harness.main()
