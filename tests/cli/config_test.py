"""The config file, and the log of answers."""

import json
import os

from harness import CliTest, Terminal, environment, main, model, run, scratch


def config(text, name="config"):
    """The environment with this config file."""
    path = scratch(name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return environment(AIRA_CONFIG=path)


class ConfigFile(CliTest):
    def info(self, *args, env):
        return json.loads(self.succeed("info", "--json", *args, env=env))

    def refused(self, text, *says):
        err = self.fail_with(1, "um", env=config(text))
        for one in (scratch("config"), *says):
            self.assertIn(one, err)

    def test_where_it_is(self):
        text = f"model = {model()}\n"
        home = scratch("home")
        for folder, env in ((os.path.join(home, ".config"), {"HOME": home}),
                            (scratch("xdg"), {"XDG_CONFIG_HOME": scratch("xdg")})):
            self.assertEqual(self.info(env=environment(**env))["name"], "aira-mini")
            os.makedirs(os.path.join(folder, "aira-cli"))
            with open(os.path.join(folder, "aira-cli", "config"), "w", encoding="utf-8") as file:
                file.write(text)
            info = self.info(env=environment(**env))
            self.assertEqual((info["name"], info["from"]["name"]), (model(), "config file"))
            self.assertEqual(info["config_file"], os.path.join(folder, "aira-cli", "config"))
            off = self.info(env=environment(**env, AIRA_CONFIG="off"))
            self.assertEqual((off["name"], off["from"]["name"]), ("aira-mini", "default"))

    def test_a_file_that_is_named_must_be_there(self):
        err = self.fail_with(1, "um", env=environment(AIRA_CONFIG=scratch("none")))
        self.assertIn(scratch("none"), err)
        self.assertIn("No such file", err)

    def test_what_goes_before_what(self):
        folder = model(generation={"max_new_tokens": 3, "top_k": 7})
        env = config(f"model = {folder}\n")

        def tokens(*args, line="{}", env=env):
            out = self.succeed("--jsonl", *args, env=env,
                               stdin=json.dumps({"question": "um", **json.loads(line)}))
            return len(json.loads(out)["answers"][0]["token_ids"])

        self.assertEqual(tokens(), 3)
        env = config(f"# defaults\nmodel = {folder}\n\nmax-new-tokens = 4  # few\n")
        self.assertEqual(tokens(env=env), 4)
        self.assertEqual(tokens("--max-new-tokens", "5", env=env), 5)
        self.assertEqual(tokens("--max-new-tokens", "5", line='{"max_tokens": 6}', env=env), 6)
        self.assertEqual(tokens(line='{"max_tokens": 6}', env=env), 6)
        info = self.info(env=env)
        self.assertEqual(info["generation"]["max_new_tokens"], 4)
        self.assertEqual(info["generation_from"]["max_new_tokens"], "config file")
        self.assertEqual(info["generation_from"]["top_k"], "generation_config.json")
        self.assertIn("max_new_tokens        4  (config file)\n",
                      self.succeed("info", env=env).decode())
        other = model(context=128)
        self.assertEqual(self.info("-m", other, env=env)["from"]["name"], "-m")
        self.assertEqual(self.info("-m", other, env=env)["name"], other)
        env["AIRA_MODEL"] = other
        self.assertEqual(self.info(env=env)["from"]["name"], "$AIRA_MODEL")
        self.assertEqual(self.info(env=env)["name"], other)

    def test_options_of_the_engine(self):
        env = config(f"model = {model()}\ndtype = int8\nthreads=3\nbatch = 2\ndevice = cpu\n")
        info = self.info(env=env)
        self.assertEqual((info["runs_as"], info["from"]["runs_as"]), ("int8", "config file"))
        self.assertIn("3 threads", info["backend"])
        info = self.info("--dtype", "f32", "-t", "1", env=env)
        self.assertEqual((info["runs_as"], info["from"]["runs_as"]), ("f32", "--dtype"))
        self.assertEqual(info["from"]["backend"], "config file")  # --device
        self.assertIn("1 thread", info["backend"])
        self.assertTrue(self.succeed("um", env=env))
        self.assertEqual(self.succeed("tokenize", stdin="a", env=env), b"97\n")

    def test_every_way_of_asking(self):
        env = config(f"model = {model()}\ngreedy = true\nmax_new_tokens = 4\n")
        expected = self.succeed("-m", model(), "--greedy", "--max-new-tokens", "4", "um")
        self.assertEqual(self.succeed("um", env=env), expected)
        self.assertEqual(self.succeed(stdin="um", env=env).split(), expected.split())
        hot = ("--temperature", "5", "--top-p", "1", "--top-k", "0", "--seed", "1")
        self.assertEqual(self.succeed(*hot, "um", env=env),
                         self.succeed("-m", model(), *hot, "--max-new-tokens", "4", "um"))
        terminal = Terminal(env=env)
        terminal.wait_for("> ")
        terminal.type("/params max_new_tokens 4\n")
        terminal.wait_for("max_new_tokens 4", times=2)
        terminal.type("/params\n")
        terminal.wait_for("greedy true")
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)

    def test_the_seed(self):
        env = config(f"model = {model()}\nseed = 7\nmax-new-tokens=8\ntemperature=5\ntop-p=1\ntop-k=0\n")
        self.assertEqual(self.succeed("um", env=env), self.succeed("--seed", "7", "um", env=env))
        self.assertNotEqual(self.succeed("um", env=env), self.succeed("--seed", "8", "um", env=env))

    def test_lists_and_quotation_marks(self):
        env = config(f'model = {model()}\nstop = "a\\n"\nstop = " # "\nstop = b # c\n')
        generation = self.info(env=env)["generation"]
        self.assertEqual(generation["stop"], ["a\n", " # ", "b"])

    def test_an_adapter_belongs_to_its_model(self):
        env = config(f"adapter = {scratch('none-such')}\n")
        self.assertIn("none-such", self.fail_with(1, "um", env=env))
        self.assertTrue(self.succeed("-m", model(), "um", env=env))

    def test_utf_16(self):
        env = config("")
        with open(env["AIRA_CONFIG"], "wb") as file:
            file.write(f"model = {model()}\r\n# maçã\r\n".encode("utf-16"))
        self.assertEqual(self.info(env=env)["name"], model())
        with open(env["AIRA_CONFIG"], "wb") as file:
            file.write("# maçã\n".encode("latin-1"))
        self.assertIn("iconv", self.fail_with(1, "um", env=env))

    def test_what_is_refused(self):
        self.refused("\nmodel\n", "line 2", "NAME = VALUE")
        self.refused("\n\ntemprature = 1", "line 3", '"temprature"', '"temperature"')
        self.refused("modle = x", "line 1", '"model"')
        self.refused("temp = 1", '"temperature"')
        self.refused("água = 1", '"água"')
        self.refused("top-k = much", "line 1", '"top_k" must be', '"much"')
        self.refused("dtype = f64", "line 1", "must be auto, f32, f16 or int8")
        self.refused("threads =", "line 1", "needs a value")
        self.refused("threads = 0", "line 1", "1024")
        self.refused("greedy = yes", "line 1", '"yes"')
        self.refused('stop = "a', "line 1", "quotation mark")
        self.refused('stop = "a" b', "line 1", "quotation mark")
        self.refused('stop = "\\q"', "line 1", "JSON")
        self.refused("num_beams = 2\nbest_of = 2", '"best_of"')
        self.refused("model = none-such-model", "none-such-model")

    def test_help_works_in_any_case(self):
        env = config("nonsense")
        for args in (("--help",), ("help",), ("version",), ("--version",), ("info", "--help")):
            self.assertTrue(self.succeed(*args, env=env))


