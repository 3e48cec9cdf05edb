#!/usr/bin/env python3
"""Makes tests/data/folders: model folders as people make them, and what transformers makes of them.

Each folder is written by the libraries themselves (transformers, tokenizers, safetensors, peft,
accelerate, torch.save) or changed by hand as users do. The oracle is `generate` with float64
weights under the folder's own generation config. files.tar.xz holds each distinct file once, under
the number that cases.json gives it. Folders that only transformers 4 writes come from a second
interpreter.

  pip install -r tools/goldens/requirements.txt
  FOLDERS_PYTHON4="python-with-transformers-4.57" python tools/goldens/folders.py [NAME...]

With NAMEs (or beginnings of names) the other cases are kept as they are.
"""

import hashlib
import io
import json
import os
import pathlib
import sys
import tarfile
import tempfile
import traceback
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import transformers  # noqa: E402
from folder_differences import difference_cases  # noqa: E402
from folder_generation import generation_cases  # noqa: E402
from folder_oracle import golden  # noqa: E402
from folder_prompts import (adapter_cases, note_cases, refusal_cases,  # noqa: E402
                            template_cases)
from folder_tokenizers import tokenizer_cases  # noqa: E402
from folder_version_4 import version_4_cases  # noqa: E402
from folder_weights import weight_cases  # noqa: E402

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "folders"


def all_cases():
    for cases in (weight_cases, generation_cases, version_4_cases, tokenizer_cases, template_cases,
                  adapter_cases, refusal_cases, note_cases, difference_cases):
        yield from cases()


class Archive:
    """Each distinct content once; similar files beside each other, so that they are packed well."""

    def __init__(self):
        self.contents = {}  # digest -> (number, content, kind)

    def add(self, name, content):
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self.contents:
            self.contents[digest] = (len(self.contents), content, pathlib.Path(name).suffix)
        return self.contents[digest][0]

    def write(self, path):
        with tarfile.open(path, "w:xz", preset=9) as archive:
            for number, content, _ in sorted(self.contents.values(), key=lambda c: (c[2], c[0])):
                info = tarfile.TarInfo(str(number))
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def record(case, folder, archive):
    case.write(folder)
    files = {str(path.relative_to(folder)): archive.add(path.name, path.read_bytes())
             for path in sorted(folder.rglob("*")) if path.is_file()}
    result = {"name": case.name, "files": files}
    for key in ("args", "model", "error", "note", "why_different", "differs"):
        value = getattr(case, key)
        if value and value not in (".", "ids"):
            result[key] = value
    if case.error:
        asked = {"question": case.questions[0]} if case.questions else {"prompt": case.prompts[0]}
        result["lines"] = [{"in": asked}]
    else:
        result.update(golden(case, folder))
    return result


def kept():
    """(record, contents of files) of each case that is there already."""
    if not (OUT / "cases.json").exists():
        return {}
    with tarfile.open(OUT / "files.tar.xz") as old:
        contents = {member.name: old.extractfile(member).read() for member in old}
    records = json.loads((OUT / "cases.json").read_text(encoding="utf-8"))
    return {record["name"]: (record, contents) for record in records}


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    chosen = sys.argv[1:]
    archive, records, failed = Archive(), [], []
    old = kept() if chosen else {}
    for case in all_cases():
        if case.name in old and not any(case.name.startswith(name) for name in chosen):
            found, contents = old[case.name]
            found["files"] = {name: archive.add(name, contents[str(number)])
                              for name, number in found["files"].items()}
            records.append(found)
            continue
        with tempfile.TemporaryDirectory(prefix="folder-") as place:
            try:
                records.append(record(case, pathlib.Path(place), archive))
            except Exception as problem:
                if os.environ.get("FOLDERS_TRACE"):
                    traceback.print_exc()
                failed.append(case.name)
                print(f"{case.name}: {type(problem).__name__}: {str(problem)[:300]}", flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    archive.write(OUT / "files.tar.xz")
    body = ",\n".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in records)
    (OUT / "cases.json").write_text(f"[\n{body}\n]\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{len(records)} folders, {len(archive.contents)} files, {size / 1000:.0f} kB")
    if failed:
        sys.exit(f"{len(failed)} cases failed: {' '.join(failed)}")


if __name__ == "__main__":
    main()
