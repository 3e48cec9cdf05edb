"""Tokenizers that transformers 4 has saved, in the interpreter that FOLDERS_PYTHON4 names."""

import json
import os
import subprocess
import sys

from folder_base import END, wrapped
from folder_tokenizers import case, vocabulary

# Saves FOLDER again with transformers 4: model, and the tokenizer with these arguments.
RESAVE = """
import json, sys
from transformers import AutoModelForCausalLM, GPT2Tokenizer, GPT2TokenizerFast
folder, cls, how, more = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder)
cls = {"slow": GPT2Tokenizer, "fast": GPT2TokenizerFast}[cls]
tokenizer = cls.from_pretrained(folder, **json.loads(how))
tokenizer.add_tokens(json.loads(more))
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
"""


def of_version_4(cls, *more, **how):
    """A folder that transformers 4 wrote, with special_tokens_map.json and so on."""
    def after(folder):
        vocabulary(bos_token=END, eos_token=END, unk_token=END)(folder)
        command = os.environ.get("FOLDERS_PYTHON4", sys.executable).split()
        subprocess.run([*command, "-c", RESAVE, str(folder), cls,
                       json.dumps(how), json.dumps(more)], check=True)
    return after


def version_4_cases():
    for cls in ("fast", "slow"):
        yield case(f"of-4-{cls}", wrapped, of_version_4(cls))
        yield case(f"of-4-{cls}-prefix", wrapped, of_version_4(cls, add_prefix_space=True))
        yield case(f"of-4-{cls}-bos", wrapped, of_version_4(cls, add_bos_token=True))
        yield case(f"of-4-{cls}-added", wrapped, of_version_4(
            cls, "oi", "<extra>", pad_token="<pad>", additional_special_tokens=["<p>"]),
            prompts=["<p>oi", "oi e", "mar<extra>", "Bom dia"])
