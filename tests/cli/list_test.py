"""list and rm: what is in the Hugging Face cache and in that of packed weights, and taking it out."""

import fcntl
import json
import os
import shutil

import hub_cache
from harness import CliTest, Terminal, environment, main, run, scratch, tiny_model

FIRST, SECOND, THIRD = "1f" * 20, "2e" * 20, "3dc0ffee" * 5


class Caches(CliTest):
    """Each test has caches of its own."""

    def setUp(self):
        self.hub = scratch(self.id() + "/hub ç")
        self.packed = scratch(self.id() + "/packed")
        os.makedirs(self.hub)
        self.env = environment(HF_HUB_CACHE=self.hub, AIRA_CACHE=self.packed)

    def put(self, hub_id, commit=FIRST, **how):
        return hub_cache.put(self.hub, hub_id, commit, **how)

    def folder(self, hub_id):
        return os.path.join(self.hub, "models--" + hub_id.replace("/", "--"))

    def pack(self, *args):
        self.succeed("--raw", "--greedy", "--max-new-tokens", "2", *args, "olá", env=self.env)

    def list(self):
        return json.loads(self.succeed("list", "--json", env=self.env))

    def rm(self, *args):
        return self.succeed("rm", "--yes", *args, env=self.env).decode()

    def before_and_after(self, *args, code=1):
        """What a failing rm says; nothing may change."""
        before = hub_cache.tree(self.hub)
        err = self.fail_with(code, "rm", *args, env=self.env)
        self.assertEqual(hub_cache.tree(self.hub), before)
        return err


