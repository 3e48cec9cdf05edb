"""info: where a model comes from, its licence, its files and their hashes; --check."""

import json
import os
import shutil

import hub_cache
from harness import CliTest, environment, main, model, run, scratch

COMMIT = "0a1b2c3d" * 5


class Info(CliTest):
    def setUp(self):
        self.hub = scratch(self.id() + "/hub ç")
        self.env = environment(HF_HUB_CACHE=self.hub, AIRA_CACHE=scratch(self.id() + "/packed"))

    def put(self, **how):
        return hub_cache.put(self.hub, "org/name", COMMIT, **how)

    def info(self, *args, code=0):
        got, out, err = run("info", "--json", *args, env=self.env)
        self.assertEqual(got, code, err)
        info = json.loads(out)
        info["stderr"] = err
        info["checks"] = {row["name"]: row.get("check") for row in info.get("files", ())}
        return info

    def test_a_positional_model(self):
        snapshot = self.put()
        for args in (("org/name",), ("-m", "org/name"), ("--", "org/name"), (snapshot,)):
            info = self.info(*args)
            self.assertEqual((info["place"], info["commit"]), (snapshot, COMMIT))
        self.assertEqual(self.info("org/name")["from"]["name"], "MODEL")
        self.assertIn("given twice", self.fail_with(2, "info", "-m", "org/name", "org/name"))
        self.assertIn("E613", self.fail_with(1, "info", "org/none", env=self.env))

    def test_shapes(self):
        info = self.info(model(layers=3, width=24, heads=4))
        self.assertEqual([info[key] for key in ("layers", "width", "heads", "head_size", "inner_width",
                                                "context", "vocabulary", "own_head", "stored_as")],
                         [3, 24, 4, 6, 96, 64, 260, False, "f32"])
        self.assertEqual(info["parameters"], 260 * 24 + 64 * 24 + 3 * (12 * 24 * 24 + 13 * 24) + 48)

    def test_files_and_their_hashes(self):
        snapshot = self.put(readme=b"# Ol\xc3\xa1\n", more=[("onnx/config.json", b"{}")])
        rows = {row["name"]: row for row in self.info("org/name")["files"]}
        self.assertEqual(sorted(rows), ["README.md", "config.json", "model.safetensors",
                                        "onnx/config.json", "tokenizer.json"])
        for name, row in rows.items():
            with open(os.path.join(snapshot, name), "rb") as file:
                data = file.read()
            self.assertEqual(row["bytes"], len(data))
            if name == "model.safetensors":
                self.assertEqual(row["sha256"], hub_cache.sha256(data))
            else:
                self.assertEqual(row["git_sha1"], hub_cache.git_hash(data))
        out = self.succeed("info", "org/name", env=self.env).decode()
        self.assertRegex(out, rf"(?m)^model\.safetensors +\d+ +{rows['model.safetensors']['sha256']}$")

    def test_the_licence_of_the_card(self):
        for card, licence in ((b"---\nlicense: apache-2.0\nlanguage:\n- pt\n---\n# x\n", "apache-2.0"),
                              (b"---\r\ntags:\r\n- a\r\nlicense: 'mit' # ok\r\n---\r\n", "mit"),
                              (b"---\nlicense:\n  - mit\n  - cc-by-4.0\ndatasets:\n- x\n---\n",
                               "mit, cc-by-4.0"),
                              (b"---\nlicense: other\nlicense_name: minha\nlicense_link: x\n---\n",
                               "minha"),
                              (b"---\nlicense: other\n---\n", "other"),
                              (b"---\nlanguage: pt\n---\nlicense: mit\n", None),
                              (b"license: mit\n", None), (b"---\n", None), (b"---\nlicense:\n", None),
                              (b"\xff\xfe\x00", None)):
            with self.subTest(card=card):
                shutil.rmtree(self.hub, ignore_errors=True)
                self.put(readme=card)
                info = self.info("org/name")
                self.assertEqual(info["license"], licence)
                if licence is None:
                    self.assertEqual(info["not_told"], {"license": "README.md names none"})

    def test_what_cannot_be_told_is_said(self):
        info = self.info(model())
        self.assertEqual((info["commit"], info["license"]), (None, None))
        self.assertEqual(sorted(info["not_told"]), ["commit", "license"])
        out = self.succeed("info", model(), env=self.env).decode()
        self.assertRegex(out, r"(?m)^commit +not told: the folder was not downloaded")
        self.assertRegex(out, r"(?m)^license +not told: there is no README.md")
        self.assertRegex(out, r"(?m)^config.json +\d+ +not told$")

    def test_a_folder_that_hf_download_filled(self):
        folder = shutil.copytree(model(), scratch(self.id() + "/m"))
        notes = os.path.join(folder, ".cache", "huggingface", "download")
        os.makedirs(notes)
        with open(os.path.join(folder, "config.json"), "rb") as file:
            hash = hub_cache.git_hash(file.read())
        with open(os.path.join(notes, "config.json.metadata"), "w") as file:
            file.write(f"{COMMIT}\n{hash}\n1700000000.5\n")
        with open(os.path.join(notes, "tokenizer.json.metadata"), "w") as file:
            file.write(f"{COMMIT}\n{'0' * 40}\n1700000000.5\n")
        info = self.info("--check", folder, code=1)
        self.assertEqual(info["commit"], COMMIT)
        self.assertEqual(info["checks"], {"config.json": "ok", "tokenizer.json": "damaged",
                                          "model.safetensors": "unknown"})

    def test_check_finds_each_damaged_byte(self):
        snapshot = self.put(readme=b"# x\n")
        whole = self.info("--check", "org/name")
        self.assertEqual(set(whole["checks"].values()), {"ok"})
        for name in whole["checks"]:
            path = os.path.join(snapshot, name)
            size = os.path.getsize(path)
            with open(path, "r+b") as file:
                file.seek(size // 2)
                byte = file.read(1)
                file.seek(size // 2)
                file.write(bytes([byte[0] ^ 1]))
            if name not in ("config.json", "tokenizer.json"):  # which may not be JSON any more
                info = self.info("--check", "org/name", code=1)
                self.assertEqual([one for one, check in info["checks"].items() if check != "ok"], [name])
                self.assertRegex(info["stderr"],
                                 rf'\Aaira-cli: error: \[E683\] [^\n]*"org/name" [^\n]*: {name}\. [^\n]*\n\Z')
            with open(path, "r+b") as file:
                file.seek(size // 2)
                file.write(byte)
        os.truncate(os.path.join(snapshot, "model.safetensors"), 5000)
        info = self.info("--check", "org/name", code=1)
        self.assertEqual(info["checks"]["model.safetensors"], "damaged")
        self.assertNotIn("parameters", info)
        self.assertEqual(info["stderr"].count("error:"), 2)
        self.fail_with(1, "info", "org/name", env=self.env)

    def test_check_of_a_link_to_nothing(self):
        snapshot = self.put(readme=b"# x\n")
        os.remove(os.path.realpath(os.path.join(snapshot, "README.md")))
        self.assertEqual(self.info("--check", "org/name", code=1)["checks"]["README.md"], "missing")

    def test_copies_instead_of_links(self):
        snapshot = self.put(links=False)
        info = self.info("--check", "org/name")
        self.assertEqual(info["commit"], COMMIT)
        self.assertEqual(set(info["checks"].values()), {"unknown"})
        with open(os.path.join(snapshot, "config.json"), "rb") as file:
            self.assertEqual(info["files"][0]["sha256"], hub_cache.sha256(file.read()))

    def test_check_of_packed_weights(self):
        self.put()
        ask = ("-m", "org/name", "--raw", "--max-new-tokens", "2")
        self.assertEqual(self.info("--check", "org/name")["packed"], [])
        for dtype in ("f32", "int8"):
            self.succeed(*ask, "--dtype", dtype, "a", env=self.env)
        packed = self.info("--check", "org/name")["packed"]
        self.assertEqual([row["check"] for row in packed], ["ok", "ok"])
        with open(packed[1]["file"], "r+b") as file:
            file.seek(os.path.getsize(file.name) - 70)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 4]))
        info = self.info("--check", "org/name", code=1)
        self.assertEqual([row["check"] for row in info["packed"]], ["ok", "damaged"])
        self.assertIn("[E684]", info["stderr"])
        os.utime(os.path.join(self.hub, "models--org--name", "snapshots", COMMIT, "model.safetensors"))
        self.assertEqual([row["check"] for row in self.info("--check", "org/name")["packed"]],
                         ["stale", "stale"])

    def test_the_builtin_model(self):
        info = self.info()
        if info["found"] != "built in":
            self.skipTest("no model is built in")
        self.assertEqual((info["commit"], info["license"]), (None, "apache-2.0"))
        self.assertEqual(self.info("--check")["checks"], {})


if __name__ == "__main__":
    main()
