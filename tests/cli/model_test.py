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

    def test_a_half_fetched_default_model_is_passed_over(self):
        hub = scratch("hub-half")
        os.remove(os.path.join(put_into_cache(hub, DEFAULT), "model.safetensors"))
        code, out, err = run("info", "--json", env=environment(HF_HUB_CACHE=hub))
        if code == 0:
            self.assertIn("built-in", json.loads(out)["place"])
        else:
            self.assertIn(DEFAULT, err)

    def test_a_missing_hub_id(self):
        err = self.fail_with(1, "-m", "org/none", "x", env=environment(HF_HUB_CACHE=scratch("no")))
        self.assertIn("org/none", err)
        self.assertIn(scratch("no"), err)

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
