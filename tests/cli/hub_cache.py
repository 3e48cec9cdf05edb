"""Lays tiny models out in a folder as huggingface_hub does in its cache."""

import hashlib
import os

import tiny_model


def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def put(cache, hub_id, commit, refs=("main",), links=True, readme=None, more=(), **how):
    """A revision of a model: blobs by their hashes and links to them, or, without links, copies. What
    `how` says is the tiny model's; `more`: names and contents of other files. Returns the snapshot."""
    folder = os.path.join(cache, "models--" + hub_id.replace("/", "--"))
    snapshot = os.path.join(folder, "snapshots", commit)
    tiny_model.write(snapshot, **how)
    for name, data in [*more, *([("README.md", readme)] if readme is not None else [])]:
        os.makedirs(os.path.dirname(os.path.join(snapshot, name)), exist_ok=True)
        with open(os.path.join(snapshot, name), "wb") as file:
            file.write(data)
    for ref in refs:
        path = os.path.join(folder, "refs", ref)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(commit)
    blobs = os.path.join(folder, "blobs")
    os.makedirs(blobs, exist_ok=True)
    for place, _, names in os.walk(snapshot):
        for name in names if links else ():
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                data = file.read()
            blob = os.path.join(blobs, sha256(data) if name.endswith(".safetensors") else git_hash(data))
            os.replace(path, blob)
            os.symlink(os.path.relpath(blob, place), path)
    return snapshot


def tree(folder):
    """All that is below a folder: names, contents, where links lead."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in folders + names:
            path = os.path.join(place, name)
            key = os.path.relpath(path, folder)
            if os.path.islink(path):
                found[key] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[key] = ("folder", None)
            else:
                with open(path, "rb") as file:
                    found[key] = ("file", file.read())
    return found
