#!/usr/bin/env python3
"""Compares `aira-cli pull` with huggingface_hub's own client, on an imitation of the hub: what either
writes into the cache the other reads, and it is the same, file by file.

  python -m venv v && v/bin/pip install -r tools/goldens/hub-requirements.txt
  v/bin/python tools/goldens/hub_cache.py build/aira-cli

With transformers installed, its loading without a network is compared, too. Prints what was compared;
a difference ends it with an AssertionError.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
os.environ["AIRA_CLI"] = str(pathlib.Path(sys.argv[1]).resolve())

import harness  # noqa: E402
import pull_case  # noqa: E402
from hub_server import Hub  # noqa: E402

MODEL = "org/name"
SHARDED = "org/sharded"

# What a process of its own does with the real client: its variables are read when it is imported.
READ = """
import huggingface_hub as hub
folder = hub.snapshot_download("{model}", local_files_only=True)
info = hub.scan_cache_dir()
# Versions before 1 take the tag that later ones write for a model.
assert all("CACHEDIR.TAG" in str(one) for one in info.warnings), info.warnings
[repo] = [repo for repo in info.repos if repo.repo_id == "{model}"]
[revision] = repo.revisions
assert revision.refs == frozenset(["main"]), revision
assert str(revision.snapshot_path) == folder
for name in {names}:
    assert hub.try_to_load_from_cache("{model}", name) == folder + "/" + name, name
assert hub.try_to_load_from_cache("{model}", "chat_template.jinja") is hub._CACHED_NO_EXIST
print(folder, repo.nb_files, repo.size_on_disk)
"""
FETCH = """
import huggingface_hub as hub
print(hub.snapshot_download("{model}", allow_patterns={names}))
"""
LOAD = """
import torch, transformers
model = transformers.AutoModelForCausalLM.from_pretrained("{model}")
tokenizer = transformers.AutoTokenizer.from_pretrained("{model}")
ids = tokenizer("ol\\u00e1", return_tensors="pt").input_ids
print(model(ids).logits.double().abs().sum().item(), ids.tolist())
"""


def python(code, env, **values):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code.format(**values)], env=env,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def layout(cache):
    """Each path below with its content or what it links to, less what only one of them keeps: locks,
    the client's list of all files, and notes of what is not there."""
    found = {}
    for path in sorted(pathlib.Path(cache).rglob("*")):
        name = str(path.relative_to(cache))
        if path.is_dir() or name.startswith(".locks") or "/trees/" in name or "/.no_exist/" in name:
            continue
        found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes()
    return found


def shards():
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    return {**pull_case.bulky(), "model.safetensors.index.json": index.encode(),
            "model-1.safetensors": b"1" * 70001, "model-2.safetensors": b"2" * 80001}


def environment(hub, cache):
    return {**harness.environment(), **hub.variables, "REQUESTS_CA_BUNDLE": hub.certificate,
            "HF_HUB_DISABLE_XET": "1", "no_proxy": "*", "HF_HUB_CACHE": harness.scratch(cache)}


def large_bytes(hub):
    """Sent of files that LFS keeps."""
    return sum(one.sent for one in hub.requests("GET") if one.host == "127.0.0.1")


