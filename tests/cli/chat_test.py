"""The chat in a pseudo-terminal."""

import os
import signal
import subprocess
import time

from harness import CliTest, Terminal, environment, main, model, scratch, slow_model

SHORT = ("--seed", "1", "--max-new-tokens", "8")


class Chat(CliTest):
    def start(self, *args, **how):
        terminal = Terminal("-m", how.pop("folder", None) or model(), *args, **how)
        terminal.wait_for("> ")
        return terminal

    def leave(self, terminal):
        terminal.type("/exit\n")
        self.assertEqual(terminal.end(), 0, terminal.screen)

    def asked(self, terminal, question):
        """The answer to `question`: what stands between it and the next prompt."""
        prompts = terminal.screen.count("\n> ")
        terminal.type(question + "\n")
        terminal.wait_for("\n> ", prompts + 1)
        return terminal.screen.rsplit("\n> ", 2)[-2].partition("\n")[2]

    def test_a_question_and_an_answer(self):
        terminal = self.start(*SHORT)
        answer = self.asked(terminal, "um")
        self.assertEqual(answer, self.succeed("-m", model(), *SHORT, "um").decode()[:-1])
        self.assertEqual(answer, self.asked(terminal, "um"))
        self.leave(terminal)

    def test_waiting_costs_nothing(self):
        terminal = self.start(*SHORT, "-t", "8")
        self.rests(terminal.process)
        self.asked(terminal, "um")
        self.rests(terminal.process)
        self.leave(terminal)

    def test_ctrl_d_leaves(self):
        terminal = self.start(*SHORT)
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)

    def test_empty_lines_are_passed_over(self):
        terminal = self.start(*SHORT)
        terminal.type("\n  \n\n")
        self.asked(terminal, "um")
        self.leave(terminal)

    def test_letters_with_accents_can_be_edited(self):
        terminal = self.start(*SHORT)
        typed = "ação\x7f\x7f\x7fão"  # three letters back, two forth
        prompts = terminal.screen.count("\n> ")
        terminal.type(typed + "\n")
        terminal.wait_for("\n> ", prompts + 1)
        expected = self.succeed("-m", model(), *SHORT, "aão").decode()[:-1]
        self.assertIn("\n" + expected + "\n", terminal.screen)
        self.leave(terminal)

    def test_accents_without_a_locale(self):
        terminal = self.start(*SHORT, env=environment(LC_ALL="C"))
        answer = self.asked(terminal, "ção")
        self.assertEqual(answer, self.succeed("-m", model(), *SHORT, "ção").decode()[:-1])
        self.assertNotIn("\\303", terminal.screen)
        self.leave(terminal)

    def test_help(self):
        terminal = self.start(*SHORT)
        answer = self.asked(terminal, "/help")
        for command in ("/help", "/reset", "/seed", "/params", "/exit"):
            self.assertIn(command, answer)
        self.leave(terminal)

    def test_seed(self):
        terminal = self.start("--max-new-tokens", "8", "--temperature", "5", "--top-p", "1",
                              "--top-k", "0", "--seed", "5")
        self.assertIn("seed 5", self.asked(terminal, "/seed"))
        five = self.asked(terminal, "um")
        self.assertIn("seed 6", self.asked(terminal, "/seed 6"))
        self.assertNotEqual(self.asked(terminal, "um"), five)
        self.assertIn("must be", self.asked(terminal, "/seed x"))
        self.assertIn("seed 6", self.asked(terminal, "/seed"))
        self.asked(terminal, "/reset")
        self.assertEqual(self.asked(terminal, "um"), five)
        self.leave(terminal)

    def test_params(self):
        terminal = self.start(*SHORT)
        self.assertIn("top_k 30", self.asked(terminal, "/params"))
        self.assertEqual(self.asked(terminal, "/params top_k 7"), "top_k 7")
        self.assertIn('"top_p" must be', self.asked(terminal, "/params top_p 2"))
        self.assertIn("no request option", self.asked(terminal, "/params nothing 2"))
        self.assertIn("needs a name and a value", self.asked(terminal, "/params top_k"))
        self.assertIn("--jsonl", self.asked(terminal, "/params logprobs 2"))
        self.assertEqual(self.asked(terminal, "/params renormalize_logits true"),
                         "renormalize_logits true")
        self.assertEqual(self.asked(terminal, "/params stop 5"), 'stop ["5"]')
        self.asked(terminal, "/params max_new_tokens 1")
        one = self.succeed("-m", model(), *SHORT, "--top-k", "7", "--max-new-tokens", "1", "um")
        self.assertEqual(self.asked(terminal, "um"), one.decode()[:-1])
        self.leave(terminal)

    def test_an_unknown_command(self):
        terminal = self.start(*SHORT)
        self.assertIn("/help", self.asked(terminal, "/quit"))
        self.leave(terminal)

    def test_a_question_that_is_too_long(self):
        terminal = self.start(*SHORT)
        self.assertIn("too long", self.asked(terminal, "x" * 100))
        self.asked(terminal, "um")
        self.leave(terminal)

    def test_history_stays_in_the_prompt_until_reset(self):
        terminal = self.start(*SHORT, "--history", "--stats")
        first = self.asked(terminal, "um")
        self.assertIn("prompt 4 tokens", first)
        self.assertNotIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.asked(terminal, "/reset")
        self.assertIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.leave(terminal)

    def test_without_history_every_question_stands_alone(self):
        terminal = self.start(*SHORT, "--stats")
        for _ in range(2):
            self.assertIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.leave(terminal)

    def test_ctrl_c_stops_the_answer_only(self):
        terminal = self.start("--max-new-tokens", "100000", folder=slow_model())
        terminal.type("um\n")
        terminal.wait_for("> um\n")
        seen = len(terminal.raw)
        while len(terminal.raw) < seen + 20:
            terminal._read(1)
        terminal.type("\x03")
        terminal.wait_for("\n> ", 2)
        self.asked(terminal, "/params max_new_tokens 3")
        self.asked(terminal, "dois")
        self.leave(terminal)

    def test_ctrl_c_stops_several_answers_at_once(self):
        """The question after it is answered as if nothing had been."""
        for how in (("-n", "4"), ("-n", "4", "--numbered"), ("--best-of", "4"),
                    ("--num-beams", "4", "-n", "2")):
            with self.subTest(how=how):
                terminal = self.start("--seed", "1", "--max-new-tokens", "8000", *how,
                                      folder=slow_model())
                for times in (2, 3):
                    terminal.type("um\n")
                    terminal.wait_for("> um\n", times - 1)
                    if how[0] != "-n":
                        time.sleep(0.3)  # nothing is printed before the end
                    seen = len(terminal.raw)
                    while how[0] == "-n" and len(terminal.raw) < seen + 20:
                        terminal._read(1)
                    terminal.type("\x03")
                    terminal.wait_for("\n> ", times)
                self.asked(terminal, "/params max_new_tokens 5")
                expected = self.succeed("-m", slow_model(), "--seed", "1", "--max-new-tokens", "5",
                                        *how, "dois ção")
                self.assertEqual(self.asked(terminal, "dois ção"), expected.decode()[:-1])
                self.leave(terminal)

    def test_ctrl_c_at_the_prompt_drops_the_line(self):
        terminal = self.start(*SHORT)
        terminal.type("half a line")
        terminal.wait_for("half a line")
        terminal.type("\x03")
        terminal.wait_for("\n> ", terminal.screen.count("\n> ") + 1)
        answer = self.asked(terminal, "um")
        self.assertEqual(answer, self.succeed("-m", model(), *SHORT, "um").decode()[:-1])
        self.leave(terminal)

    def test_lines_are_kept_for_the_next_session(self):
        env = environment(XDG_STATE_HOME=scratch("state"))
        terminal = self.start(*SHORT, env=env)
        self.asked(terminal, "uma pergunta")
        self.leave(terminal)
        path = os.path.join(scratch("state"), "aira-cli", "history")
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)
        again = self.start(*SHORT, env=env)
        again.type("\x1b[A")  # up: /exit
        again.wait_for("> /exit")
        again.type("\x1b[A")
        again.wait_for("> uma pergunta")
        again.type("\n")
        again.wait_for("\n> ", 2)
        self.leave(again)

    def test_no_place_for_the_history(self):
        terminal = self.start(*SHORT, env=environment(XDG_STATE_HOME="/proc/none"))
        self.asked(terminal, "um")
        self.leave(terminal)

    def test_colours(self):
        for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False),
                                    ({"TERM": "dumb"}, False)):
            terminal = self.start(*SHORT, env=environment(**variables))
            self.assertEqual(b"\x1b[1m" in terminal.raw, coloured, variables)
            self.leave(terminal)

    def test_answers_alone_go_to_stdout(self):
        terminal = self.start(*SHORT, stdout=subprocess.PIPE)
        self.asked(terminal, "um")
        self.leave(terminal)
        with terminal.process.stdout as stdout:
            self.assertEqual(stdout.read(), self.succeed("-m", model(), *SHORT, "um"))

    def test_no_prompt_where_nobody_sees_it(self):
        terminal = Terminal("-m", model(), *SHORT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        terminal.type("um\n\x04")
        self.assertEqual(terminal.end(), 0)
        with terminal.process.stdout as out, terminal.process.stderr as err:
            self.assertEqual(out.read(), self.succeed("-m", model(), *SHORT, "um"))
            self.assertEqual(err.read(), b"")

    def test_a_base_model_needs_raw(self):
        terminal = Terminal("-m", model(markers=False))
        self.assertEqual(terminal.end(), 1)
        self.assertIn("--raw", terminal.screen)
        raw = self.start("--raw", *SHORT, folder=model(markers=False))
        self.asked(raw, "um")
        self.leave(raw)

    def test_a_question_on_the_command_line_needs_no_chat(self):
        terminal = Terminal("-m", model(), *SHORT, "um")
        self.assertEqual(terminal.end(), 0)
        self.assertNotIn("> ", terminal.screen)
        self.assertNotIn("\x1b", terminal.raw.decode(errors="replace"))

    def test_ctrl_c_in_one_shot(self):
        terminal = Terminal("-m", slow_model(), "--max-new-tokens", "100000", "um")
        while len(terminal.raw) < 20:
            terminal._read(1)
        terminal.process.send_signal(signal.SIGINT)
        self.assertEqual(terminal.end(), -signal.SIGINT)


if __name__ == "__main__":
    main()
