"""Models fetched from an imitation of the hub into the cache of huggingface_hub."""

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import stat
import sys
import threading
import time

from harness import CliTest, Terminal, environment, main, model, run, scratch, start
from hub_server import Hub, etag_of

DEFAULT = "nicholasKluge/Aira-2-portuguese-124M"
UNNEEDED = {"optimizer.pt": b"o" * 5000, "rng_state.pth": b"r", "training_args.bin": b"t",
            "checkpoint-500/model.safetensors": b"w", "tf_model.h5": b"t", "vocab.json": b"{}",
            "pytorch_model.bin": b"p", ".gitattributes": b"g", "runs/events.out": b"e"}
CONFIG = json.dumps({"model_type": "gpt2", "n_layer": 1, "n_head": 1, "n_embd": 4, "n_positions": 8,
                     "vocab_size": 260}).encode()


def tiny():
    """The files of a model that answers, and a card."""
    files = {"README.md": "# Olá, ação\n".encode(), "LICENSE": b"Apache", "generation_config.json": b"{}"}
    for name in os.listdir(model()):
        with open(os.path.join(model(), name), "rb") as file:
            files[name] = file.read()
    return files


def bulky(size=3_000_017, seed=1):
    """Not a model that answers: weights that take a while."""
    return {"config.json": CONFIG, "tokenizer.json": b"{}", "README.md": b"x" * 4099,
            "model.safetensors": random.Random(seed).randbytes(size)}


class PullTest(CliTest):
    def setUp(self):
        self.hub = Hub()
        self.addCleanup(self.hub.__exit__)
        self.cache = scratch(f"cache-{self.id()}")

    def env(self, **more):
        return environment(**{**self.hub.variables, "HF_HUB_CACHE": self.cache,
                               "no_proxy": "localhost,127.0.0.1", **more})

    def folder(self, name="org/name"):
        return os.path.join(self.cache, "models--" + name.replace("/", "--"))

    def pull(self, *words, code=0, **more):
        got, out, err = run("pull", *words, env=self.env(**more))
        self.assertEqual(got, code, err)
        self.assertNotIn("<html", err)
        if code:
            self.assertRegex(err.splitlines()[-1], r"\Aaira-cli: error: \[E\d+\] .*\.\Z")
            self.assertEqual(out, b"")
        return err if code else out.decode()

    def fails(self, says, *words, code=1, **more):
        """Pulls, which must fail, and leave the cache so that the next pull can do its work."""
        err = self.pull(*(words or ("org/name",)), code=code, **more)
        self.assertIn(says, err)
        self.assertFalse(os.path.exists(os.path.join(self.folder(), "refs", "main")))
        return err

    def snapshot(self, name="org/name", revision="main"):
        with open(os.path.join(self.folder(name), "refs", revision)) as file:
            return os.path.join(self.folder(name), "snapshots", file.read())

    def holds(self, files, name="org/name", revision="main"):
        """Checks the whole layout."""
        snapshot = self.snapshot(name, revision)
        self.assertEqual(sorted(os.listdir(snapshot)), sorted(files))
        for file, content in files.items():
            etag = etag_of(file, content)
            self.assertEqual(os.readlink(os.path.join(snapshot, file)), f"../../blobs/{etag}")
            with open(os.path.join(snapshot, file), "rb") as opened:
                self.assertEqual(opened.read(), content, file)
        blobs = os.listdir(os.path.join(self.folder(name), "blobs"))
        self.assertEqual([blob for blob in blobs if "." in blob], [])
        self.assertEqual(sorted(os.listdir(os.path.join(self.folder(name), "refs"))),
                         [revision.split("/")[0]])


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
        for shard in ("../model.safetensors", "/etc/passwd", "missing.safetensors"):
            index = json.dumps({"weight_map": {"a": shard}}).encode()
            self.hub.add("org/name", {"config.json": CONFIG, "tokenizer.json": b"{}",
                                      "model.safetensors.index.json": index})
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