class List(Caches):
    def test_nothing(self):
        out = self.succeed("list", env=self.env).decode()
        self.assertEqual(out, f"There are no models in the Hugging Face cache {self.hub}.\n\n"
                              f"There are no packed weights in {self.packed}.\n")
        contents = self.list()
        self.assertEqual((contents["models"], contents["packed"]), ([], []))
        env = environment(AIRA_CACHE="off", HF_HUB_CACHE=scratch("not there"))
        self.assertIn("No packed weights are kept.", self.succeed("list", env=env).decode())

    def test_revisions_and_their_state(self):
        self.put("org/name", FIRST, width=8)
        self.put("org/name", SECOND, refs=("v1.0", "refs/pr/7"), width=24)
        self.put("org/name", THIRD, refs=())
        self.put("gpt2", links=False)
        self.put("org/cut", more=[("extra.txt", b"x")])
        os.remove(os.path.join(self.put("org/cut", SECOND, refs=("b",)), "tokenizer.json"))
        blob = os.path.realpath(os.path.join(self.folder("org/cut"), "snapshots", FIRST, "extra.txt"))
        os.remove(blob)
        llama = self.put("org/llama")
        os.remove(os.path.join(llama, "config.json"))
        with open(os.path.join(llama, "config.json"), "w", encoding="utf-8") as file:
            json.dump({"model_type": "llama"}, file)
        self.put("org/pipeline", more=[("unet/config.json", b"{}")])
        os.remove(os.path.join(self.folder("org/pipeline"), "snapshots", FIRST, "config.json"))
        models = {model["id"]: model for model in self.list()["models"]}
        self.assertEqual(list(models), ["gpt2", "org/cut", "org/llama", "org/name", "org/pipeline"])
        self.assertEqual([(one["name"], one["commit"], one["refs"], one["state"])
                          for one in models["org/name"]["revisions"]],
                         [("org/name", FIRST, ["main"], "whole"),
                          ("org/name@refs/pr/7", SECOND, ["refs/pr/7", "v1.0"], "whole"),
                          ("org/name@" + THIRD, THIRD, [], "whole")])
        for revision in models["org/name"]["revisions"]:  # as -m takes it
            self.assertIn("layers", json.loads(self.succeed("info", "--json", "-m", revision["name"],
                                                            env=self.env)))
        self.assertEqual(models["gpt2"]["revisions"][0]["state"], "whole")
        first, second = models["org/cut"]["revisions"]
        self.assertEqual((first["state"], second["state"]), ("not whole", "not whole"))
        self.assertIn("extra.txt is a link to a file that is not there", first["problem"] + second["problem"])
        self.assertIn('has no file "vocab.json"', first["problem"] + second["problem"])
        [llama] = models["org/llama"]["revisions"]
        self.assertEqual((llama["state"], llama["model_type"]), ("other", "llama"))
        self.assertEqual(models["org/pipeline"]["revisions"][0]["state"], "other")
        out = self.succeed("list", env=self.env).decode()
        self.assertRegex(out, rf"\AModels in the Hugging Face cache {self.hub}, [0-9.]+ [kM]B:\n"
                              r"model +revision +size  state\n")
        self.assertRegex(out, r"(?m)^org/name +1f1f1f1f +[0-9]+ kB  whole$")
        self.assertRegex(out, r"(?m)^org/llama .*  no GPT-2: llama$")
        self.assertRegex(out, r'(?m)^/.* has no file "vocab.json"\.$')

    def test_sizes_count_a_blob_once(self):
        for commit in (FIRST, SECOND):
            snapshot = self.put("org/name", commit, refs=(commit[:2],))
        size = sum(os.path.getsize(os.path.join(snapshot, name)) for name in os.listdir(snapshot))
        [model] = self.list()["models"]
        self.assertEqual([one["bytes"] for one in model["revisions"]], [size, size])
        self.assertEqual(model["bytes"], size)
        self.put("org/copied", links=False)
        self.assertEqual(self.list()["models"][0]["bytes"], size)

    def test_weights_that_are_cut_off(self):
        snapshot = self.put("org/name")
        os.truncate(os.path.join(snapshot, "model.safetensors"), 12345)
        [revision] = self.list()["models"][0]["revisions"]
        self.assertEqual(revision["state"], "not whole")
        self.assertIn("model.safetensors", revision["problem"])

    def test_what_is_of_no_model(self):
        self.put("org/name")
        os.makedirs(os.path.join(self.hub, "datasets--org--data", "blobs"))
        with open(os.path.join(self.hub, "datasets--org--data", "blobs", "abc"), "wb") as file:
            file.write(b"x" * 1234)
        for name in ("models--", "other", ".locks", "version.txt"):
            os.makedirs(os.path.join(self.hub, name))
        open(os.path.join(self.hub, "models--file--here"), "wb").close()
        open(os.path.join(self.folder("org/name"), "blobs", "ff" * 20 + ".incomplete"), "wb").close()
        os.makedirs(self.folder("org/begun") + "/blobs")
        contents = self.list()
        self.assertEqual(contents["other_repositories"],
                         [{"kind": "dataset", "id": "org/data", "bytes": 1234}])
        self.assertEqual([(one["id"], one["partial_files"]) for one in contents["models"]],
                         [("org/begun", 0), ("org/name", 1)])
        out = self.succeed("list", env=self.env).decode()
        self.assertIn("Also in it: 1 data sets and spaces, 1.2 kB.\n", out)
        self.assertIn("org/name: 1 half-done downloads.\n", out)
        self.assertRegex(out, r"(?m)^org/begun .* not whole$")

    def test_packed_weights(self):
        self.put("org/name")
        folder = tiny_model.write(scratch("pasta é"), width=8)
        self.pack("-m", "org/name")
        self.pack("-m", folder, "--dtype", "int8")
        packed = {one["dtype"]: one for one in self.list()["packed"]}
        self.assertEqual(packed["f16"]["model"], "org/name")
        self.assertEqual(packed["int8"]["model"], folder)
        for one in packed.values():
            self.assertEqual((one["state"], one["bytes"]), ("in use", os.path.getsize(one["file"])))
        shutil.rmtree(folder)
        with open(os.path.join(self.packed, "old-0123456789abcdef-f16.packed"), "wb") as file:
            file.write(b"aira-cli packed weights 2\n" + b"\0" * 1000)
        with open(os.path.join(self.packed, "x-f16.packed.unfinished"), "wb") as file:
            file.write(b"x")
        with open(os.path.join(self.packed, "notes.txt"), "wb") as file:
            file.write(b"x")
        self.assertEqual(sorted((one["model"], one["state"]) for one in self.list()["packed"]
                                if one["model"]),
                         [(folder, "model is gone"), ("org/name", "in use")])
        self.assertEqual(sorted(one["state"] for one in self.list()["packed"] if not one["model"]),
                         ["other version", "unfinished"])
        out = self.succeed("list", env=self.env).decode()
        self.assertRegex(out, r"(?m)^aira-cli rm --packed removes those that no model uses: [0-9.]+ kB\.$")


