"""Completions, as the program gives them and as bash, zsh and fish show them."""

import os
import re
import shutil
import subprocess
import unittest

from harness import BINARY, ROOT, CliTest, Terminal, environment, main, scratch


def shell_environment(**more):
    """One in which `aira-cli` is the binary under test, and a cache holds two models."""
    folder = scratch("bin")
    if not os.path.exists(folder):
        os.makedirs(folder)
        os.symlink(os.path.abspath(BINARY), f"{folder}/aira-cli")
        for name in ("models--açaí--gpt2-café", "models--gpt2", "datasets--a--b"):
            os.makedirs(scratch(f"hub/{name}/snapshots/0123"))
        os.makedirs(scratch("hub/models--half--fetched/blobs"))
        os.makedirs(scratch("here/pasta um/x"))
        os.makedirs(scratch("here/pão"))
        open(scratch("here/perguntas.txt"), "w").close()
    return environment(PATH=f"{folder}:{os.environ['PATH']}", HF_HUB_CACHE=scratch("hub"), PS1="pronto> ",
                       **more)


class Candidates(CliTest):
    """What may stand in the place of the last word."""

    def words(self, *typed, env=None):
        out = self.succeed("completion", "bash", "--", *typed, env=env or shell_environment())
        return [line.split("\t")[0] for line in out.decode().splitlines()]

    def test_commands_stand_first(self):
        commands = self.words("")
        self.assertLessEqual({"chat", "score", "completion", "help"}, set(commands))
        self.assertEqual(self.words("-q", "-m", "x", ""), commands)
        self.assertEqual(self.words("score", ""), [])
        self.assertEqual(self.words("--", ""), [])
        self.assertEqual(self.words("Uma pergunta?", ""), [])
        self.assertEqual(self.words("help", "")[-1], "options")
        self.assertEqual(self.words("help", "")[:-1], commands)
        self.assertEqual(self.words("completion", "z"), ["bash", "zsh", "fish"])

    def test_options_of_each_command_are_those_of_its_help(self):
        for command in ("", *self.words("")):
            words = [command, "-"] if command else ["-"]
            out = self.succeed(*words[:-1], "--help").decode()
            named = re.findall(r"^ +((?:-\w, )?--[a-z-]+(?:, --[a-z-]+)?)", out, re.MULTILINE)
            in_help = {name for names in named for name in names.split(", ")}
            self.assertEqual(set(self.words(*words)), in_help, command)
        self.assertEqual(self.words("-m", "x", "bench", "--"), self.words("bench", "--"))

    def test_meanings_are_in_the_language_of_the_user(self):
        out = self.succeed("completion", "fish", "--", "--q", env=shell_environment(AIRA_LANG="pt"))
        self.assertIn("--quiet\tSó erros", out.decode())

    def test_each_value_offered_is_accepted(self):
        for option in ("--device", "--dtype", "--early-stopping", "--progress"):
            values = self.words(option, "")
            self.assertGreater(len(values), 1, option)
            self.assertEqual(self.words(f"{option}={values[0][:1]}"), values)
            refusal = self.fail_with(2, option, "nenhum", "x")
            for value in values:
                self.assertIn(value, refusal)

    def test_models_of_the_cache_and_folders(self):
        for typed in (("-m", ""), ("--model", "a"), ("--model=a",), ("chat", "-m", "")):
            self.assertEqual(self.words(*typed), ["açaí/gpt2-café", "gpt2", ":folders"])
        env = shell_environment()
        env["HF_HUB_CACHE"] = scratch("no such folder")
        self.assertEqual(self.words("-m", "", env=env), [":folders"])

    def test_files_and_folders_are_left_to_the_shell(self):
        self.assertEqual(self.words("-f", "x"), [":files"])
        self.assertEqual(self.words("--log=x"), [":files"])
        self.assertEqual(self.words("merge", "x", ""), [":files"])
        self.assertEqual(self.words("--adapter", ""), [":folders"])
        self.assertEqual(self.words("--seed", ""), [])

    def test_a_wrong_command_line_has_no_completions(self):
        self.assertEqual(self.words("scroe", ""), [])

    def test_other_shells_are_refused(self):
        self.assertIn('not for "tcsh"', self.fail_with(2, "completion", "tcsh"))
        self.assertIn("zsh", self.fail_with(2, "completion"))


def needs(shell):
    return unittest.skipUnless(shutil.which(shell), f"{shell} is not installed")


class Shells(CliTest):
    """The shells themselves, in a terminal. Each case: what is typed before the Tab, and what the line
    has become."""

    CASES = (("aira-cli tok", "aira-cli tokenize "),
             ("aira-cli --max-new", "aira-cli --max-new-tokens "),
             ("aira-cli --device cu", "aira-cli --device cuda "),
             ("aira-cli --device=cu", "aira-cli --device=cuda "),
             ("aira-cli -q score --perp", "aira-cli -q score --perplexity "),
             ("aira-cli -m a", "aira-cli -m açaí/gpt2-café "),
             ("aira-cli -m pas", "aira-cli -m pasta\\ um/"),
             ("aira-cli --adapter pã", "aira-cli --adapter pão/"),
             ("aira-cli -f per", "aira-cli -f perguntas.txt "),
             ("aira-cli --log=per", "aira-cli --log=perguntas.txt "),
             ("aira-cli completion f", "aira-cli completion fish "))

    def shell(self, *program):
        env = shell_environment(INPUTRC="/dev/null")
        return Terminal(program=("env", "-C", scratch("here"), *program), env=env)

    def check(self, terminal):
        terminal.wait_for("done\npronto> ")
        for number, (typed, becomes) in enumerate(self.CASES):
            terminal.type(typed + "\t")
            terminal.wait_for(becomes.removesuffix("/"))  # zsh draws that one apart
            terminal.type("\x15echo do''ne\n")
            terminal.wait_for("done\npronto> ", times=number + 2)
        terminal.type("exit 0\n")
        self.assertEqual(terminal.end(), 0)

    @needs("bash")
    def test_bash(self):
        terminal = self.shell("bash", "--norc", "--noprofile", "-i")
        terminal.type('bind "set enable-bracketed-paste off"; eval "$(aira-cli completion bash)" && '
                      'echo do""ne\n')
        self.check(terminal)

    @needs("zsh")
    def test_zsh(self):
        terminal = self.shell("zsh", "-f", "-i")
        terminal.type('unsetopt prompt_sp beep; autoload -Uz compinit && compinit -u -D && '
                      'eval "$(aira-cli completion zsh)" && echo do""ne\n')
        self.check(terminal)

    @needs("fish")
    def test_fish(self):
        for typed, becomes in self.CASES:
            script = "aira-cli completion fish | source; complete --do-complete $argv[1]"
            out = subprocess.run(["fish", "--no-config", "-c", script, typed], env=shell_environment(),
                                 cwd=scratch("here"), check=True, capture_output=True).stdout.decode()
            word = becomes.replace("\\ ", "~").split()[-1].replace("~", " ")
            self.assertIn(word, re.split(r"[\t\n]", out), typed)

    @needs("shellcheck")
    def test_the_script_for_bash_is_clean(self):
        subprocess.run(["shellcheck", f"{ROOT}/src/app/completion/aira-cli.bash"], check=True)


if __name__ == "__main__":
    main()
