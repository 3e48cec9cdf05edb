"""Finding a model, and folders that are no proper model."""

import json
import os
import shutil
import struct

from harness import CliTest, environment, main, model, run, scratch, tiny_model

DEFAULT = "nicholasKluge/Aira-2-portuguese-124M"


def put_into_cache(cache, hub_id, **how):
    """Lays a tiny model out as huggingface_hub does."""
    folder = os.path.join(cache, "models--" + hub_id.replace("/", "--"))
    os.makedirs(os.path.join(folder, "refs"))
    with open(os.path.join(folder, "refs", "main"), "w", encoding="ascii") as file:
        file.write("0123abcd")
    return tiny_model.write(os.path.join(folder, "snapshots", "0123abcd"), **how)


class Lookup(CliTest):
    def place(self, *args, **variables):
        out = self.succeed("info", "--json", *args, env=environment(**variables))
        return json.loads(out)["place"]

    def has_builtin(self):
        return run("info", env=environment())[0] == 0

    def test_a_folder(self):
        self.assertEqual(self.place("-m", model()), model())
        self.assertEqual(self.place("--model=" + model()), model())

    def test_the_environment_variable(self):
        self.assertEqual(self.place(AIRA_MODEL=model()), model())
        other = model(width=8)
        self.assertEqual(self.place("-m", other, AIRA_MODEL=model()), other)

    def test_a_hub_id_in_each_place_of_the_cache(self):
        hub, home, xdg = scratch("hub"), scratch("hf-home"), scratch("xdg")
        user = scratch("user")
        places = {
            hub: {"HF_HUB_CACHE": hub},
            os.path.join(home, "hub"): {"HF_HOME": home},
            os.path.join(xdg, "huggingface", "hub"): {"XDG_CACHE_HOME": xdg},
            os.path.join(user, ".cache", "huggingface", "hub"): {"HOME": user},
        }
        for cache, variables in places.items():
            snapshot = put_into_cache(cache, "org/name")
            with self.subTest(variables=variables):
                self.assertEqual(self.place("-m", "org/name", **variables), snapshot)

    def test_the_default_model_in_the_cache(self):
        hub = scratch("hub-default")
        snapshot = put_into_cache(hub, DEFAULT)
        self.assertEqual(self.place(HF_HUB_CACHE=hub), snapshot)
        self.assertEqual(self.place(HF_HUB_CACHE=hub, AIRA_MODEL=model()), model())

    def test_a_default_model_that_is_not_whole_is_no_other(self):
        def dangling(folder):
            os.remove(os.path.join(folder, "model.safetensors"))
            os.symlink("../../blobs/0", os.path.join(folder, "model.safetensors"))

        def pickled(folder):
            os.rename(os.path.join(folder, "model.safetensors"),
                      os.path.join(folder, "pytorch_model.bin"))

        def sharded(folder):
            os.rename(os.path.join(folder, "model.safetensors"),
                      os.path.join(folder, "model-00001-of-00002.safetensors"))
            with open(os.path.join(folder, "model.safetensors.index.json"), "w") as file:
                json.dump({"weight_map": {"wte.weight": "model-00001-of-00002.safetensors",
                                          "wpe.weight": "model-00002-of-00002.safetensors"}}, file)

        def without(name):
            return lambda folder: os.remove(os.path.join(folder, name))

        cases = [(without("config.json"), "has no file \"config.json\""),
                 (without("model.safetensors"), "has no weights"),
                 (without("tokenizer.json"), "has no file \"vocab.json\""),
                 (dangling, "is a link to a file that is not there"),
                 (sharded, "model-00002-of-00002.safetensors"),
                 (lambda folder: shutil.rmtree(folder), "has no snapshot"),
                 (pickled, "pytorch_model.bin")]
        for number, (change, reason) in enumerate(cases):
            hub = scratch(f"hub-part{number}")
            change(put_into_cache(hub, DEFAULT))
            with self.subTest(reason=reason):
                err = self.fail_with(1, "Oi", env=environment(HF_HUB_CACHE=hub))
                self.assertIn(reason, err)
                if change is not pickled:  # which is whole, but no file of torch
                    self.assertIn(f"(aira-cli pull {DEFAULT})", err)
                self.assertNotIn("built-in", err)

    def test_a_missing_hub_id(self):
        err = self.fail_with(1, "-m", "org/none", "x", env=environment(HF_HUB_CACHE=scratch("no")))
        self.assertIn("org/none", err)
        self.assertIn(scratch("no"), err)

    def test_variables_are_expanded_as_huggingface_hub_does(self):
        user = scratch("user-expanded")
        for value, cache in (("~/hf", user + "/hf/hub"), ("$HOME/ê", user + "/ê/hub"),
                             ("${HOME}/h$", user + "/h$/hub")):
            snapshot = put_into_cache(cache, "org/name")
            self.assertEqual(self.place("-m", "org/name", HOME=user, HF_HOME=value), snapshot)
        snapshot = put_into_cache(user + "/só", "org/name")
        self.assertEqual(self.place("-m", "org/name", HOME=user, HF_HUB_CACHE="~/só"), snapshot)
        snapshot = put_into_cache(user + "/x/huggingface/hub", "org/name")
        self.assertEqual(self.place("-m", "org/name", HOME=user, XDG_CACHE_HOME="~/x"), snapshot)
        self.assertFalse(os.path.exists("~"))

    def test_short_ids_addresses_and_revisions(self):
        hub = scratch("hub-names")
        first = put_into_cache(hub, "org/name")
        folder = os.path.dirname(os.path.dirname(first))
        second = tiny_model.write(os.path.join(folder, "snapshots", "fedc"))
        for name in ("v1.0", "refs/pr/7"):
            os.makedirs(os.path.dirname(os.path.join(folder, "refs", name)), exist_ok=True)
            with open(os.path.join(folder, "refs", name), "w", encoding="ascii") as file:
                file.write("fedc")
        short = put_into_cache(hub, "distilgpt2")
        long = put_into_cache(hub, "openai-community/gpt2")
        url = "https://huggingface.co/"
        for asked, place in (("distilgpt2", short), ("gpt2", long), ("distilbert/distilgpt2", short),
                             (url + "org/name", first), (url + "org/name/", first),
                             ("http://hf.co/org/name?library=transformers#uso", first),
                             ("hf.co/org/name", first), ("huggingface.co/gpt2", long),
                             (url + "org/name/tree/main", first), (url + "org/name/tree/v1.0", second),
                             (url + "org/name/blob/v1.0/config.json", second),
                             (url + "org/name/tree/refs%2Fpr%2F7", second),
                             (url + "org/name/tree/refs/pr/7/sub", second),
                             (url + "distilgpt2/tree/main", short), ("hf://org/name@v1.0", second),
                             ("https://mirror.example/org/name", first),
                             ("org/name@v1.0", second), ("org/name@refs/pr/7", second),
                             ("org/name@fedc", second), ("org/name@main", first)):
            with self.subTest(asked=asked):
                self.assertEqual(self.place("-m", asked, HF_HUB_CACHE=hub,
                                            HF_ENDPOINT="https://mirror.example/"), place)
        info = json.loads(self.succeed("info", "--json", "-m", "org/name@v1.0",
                                       env=environment(HF_HUB_CACHE=hub)))
        self.assertEqual(info["name"], "org/name@v1.0")

    def test_a_folder_goes_before_a_hub_id_but_no_address_is_one(self):
        hub, here = scratch("hub-folder"), scratch("folders")
        cached = put_into_cache(hub, "org/name")
        for name in ("gpt2", "org/name@v1", "https:/huggingface.co/org/name"):
            tiny_model.write(os.path.join(here, name))
        env = environment(HF_HUB_CACHE=hub)
        for asked, place in (("gpt2", "gpt2"), ("org/name@v1", "org/name@v1"),
                             ("https://huggingface.co/org/name", cached)):
            info = self.succeed("info", "--json", "-m", asked, env=env, cwd=here)
            self.assertEqual(json.loads(info)["place"], place)

    def test_what_is_not_there_says_the_command_that_brings_it(self):
        hub = scratch("hub-missing")
        put_into_cache(hub, "org/name")
        env = environment(HF_HUB_CACHE=hub)
        for asked, says in (("gpt2", "(aira-cli pull gpt2)"), ("org/none", "(aira-cli pull org/none)"),
                            ("org/none@v2", "(aira-cli pull org/none@v2)"),
                            ("org/name@v2", 'The revision "v2" of the model "org/name" (-m) is not'),
                            ("https://huggingface.co/org/none/tree/v2",
                             "(aira-cli pull org/none@v2)"),
                            ("https://huggingface.co/datasets/org/name", "is of no model"),
                            ("https://huggingface.co/", "is of no model"),
                            ("hf://a/b/c", "is of no model"),
                            ("https://example.com/org/name", "not one of the Hugging Face hub"),
                            ("org/name@", "needs a revision after the @"),
                            ("org/name@../../x", "aira-cli pull org/name@../../x")):
            with self.subTest(asked=asked):
                err = self.fail_with(1, "-m", asked, "x", env=env)
                self.assertIn(says, err)

    def test_a_missing_folder(self):
        self.assertIn("none/at/all", self.fail_with(1, "-m", "none/at/all", "x"))
        self.assertIn("$AIRA_MODEL",
                      self.fail_with(1, "x", env=environment(AIRA_MODEL="org/none")))

    def test_the_builtin_model(self):
        if not self.has_builtin():
            self.skipTest("no model is built in")
        code, out, err = run("Qual é a capital de Portugal?", env=environment())
        self.assertEqual(code, 0)
        self.assertTrue(out.strip())
        self.assertRegex(err, r"\Aaira-cli: using the small built-in demo model[^\n]*\n\Z")
        _, out, err = run("-q", "Oi", env=environment())
        self.assertEqual(err, "")

    def test_the_builtin_model_ends_its_answers(self):
        if not self.has_builtin():
            self.skipTest("no model is built in")
        [line] = self.json_lines("-q", "--jsonl", "--greedy", stdin='{"question": "Oi"}\n')
        [answer] = line["answers"]
        self.assertEqual(answer["finish_reason"], "stop")
        self.assertNotIn("<|", answer["text"])
        self.assertEqual(answer["text"], answer["text"].strip())


