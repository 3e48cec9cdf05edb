"""Input that somebody made to be slow. Time grows with its size, not with the square: each case has a
size at which squares took minutes. In the slow lane twice the size takes at most 2.5 times as long."""

import json
import os
import resource
import shutil
import signal
import struct
import threading
import time

import tiny_model
from harness import CliTest, environment, main, model, processor_time, run, scratch, start

ASK = {"question": "Oi", "max_new_tokens": 2}


def line(**fields):
    return json.dumps({**ASK, **fields}, ensure_ascii=False).encode() + b"\n"


def changed(name, change):
    """A copy of the tiny model, whose tokenizer.json `change` has changed."""
    folder = scratch(name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model(), folder)
    path = os.path.join(folder, "tokenizer.json")
    with open(path, encoding="utf-8") as file:
        tokenizer = json.load(file)
    change(tokenizer, folder)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(tokenizer, file, ensure_ascii=False)
    return folder


def added(content, token, **how):
    return {"id": token, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": False, "special": True, **how}


# Each case returns the arguments and the input for a size.

def many_objects(size):
    return ["--jsonl"], line(id=[{"a": 1}] * size)


def many_biases(size):
    return ["--jsonl"], line(sequence_bias=[[[i % 250, i // 250], 1.5] for i in range(size)])


def line_breaks_of_unicode(size):
    return ["--jsonl"], line(id="\u2028\u0085" * size)


def many_stop_texts(size):
    return ["--jsonl"], line(stop=[f"{i:x}" for i in range(size)])


def many_typed_markers(size):
    turn = {"role": "user", "content": "<|endoftext|>"}
    return ["--jsonl"], line(question=None, messages=[turn, {**turn, "role": "assistant"}] * size
                             + [turn])


def many_added_tokens(size):
    def change(tokenizer, _):
        tokenizer["added_tokens"] += [added(f"a{i}", 260 + i) for i in range(size)]
    return ["tokenize", "-m", changed(f"added{size}", change)], b"a" * size + b"\n"


def long_added_token(size):
    def change(tokenizer, _):
        tokenizer["added_tokens"].append(added("a" * size + "b", 260))
    return ["tokenize", "-m", changed(f"long{size}", change)], b"a" * (3 * size) + b"\n"


def many_special_tokens(size):
    def change(tokenizer, folder):
        with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
            json.dump(tokenizer["model"]["vocab"], file)
        with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
            file.write("#version: 0.2\n")
        names = [f"x{i}" for i in range(size)]
        with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
            json.dump({"additional_special_tokens": names}, file)
        with open(os.path.join(folder, "added_tokens.json"), "w", encoding="utf-8") as file:
            json.dump({name: 256 + i for i, name in enumerate(names)}, file)
    folder = changed(f"special{size}", change)
    os.remove(os.path.join(folder, "tokenizer.json"))
    return ["tokenize", "-m", folder], b"x1\n"


def one_merge_again_and_again(size):
    def change(tokenizer, _):
        vocabulary = tokenizer["model"]["vocab"]
        for token in ("ab", "bc", "abc"):
            vocabulary[token] = len(vocabulary)
        for token in tokenizer["added_tokens"]:
            token["id"] += 3
        tokenizer["model"]["merges"] = ["b c", "a bc"] + ["ab c"] * size
    return ["tokenize", "-m", changed(f"merges{size}", change)], b"abc" * (size // 4) + b"\n"


def possessive_pattern(size):
    def change(tokenizer, _):
        split = {"type": "Split", "pattern": {"Regex": "a++b|a"}, "behavior": "Isolated"}
        tokenizer["pre_tokenizer"] = {"type": "Sequence",
                                      "pretokenizers": [split, tokenizer["pre_tokenizer"]]}
    folder = changed(f"pattern{size}", change)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast"}, file)
    return ["tokenize", "-m", folder], b"a" * size + b"\n"


def many_tensors(size):
    folder = scratch(f"tensors{size}")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model(), folder)
    path = os.path.join(folder, "model.safetensors")
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header, body = json.loads(file.read(length)), file.read()
    header.update({f"more.{i}": {"dtype": "F32", "shape": [0], "data_offsets": [len(body)] * 2}
                   for i in range(size)})
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)
    return ["-m", folder, "--max-new-tokens", "2", "-q"], b"Oi\n"


CASES = {many_objects: 400_000, many_biases: 100_000, line_breaks_of_unicode: 2_000_000,
         many_stop_texts: 100_000, many_typed_markers: 100_000, many_added_tokens: 100_000,
         long_added_token: 400_000, many_special_tokens: 60_000,
         one_merge_again_and_again: 100_000, possessive_pattern: 200_000, many_tensors: 40_000}


class Growth(CliTest):
    def seconds(self, case, size):
        """Processor time of a run."""
        args, text = case(size)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, _, err = run(*args, stdin=text, env=environment(AIRA_CACHE="off"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.assertIn(code, (0, 1), err)
        if code == 1:
            self.assertRegex(err, r"\[E\d+\]")
        return after.ru_utime - before.ru_utime

    def test_json(self):
        for case in (many_objects, many_biases, line_breaks_of_unicode, many_stop_texts,
                     many_typed_markers):
            with self.subTest(case.__name__):
                self.seconds(case, CASES[case])

    def test_tokenizers(self):
        for case in (many_added_tokens, long_added_token, many_special_tokens,
                     one_merge_again_and_again, possessive_pattern):
            with self.subTest(case.__name__):
                self.seconds(case, CASES[case])

    def test_tensors(self):
        self.seconds(many_tensors, CASES[many_tensors])

    def test_ctrl_c_does_not_wait_for_a_line_that_takes_minutes(self):
        args, text = possessive_pattern(60_000_000)
        process = start(*args)
        threading.Thread(target=lambda: process.stdin.write(text), daemon=True).start()
        while processor_time(process) < 1000:  # milliseconds: it has the line, and is at it
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        out, err = process.stdout.read(), process.stderr.read()
        self.assertEqual((process.wait(), out, err), (-signal.SIGINT, b"", b""))
        self.assertLess(time.monotonic() - begin, 20)
        process.stdin.close()
        process.stdout.close()
        process.stderr.close()

    def test_twice_as_much_takes_at_most_two_and_a_half_times_as_long_slow(self):
        for case, size in CASES.items():
            with self.subTest(case.__name__):
                one = min(self.seconds(case, size) for _ in range(3))
                two = min(self.seconds(case, 2 * size) for _ in range(3))
                print(f"{case.__name__}: {size} {one:.2f} s, {2 * size} {two:.2f} s, {two / one:.2f}")
                self.assertLess(two, 2.5 * one + 0.1)


if __name__ == "__main__":
    main()
