"""doctor: what it finds, what it advises, and that nothing makes it fail itself."""

import json
import os
import shutil

import hub_cache
from harness import CliTest, Terminal, environment, main, model, run, scratch

SECTIONS = {"program": ["language", "config_file"],
            "processor": ["name", "instructions", "kernels", "cores"],
            "memory": ["size", "bandwidth", "2_mb_pages"],
            "gpu": ["nvidia_driver", "cuda_module"],
            "caches": ["hugging_face", "packed_weights"],
            "model": ["model", "weights", "tokenizer", "speed"]}
DEFAULT = "nicholasKluge/Aira-2-portuguese-124M"


class Doctor(CliTest):
    def setUp(self):
        self.hub = scratch(self.id() + "/hub ç")
        self.env = environment(HF_HUB_CACHE=self.hub, AIRA_CACHE=scratch(self.id() + "/packed"))

    def doctor(self, *args, code=0, **variables):
        got, out, err = run("doctor", "--json", *args, env={**self.env, **variables})
        self.assertEqual((got, err), (code, ""))
        found = json.loads(out)
        self.assertEqual({name: list(rows) for name, rows in found.items() if name != "ok"}, SECTIONS)
        self.assertEqual(found["ok"], code == 0)
        states = [row["state"] for name in SECTIONS for row in found[name].values()]
        self.assertEqual("problem" in states, code == 1)
        return found

    def test_a_model_in_a_folder(self):
        found = self.doctor("-m", model(), "--dtype", "int8", "-t", "1")
        self.assertEqual(found["model"]["model"]["value"],
                         {"name": model(), "found": "folder", "place": model(), "chosen_by": "-m"})
        self.assertEqual(found["model"]["weights"]["value"]["parameters"], 11776)
        self.assertEqual(found["model"]["weights"]["value"]["dtype"], "int8")
        self.assertEqual(found["model"]["tokenizer"]["value"], {"tokens": 260})
        self.assertEqual(found["processor"]["cores"]["value"]["threads"], 1)
        self.assertGreater(found["memory"]["bandwidth"]["value"]["gb_per_second"], 0.01)
        self.assertEqual(self.doctor(model())["model"]["model"]["value"]["name"], model())
        self.assertIn("given twice", self.fail_with(2, "doctor", "-m", model(), model()))

    def test_the_bound_is_bandwidth_by_bytes(self):
        found = self.doctor(model(layers=1, width=64, heads=2))
        speed, bandwidth = (found["model"]["speed"]["value"],
                            found["memory"]["bandwidth"]["value"]["gb_per_second"])
        self.assertGreater(speed["int8"], speed["f16"])
        rows = 288  # 260 in panels of 32 outputs
        inputs = 64 * (3 * 64 + 64 + 4 * 64) + 4 * 64 * 64 + 64 * rows
        self.assertAlmostEqual(speed["f16"], bandwidth * 1e9 / (2 * inputs), delta=speed["f16"] / 1e6)

    def test_which_model_and_why(self):
        hub_cache.put(self.hub, DEFAULT, "ab" * 20)
        value = self.doctor()["model"]["model"]["value"]
        self.assertEqual((value["name"], value["found"], value["chosen_by"]),
                         (DEFAULT, "Hugging Face cache", "default"))
        value = self.doctor(AIRA_MODEL=model())["model"]["model"]["value"]
        self.assertEqual((value["name"], value["chosen_by"]), (model(), "$AIRA_MODEL"))

    def test_the_builtin_model_is_a_note(self):
        if run("info", env=environment())[0] != 0:
            self.skipTest("no model is built in")
        row = self.doctor()["model"]["model"]
        self.assertEqual((row["state"], row["value"]["found"]), ("note", "built in"))
        self.assertIn("aira-cli pull", row["advice"])

    def test_a_model_that_is_missing_or_broken_is_a_problem(self):
        row = self.doctor("-m", "org/none", code=1)["model"]["model"]
        self.assertEqual((row["state"], row["value"]["code"]), ("problem", "E613"))
        self.assertIn("aira-cli pull org/none", row["advice"])
        snapshot = hub_cache.put(self.hub, DEFAULT, "ab" * 20)
        os.remove(os.path.join(snapshot, "tokenizer.json"))
        self.assertIn('has no file "vocab.json"', self.doctor(code=1)["model"]["model"]["advice"])
        self.assertIn("tokenizer", self.doctor(snapshot, code=1)["model"]["tokenizer"]["advice"])
        broken = shutil.copytree(model(), scratch(self.id() + "/broken"))
        os.truncate(os.path.join(broken, "model.safetensors"), 1000)
        found = self.doctor(broken, code=1)
        self.assertEqual(found["model"]["weights"]["state"], "problem")
        self.assertIn("model.safetensors", found["model"]["weights"]["advice"])

    def test_a_config_file_that_is_wrong(self):
        path = scratch(self.id() + "/config")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"# olá\nmodel = {model()}\ntemprature = 1\n")
        found = self.doctor(code=1, AIRA_CONFIG=path)
        self.assertIn("line 3", found["program"]["config_file"]["advice"])
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"model = {model()}\nthreads = 1\nlanguage = pt\n")
        found = self.doctor(AIRA_CONFIG=path)
        self.assertEqual(found["program"]["config_file"]["value"], path)
        self.assertEqual(found["program"]["language"]["value"], "pt")
        self.assertEqual(found["model"]["model"]["value"]["chosen_by"], "config file")

    def test_kernels(self):
        kernels = self.doctor(model(), AIRA_ISA="portable")["processor"]["kernels"]
        self.assertEqual(kernels["value"]["used"], "portable")
        if len(kernels["value"]["usable"]) > 1:
            self.assertIn("AIRA_ISA", kernels["advice"])
        kernels = self.doctor(model(), code=1, AIRA_ISA="6502")["processor"]["kernels"]
        self.assertIn("6502", kernels["advice"])

    def test_a_gpu_that_is_asked_for_and_not_there(self):
        if os.path.exists("/dev/nvidiactl"):
            self.skipTest("there is one")
        row = self.doctor(model(), "--device", "cuda", code=1)["gpu"]["nvidia_driver"]
        self.assertIn("--device cpu", row["advice"])

    def test_caches(self):
        row = self.doctor(model(), AIRA_CACHE="off")["caches"]["packed_weights"]
        self.assertEqual((row["state"], row["value"]["folder"]), ("note", None))
        blocked = scratch(self.id() + "/file")
        os.makedirs(os.path.dirname(blocked), exist_ok=True)
        open(blocked, "wb").close()
        caches = self.doctor(model(), AIRA_CACHE=blocked + "/x", HF_HUB_CACHE=blocked + "/y")["caches"]
        for row in caches.values():
            self.assertEqual((row["state"], row["value"]["writable"]), ("note", False))
        hub_cache.put(self.hub, "org/name", "ab" * 20)
        self.succeed("-m", "org/name", "--raw", "a", env=self.env)
        caches = self.doctor(model())["caches"]
        self.assertEqual((caches["hugging_face"]["value"]["models"],
                          caches["hugging_face"]["value"]["writable"]), (1, True))
        self.assertGreater(caches["packed_weights"]["value"]["bytes"], 20000)

    def test_too_little_memory(self):
        import resource

        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (700 << 20, 700 << 20))

        got, out, err = run("doctor", "--json", "-t", "1", model(), env=self.env, prepare=limit)
        self.assertEqual((got, err), (0, ""))
        self.assertLessEqual(json.loads(out)["memory"]["size"]["value"]["usable_bytes"], 700 << 20)

    def test_a_page_for_people(self):
        out = self.succeed("doctor", model(), env=self.env).decode()
        self.assertEqual([line for line in out.splitlines() if line and line[0] != " "][:-1],
                         ["program", "processor", "memory", "GPU", "caches", "model"])
        self.assertRegex(out, r"(?m)^  [✓!] bandwidth +[0-9.]+ GB/s$")
        self.assertRegex(out, r"(?m)^  ✓ model +/.* \(folder; chosen by: -m\)$")
        self.assertRegex(out, r"\n(Everything is in order|The program can answer\. [^\n]*)\.\n\Z")
        code, out, _ = run("doctor", "-m", "org/none", env=self.env)
        self.assertEqual(code, 1)
        self.assertRegex(out.decode(), r"(?m)^  ✗ model +problem\n {22}The model \"org/none\"")
        self.assertRegex(out.decode(), r"\nThe program cannot answer\. Problems: 1\.\n\Z")
        out = self.succeed("doctor", model(), env={**self.env, "AIRA_LANG": "pt"}).decode()
        self.assertIn("\nprocessador\n", out)

    def test_colours_and_width_on_a_terminal(self):
        for variables, colour in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            terminal = Terminal("doctor", "-m", "org/none", env={**self.env, **variables})
            self.assertEqual(terminal.end(), 1)
            self.assertEqual(b"\x1b[31m" in terminal.raw, colour)
            self.assertIn("✗ model", terminal.screen)


if __name__ == "__main__":
    main()