class Adapter(CliTest):
    """tests/data/weights has adapters that PEFT wrote; those here change the first bias."""

    def adapter(self, name, base, **config):
        folder = scratch(name)
        os.makedirs(folder)
        values = tiny_model.array.array("f", range(48))
        with open(os.path.join(folder, "adapter_model.safetensors"), "wb") as file:
            file.write(tiny_model.safetensors([
                ("base_model.model.transformer.h.0.attn.c_attn.base_layer.bias", (48,), values)]))
        with open(os.path.join(folder, "adapter_config.json"), "w", encoding="utf-8") as file:
            json.dump({"peft_type": "LORA", "base_model_name_or_path": base, **config}, file)
        return folder

    def test_its_base(self):
        hub = scratch("adapter-hub")
        snapshot = put_into_cache(hub, "org/base")
        env = environment(HF_HUB_CACHE=hub, AIRA_MODEL=model(width=8))
        ask = ("--greedy", "--raw", "--max-new-tokens", "9", "ol\u00e1")
        plain = self.succeed("-m", snapshot, *ask)
        adapted = self.succeed("-m", snapshot, "--adapter", self.adapter("adapter-none", None), *ask)
        self.assertNotEqual(plain, adapted)
        for name, base in (("adapter-folder", snapshot), ("adapter-hub-id", "org/base")):
            folder = self.adapter(name, base)
            with self.subTest(base=base):
                for _ in range(2):  # converted, then packed
                    self.assertEqual(self.succeed("--adapter", folder, *ask, env=env), adapted)
                info = json.loads(self.succeed("info", "--json", "--adapter", folder, env=env))
                self.assertEqual(info["place"], snapshot)
                self.assertEqual(info["name"], f"{base} + {folder}")
        self.assertEqual(self.succeed("-m", snapshot, *ask), plain)

    def test_a_base_that_cannot_be_found(self):
        env = environment(HF_HUB_CACHE=scratch("no-hub"))
        for base, revision, words in (("org/none", None, "org/none"), (None, None, "names no model"),
                                      ("org/none", "v2", "org/none")):
            folder = self.adapter(f"adapter-{base}-{revision}".replace("/", "-"), base,
                                  revision=revision)
            err = self.fail_with(1, "--adapter", folder, "x", env=env)
            self.assertIn(words, err)
            self.assertIn("base_model_name_or_path in " + folder, err)

    def test_a_revision_of_the_base(self):
        hub = scratch("adapter-revisions")
        first = put_into_cache(hub, "org/base")
        second = os.path.join(os.path.dirname(first), "fedc")
        shutil.copytree(model(), second)
        with open(os.path.join(hub, "models--org--base", "refs", "v2"), "w") as file:
            file.write("fedc")
        for revision, place in (("v2", second), ("fedc", second), ("main", first), (None, first)):
            folder = self.adapter(f"adapter-at-{revision}", "org/base", revision=revision)
            info = self.succeed("info", "--json", "--adapter", folder,
                                env=environment(HF_HUB_CACHE=hub))
            self.assertEqual(json.loads(info)["place"], place)

    def test_what_is_no_adapter(self):
        for adapter, words in ((model(), "adapter_config.json"), (scratch("gone"), "cannot be opened"),
                               ("", "--adapter")):
            self.assertIn(words, self.fail_with(1, "--adapter", adapter, "x"))


