"""What the tests of `pull` share: an imitation of the hub, a cache, files to fetch."""

import json
import os
import random

from harness import CliTest, environment, model, run, scratch
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
