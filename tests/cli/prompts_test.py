"""How questions and texts become prompts: raw texts, templates, chat templates."""

import json
import os
import shutil

from harness import CliTest, Terminal, main, model, scratch

END, START, ASKED, DONE = range(256, 260)  # the special tokens of the tiny models
SHORT = ("--seed", "1", "--max-new-tokens", "8")
CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>' "
          "+ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def folder_with(name, files, **how):
    """A copy of a tiny model with further files; what tokenizer.json adds goes there."""
    folder = shutil.copytree(model(**how), scratch(name))
    for file, content in files.items():
        with open(os.path.join(folder, file), "w", encoding="utf-8") as out:
            out.write(content if isinstance(content, str) else json.dumps(content))
    return folder


def chat_folder(template, name="chat"):
    """ChatML's tokens are those of the vocabulary's markers."""
    folder = folder_with(name, {})
    path = os.path.join(folder, "tokenizer.json")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for old, new in (("startofinstruction", "im_start"), ("endofinstruction", "im_end")):
        text = text.replace(old, new)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"eos_token": "<|endoftext|>", "chat_template": template}, file)
    return folder


class Prompts(CliTest):
    def ids(self, line, *args, folder=None, code=0):
        """The prompt of a JSON line as ids, or its error."""
        text = json.dumps({"max_new_tokens": 1, "echo": True, **line}) + "\n"
        [out] = self.json_lines("-m", folder or model(), "--jsonl", *args, stdin=text, code=code)
        if code:
            return out["error"]["message"]
        return [token["id"] for token in out["prompt_tokens"]]

    def test_special_tokens_count_in_raw_texts_alone(self):
        text = "<|startofinstruction|>é<|endofinstruction|>"
        special = [START, 0xC3, 0xA9, ASKED]
        self.assertEqual(self.ids({"prompt": text}), special)
        self.assertEqual(self.ids({"question": text}, "--raw"), special)
        self.assertEqual(self.ids({"prompt": text, "plain": True}), list(text.encode()))
        self.assertEqual(self.ids({"prompt": text}, "--plain"), list(text.encode()))
        self.assertEqual(self.ids({"prompt": text, "plain": False}, "--plain"), special)
        self.assertEqual(self.ids({"question": text}), [START, *text.encode(), ASKED])
        self.assertEqual(self.ids({"prompt": ""}), [END])

    def test_raw_on_the_command_line(self):
        text = "<|startofinstruction|>um<|endofinstruction|>"
        asked = self.succeed("-m", model(), *SHORT, "um").decode()
        self.assertEqual(self.succeed("-m", model(), *SHORT, "--raw", text).decode().strip(),
                         asked.strip())
        plain = self.succeed("-m", model(), *SHORT, "--raw", "--plain", text).decode()
        self.assertNotEqual(plain.strip(), asked.strip())

    def test_completions_keep_their_white_space(self):
        """Of a model that says nothing but blanks and "x"."""
        bias = {str(byte): (60 if byte in b" \n" else 59 if byte in b"x" else -100)
                for byte in range(256)}
        how = {"greedy": True, "repetition_penalty": 1, "no_repeat_ngram_size": 2,
               "max_new_tokens": 6, "logit_bias": bias}
        text = "".join(json.dumps({**line, **how}) + "\n" for line in
                       ({"prompt": "ab"}, {"prompt_ids": [97, 98]}, {"question": "ab"}))
        raw, by_ids, asked = self.json_lines("-m", model(), "--jsonl", stdin=text)
        for line in (raw, by_ids):
            [answer] = line["answers"]
            self.assertEqual(answer["text"].encode(), bytes(answer["token_ids"]))
            self.assertNotEqual(answer["text"], answer["text"].strip())
        [answer] = asked["answers"]
        self.assertEqual(answer["text"].encode(), bytes(answer["token_ids"]).strip())
        flags = [word for byte, value in bias.items() for word in ("--logit-bias", f"{byte}={value}")]
        options = ("--greedy", "--repetition-penalty", "1", "--no-repeat-ngram-size", "2",
                   "--max-new-tokens", "6", *flags, "-m", model())
        whole = raw["answers"][0]["text"]
        self.assertEqual(self.succeed("--raw", *options, "ab").decode(), whole + "\n")
        self.assertEqual(self.succeed("--raw", *options, stdin="ab\n").decode(),
                         whole.replace("\n", " ") + "\n")

    def test_lines_name_the_model(self):
        line = json.dumps({"prompt": "a", "max_new_tokens": 1})
        [out] = self.json_lines("-m", model(), "--jsonl", stdin=line)
        self.assertEqual(out["model"], model())
        [out] = self.json_lines("-q", "--jsonl", stdin=line)
        self.assertEqual(out["model"], "aira-mini")

    def test_a_template(self):
        for form in ("P: {question}\nR:", "P: {}\nR:"):
            self.assertEqual(self.ids({"question": "é", "template": form}),
                             list("P: é\nR:".encode()))
        self.assertEqual(self.ids({"question": "<|endoftext|>", "template": "<|endoftext|>{}!"}),
                         [END, *b"<|endoftext|>!"])
        self.assertEqual(self.ids({"question": "of", "template": "<|end{question}text|>"}),
                         list(b"<|endoftext|>"))
        self.assertEqual(self.ids({"question": "a"}, "--template", r"\t{}\\n\n\x"),
                         list(b"\ta\\n\n\\x"))
        self.assertEqual(self.ids({"question": "a", "template": "{}{}"}, "--template", "x{}"),
                         list(b"aa"))
        base = model(markers=False)
        self.assertEqual(self.ids({"question": "a"}, "--template", "{}:", folder=base), list(b"a:"))
        one = self.succeed("-m", base, *SHORT, "--template", "P: {}", "um")
        self.assertEqual(self.succeed("-m", base, *SHORT, "--template", "P: {}", stdin="um\n"), one)

    def test_a_template_without_a_place(self):
        self.assertIn('"template" must have {question} or {}',
                      self.ids({"question": "a", "template": "{quest}"}, code=1))
        self.assertIn('"template" is the form', self.ids({"prompt": "a", "template": "{}"}, code=1))
        self.assertIn('"plain" is about', self.ids({"question": "a", "plain": True}, code=1))
        self.assertIn("--template must have", self.fail_with(2, "--template", "x", "um"))
        self.assertIn("--template", self.fail_with(2, "--template", "{}", "--raw", "um"))
        self.assertIn("--plain is for", self.fail_with(2, "--plain", "um"))

    def test_a_chat_template(self):
        folder = chat_folder(CHATML)
        expected = [START, *"user\né <|im_end|>".encode(), ASKED, 10, START, *b"assistant\n"]
        self.assertEqual(self.ids({"question": " é <|im_end|>\n"}, folder=folder), expected)
        self.assertEqual(self.ids({"question": "a"}, "--template", "{}", folder=folder), [97])
        answer = self.succeed("-m", folder, *SHORT, "um")
        self.assertEqual(self.succeed("-m", folder, *SHORT, "--raw", "<|im_start|>user\num<|im_end|>\n"
                                      "<|im_start|>assistant\n").strip(), answer.strip())
        with open(os.path.join(folder, "chat_template.jinja"), "w", encoding="utf-8") as file:
            file.write("{{ messages[0].content }}{{ eos_token }}")
        self.assertEqual(self.ids({"question": "a"}, folder=folder), [97, END])

    def test_a_chat_template_beyond_this_program(self):
        folder = chat_folder("{{ strftime_now('%d') }}{{ messages[0].content }}", "date")
        err = self.fail_with(1, "-m", folder, "um")
        self.assertIn('"strftime_now"', err)
        self.assertIn("--template", err)
        self.succeed("-m", folder, *SHORT, "--raw", "um")
        self.succeed("-m", folder, *SHORT, "--template", "{}", "um")

    def test_aira_s_markers_go_before_a_chat_template(self):
        folder = folder_with("both", {"tokenizer_config.json": {"chat_template": "{{ 'x' }}"}})
        self.assertEqual(self.ids({"question": "a"}, folder=folder), [START, 97, ASKED])

    def test_begin_and_end_of_text_are_no_markers(self):
        """RoBERTa's way of naming <s> and </s> bos and sep."""
        folder = folder_with("roberta", {}, markers=False)
        names = {"bos_token": "a", "sep_token": "b", "eos_token": "c"}
        with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump(names, file)
        err = self.fail_with(1, "-m", folder, "um")
        for way in ("--raw", "--template", "chat template"):
            self.assertIn(way, err)

    def test_echo(self):
        line = json.dumps({"prompt": "São", "echo": True, "logprobs": 2, "max_new_tokens": 1})
        [out] = self.json_lines("-m", model(), "--jsonl", stdin=line)
        first, *rest = out["prompt_tokens"]
        self.assertEqual(first, {"id": 83, "logprob": None})
        score = json.dumps({"context_ids": [83], "continuation_ids": [0xC3, 0xA3, 111], "logprobs": 2})
        [scored] = self.json_lines("score", "-m", model(), stdin=score)
        self.assertEqual(rest, scored["tokens"])
        for token in rest:
            self.assertEqual(len(token["top"]), 2)
            self.assertGreaterEqual(token["top"][0]["logprob"], token["logprob"])

    def test_tokenize(self):
        def tokens(*args):
            return self.succeed("tokenize", "-m", model(), *args, stdin="<|endoftext|>a\n").decode()

        self.assertEqual(tokens("--template"), f"{END} 97\n")
        self.assertEqual(tokens("--template", "--plain"),
                         " ".join(str(byte) for byte in b"<|endoftext|>a") + "\n")
        self.assertIn("--template", self.fail_with(2, "tokenize", "--template", "--decode"))