class Malformed(CliTest):
    def broken(self, change):
        """A copy of the tiny model in which `change(folder)` has broken something."""
        folder = shutil.copytree(model(), scratch("broken"), dirs_exist_ok=True)
        change(folder)
        err = self.fail_with(1, "-m", folder, "x")
        self.assertEqual(self.fail_with(1, "-m", folder, stdin="x\n"), err)
        return err

    def config(self, **changes):
        def change(folder):
            path = os.path.join(folder, "config.json")
            with open(path, encoding="utf-8") as file:
                config = {**json.load(file), **changes}
            with open(path, "w", encoding="utf-8") as file:
                json.dump(config, file)
        return self.broken(change)

    def test_missing_files(self):
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            with self.subTest(name=name):
                err = self.broken(lambda folder, n=name: os.remove(os.path.join(folder, n)))
                self.assertIn(name, err)

    def test_an_empty_folder(self):
        os.makedirs(scratch("empty"))
        self.assertIn(scratch("empty"), self.fail_with(1, "-m", scratch("empty"), "x"))

    def test_a_file_instead_of_a_folder(self):
        path = os.path.join(model(), "model.safetensors")
        self.assertIn("folder", self.fail_with(1, "-m", path, "x"))

    def test_broken_json(self):
        for name in ("config.json", "tokenizer.json"):
            for content in (b"", b"{", b"[]", b"\xff", b"null"):
                def change(folder, n=name, c=content):
                    with open(os.path.join(folder, n), "wb") as file:
                        file.write(c)
                with self.subTest(name=name, content=content):
                    self.assertIn(name, self.broken(change))

    def test_truncated_weights(self):
        size = os.path.getsize(os.path.join(model(), "model.safetensors"))
        for length in (0, 7, 8, 100, size // 2, size - 1):
            def change(folder, n=length):
                os.truncate(os.path.join(folder, "model.safetensors"), n)
            with self.subTest(length=length):
                self.assertIn("model.safetensors", self.broken(change))

    def test_a_header_that_claims_too_much(self):
        def change(folder):
            with open(os.path.join(folder, "model.safetensors"), "r+b") as file:
                file.write(struct.pack("<Q", 2**63))
        self.assertIn("model.safetensors", self.broken(change))

    def test_weights_of_another_shape(self):
        for changes in ({"n_layer": 3}, {"n_embd": 32}, {"n_positions": 65}, {"vocab_size": 300}):
            with self.subTest(changes=changes):
                self.config(**changes)

    def test_a_config_that_cannot_be(self):
        for changes in ({"n_head": 3}, {"n_head": 0}, {"n_layer": -1}, {"n_embd": "16"},
                        {"model_type": "llama"}, {"activation_function": "nothing"},
                        {"n_layer": 10**12}, {"n_positions": 10**15}):
            with self.subTest(changes=changes):
                self.config(**changes)

    def test_folders_that_are_something_else(self):
        def adapter(folder):
            os.remove(os.path.join(folder, "model.safetensors"))
            with open(os.path.join(folder, "adapter_config.json"), "w") as file:
                file.write("{}")

        def parent(folder):
            for number in (500, 1000):
                shutil.copytree(model(), os.path.join(folder, f"checkpoint-{number}"))
            os.remove(os.path.join(folder, "config.json"))

        def tokenizer(folder):
            os.remove(os.path.join(folder, "config.json"))
            os.remove(os.path.join(folder, "model.safetensors"))

        def tensorflow(folder):
            os.rename(os.path.join(folder, "model.safetensors"), os.path.join(folder, "tf_model.h5"))

        for change, sentence in ((adapter, "is an adapter (PEFT) and not a whole model; give it with "
                                  "--adapter"),
                                 (parent, "/checkpoint-1000\"."),
                                 (tokenizer, "is a tokenizer and not a model"),
                                 (tensorflow, "from_tf=True")):
            with self.subTest(sentence=sentence):
                self.assertIn(sentence, self.broken(change))
                shutil.rmtree(scratch("broken"))

    def test_what_is_beside_the_model_is_named_and_left_out(self):
        folder = scratch("value-head")
        tiny_model.write(folder, more=[("v_head.summary.weight", (1, 16)), ("score.weight", (2, 16))])
        env = environment(AIRA_CACHE="off")
        code, out, err = run("-m", folder, "--greedy", "--raw", "ol\u00e1", env=env)
        self.assertEqual(code, 0)
        self.assertRegex(err, r"\Aaira-cli: [^\n]*/model.safetensors also holds what is no part of a GPT-2 "
                         r"with 2 layers and is left out: score.weight, v_head.summary.weight\.\n\Z")
        self.assertEqual(out, self.succeed("-m", model(), "--greedy", "--raw", "ol\u00e1"))
        self.assertEqual(run("-q", "-m", folder, "--raw", "a", env=env)[2], "")
        tiny_model.write(folder, more=[("lm_head.bias", (260,))])
        self.assertIn("holds lm_head.bias, but the head of a GPT-2 has no bias",
                      self.fail_with(1, "-m", folder, "x"))

    def test_a_tokenizer_of_another_model(self):
        def change(folder):
            path = os.path.join(folder, "tokenizer.json")
            with open(path, encoding="utf-8") as file:
                tokenizer = json.load(file)
            tokenizer["model"]["type"] = "WordPiece"
            with open(path, "w", encoding="utf-8") as file:
                json.dump(tokenizer, file)
        self.broken(change)


if __name__ == "__main__":
    main()
