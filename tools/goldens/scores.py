#!/usr/bin/env python3
"""Makes tests/data/folders/scores.json: log-likelihoods as lm-evaluation-harness defines them.

The pairs have white space everywhere: at the end of contexts, at the beginning of continuations,
tabs, line breaks, no-break spaces, empty contexts. Encoded as TemplateLM.loglikelihood of lm_eval
0.4.13 does (lm_eval/api/model.py, with HFLM's tok_encode), scored by the model in float64. What the
harness itself cannot score (a context of nothing but white space) is left out.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/scores.py
"""

import json
import os
import pathlib
import random
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import transformers  # noqa: E402
from folder_base import END  # noqa: E402
from folder_oracle import load  # noqa: E402
from folders import OUT, all_cases  # noqa: E402

PAIRS = {"generation/greedy": 340, "tokenizer/template-bos": 80, "tokenizer/pre-prefixed": 80}
BLANKS = ["", "", "", " ", " ", "  ", "   ", "\t", "\n", "\n\n", " \n", "\r\n",
    "\u00a0", " \u00a0 ", "\u3000", "\u2028", "\v", "\x1c", "\x85", "\u200b"]
CONTEXTS = [
    "A capital de Portugal é",
    "Lisboa",
    "Bom dia,",
    "Pergunta: quem?\nResposta:",
    "a",
    "1 +",
    "São João e",
    "Não",
    "“fim”",
    "😀",
    f"{END}Era",
    "x = y;",
     ""]
CONTINUATIONS = [
    "Lisboa",
    "o mar",
    "e",
    "3,14",
    "não sei",
    "ção",
    "é",
    "\u0301",
    "dia!",
    "nte",
    "😀",
    "Que",
    "Um",
    END,
    "'s",
    "a\tb",
     "fim."]


def tok_encode(tokenizer, text, **how):
    """HFLM.tok_encode: no special tokens where the text begins with the prefix token."""
    if not how and text.startswith(tokenizer.decode(prefix(tokenizer))):
        how = {"add_special_tokens": False}
    return tokenizer.encode(text, **how)


def prefix(tokenizer):
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id


def encode_pair(tokenizer, context, continuation):
    """TemplateLM._encode_pair and what loglikelihood does with an empty context."""
    if context == "":
        ids = tok_encode(tokenizer, continuation, add_special_tokens=False)
        if ids[:1] == [prefix(tokenizer)]:
            return ids[:1], ids[1:]
        return [prefix(tokenizer)], ids
    spaces = len(context) - len(context.rstrip())
    if spaces > 0:
        continuation = context[-spaces:] + continuation
        context = context[:-spaces]
    whole = tok_encode(tokenizer, context + continuation)
    context_ids = tok_encode(tokenizer, context)
    return context_ids, whole[len(context_ids):]


def score(tokenizer, model, context, continuation):
    """[log-likelihood, greedy, ids], or None where the harness fails or rounding decides."""
    context_ids, ids = encode_pair(tokenizer, context, continuation)
    if not context_ids or not ids:
        return None
    whole = context_ids + ids
    with torch.no_grad():
        logits = model(torch.tensor([whole[:-1]])).logits[0, len(context_ids) - 1:]
    best = torch.topk(logits, 2, dim=-1)
    if float((best.values[:, 0] - best.values[:, 1]).min()) < 1e-3:
        return None
    picked = torch.log_softmax(logits, dim=-1)[range(len(ids)), ids]
    greedy = best.indices[:, 0].tolist() == ids
    return [float(f"{float(picked.sum()):.9g}"), greedy, ids]


def pairs(tokenizer, model, count, rng):
    found, seen = [], set()
    while len(found) < count:
        context = rng.choice(BLANKS[:8]) + rng.choice(CONTEXTS)
        context += rng.choice(BLANKS) + rng.choice(BLANKS[:6])
        continuation = rng.choice(BLANKS) + rng.choice(CONTINUATIONS) + rng.choice(BLANKS[:8])
        if rng.random() < 0.15:  # what the model itself would say
            context = rng.choice(CONTEXTS)
            ids = torch.tensor([encode_pair(tokenizer, context, "a")[0]])
            ids = model.generate(ids, max_new_tokens=rng.randint(1, 2), eos_token_id=None)
            continuation = tokenizer.decode(ids[0, -1:] if rng.random() < 0.5 else ids[0, -2:])
        if "\ufffd" in continuation or (context, continuation) in seen:
            continue
        seen.add((context, continuation))
        result = score(tokenizer, model, context, continuation)
        if result is not None:
            found.append([context, continuation, *result])
    return found


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    cases = {case.name: case for case in all_cases()}
    result = {}
    for name, count in PAIRS.items():
        with tempfile.TemporaryDirectory() as place:
            folder = pathlib.Path(place)
            cases[name].write(folder)
            tokenizer, model = load(cases[name], folder)
            result[name] = pairs(tokenizer, model, count, random.Random(5))
        print(f"{name}: {sum(p[3] for p in result[name])} of {count} greedy")
    parts = [json.dumps(name) + ": [\n" + ",\n".join(
        json.dumps(p, ensure_ascii=True, separators=(",", ":")) for p in found) + "\n]"
        for name, found in result.items()]
    (OUT / "scores.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()
