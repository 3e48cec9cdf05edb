"""Models fetched from an imitation of the hub into the cache of huggingface_hub."""

import json
import os
import re
import resource
import shutil
import signal
import time

from harness import Terminal, environment, main, run, scratch, start
from hub_server import etag_of
from pull_case import CONFIG, DEFAULT, UNNEEDED, PullTest, bulky, tiny


class Pull(PullTest):
    def test_the_default_model_and_then_questions_go_to_it(self):
        files = tiny()
        self.hub.add(DEFAULT, {**files, **UNNEEDED})
        code, out, err = run("Oi", env=self.env())
        self.assertEqual((code, err.count("'aira-cli pull' fetches Aira itself")), (0, 1))
        out = self.pull()
        self.holds(files, DEFAULT)
        self.assertEqual(out, self.snapshot(DEFAULT) + "\n")
        # The network is not needed any more.
        info = json.loads(self.succeed("info", "--json", env=self.env(HF_ENDPOINT="https://localhost:1")))
        self.assertEqual((info["place"], info["name"]), (out.strip(), DEFAULT))
        self.assertEqual(run("Oi", env=self.env())[2], "")

    def test_the_requests(self):
        """The revision is asked once, all else goes by commit; what is not needed is left alone."""
        commit = self.hub.add("org/name", {**tiny(), **UNNEEDED})
        self.pull("org/name")
        paths = [one.path for one in self.hub.log]
        self.assertEqual([path for path in paths if "/revision/" in path],
                         ["/api/models/org/name/revision/main"])
        self.assertEqual(paths[1], f"/api/models/org/name/tree/{commit}?recursive=true")
        self.assertGreater(len([path for path in paths if "cursor=" in path]), 2)
        for one in self.hub.log:
            self.assertEqual(one.headers["accept-encoding"], "identity")
            self.assertRegex(one.headers["user-agent"], r"\Aaira-cli/")
        resolved = {path.split("/")[-1] for path in paths if f"/resolve/{commit}/" in path}
        self.assertEqual(resolved, set(tiny()))
        self.assertEqual(len(self.hub.requests("HEAD", "/model.safetensors")), 1)
        # There already: no file is asked for.
        self.hub.log.clear()
        self.assertEqual(self.pull("org/name"), self.snapshot() + "\n")
        self.assertFalse([one for one in self.hub.log if "resolve" in one.path])
        self.hub.log.clear()
        self.pull(f"org/name@{commit}")
        self.assertFalse(self.hub.requests(ending="/revision/main"))

    def test_names_and_revisions(self):
        first = tiny()
        second = {**first, "README.md": b"second"}
        old = self.hub.add("org/name", first, "v1.0")
        self.hub.add("org/name", second, "refs/pr/7")
        self.hub.renamed["old/name"] = "org/name"
        self.hub.add("gpt2", first)
        for asked, name, revision, files in (
                ("org/name@v1.0", "org/name", "v1.0", first),
                (self.hub.endpoint + "/org/name/tree/main", "org/name", "main", second),
                ("hf://org/name@refs/pr/7", "org/name", "refs/pr/7", second),
                ("old/name", "old/name", "main", second),
                ("https://huggingface.co/gpt2", "gpt2", "main", first)):
            with self.subTest(asked=asked):
                shutil.rmtree(self.cache, ignore_errors=True)
                self.assertEqual(self.pull(asked), self.snapshot(name, revision) + "\n")
                self.holds(files, name, revision)
        shutil.rmtree(self.cache)
        self.assertTrue(self.pull("org/name@" + old).endswith(f"/{old}\n"))
        self.assertEqual(os.listdir(os.path.join(self.folder(), "refs")), [])
        info = json.loads(self.succeed("info", "--json", "-m", "org/name@" + old, env=self.env()))
        self.assertTrue(info["place"].endswith(old))

    def test_a_new_commit_takes_the_place_of_the_old_one(self):
        first, second = tiny(), {**tiny(), "README.md": "novo ção".encode()}
        old = self.hub.add("org/name", first)
        self.pull("org/name")
        self.hub.add("org/name", second)
        self.hub.log.clear()
        self.pull("org/name")
        self.holds(second)
        self.assertEqual([one.path.split("/")[-1] for one in self.hub.requests("HEAD") if
                          "/resolve/" in one.path], ["README.md"])
        self.assertEqual(len(os.listdir(os.path.join(self.folder(), "snapshots", old))), len(first))

    def test_weights_in_shards_and_of_torch(self):
        index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors",
                                           "c": "model-1.safetensors"}}).encode()
        sharded = {"config.json": CONFIG, "tokenizer.json": b"{}", "model.safetensors.index.json": index,
                   "model-1.safetensors": b"1" * 700, "model-2.safetensors": b"2" * 801}
        torch = {"config.json": CONFIG, "pytorch_model.bin": b"p" * 999, "vocab.json": b"{}",
                 "merges.txt": b"#"}
        for name, files in (("org/sharded", sharded), ("org/torch", torch)):
            self.hub.add(name, {**files, "optimizer.pt": b"o" * 9})
            self.pull(name)
            self.holds(files, name)

    def test_an_adapter_names_its_base(self):
        files = {"adapter_config.json": b'{"base_model_name_or_path": "org/base", "peft_type": "LORA"}',
                 "adapter_model.safetensors": b"1" * 70, "README.md": b"x"}
        self.hub.add("org/name", {**files, "optimizer.pt": b"o" * 9})
        code, out, err = run("pull", "org/name", env=self.env())
        self.assertEqual(code, 0, err)
        self.holds(files)
        self.assertIn('its base model is "org/base"', err)

    def test_what_is_no_model_is_refused_before_its_weights(self):
        def changed(**values):
            return json.dumps({**json.loads(CONFIG), **values}).encode()

        for files, says in (({"config.json": changed(model_type="llama"), "model.safetensors": b"1",
                              "tokenizer.json": b"{}"}, '"llama"'),
                            ({"config.json": b"{", "model.safetensors": b"1"}, "config.json is not valid"),
                            ({"config.json": CONFIG, "tf_model.h5": b"1"}, "has no weights that this"),
                            ({"model.safetensors": b"1"}, "has no config.json"),
                            ({"config.json": CONFIG, "model.safetensors": b"1"}, "has no tokenizer"),
                            ({"adapter_config.json": b"{}"}, "has no weights")):
            self.hub.add("org/name", files)
            with self.subTest(says=says):
                self.fails(says)
                self.assertFalse(os.path.exists(self.cache))
                self.assertFalse(self.hub.requests(ending="model.safetensors"))

    def test_names_that_lead_out_of_the_folder(self):
        for name in ("../../evil.safetensors", "/tmp/evil.safetensors", "runs/../../config.json"):
            self.hub.add("org/name", {**tiny(), name: b"x"})
            with self.subTest(name=name):
                self.fails("leads out of the model's folder")
        for shard in ("../model.safetensors", "/etc/passwd", "missing.safetensors", "sub/a.safetensors"):
            index = json.dumps({"weight_map": {"a": shard}}).encode()
            self.hub.add("org/name", {"config.json": CONFIG, "tokenizer.json": b"{}",
                                      "sub/a.safetensors": b"a", "model.safetensors.index.json": index})
            with self.subTest(shard=shard):
                self.fails(shard)
        self.assertFalse(os.path.exists(self.cache))
        for revision in ("../../x", "/x", "a//b", "x/", ".hidden", "a b"):
            self.assertIn("No revision has the name", self.pull("org/name@" + revision, code=1))

    def test_wrong_words(self):
        for words, code, says in ((("./folder",), 1, "is no name of a model on the hub"),
                                  (("a/b/c",), 1, "is no name"), (("a", "b"), 2, '"b"'),
                                  (("--fast",), 2, '"--fast"'), (("org/name@",), 1, "needs a revision"),
                                  (("https://example.com/a/b",), 1, "not one of the Hugging Face hub")):
            with self.subTest(words=words):
                self.assertIn(says, self.fail_with(code, "pull", *words, env=self.env()))


