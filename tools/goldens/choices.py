#!/usr/bin/env python3
"""Makes tests/data/choices.json: how likely the built-in model is to answer with given texts.

A question's text counts with and without a blank before it and with its end, by any token that may end
an answer; what goes on from a prompt counts as it stands. Computed by transformers in float64.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/choices.py
"""

import json
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "tools/mini/model"
OUT = ROOT / "tests/data/choices.json"
LINES = [
    {"question": "Quanto é 3 vezes 4?",
     "choices": ["3 vezes 4 é igual a 12.", "3 vezes 4 é igual a 7.", "São 12"]},
    {"question": "Qual a capital do Acre?", "choices": ["sim", "sim, claro", "não", "São Luís 😀"]},
    {"question": "Olá, tudo bem?", "choices": [" sim ", "não sei", "talvez, é só perguntar"]},
    {"question": "É verão em João Pessoa?", "choices": ["sim", "não"], "eos_token_id": [13, 33]},
    {"question": "Onde fica a Sé?", "template": "Pergunta: {}\nResposta:", "choices": ["Lisboa", "Évora",
     "Roma, na Itália"]},
    {"prompt": "A capital de Portugal é", "choices": [" Lisboa", " Roma", "Lisboa", " São Paulo"]},
    {"prompt": "Não há pão; " * 12 + "só", "choices": [" água", " vinho e café", "\nfim"]},
]


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float64).eval()

    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def logprob(prompt, text, ends):
        """log P(text, then one of `ends` where there are any | prompt)"""
        answer = ids(text)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1:]
        rows = torch.log_softmax(logits, dim=-1)
        total = rows[range(len(answer)), answer].sum()
        return total + torch.logsumexp(rows[-1, ends], 0) if ends else total

    def rate(line, text):
        if "prompt" in line:
            return float(logprob(ids(line["prompt"]), text, []))
        if "template" in line:
            prompt = ids(line["template"].replace("{}", line["question"]))
        else:
            prompt = [tokenizer.bos_token_id, *ids(line["question"]), tokenizer.sep_token_id]
        ends = sorted({*line.get("eos_token_id", []), tokenizer.eos_token_id})
        ways = [logprob(prompt, before + text.strip(), ends) for before in ("", " ")]
        return float(torch.logsumexp(torch.stack(ways), 0))

    goldens = [[line, [float(f"{rate(line, text):.9g}") for text in line["choices"]]] for line in LINES]
    OUT.write_text("[\n" + ",\n".join(json.dumps(golden) for golden in goldens) + "\n]\n")


if __name__ == "__main__":
    main()