class Rm(Caches):
    def test_a_model_with_all_that_is_its_own(self):
        self.put("org/name", FIRST, width=8)
        self.put("org/name", SECOND, refs=("v1.0", "refs/pr/7"), width=24)
        os.makedirs(os.path.join(self.folder("org/name"), ".no_exist", FIRST))
        open(os.path.join(self.folder("org/name"), ".no_exist", FIRST, "added_tokens.json"), "w").close()
        self.put("org/other")
        other = hub_cache.tree(self.folder("org/other"))
        self.pack("-m", "org/name")
        self.pack("-m", "org/name@v1.0", "--dtype", "f32")
        self.pack("-m", "org/other")
        bytes = self.list()["models"][0]["bytes"] + sum(
            one["bytes"] for one in self.list()["packed"] if one["model"] == "org/name")
        self.assertEqual(self.rm("org/name"), f"Removed; {round(bytes / 1000)} kB are free again.\n")
        self.assertEqual(os.listdir(self.hub), ["models--org--other"])
        self.assertEqual(hub_cache.tree(self.folder("org/other")), other)
        self.assertEqual([one["model"] for one in self.list()["packed"]], ["org/other"])
        self.assertIn("E678", self.fail_with(1, "rm", "-y", "org/name", env=self.env))

    def test_a_revision_leaves_what_another_needs(self):
        for asked in ("v1.0", "refs/pr/7", SECOND, SECOND[:7]):
            with self.subTest(asked=asked):
                kept = self.put("org/name", FIRST)
                before = hub_cache.tree(self.folder("org/name"))
                self.put("org/name", SECOND, refs=("v1.0", "refs/pr/7"), layers=3)
                # the tokenizer is in both
                self.assertEqual(len(os.listdir(os.path.join(self.folder("org/name"), "blobs"))), 5)
                self.rm("org/name@" + asked)
                self.assertEqual(hub_cache.tree(self.folder("org/name")), before)
                self.succeed("info", "-m", kept, env=self.env)
                shutil.rmtree(self.folder("org/name"))

    def test_packed_weights_of_one_revision(self):
        self.put("org/name", FIRST)
        self.put("org/name", SECOND, refs=("v2",), width=8)
        for asked, left in (("org/name", 0), ("org/name@v2", 1)):
            shutil.rmtree(self.packed, ignore_errors=True)
            self.pack("-m", asked)
            self.rm("org/name@v2")
            self.assertEqual(len(self.list()["packed"]), 1 - left)
            self.put("org/name", SECOND, refs=("v2",), width=8)

    def test_copies_instead_of_links(self):
        snapshot = self.put("org/name", links=False)
        size = sum(os.path.getsize(os.path.join(snapshot, name)) for name in os.listdir(snapshot))
        self.assertIn(f"{round(size / 1000)} kB", self.rm("org/name"))
        self.assertEqual(os.listdir(self.hub), [])

    def test_dangling_links_go_too(self):
        snapshot = self.put("org/name")
        for name in os.listdir(snapshot):
            os.remove(os.path.realpath(os.path.join(snapshot, name)))
        self.rm("org/name")
        self.assertEqual(os.listdir(self.hub), [])

    def test_half_done_downloads_and_foreign_files_stay(self):
        self.put("org/name")
        stay = ["blobs", "blobs/" + "ff" * 32 + ".incomplete", "notas.txt"]
        for name in stay[1:]:
            with open(os.path.join(self.folder("org/name"), name), "wb") as file:
                file.write(b"x")
        code, _, err = run("rm", "-y", "org/name", env=self.env)
        self.assertEqual(code, 0)
        self.assertIn("1 half-done downloads stay in", err)
        self.assertEqual(sorted(hub_cache.tree(self.folder("org/name"))), stay)

    def test_nothing_outside_the_cache_is_touched(self):
        outside = tiny_model.write(scratch(self.id() + "/outside"))
        snapshot = self.put("org/name")
        os.symlink(outside, os.path.join(snapshot, "linked"))
        os.symlink(os.path.join(outside, "config.json"), os.path.join(snapshot, "more.json"))
        before = hub_cache.tree(outside)
        self.rm("org/name")
        self.assertEqual(hub_cache.tree(outside), before)
        self.assertEqual(os.listdir(self.hub), [])
        os.symlink(outside, self.folder("org/moved"))
        os.makedirs(self.folder("org/blobs"))
        os.symlink(outside, os.path.join(self.folder("org/blobs"), "blobs"))
        for name in ("org/moved", "org/blobs"):
            self.assertIn("is a link out of the cache", self.before_and_after("-y", name))
        self.assertEqual(hub_cache.tree(outside), before)
        for name in ("org/../../x", "../x", outside, ".", ""):
            self.assertRegex(self.before_and_after("-y", name), "E678|E680")

    def test_other_architectures_stay(self):
        snapshot = self.put("org/llama")
        os.remove(os.path.join(snapshot, "config.json"))
        with open(os.path.join(snapshot, "config.json"), "w", encoding="utf-8") as file:
            json.dump({"model_type": "llama"}, file)
        self.assertIn("(llama), so that it is left alone", self.before_and_after("-y", "org/llama"))

    def test_a_download_that_runs(self):
        self.put("org/name")
        locks = os.path.join(self.hub, ".locks", "models--org--name")
        os.makedirs(locks)
        with open(os.path.join(locks, "abc.lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("Another program is downloading org/name",
                          self.before_and_after("-y", "org/name"))
        self.rm("org/name")

    def test_a_cache_that_is_read_only(self):
        self.put("org/name")
        if os.geteuid() == 0:
            for place in (scratch(""), os.path.dirname(self.hub)):
                os.chmod(place, 0o755)
            prepare = lambda: os.setuid(65534)
        else:
            os.chmod(os.path.join(self.folder("org/name"), "refs"), 0o555)
            self.addCleanup(os.chmod, os.path.join(self.folder("org/name"), "refs"), 0o755)
            prepare = lambda: None
        before = hub_cache.tree(self.hub)
        err = self.fail_with(1, "rm", "-y", "org/name", env=self.env, prepare=prepare)
        self.assertRegex(err, 'refs/main" cannot be removed: Permission denied')
        self.assertEqual(hub_cache.tree(self.hub), before)

    def test_dry_run_changes_nothing(self):
        self.put("org/name", FIRST)
        self.put("org/name", SECOND, refs=("v2", "v2.0"))
        self.pack("-m", "org/name")
        before = hub_cache.tree(self.hub), hub_cache.tree(self.packed)
        out = self.succeed("rm", "--dry-run", "org/name", env=self.env).decode()
        self.assertRegex(out, r"\Amodel +what +size\norg/name +revision main 1f1f1f1f +\d+ kB\n"
                              r"org/name +revision v2 2e2e2e2e +\d+ kB\n +revision v2.0 2e2e2e2e\n"
                              r"org/name +packed weights f16 +\d+ kB\n\d+ kB would be free\.\n\Z")
        self.assertEqual((hub_cache.tree(self.hub), hub_cache.tree(self.packed)), before)

    def test_packed_weights_whose_model_is_gone(self):
        self.put("org/name")
        self.assertIn("nothing to remove", self.rm("--packed"))
        folder = tiny_model.write(scratch(self.id() + "/m"))
        self.pack("-m", "org/name")
        self.pack("-m", folder)
        shutil.rmtree(folder)
        for name in ("old-f16.packed", "killed-f16.packed.unfinished", "written-f16.packed.unfinished"):
            with open(os.path.join(self.packed, name), "wb") as file:
                file.write(b"aira-cli packed weights 2\n")
        with open(os.path.join(self.packed, "written-f16.packed.unfinished"), "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.rm("--packed")
        left = [os.path.basename(one["file"]) for one in self.list()["packed"]]
        self.assertEqual(len(left), 2)
        self.assertTrue(left[0].startswith("models--org--name-"))
        self.assertEqual(left[1], "written-f16.packed.unfinished")

    def test_packed_weights_of_a_model(self):
        self.put("org/name")
        folder = tiny_model.write(scratch(self.id() + "/m"))
        for asked in ("org/name", folder):
            self.pack("-m", asked)
        self.rm("--packed", "org/name")
        self.assertEqual([one["model"] for one in self.list()["packed"]], [folder])
        self.rm("--packed", folder + "/.")
        self.assertEqual(self.list()["packed"], [])
        self.assertTrue(os.path.exists(os.path.join(folder, "config.json")))
        self.assertIn("E679", self.before_and_after("-y", "--packed", "org/name"))

    def test_asking_on_a_terminal(self):
        self.put("org/name")
        for answer, code, left in (("n\r", 1, True), ("\r", 1, True), ("\x04", 1, True),
                                   ("Sim\r", 0, False)):
            terminal = Terminal("rm", "org/name", env=self.env)
            terminal.wait_for("[y/N]")
            terminal.type(answer)
            self.assertEqual(terminal.end(), code)
            self.assertEqual(os.path.exists(self.folder("org/name")), left, answer)
        self.assertIn("revision main 1f1f1f1f", terminal.screen)

    def test_wrong_usage(self):
        self.put("org/name")
        self.assertIn("stdin is no terminal", self.before_and_after("org/name", code=2))
        self.assertIn("needs the name of a model", self.before_and_after(code=2))
        self.put("org/name", FIRST[:-1] + "0", refs=())
        self.assertIn("several revisions", self.before_and_after("-y", "org/name@1f1f1f"))
        self.assertIn("no revision", self.before_and_after("-y", "org/name@abcd"))


if __name__ == "__main__":
    main()