class Interrupted(PullTest):
    """Broken off, and gone on with."""

    def sent(self, files):
        """Bytes of the weights that were sent."""
        return sum(one.sent for one in self.hub.requests("GET", etag_of("model.safetensors",
                                                                        files["model.safetensors"])))

    def begin(self, files, least=600_000):
        """A pull that has fetched a part of the weights."""
        self.hub.add("org/name", files)
        self.hub.pause = 0.02
        process = start("pull", "org/name", env=self.env())
        while self.sent(files) < least:
            time.sleep(0.01)
            self.assertIsNone(process.poll())
        return process

    def test_ctrl_c(self):
        files = bulky()
        process = self.begin(files)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, -signal.SIGINT)
        self.assertIn("what was fetched is kept", err.decode())
        self.assertFalse(os.path.exists(os.path.join(self.folder(), "refs", "main")))
        self.hub.pause = 0
        self.hub.log.clear()
        out = self.pull("org/name", "--dry-run")
        self.assertRegex(out, r"\n +3\.0 MB  model\.safetensors  \(\d\.\d MB to fetch\)\n")
        self.pull("org/name")
        self.holds(files)
        [large] = self.hub.requests("GET", etag_of("model.safetensors", files["model.safetensors"]))
        self.assertRegex(large.headers["range"], r"\Abytes=\d{6,}-\Z")
        self.assertLess(self.sent(files), 2_500_000)

    def killed(self, times, seed):
        """kill -9 at random moments: right bytes, and no finished file is fetched twice."""
        files = {**bulky(), "generation_config.json": b"{}", "special_tokens_map.json": b"{}"}
        self.hub.add("org/name", files)
        dice = random.Random(seed)
        for count in range(times):
            self.hub.pause = 0.002
            shutil.rmtree(self.cache, ignore_errors=True)
            self.hub.log.clear()
            for _ in range(dice.choice((1, 1, 2))):
                process = start("pull", "org/name", env=self.env())
                time.sleep(dice.uniform(0.02, 0.35))
                process.kill()
                process.communicate()
            self.hub.pause = 0
            self.pull("org/name")
            self.holds(files)
            for name, content in files.items():
                etag = etag_of(name, content)
                whole = [one for one in self.hub.requests("GET") if one.status == 200 and (
                    one.path.split("?")[0].endswith(etag) or "resolve-cache" in one.path and
                    one.path.endswith("/" + name)) and one.sent == len(content)]
                # config.json is read before anything is kept.
                if name != "config.json":
                    self.assertLessEqual(len(whole), 1 + (len(content) < 5000), (count, name, self.hub.log))
            self.assertLess(self.sent(files), 3_000_017 + 1_000_000)

    def test_kill_9(self):
        self.killed(12, 1)

    def test_kill_9_slow(self):
        self.killed(100, 2)

    def test_a_whole_file_that_has_not_its_name_yet(self):
        files = bulky()
        self.hub.add("org/name", files)
        etag = etag_of("model.safetensors", files["model.safetensors"])
        for name in (etag + ".incomplete", etag + ".0a1b2c3d.incomplete"):  # as huggingface_hub has them
            shutil.rmtree(self.cache, ignore_errors=True)
            os.makedirs(os.path.join(self.folder(), "blobs"))
            with open(os.path.join(self.folder(), "blobs", name), "wb") as file:
                file.write(files["model.safetensors"])
            self.pull("org/name")
            self.holds(files)
            self.assertEqual(self.sent(files), 0)

    def test_leftovers_that_are_wrong(self):
        files = bulky()
        self.hub.add("org/name", files)
        etag = etag_of("model.safetensors", files["model.safetensors"])
        for content in (b"wrong" * 1000, files["model.safetensors"] + b"more", b""):
            shutil.rmtree(self.cache, ignore_errors=True)
            os.makedirs(os.path.join(self.folder(), "blobs"))
            with open(os.path.join(self.folder(), "blobs", etag + ".x.incomplete"), "wb") as file:
                file.write(content)
            self.pull("org/name")
            self.holds(files)

    def test_servers_that_know_no_range(self):
        """200 with everything, 416, or bytes from another place: from the beginning."""
        files = bulky(400_003)
        content = files["model.safetensors"]
        self.hub.add("org/name", files)
        answers = (lambda at: at.send(200, {}, content),
                   lambda at: at.send(416) if "Range" in at.headers else at.send(200, {}, content),
                   lambda at: at.send(206, {"Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}"},
                                      content) if "Range" in at.headers else at.send(200, {}, content))
        for answer in answers:
            shutil.rmtree(self.cache, ignore_errors=True)
            os.makedirs(os.path.join(self.folder(), "blobs"))
            with open(os.path.join(self.folder(), "blobs", etag_of("model.safetensors", content)
                                   + ".x.incomplete"), "wb") as file:
                file.write(content[:100_000])
            self.hub.faults["large"] = lambda at: answer(at) or True  # noqa: B023
            self.pull("org/name")
            self.holds(files)

    def test_connections_that_break_off(self):
        """The body is cut after a while, again and again; each time it goes on from there."""
        files = bulky(500_009)
        content = files["model.safetensors"]
        self.hub.add("org/name", files)

        def cut(at):
            first = int(at.headers.get("Range", "bytes=0-")[6:-1])
            at.send(206 if first else 200, {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"},
                    content[first:first + 100_000], len(content) - first)
            return True

        self.hub.faults["large"] = cut
        self.pull("org/name")
        self.holds(files)
        self.assertEqual(self.sent(files), len(content))
        self.assertEqual(len(self.hub.requests("GET", etag_of("model.safetensors", content))), 6)

    def test_a_connection_that_breaks_off_for_good(self):
        files = bulky(500_009)
        content = files["model.safetensors"]
        self.hub.add("org/name", files)

        def cut(at):
            if "Range" in at.headers:
                at.cut()
            else:
                at.send(200, {}, content[:100_000], len(content))
            return True

        self.hub.faults["large"] = cut
        self.fails("what was fetched is kept")
        self.hub.faults.clear()
        self.hub.log.clear()
        self.pull("org/name")
        self.holds(files)
        self.assertEqual(self.sent(files), 400_009)


class Together(PullTest):
    def test_two_at_once(self):
        files = bulky()
        self.hub.add("org/name", files)
        self.hub.pause = 0.01
        processes = [start("pull", "org/name", env=self.env()) for _ in range(2)]
        said = [process.communicate(timeout=60) for process in processes]
        self.assertEqual([process.returncode for process in processes], [0, 0], said)
        self.holds(files)
        sent = sum(one.sent for one in self.hub.requests("GET", etag_of("model.safetensors",
                                                                        files["model.safetensors"])))
        self.assertEqual(sent, 3_000_017)
        self.assertTrue(any(b"another program is fetching" in err for _, err in said), said)

    def test_one_that_waits_takes_over(self):
        files = bulky()
        self.hub.add("org/name", files)
        self.hub.pause = 0.03
        first = start("pull", "org/name", env=self.env())
        while not self.hub.requests("GET", etag_of("model.safetensors", files["model.safetensors"])):
            time.sleep(0.02)
        second = start("pull", "org/name", env=self.env())
        line = b""
        while b"waiting" not in line:
            line = second.stderr.readline()
        first.kill()
        first.communicate()
        self.hub.pause = 0
        self.assertEqual(second.communicate(timeout=60)[0].decode(), self.snapshot() + "\n")
        self.holds(files)

    def test_without_locks(self):
        """Names of their own keep the files right; what is lost is that each fetches for itself."""
        files = bulky(1_000_003)
        self.hub.add("org/name", files)
        os.makedirs(self.cache)
        with open(os.path.join(self.cache, ".locks"), "w"):
            pass  # a file where the folder of locks would be
        self.hub.pause = 0.01
        processes = [start("pull", "org/name", env=self.env()) for _ in range(3)]
        said = [process.communicate(timeout=60) for process in processes]
        self.assertEqual([process.returncode for process in processes], [0, 0, 0], said)
        self.holds(files)


class Access(PullTest):
    """Tokens, hosts, proxies."""

    def test_where_the_token_is(self):
        self.hub.add("org/name", tiny())
        home = scratch("token-home")
        os.makedirs(os.path.join(home, "hf"))
        for name, text in (("hf/token", "hf_home\n"), ("other", " hf_other \n")):
            with open(os.path.join(home, name), "w") as file:
                file.write(text)
        for variables, token in (({"HF_TOKEN": "hf_one"}, "hf_one"),
                                 ({"HF_TOKEN": "hf_one", "HUGGING_FACE_HUB_TOKEN": "hf_two"}, "hf_one"),
                                 ({"HUGGING_FACE_HUB_TOKEN": "hf_two\n"}, "hf_two"),
                                 ({"HF_HOME": f"{home}/hf"}, "hf_home"),
                                 ({"HF_HOME": f"{home}/hf", "HF_TOKEN_PATH": f"{home}/other"}, "hf_other"),
                                 ({"HOME": home, "HF_TOKEN_PATH": "~/$X", "X": "other"}, "hf_other"),
                                 ({"HF_HOME": f"{home}/hf", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, None),
                                 ({}, None)):
            with self.subTest(variables):
                self.hub.log.clear()
                self.pull("org/name", **variables)
                wanted = token and f"Bearer {token}"
                self.assertEqual({one.headers.get("authorization") for one in self.hub.log
                                  if one.host == "localhost"}, {wanted})
        err = self.pull("org/name", code=1, HF_TOKEN="hf_x\r\nX-Evil: 1")
        self.assertIn("HF_TOKEN holds no token", err)
        self.assertNotIn("hf_x", err)

    def test_no_other_host_gets_it(self):
        self.hub.add("org/name", tiny())
        shown = []
        for words in (("org/name",), ("org/name", "--json"), ("org/name", "--dry-run")):
            code, out, err = run("pull", *words, env=self.env(HF_TOKEN="hf_geheim"))
            self.assertEqual(code, 0, err)
            shown += [out.decode(), err]
        self.hub.faults["revision"] = lambda at: at.refuse(418) or True
        shown.append(self.pull("org/none", code=1, HF_TOKEN="hf_geheim"))
        self.assertNotIn("geheim", "".join(shown))
        hosts = {one.host: set() for one in self.hub.log}
        for one in self.hub.log:
            hosts[one.host].add(one.headers.get("authorization"))
        self.assertEqual(hosts, {"localhost": {"Bearer hf_geheim"}, "127.0.0.1": {None}})
        for place, _, names in os.walk(self.cache):
            for name in names:
                with open(os.path.join(place, name), "rb") as file:
                    self.assertNotIn(b"geheim", file.read())

    def test_no_other_host_is_asked(self):
        """The link to the next page may name the hub where a mirror was asked."""
        self.hub.add("org/name", tiny())
        self.hub.link_host = "https://huggingface.co"
        self.pull("org/name")
        self.holds(tiny())

    def test_redirects_go_to_https_only(self):
        self.hub.add("org/name", tiny())
        for kind, says in (("get", "http://127.0.0.1/x"), ("revision", "file:///etc/passwd")):
            self.hub.faults = {kind: lambda at: at.send(302, {"Location": says + "?s=geheim"}) or True}
            with self.subTest(kind):
                self.assertNotIn("geheim", self.fails(f'"{says}", which is not https'))
        self.hub.faults = {"revision": lambda at: at.send(302, {"Location": at.path}) or True}
        self.fails("redirects again and again")

    def test_what_the_hub_refuses(self):
        self.hub.add("org/name", tiny())

        def refuse(*answer):
            self.hub.faults["revision"] = lambda at: at.refuse(*answer) or True

        self.fails('has no model "org/none"', "org/none")
        self.fails('has no model "org/none"', "org/none", HF_TOKEN="hf_one")
        self.fails('has no revision "v9"', "org/name@v9")
        gated = "Access to model org/name is restricted."
        refuse(401, "GatedRepo", gated)
        self.fails(f"is gated: accept its terms at {self.hub.endpoint}/org/name and put a token")
        refuse(403, "GatedRepo", gated)
        self.fails("is gated, and the token of HF_TOKEN has no access", HF_TOKEN="hf_one")
        refuse(401, "", "Invalid credentials in Authorization header")
        self.fails("does not accept the token of HF_TOKEN", HF_TOKEN="hf_one")
        refuse(403, "", "Storage is\x1b[31m locked")
        self.fails(r"HTTP status 403 (Storage is\x1b[31m locked).")
        refuse(403, "", "<html>")
        self.fails("HTTP status 403; try")
        refuse(418)
        self.fails("HTTP status 418")
        self.hub.faults = {"large": lambda at: at.refuse(403) or True}
        self.assertNotIn("Signature", self.fails("HTTP status 403"))
        self.hub.faults = {"head": lambda at: at.refuse(404, "EntryNotFound") or True}
        self.fails("HTTP status 404")

    def test_pages_that_are_no_answers(self):
        """A login page of a network, a proxy, another program at HF_ENDPOINT."""
        files = tiny()
        self.hub.add("org/name", files)
        page = b"<html><body>Please log in</body></html>"
        for kind, says in (("revision", "login page"), ("tree", "login page"),
                           ("head", "without a valid X-Repo-Commit")):
            self.hub.faults = {kind: lambda at: at.send(200, {"Content-Type": "text/html"}, page) or True}
            with self.subTest(kind):
                self.fails(says)
        for kind in ("small", "large"):
            for content, says in ((page, "config.json" if kind == "small" else "instead of"),
                                  (files["model.safetensors"][:-1] + b"x", ""),
                                  (files["model.safetensors"] + b"x", "")):
                self.hub.faults = {kind: lambda at, c=content: at.send(200, {"X-Repo-Commit": "x", "ETag": "y"}, c) or True}
                with self.subTest(kind=kind, content=content[:9]):
                    self.fails(says)
        commit = self.hub.add("org/name", files)
        for headers, says in (({"ETag": '"e"'}, "X-Repo-Commit"), ({"X-Repo-Commit": "0" * 40}, "X-Repo-Commit"),
                              ({"X-Repo-Commit": commit}, "ETag"),
                              ({"X-Repo-Commit": commit, "ETag": '"../../x"'}, "ETag"),
                              ({"X-Repo-Commit": commit, "ETag": '"e"', "X-Linked-Size": "7"}, "7 bytes by its header")):
            self.hub.faults = {"head": lambda at, h=headers: at.send(200, h, b"x" * 258) or True}
            with self.subTest(headers):
                self.fails(says)
        for sha in (None, "main", "A" * 40, 7):
            self.hub.faults = {"revision": lambda at, s=sha: at.send_json({"sha": s}) or True}
            with self.subTest(sha=sha):
                self.fails("sha" if sha == 7 else "names no commit")
        for entry in ({"type": "file", "path": "config.json", "oid": "0" * 40},
                      {"type": "file", "path": "x.bin", "size": 3, "oid": "0" * 40, "lfs": {"oid": "1", "size": 3}},
                      {"type": "file", "path": "x", "size": -1, "oid": "0" * 40},
                      {"type": "file", "size": 1, "oid": "0" * 40}):
            self.hub.faults = {"tree": lambda at, e=entry: at.send_json([e]) or True}
            with self.subTest(entry):
                self.fails("/tree/")
        self.hub.faults.clear()
        self.pull("org/name")
        self.holds(files)

    def test_wrong_content(self):
        """One sentence, nothing is kept of it, and the next pull is right."""
        for files in (bulky(100_003), {**tiny(), "merges.txt": b"x"}):
            self.hub.add("org/name", files)
            for name in ("model.safetensors", "tokenizer.json"):
                wrong = bytes([files[name][0] ^ 1]) + files[name][1:]

                def answer(at, wrong=wrong, name=name):
                    mine = name == "model.safetensors" or at.path.endswith(name)
                    return mine and at.command == "GET" and (at.send(200, {}, wrong) or True)

                self.hub.faults = {"large" if name == "model.safetensors" else "small": answer}
                with self.subTest(name=name):
                    shutil.rmtree(self.cache, ignore_errors=True)
                    self.fails(f'"{name}" came with other content')
                    left = os.listdir(os.path.join(self.folder(), "blobs"))
                    self.assertFalse([blob for blob in left if "." in blob])
                    self.hub.faults.clear()
                    self.pull("org/name")

    def test_certificates(self):
        self.hub.add("org/name", tiny())
        self.fails("The certificate of localhost:", SSL_CERT_FILE="/etc/ssl/certs/ca-certificates.crt")
        self.fails("certificate", SSL_CERT_FILE=scratch("none.pem"))
        variables = dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), "")
        for variable in variables:
            self.pull("org/name", **{**variables, variable: self.hub.certificate})

    def test_a_proxy(self):
        self.hub.add("org/name", tiny())
        listener = socket.create_server(("127.0.0.1", 0))
        asked = []

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=connect, args=(client,), daemon=True).start()

        def connect(client):
            line = client.recv(4096).split(b"\r\n")[0].decode()
            asked.append(line)
            host, port = line.split()[1].split(":")
            target = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
            pair = (client, target)
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=copy, args=(source, sink), daemon=True).start()

        def copy(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        proxy = "http://127.0.0.1:%d" % listener.getsockname()[1]
        self.pull("org/name", https_proxy=proxy, no_proxy="")
        self.holds(tiny())
        self.assertEqual({line.split(":")[0] for line in asked}, {"CONNECT localhost", "CONNECT 127.0.0.1"})
        asked.clear()
        self.pull("org/name", HTTPS_PROXY=proxy, NO_PROXY="localhost,127.0.0.1")
        self.assertEqual(asked, [])
        listener.close()
        shutil.rmtree(self.cache)
        self.fails("HTTPS_PROXY", HTTPS_PROXY="http://127.0.0.1:1", no_proxy="")

    def test_the_endpoint(self):
        self.hub.add("org/name", tiny())
        for endpoint in (self.hub.endpoint + "//", self.hub.endpoint.removeprefix("https://")):
            self.pull("org/name", HF_ENDPOINT=endpoint)
        for endpoint in ("http://localhost", "ftp://x", "https://a b"):
            self.assertIn("HF_ENDPOINT is", self.pull("org/name", code=1, HF_ENDPOINT=endpoint))


class Network(PullTest):
    def test_offline(self):
        self.hub.add("org/name", tiny())
        for variable, value in (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "yes")):
            self.fails(f"{variable} forbids the network", **{variable: value})
        self.assertEqual(self.hub.log, [])
        self.pull("org/name")
        self.hub.log.clear()
        self.assertEqual(self.pull("org/name", HF_HUB_OFFLINE="ON"), self.snapshot() + "\n")
        self.assertEqual(self.hub.log, [])
        self.pull("org/name", HF_HUB_OFFLINE="0")
        self.assertNotEqual(self.hub.log, [])

    def test_a_hub_that_cannot_be_reached(self):
        nowhere = {"HF_ENDPOINT": "https://localhost:1"}
        self.fails("localhost:1 cannot be reached", **nowhere)
        self.hub.add("org/name", tiny())
        self.pull("org/name")
        code, out, err = run("pull", "org/name", env=self.env(**nowhere))
        self.assertEqual((code, out.decode()), (0, self.snapshot() + "\n"))
        self.assertIn("cannot be reached", err)
        self.assertIn("The model in the cache is complete and can be used", err)
        os.remove(os.path.join(self.snapshot(), "tokenizer.json"))
        self.assertIn("cannot be reached", self.pull("org/name", code=1, **nowhere))

    def test_servers_that_are_busy(self):
        """Asked again after a while, and after what Retry-After says."""
        files = tiny()
        self.hub.add("org/name", files)


        def busy(kind, answers):
            def answer(at):
                return answers and (at.refuse(answers.pop(), **{"Retry-After": "1"} if kind == "large" else {})
                                    or True)
            return answer

        kinds = ("revision", "tree", "head", "get", "small", "large")
        self.hub.faults = {kind: busy(kind, [503, 429][:1 + (kind == "large")]) for kind in kinds}
        begin = time.monotonic()
        code, _, err = run("pull", "org/name", env=self.env())
        self.assertEqual(code, 0, err)
        self.assertGreaterEqual(err.count("yet; trying again in 1 s."), 2, err)
        self.assertGreater(time.monotonic() - begin, 4)
        self.assertEqual([one.status for one in self.hub.log].count(503), 6)
        self.holds(files)

    def test_servers_that_stay_busy(self):
        self.hub.add("org/name", tiny())
        for status, more, says in ((429, {"Retry-After": "3000"}, "no further request for 3000 s"),
                                   (502, {}, "HTTP status 502")):
            self.hub.faults["tree"] = lambda at: at.refuse(status, **more) or True
            self.hub.log.clear()
            self.fails(says)
            self.assertEqual(len(self.hub.requests(ending="0")), 0)
        self.assertEqual(len([one for one in self.hub.log if one.status == 502]), 5)

    def test_servers_that_say_nothing(self):
        files = bulky(200_003)
        self.hub.add("org/name", files)
        self.hub.faults["revision"] = lambda at: time.sleep(3)
        err = self.fails("HF_HUB_DOWNLOAD_TIMEOUT", HF_HUB_DOWNLOAD_TIMEOUT="1")
        self.assertIn("said nothing for 1 s", err)
        naps = [3]
        self.hub.faults = {"head": lambda at: naps and time.sleep(naps.pop())}
        self.pull("org/name", HF_HUB_ETAG_TIMEOUT="1")
        self.assertEqual(len(self.hub.requests("HEAD", "/resolve/" + os.path.basename(self.snapshot())
                                               + "/config.json")), 2)
        shutil.rmtree(self.cache)

        def stall(at):
            first = int(at.headers.get("Range", "bytes=0-")[6:-1])
            if first:
                return at.send_file(files["model.safetensors"], {}) or True
            at.send(200, {}, files["model.safetensors"][:65536], 200_003)
            time.sleep(3)
            return True

        self.hub.faults = {"large": stall}
        self.pull("org/name", HF_HUB_DOWNLOAD_TIMEOUT="1")
        self.holds(files)
        for value in ("0", "x", "-1", "1.5"):
            self.assertIn("must be a whole number of seconds",
                          self.pull("org/name", code=1, HF_HUB_DOWNLOAD_TIMEOUT=value))

    def test_without_libcurl(self):
        folder = scratch("no-curl")
        os.makedirs(folder)
        for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
            with open(os.path.join(folder, name), "w") as file:
                file.write("no library")
        self.fails("Fetching needs libcurl", LD_LIBRARY_PATH=folder)
        self.hub.add(DEFAULT, tiny())
        self.assertEqual(run("-q", "Oi", env=self.env(LD_LIBRARY_PATH=folder))[0], 0)


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
        self.assertRegex(err, r"org/name is in the cache: 6 files, \d+\.\d kB; \d+\.\d kB fetched in 00:0\d\.\n")
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