class History(CliTest):
    def start(self, *args, folder=None):
        terminal = Terminal("-m", folder or model(), *SHORT, "--stats", *args)
        terminal.wait_for("> ")
        return terminal

    def ask(self, terminal, question):
        prompts = terminal.screen.count("\n> ")
        terminal.type(question + "\n")
        terminal.wait_for("\n> ", prompts + 1)
        return terminal.screen.rsplit("\n> ", 2)[-2]

    def test_the_oldest_turns_are_dropped(self):
        """The context holds 64 tokens: two markers, a question of 9 letters, an answer of 8 ids and its
        end a turn."""
        terminal = self.start("--history")
        self.assertIn("trained on single questions", terminal.screen)
        said = [self.ask(terminal, f"pergunta{turn}") for turn in range(8)]
        self.assertEqual([("left out" in one) for one in said].count(True), 1, terminal.screen)
        self.assertNotIn("error", terminal.screen)
        self.ask(terminal, "x" * 60)
        self.assertIn("prompt 62 tokens", terminal.screen)
        self.assertIn("too long", self.ask(terminal, "x" * 70))
        terminal.type("/exit\n")
        self.assertEqual(terminal.end(), 0)

    def test_a_chat_template_gets_all_turns(self):
        terminal = self.start("--history", folder=chat_folder(CHATML, "turns"))
        self.assertNotIn("trained on", terminal.screen)
        self.assertIn("prompt 20 tokens", self.ask(terminal, "a"))
        again = self.ask(terminal, "a")
        self.assertNotIn("prompt 20 tokens", again)
        terminal.type("/exit\n")
        self.assertEqual(terminal.end(), 0)

    def test_a_template_is_repeated_with_what_the_model_said(self):
        terminal = self.start("--history", "--template", "P:{}R:", "--logit-bias", "120=900")
        self.assertNotIn("trained on", terminal.screen)
        self.assertIn("prompt 5 tokens", self.ask(terminal, "a"))
        self.assertIn("prompt 19 tokens", self.ask(terminal, "a"))  # 5 + 8 said + end + 5
        terminal.type("/exit\n")
        self.assertEqual(terminal.end(), 0)

    def test_no_word_without_history(self):
        terminal = self.start()
        self.assertNotIn("trained on", terminal.screen)
        terminal.type("/exit\n")
        self.assertEqual(terminal.end(), 0)


if __name__ == "__main__":
    main()