class Log(CliTest):
    def setUp(self):
        self.path = scratch("log.jsonl")
        if os.path.exists(self.path):
            os.remove(self.path)
        self.common = ("-m", model(), "--max-new-tokens", "4", "--log", self.path)

    def records(self):
        with open(self.path, encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        for record in records:
            self.assertRegex(record.pop("time"), r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z")
            self.assertEqual(record.pop("model"), model())
        return records

    def test_one_question(self):
        out = self.succeed(*self.common, "--seed", "9", "-n", "2", "maçã")
        [record] = self.records()
        self.assertEqual(list(record), ["question", "options", "seed", "answers"])
        self.assertEqual((record["question"], record["seed"]), ("maçã", 9))
        self.assertEqual(record["options"], {"max_new_tokens": 4, "num_return_sequences": 2})
        self.assertEqual("".join(answer["text"] + "\n" for answer in record["answers"]), out.decode())
        self.succeed(*self.common, "--raw", "--seed", "9", "um")
        self.assertEqual(self.records()[1]["prompt"], "um")  # appended

    def test_the_seed_gives_the_same_answer(self):
        hot = ("--temperature", "5", "--top-p", "1", "--top-k", "0")
        out = self.succeed(*self.common, *hot, "um")
        seed = str(self.records()[0]["seed"])
        self.assertEqual(self.succeed(*self.common, *hot, "--seed", seed, "um"), out)

    def test_lines(self):
        out = self.succeed(*self.common, stdin="um\n\ndois\n").decode().splitlines()
        self.assertEqual([record["question"] for record in self.records()], ["um", "dois"])
        self.assertEqual([record["answers"][0]["text"].split() for record in self.records()],
                         [out[0].split(), out[2].split()])

    def test_json_lines(self):
        lines = [{"id": "á", "question": "um", "seed": 3}, {"question": 1}, {"prompt_ids": [97], "n": 2}]
        code, out, _ = run(*self.common, "--jsonl", stdin="\n".join(map(json.dumps, lines)))
        self.assertEqual(code, 1)
        first, second = self.records()
        self.assertEqual((first["question"], first["seed"], first["id"]), ("um", 3, "á"))
        self.assertEqual((second["prompt_ids"], len(second["answers"])), ([97], 2))
        self.assertEqual(first["answers"][0]["text"],
                         json.loads(out.splitlines()[0])["answers"][0]["text"])

    def test_the_chat(self):
        terminal = Terminal(*self.common)
        terminal.wait_for("> ")
        terminal.type("uma maçã\n")
        terminal.wait_for("\n> ", 2)
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual([record["question"] for record in self.records()], ["uma maçã"])

    def test_a_log_that_cannot_be_opened(self):
        err = self.fail_with(1, "-m", model(), "--log", scratch("no/such/log"), "um")
        self.assertIn("no/such/log", err)
        self.assertIn("No such file", err)

    def test_a_log_that_cannot_be_written_costs_no_answer(self):
        for args, text in ((("um",), ""), ((), "um\ndois\n"), (("--jsonl",), '{"question": "um"}')):
            common = ("-m", model(), "--seed", "1", "--max-new-tokens", "4", *args)
            code, out, err = run(*common, "--log", "/dev/full", stdin=text)
            self.assertEqual((code, out), (1, self.succeed(*common, stdin=text)))
            self.assertRegex(err, r"\Aaira-cli: error: \[E141\] [^\n]*/dev/full[^\n]*\n\Z")


if __name__ == "__main__":
    main()