def compare(hub, model, files):
    names = sorted(files)
    ours, theirs = (environment(hub, name + model.replace("/", "-")) for name in ("ours", "theirs"))
    code, out, err = harness.run("pull", model, env=ours)
    assert code == 0, err
    python(FETCH, theirs, model=model, names=names)
    a, b = layout(ours["HF_HUB_CACHE"]), layout(theirs["HF_HUB_CACHE"])
    if "CACHEDIR.TAG" not in b:  # before version 1
        del a["CACHEDIR.TAG"]
    assert a.keys() == b.keys(), a.keys() ^ b.keys()
    assert a == b, [name for name in a if a[name] != b[name]]
    print(f"{model}: {len(a)} files and links of the cache are the same")

    offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "https://localhost:1"}
    said = python(READ, {**ours, **offline}, model=model, names=names)
    assert said.split()[0] == out.decode().strip(), said
    assert int(said.split()[1]) == len(files), said
    print(f"{model}: read by snapshot_download, scan_cache_dir and try_to_load_from_cache")
    # Nobody fetches what the other has.
    for run in (lambda: python(FETCH, ours, model=model, names=names),
                lambda: harness.run("pull", model, env=theirs)):
        hub.log.clear()
        run()
        got = [one for one in hub.requests("GET") if one.host == "127.0.0.1" or "resolve" in one.path]
        # The program reads config.json before it decides.
        assert not got, got
    print(f"{model}: neither fetches what the other has")
    return ours, theirs, offline


def interrupted(hub, model, files):
    """The program goes on where the client was killed."""
    env = environment(hub, "killed")
    hub.pause, hub.block = 0.1, 1 << 20
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c",
                                FETCH.format(model=model, names=sorted(files))], env=env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while large_bytes(hub) < 15_000_000:
        time.sleep(0.05)
        assert process.poll() is None
    process.kill()
    process.wait()
    hub.pause = 0
    hub.log.clear()
    code, out, err = harness.run("pull", model, env=env)
    assert code == 0, err
    sent = large_bytes(hub)
    size = len(files["model.safetensors"])
    assert sent < 21_000_000, sent
    for name, content in files.items():
        assert pathlib.Path(out.decode().strip(), name).read_bytes() == content
    print(f"{model}: after a killed download of the client, {sent} of {size} bytes were fetched")


def together(hub, model, files):
    """Both at once: the one waits for the other's files."""
    env = environment(hub, "together")
    hub.pause = 0.05
    hub.log.clear()
    client = subprocess.Popen([sys.executable, "-W", "ignore", "-c",
                               FETCH.format(model=model, names=sorted(files))], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not any(one.host == "127.0.0.1" for one in hub.log):
        time.sleep(0.01)
    code, out, err = harness.run("pull", model, env=env)
    said = client.communicate()
    assert (code, client.returncode) == (0, 0), (err, said)
    for name, content in files.items():
        assert pathlib.Path(out.decode().strip(), name).read_bytes() == content
    sent = large_bytes(hub)
    assert sent == len(files["model.safetensors"]), sent
    print(f"{model}: both at once, and the weights were fetched once")


def main():
    import huggingface_hub
    print("huggingface_hub", huggingface_hub.__version__)
    with Hub() as hub:
        files = pull_case.tiny()
        hub.add(MODEL, {**files, **pull_case.UNNEEDED})
        ours, theirs, offline = compare(hub, MODEL, files)
        for env in (ours, theirs):
            code, out, err = harness.run("-q", "-m", MODEL, "--greedy", "Oi", env={**env, **offline})
            assert code == 0, err
            info = harness.run("info", "-m", MODEL, env={**env, **offline})[1].decode()
            assert env["HF_HUB_CACHE"] in info, info
        print("the program answers from either cache")
        try:
            import transformers
        except ImportError:
            print("transformers is not installed: left out")
        else:
            values = {python(LOAD, {**env, **offline, "TRANSFORMERS_OFFLINE": "1"}, model=MODEL)
                      for env in (ours, theirs)}
            assert len(values) == 1, values
            print("transformers", transformers.__version__, "loads the same from either cache:", *values)
        sharded = shards()
        del sharded["model.safetensors"]
        hub.add(SHARDED, {**sharded, **{"optimizer.pt": b"o" * 100}})
        compare(hub, SHARDED, sharded)
        bulky = pull_case.bulky(30_000_001)  # the client writes 10 MB at a time
        hub.add("org/large", bulky)
        interrupted(hub, "org/large", bulky)
        together(hub, "org/large", bulky)


if __name__ == "__main__":
    main()
