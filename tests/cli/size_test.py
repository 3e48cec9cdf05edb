"""Large models: one copy of the weights in memory, whatever the checkpoint looks like."""

import array
import contextlib
import json
import os
import random
import re
import shutil
import struct

import tiny_model
from harness import CliTest, environment, main, model, run, scratch

QUESTION = {"prompt_ids": [40, 17, 255, 5, 99, 3, 200], "max_new_tokens": 6, "min_new_tokens": 6}
BLOCK = 65537  # numbers that a large model repeats: a prime


def write_large(folder, storage, shards, layers, width, heads, vocab=50257, context=1024):
    """A model in F32, F16 or BF16, whose numbers all three can hold: multiples of 2**-11."""
    source = random.Random(11)
    numbers = [max(-127, min(127, round(source.gauss(0, 40)))) / 2048 for _ in range(BLOCK)]
    block = {"F32": array.array("f", numbers).tobytes(),
             "F16": struct.pack(f"<{BLOCK}e", *numbers)}
    block["BF16"] = b"".join(block["F32"][at + 2:at + 4] for at in range(0, 4 * BLOCK, 4))
    item = len(block[storage]) // BLOCK
    one = {"F32": b"\0\0\x80\x3f", "F16": b"\0\x3c", "BF16": b"\x80\x3f"}[storage]

    def write_tensor(file, name, count):
        if ".ln_" in "." + name:
            file.write((one if name.endswith("weight") else b"\0" * item) * count)
            return
        at = source.randrange(BLOCK) * item
        many = (block[storage][at:] + block[storage][:at]) * 16
        for left in range(count * item, 0, -len(many)):
            file.write(many[:left])

    shapes = list(tiny_model.shapes(layers, width, context, vocab))
    share = -(-len(shapes) // shards)
    parts = [shapes[at:at + share] for at in range(0, len(shapes), share)]
    names = [f"model-{i + 1:05}-of-{len(parts):05}.safetensors" for i in range(len(parts))]
    if shards == 1:
        names = ["model.safetensors"]
    os.makedirs(folder)
    source.seed(12)
    weights = {}
    for file_name, part in zip(names, parts):
        header, end = {}, 0
        counts = []
        for name, shape in part:
            count = 1
            for size in shape:
                count *= size
            counts.append(count)
            header[name] = {"dtype": storage, "shape": shape,
                            "data_offsets": [end, end + count * item]}
            end += count * item
            weights[name] = file_name
        text = json.dumps(header).encode()
        with open(os.path.join(folder, file_name), "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for (name, _), count in zip(part, counts):
                write_tensor(file, name, count)
    files = {"config.json": {"model_type": "gpt2", "n_layer": layers, "n_embd": width, "n_head": heads,
                             "n_positions": context, "vocab_size": vocab, "bos_token_id": 256,
                             "eos_token_id": 256},
             "tokenizer.json": tiny_model.tokenizer(False)}
    if shards > 1:
        files["model.safetensors.index.json"] = {"metadata": {}, "weight_map": weights}
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file)
    return folder


class Size(CliTest):
    def ask(self, folder, dtype, cache):
        """Ids and logprob of an answer, the most memory that it took, and the size of the weights."""
        code, out, err = run("-m", folder, "--dtype", dtype, "--jsonl", "--greedy", "-t", "2", "--stats",
                             stdin=json.dumps(QUESTION) + "\n", env=environment(AIRA_CACHE=cache))
        self.assertEqual(code, 0, err)
        [answer] = json.loads(out)["answers"]
        peak = float(re.search(r"peak memory (\d+) MB", err)[1]) * 1e6
        info = json.loads(self.succeed("info", "-m", folder, "--json"))
        kept = info["parameters"] * {"int8": 33 / 32, "f16": 2}[dtype]  # what is packed, or a little less
        return (answer["token_ids"], answer["logprob"]), peak, kept

    def test_no_second_copy_while_converting(self):
        """The program itself needs about 20 MB; the checkpoint has 112 MB."""
        folder = write_large(scratch("maçã"), "F32", 1, layers=2, width=1024, heads=16, vocab=300)
        for cache in (scratch("primeira"), scratch("primeira")):
            _, peak, kept = self.ask(folder, "int8", cache)
            self.assertLess(peak, 1.15 * kept + 25e6)

    def test_more_than_the_memory_there_is(self):
        folder = model(layers=2, width=1024, heads=8)  # 100 MB in f32
        group = next((place for place in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup")
                      if os.path.exists(place)), "")
        group += f"/aira-test-{os.getpid()}"
        limit = group + ("/memory.limit_in_bytes" if "/memory/" in group else "/memory.max")
        try:
            os.mkdir(group)
            with open(limit, "w", encoding="ascii") as file:
                file.write(str(80 << 20))
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(group)
            self.skipTest("no memory limit can be set here")
        with open("/proc/meminfo", encoding="ascii") as file:
            if "SwapTotal:             0 kB" not in file.read():
                os.rmdir(group)
                self.skipTest("what the limit does not hold may be swapped out here")

        def enter():
            with open(group + "/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(os.getpid()))

        def ask(dtype):
            return run("-m", folder, "--raw", "--dtype", dtype, "--max-new-tokens", "2", "olá",
                       prepare=enter, env=environment(AIRA_CACHE="off"))

        try:
            self.assertEqual(ask("int8")[0], 0)
            code, out, err = ask("f32")
        finally:
            os.rmdir(group)
        self.assertEqual((code, out), (1, b""))
        self.assertRegex(err, r"\Aaira-cli: error: \[E727\] The weights take 10\d MB of memory as f32, "
                              r"but this program can have 84 MB; [^\n]*\.\n\Z")

    def test_774_million_parameters_slow(self):
        if shutil.disk_usage(scratch("")).free < 9e9:
            self.skipTest("there is too little room for temporary files")
        shape = {"layers": 36, "width": 1280, "heads": 20}
        cache_bytes = 16 * shape["layers"] * 2 * shape["width"] * 2  # of a page of positions
        answers = {}
        for storage, shards, dtypes in (("F32", 1, ("int8", "f16")), ("BF16", 3, ("int8",)),
                                        ("F16", 1, ("f16",))):
            folder = write_large(scratch("grande"), storage, shards, **shape)
            for dtype in dtypes:
                cache = scratch("guardados")
                for again in (False, True) if (storage, dtype) == ("F32", "int8") else (False,):
                    with self.subTest(storage=storage, dtype=dtype, again=again):
                        answer, peak, kept = self.ask(folder, dtype, cache)
                        self.assertEqual(answer, answers.setdefault(dtype, answer))
                        self.assertLess(peak, 1.15 * kept + cache_bytes)
                shutil.rmtree(cache, ignore_errors=True)
            shutil.rmtree(folder)
        self.assertGreater(len(set(answers["f16"][0])), 1)


if __name__ == "__main__":
    main()