class Cache(PullTest):
    """What is written, and when."""

    def test_what_is_beside_the_model(self):
        self.hub.add("org/name", tiny())
        self.pull("org/name")
        with open(os.path.join(self.cache, "CACHEDIR.TAG")) as file:
            self.assertTrue(file.read().startswith("Signature: 8a477f597d28d172789f06886806bc55\n"))
        commit = os.path.basename(self.snapshot())
        missing = os.listdir(os.path.join(self.folder(), ".no_exist", commit))
        self.assertIn("chat_template.jinja", missing)
        self.assertFalse(set(missing) & set(tiny()))
        locks = os.listdir(os.path.join(self.cache, ".locks", "models--org--name"))
        self.assertEqual(sorted(locks), sorted(etag_of(*file) + ".lock" for file in tiny().items()))

    def test_where_it_is(self):
        self.hub.add("org/name", tiny())
        for variables, place in (({"HF_HOME": "~/ç $NAME"}, "ç meu/hub"), ({"HF_HUB_CACHE": "${HOME}/x"}, "x"),
                                 ({"XDG_CACHE_HOME": "~/xdg"}, "xdg/huggingface/hub"),
                                 ({}, ".cache/huggingface/hub")):
            env = environment(**self.hub.variables, NAME="meu", **variables)
            out = self.succeed_quietly("pull", "-q", "org/name", env=env)
            self.assertTrue(out.startswith(os.path.join(env["HOME"], place, "models--org--name")), out)

    def succeed_quietly(self, *words, **how):
        code, out, err = run(*words, **how)
        self.assertEqual((code, err), (0, ""))
        return out.decode()

    def test_nothing_unfinished_is_visible(self):
        files = bulky()
        self.hub.add("org/name", files)
        self.hub.pause = 0.02
        process = start("pull", "org/name", env=self.env())
        seen = 0
        while process.poll() is None:
            for place, _, names in os.walk(os.path.join(self.folder(), "snapshots")):
                for name in names:
                    try:
                        with open(os.path.join(place, name), "rb") as file:
                            self.assertEqual(file.read(), files[name])
                        seen += 1
                    except FileNotFoundError:
                        self.fail("a dangling link")
            if os.path.exists(os.path.join(self.folder(), "refs", "main")):
                self.assertEqual(len(os.listdir(self.snapshot())), len(files))
            time.sleep(0.01)
        self.assertEqual(process.wait(), 0, process.communicate())
        self.assertGreater(seen, 10)
        self.holds(files)

    def test_without_symbolic_links(self):
        files = tiny()
        self.hub.add("org/name", files)
        self.pull("org/name", HF_HUB_DISABLE_SYMLINKS="1")
        for name, content in files.items():
            path = os.path.join(self.snapshot(), name)
            self.assertFalse(os.path.islink(path))
            with open(path, "rb") as file:
                self.assertEqual(file.read(), content)
        self.hub.log.clear()
        self.pull("org/name")
        self.assertFalse(self.hub.requests("HEAD"))
        # Blobs that another snapshot links to stay where they are.
        self.hub.add("org/other", files)
        self.pull("org/other")
        self.hub.add("org/other", {**files, "README.md": b"new"}, "v2")
        self.pull("org/other@v2", HF_HUB_DISABLE_SYMLINKS="ON")
        self.assertTrue(all(os.path.exists(os.path.join(self.snapshot("org/other"), name)) for name in files))

    def as_nobody(self):
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

    def test_a_cache_that_is_read_only(self):
        self.hub.add("org/name", tiny())
        self.pull("org/name")
        self.cache_mode(0o555)
        self.addCleanup(self.cache_mode, 0o755)
        for folder in (scratch(""), self.hub.folder):
            os.chmod(folder, 0o755)
        code, out, err = run("pull", "org/name", env=self.env(), prepare=self.as_nobody)
        self.assertEqual((code, out.decode()), (0, self.snapshot() + "\n"), err)
        self.hub.add("org/name", {**tiny(), "README.md": b"new"})
        code, out, err = run("pull", "org/name", env=self.env(), prepare=self.as_nobody)
        self.assertEqual((code, out), (1, b""), err)
        self.assertRegex(err, r"\[E646\] .*cannot be written \(Permission denied\); HF_HUB_CACHE names")
        self.assertIn("E646", self.pull("org/name", code=1, HF_HUB_CACHE=os.path.join(self.hub.certificate, "x")))

    def cache_mode(self, mode):
        for place, _, _ in os.walk(self.cache):
            os.chmod(place, mode)

    def test_a_full_disk(self):
        """Told before the first byte, or by what the writing says."""
        files = bulky()
        commit = self.hub.add("org/name", files)
        self.hub.faults["tree"] = lambda at: at.send_json([
            {"type": "file", "path": name, "size": 10**15, "oid": "0" * 40} for name in files]) or True
        self.fails("are free in", f"org/name@{commit}")
        self.assertFalse(os.path.exists(self.cache))
        self.hub.faults.clear()
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))  # noqa: E731
        code, _, err = run("pull", "org/name", env=self.env(), prepare=limit)
        self.assertEqual(code, 1)
        self.assertRegex(err.splitlines()[-1], r"\[E647\] Writing .* failed: File too large\. Once that is")
        self.hub.log.clear()
        self.pull("org/name")
        self.holds(files)
        self.assertLess(self.bytes_of("model.safetensors", files), 2_100_000)

    def bytes_of(self, name, files):
        return sum(one.sent for one in self.hub.requests("GET", etag_of(name, files[name])))

    def test_what_is_damaged_is_fetched_again(self):
        files = tiny()
        self.hub.add("org/name", files)
        self.pull("org/name")
        weights = os.path.join(self.snapshot(), "model.safetensors")
        os.truncate(weights, 100)
        self.pull("org/name")
        self.holds(files)
        with open(weights, "r+b") as file:
            file.seek(1000)
            file.write(b"damage")
        self.pull("org/name")
        with open(weights, "rb") as file:
            self.assertNotEqual(file.read(), files["model.safetensors"])
        self.pull("--check", "org/name")
        self.holds(files)
        os.remove(os.path.join(self.folder(), "blobs", etag_of("README.md", files["README.md"])))
        self.pull("org/name")
        self.holds(files)


