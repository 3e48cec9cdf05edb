"""The chat's /commands."""

import json
import os
import stat

from chat_terminal import HOT, SHORT, ChatTest
from harness import environment, main, model, scratch


def script(name, text):
    """An executable shell script."""
    path = scratch(name)
    with open(path, "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o700)
    return path


class Commands(ChatTest):
    def test_help_lists_every_command(self):
        terminal = self.start(*SHORT)
        answer = self.asked(terminal, "/help")
        for command in ("/help, /ajuda", "/again", "/edit [TEXT]", "/history [on|off]", "/reset",
                        "/params", "/seed [N]", "/save FILE", "/load FILE", "/exit, /quit, /sair"):
            self.assertIn("\n" + command, "\n" + answer)
        self.assertLessEqual(max(map(len, answer.splitlines())), 80)
        self.assertEqual(self.asked(terminal, "  /ajuda".strip()), answer)
        self.leave(terminal)

    def test_ways_to_leave(self):
        for farewell in ("/exit", "/quit", "/sair", "/exit  "):
            terminal = self.start(*SHORT)
            terminal.type(farewell + "\n")
            self.assertEqual(terminal.end(), 0, terminal.screen)

    def test_farewells_without_a_slash_get_a_hint(self):
        terminal = self.start(*SHORT)
        for word in ("exit", "quit", "sair"):
            answer = self.asked(terminal, word)
            self.assertIn("/exit leaves the chat", answer)
            self.assertIn(f'"{word}"', answer)
        self.assertEqual(self.asked(terminal, " sair"), self.answer(*SHORT, " sair"))
        self.assertEqual(self.questions(terminal), [" sair"])
        self.leave(terminal)

    def test_unknown_commands_and_surplus_words(self):
        terminal = self.start(*SHORT)
        self.assertIn('[E204] There is no command "/hepl"', self.asked(terminal, "/hepl x"))
        self.assertIn('[E203] /again takes nothing after it', self.asked(terminal, "/again não"))
        self.assertEqual(self.asked(terminal, " /um"), self.answer(*SHORT, " /um"))
        self.leave(terminal)

    def test_params(self):
        terminal = self.start(*SHORT)
        self.assertIn("top_k 30", self.asked(terminal, "/params"))
        self.assertEqual(self.asked(terminal, "/params top_k 7"), "top_k 7")
        self.assertIn('"top_p" must be', self.asked(terminal, "/params top_p 2"))
        self.assertIn("no request option", self.asked(terminal, "/params nothing 2"))
        self.assertIn('[E202] "logprobs"', self.asked(terminal, "/params logprobs 2"))
        self.assertEqual(self.asked(terminal, "/params renormalize_logits true"),
                         "renormalize_logits true")
        self.assertEqual(self.asked(terminal, "/params stop 5"), 'stop ["5"]')
        self.asked(terminal, "/params max_new_tokens 1")
        one = self.answer(*SHORT, "--top-k", "7", "--max-new-tokens", "1", "um")
        self.assertEqual(self.asked(terminal, "um"), one)
        self.leave(terminal)

    def test_params_shows_one_and_takes_flags(self):
        terminal = self.start(*SHORT)
        self.assertEqual(self.asked(terminal, "/params temperature"), "temperature 0.2")
        self.assertEqual(self.asked(terminal, "/params top-k 5"), "top_k 5")
        self.assertEqual(self.asked(terminal, "/params --top-k"), "top_k 5")
        self.assertEqual(self.asked(terminal, "/params max_length"), "max_length off")
        self.assertIn("of the start", self.asked(terminal, "/params reset"))
        self.assertEqual(self.asked(terminal, "/params top_k"), "top_k 30")
        self.assertEqual(self.asked(terminal, "/params max_new_tokens"), "max_new_tokens 8")
        self.leave(terminal)

    def test_what_does_not_go_together_is_refused_when_it_is_set(self):
        terminal = self.start(*SHORT, "--batch", "7")
        self.assertIn("64 beams", self.asked(terminal, "/params num_beams 64"))
        self.assertEqual(self.asked(terminal, "/params num_beams"), "num_beams 1")
        self.assertEqual(self.asked(terminal, "/params num_beams 7"), "num_beams 7")
        self.assertIn('"best_of" 3 does not go with "num_beams" 7',
                      self.asked(terminal, "/params best_of 3"))
        self.assertIn("out of range", self.asked(terminal, "/params logit_bias 5000=1"))
        self.asked(terminal, "/params num_beams 1")
        self.assertEqual(self.asked(terminal, "um"), self.answer(*SHORT, "um"))
        self.leave(terminal)

    def test_a_seed_for_every_question(self):
        terminal = self.start(*HOT[2:], "--seed", "5")
        self.assertEqual(self.asked(terminal, "/seed"), "seed 5 for every question")
        five = self.asked(terminal, "um")
        self.assertEqual(self.asked(terminal, "um"), five)
        self.assertIn("seed 6", self.asked(terminal, "/seed 6"))
        six = self.asked(terminal, "um")
        self.assertNotEqual(six, five)
        self.assertIn("must be", self.asked(terminal, "/seed x"))
        self.assertIn("seed 6", self.asked(terminal, "/seed"))
        self.asked(terminal, "/reset")
        self.assertEqual(self.asked(terminal, "um"), six)
        self.asked(terminal, "/params reset")
        self.assertEqual(self.asked(terminal, "um"), five)
        self.leave(terminal)

    def test_without_a_seed_every_question_gets_another(self):
        terminal = self.start(*HOT[2:], "--stats")
        first = int(self.asked(terminal, "/seed").split()[1])
        answers = []
        for asked in range(3):
            answer, *stats = self.asked(terminal, "um").splitlines()
            self.assertTrue(any(line.endswith(f"seed {first + asked}") for line in stats), stats)
            self.assertIn(f"seed {first + asked} for the last", self.asked(terminal, "/seed"))
            answers.append(answer)
        self.assertEqual(len(set(answers)), 3)
        self.assertNotIn("seed", self.saved(terminal)["params"])
        self.leave(terminal)

    def test_again(self):
        terminal = self.start(*HOT)
        self.assertIn("[E205]", self.asked(terminal, "/again"))
        one = self.asked(terminal, "maçã")
        two = self.asked(terminal, "/again")
        three = self.asked(terminal, "/again")
        self.assertEqual(two, self.answer(*HOT, "--seed", "2", "maçã"))
        self.assertEqual(three, self.answer(*HOT, "--seed", "3", "maçã"))
        self.assertEqual(self.asked(terminal, "maçã"), one)  # --seed holds
        self.assertEqual(self.questions(terminal), ["maçã", "maçã"])
        self.leave(terminal)

    def test_again_replaces_its_turn_in_the_prompt(self):
        terminal = self.start(*SHORT, "--history", "--stats")
        self.asked(terminal, "um")
        prompt = "prompt 4 tokens"
        self.assertIn(prompt, self.asked(terminal, "/again"))
        self.assertNotIn(prompt, self.asked(terminal, "um"))
        self.leave(terminal)

    def test_history_on_and_off(self):
        terminal = self.start(*SHORT, "--stats")
        self.assertIn("history off", self.asked(terminal, "/history"))
        self.asked(terminal, "um")
        self.assertIn("history on", self.asked(terminal, "/history on"))
        self.assertNotIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.assertIn("history off", self.asked(terminal, "/history off"))
        self.assertIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.assertIn("[E207]", self.asked(terminal, "/history sim"))
        self.leave(terminal)
        raw = self.start(*SHORT, "--raw")
        self.assertIn("[E206]", self.asked(raw, "/history on"))
        self.leave(raw)

    def test_reset_forgets_the_dialogue_and_keeps_the_settings(self):
        terminal = self.start(*SHORT, "--history", "--stats")
        self.assertIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.assertNotIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.asked(terminal, "/params top_k 9")
        self.assertIn("/params reset", self.asked(terminal, "/reset"))
        self.assertIn("prompt 4 tokens", self.asked(terminal, "um"))
        self.assertEqual(self.asked(terminal, "/params top_k"), "top_k 9")
        self.leave(terminal)

    def test_edit(self):
        editor = script("my editor", 'cat "$2" > ' + scratch("before") + """
printf 'duas\\nlinhas: ção\\n\\n' > "$2"; echo "$2" > """ + scratch("where"))
        env = environment(VISUAL=f"'{editor}' --wait", TMPDIR=scratch(""))
        terminal = self.start(*SHORT, env=env)
        terminal.type("/edit rascunho\n")
        terminal.wait_for("\n> ", 3)
        answer = self.answer(*SHORT, "duas\nlinhas: ção")
        self.assertIn(f"\n> duas\nlinhas: ção\n{answer}\n> ", terminal.screen)
        self.assertEqual(self.questions(terminal), ["duas\nlinhas: ção"])
        with open(scratch("before"), encoding="utf-8") as before, open(scratch("where")) as where:
            self.assertEqual(before.read(), "rascunho\n")
            self.assertFalse(os.path.exists(where.read().strip()))
        terminal.type("\x1b[A\x1b[A")  # the command, and before it the question
        terminal.wait_for("linhas: ção", terminal.screen.count("linhas: ção") + 1)
        terminal.type("\x03")
        self.leave(terminal)

    def test_edit_and_editors_that_fail(self):
        for editor, said in (("false", '[E213] The editor "false" ended with exit code 1'),
                             ("no-such-editor", "exit code 127"), ("true", "nothing is asked"),
                             (script("bytes", "printf 'caf\\351' > \"$1\""), "[E214]")):
            env = environment(EDITOR=editor, TMPDIR=scratch(""))
            terminal = self.start(*SHORT, env=env)
            self.assertIn(said, self.asked(terminal, "/edit"))
            self.assertEqual(self.asked(terminal, "um"), self.answer(*SHORT, "um"))
            self.assertEqual([n for n in os.listdir(scratch("")) if n.startswith("aira-q")], [])
            self.leave(terminal)
        terminal = self.start(*SHORT, env=environment(TMPDIR="/proc/none"))
        self.assertIn("[E212]", self.asked(terminal, "/edit"))
        self.leave(terminal)

    def test_save_and_load(self):
        path = scratch("conversa de ação.json")
        first = self.start(*SHORT, "--history")
        answer = self.asked(first, "um")
        self.asked(first, "/params temperature 0.7")
        self.asked(first, "/params stop são")
        self.assertIn("turns 1", self.asked(first, f"/save {path}"))
        self.assertIn("turns 1", self.asked(first, f"/save {path}"))  # its own file
        second = self.asked(first, "dois")
        self.leave(first)
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        self.assertEqual(content["history"], True)
        self.assertEqual(content["params"], {"max_new_tokens": 8, "temperature": 0.7, "seed": 1,
                                             "stop": ["são"]})
        self.assertEqual([m["role"] for m in content["messages"]], ["user", "assistant"])
        self.assertEqual(content["messages"][0]["content"], "um")
        self.assertTrue(answer)

        again = self.start()
        self.assertIn("[E216]", self.asked(again, f"/save {path}"))
        self.assertIn("turns 1", self.asked(again, f"/load {path}"))
        self.assertEqual(self.asked(again, "/params temperature"), "temperature 0.7")
        self.assertIn("history on", self.asked(again, "/history"))
        self.assertEqual(self.asked(again, "dois"), second)
        self.leave(again)

    def test_home_and_files_that_cannot_be_used(self):
        terminal = self.start(*SHORT)
        for command, said in (("/save", "[E215]"), ("/load", "[E217]"),
                              ("/save /proc/none/x", "[E209]"), ("/load /none", "[E210]"),
                              ("/load ~/damaged", "damaged"), ("/load ~/list", "[E211]"),
                              ("/load ~/odd", "[E211]"), ("/load ~/roles", "[E208]"),
                              ("/load ~/option", "no request option"),
                              ("/load ~/value", '"top_p" must be')):
            for name, text in (("damaged", '{"messages": '), ("list", "{}"),
                               ("odd", '{"messages": [{"role": "user", "content": "x"}]}'),
                               ("roles", '{"messages": [{"role": "user"}, {"role": "user"}]}'),
                               ("option", '{"params": {"nada": 1}, "messages": []}'),
                               ("value", '{"params": {"top_p": 2}, "messages": []}')):
                with open(scratch(name), "w", encoding="utf-8") as file:
                    file.write(text)
            self.assertIn(said, self.asked(terminal, command))
        self.asked(terminal, "um")
        self.assertIn("turns 1", self.asked(terminal, "/save ~/em casa.json"))
        self.assertTrue(os.path.exists(scratch("em casa.json")))
        self.assertEqual(self.asked(terminal, "um"), self.answer(*SHORT, "um"))
        self.leave(terminal)

    def test_a_full_disk_leaves_the_saved_file(self):
        folder = scratch("locked")
        os.makedirs(folder)
        terminal = self.start(*SHORT)
        self.asked(terminal, f"/save {folder}/a.json")
        with open(f"{folder}/a.json", "rb") as file:
            before = file.read()
        os.mkdir(f"{folder}/a.json.unfinished")
        self.assertIn("[E209]", self.asked(terminal, f"/save {folder}/a.json"))
        with open(f"{folder}/a.json", "rb") as file:
            self.assertEqual(file.read(), before)
        self.assertTrue(stat.S_ISREG(os.stat(f"{folder}/a.json").st_mode))
        self.leave(terminal)


if __name__ == "__main__":
    main()