class Display(PullTest):
    def test_a_bar_on_a_terminal(self):
        files = bulky()
        self.hub.add("org/name", files)
        left = [1]

        def again(at):  # what a server sends twice is not counted twice
            if left:
                left.pop()
                at.send(200, {}, files["model.safetensors"][:2_000_000], 3_000_017)
            else:
                at.send(200, {}, files["model.safetensors"])
            return True

        self.hub.faults["large"] = again
        self.hub.pause = 0.03
        terminal = Terminal("pull", "org/name", env=self.env())
        self.assertEqual(terminal.end(), 0)
        shown = re.findall(r"\[(#*)(\.*)\] ([0-9.]+) ([kM]?)B of 3\.0 MB, (\d+) %(, [0-9.]+ [kM]?B/s, \d\d:\d\d left)?",
                           terminal.screen)
        self.assertGreater(len(shown), 4, terminal.screen)
        percents = [int(one[4]) for one in shown]
        self.assertEqual(percents, sorted(percents))
        self.assertLessEqual(percents[-1], 100)
        self.assertTrue(shown[-1][5])
        self.assertEqual({len(one[0]) + len(one[1]) for one in shown}, {20})
        self.assertNotIn("fetched config.json", terminal.screen)
        self.assertIn("org/name is in the cache: 4 files, 3.0 MB; 3.0 MB fetched in 00:0", terminal.screen)
        self.assertIn("-m org/name chooses it", terminal.screen)
        self.assertTrue(terminal.raw.rstrip().endswith(self.snapshot().encode()))

    def test_ctrl_c_on_a_terminal(self):
        self.hub.add("org/name", bulky())
        self.hub.pause = 0.05
        terminal = Terminal("pull", "org/name", env=self.env())
        terminal.wait_for(" left")
        terminal.type("\x03")
        self.assertEqual(terminal.end(), -signal.SIGINT)
        self.assertIn("aira-cli: stopped; what was fetched is kept", terminal.screen)

    def test_lines_elsewhere(self):
        self.hub.add("org/name", tiny())
        code, out, err = run("pull", "org/name", env=self.env())
        self.assertNotIn("\r", err)
        lines = err.splitlines()
        self.assertEqual(len(lines), len(tiny()) + 2)
        self.assertIn("aira-cli: fetched README.md (15 B)", lines)
        self.assertRegex(err, r"org/name is in the cache: 6 files, \d+ kB; \d+ kB fetched in 00:0\d\.\n")
        code, out, err = run("pull", "org/name", env=self.env())
        self.assertIn("was in the cache already: 6 files", err)
        shutil.rmtree(self.cache)
        self.assertEqual(run("pull", "-q", "org/name", env=self.env())[2], "")
        english, portuguese = (run("pull", "org/name", env=self.env(AIRA_LANG=language))
                               for language in ("en", "pt"))
        self.assertEqual(english[:2], portuguese[:2])
        self.assertIn("já estava no cache", portuguese[2])

    def test_a_dry_run(self):
        files = tiny()
        commit = self.hub.add("org/name", {**files, **UNNEEDED})
        total = sum(map(len, files.values()))
        table = self.pull("--dry-run", "org/name")
        self.assertIn("      15 B  README.md  (to fetch)\n", table)
        self.assertTrue(table.endswith("kB  in all  (to fetch)\n"))
        self.assertEqual(table.count("\n"), len(files) + 1)
        facts = json.loads(self.pull("--dry-run", "--json", "org/name"))
        self.assertFalse(os.path.exists(self.cache))
        self.assertFalse(self.hub.requests("HEAD"))
        self.assertEqual((facts["bytes"], facts["missing"], facts["commit"]), (total, total, commit))
        self.assertEqual({file["name"]: (file["size"], file["hash"]) for file in facts["files"]},
                         {name: (len(content), etag_of(name, content)) for name, content in files.items()})
        self.pull("org/name")
        os.remove(os.path.realpath(os.path.join(self.snapshot(), "config.json")))
        self.assertIn("config.json  (to fetch)\n", self.pull("--dry-run", "org/name"))
        facts = json.loads(self.pull("--json", "org/name"))
        self.assertEqual(facts["folder"], self.snapshot())
        os.remove(os.path.join(self.snapshot(), "README.md"))  # a link
        self.assertIn("README.md  (here)\n", self.pull("--dry-run", "org/name"))


if __name__ == "__main__":
    main()
