#!/usr/bin/env python3
"""Makes tests/data/sampler/goldens.json: logits, history and options to a distribution.

transformers' own processors in float64, built and ordered by its own `_get_logits_processor`. A
combination is left out when rounding could decide it: when a cut by mass runs between two equal
scores or the cumulative probability is within 1e-6 of it, or a probability is that near to the
bound of min-p or of a cutoff. So is one that forbids every token.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/sampler.py
"""

import json
import pathlib

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel
from transformers.generation.logits_process import (
    EpsilonLogitsWarper,
    EtaLogitsWarper,
    ExponentialDecayLengthPenalty,
    MinPLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "sampler"
MARGIN = 1e-6
OFF = dict(repetition_penalty=1.0, temperature=1.0, top_k=0, top_p=1.0)

# Every step alone, then combinations. What is not named is off.
SETTINGS = [
    dict(),
    dict(repetition_penalty=1.2),
    dict(repetition_penalty=0.8),
    dict(temperature=0.2),
    dict(temperature=2.5),
    dict(temperature=0.01),
    dict(top_k=1),
    dict(top_k=3),
    dict(top_k=10),
    dict(top_k=100000),
    dict(top_p=1e-9),
    dict(top_p=0.3),
    dict(top_p=0.9),
    dict(top_p=0.999999),
    dict(top_k=4, top_p=0.5),
    dict(temperature=3.0, top_k=7, top_p=0.6),
    dict(repetition_penalty=1.2, temperature=0.2, top_k=30, top_p=0.3),
    dict(repetition_penalty=1.2, temperature=0.7, top_k=5, top_p=0.95),
    dict(repetition_penalty=5.0, temperature=1.5, top_k=12, top_p=0.8),
    dict(repetition_penalty=0.5, temperature=0.9, top_k=6, top_p=0.7),
    dict(min_p=1e-4),
    dict(min_p=0.07),
    dict(min_p=0.5),
    dict(min_p=1.0),
    dict(typical_p=1e-6),
    dict(typical_p=0.2),
    dict(typical_p=0.7),
    dict(typical_p=0.95),
    dict(no_repeat_ngram_size=1),
    dict(no_repeat_ngram_size=2),
    dict(no_repeat_ngram_size=3),
    dict(no_repeat_ngram_size=6),
    dict(min_new_tokens=1),
    dict(min_new_tokens=3),
    dict(min_new_tokens=4),
    dict(bad_words=0),
    dict(bad_words=1),
    dict(bad_words=2),
    dict(logit_bias=0),
    dict(logit_bias=1),
    dict(min_p=0.05, typical_p=0.8),
    dict(top_p=0.9, min_p=0.1),
    dict(top_p=0.95, typical_p=0.6),
    dict(temperature=1.7, top_k=20, top_p=0.97, min_p=0.02, typical_p=0.9),
    dict(temperature=0.3, min_p=0.01),
    dict(temperature=4.0, typical_p=0.5),
    dict(repetition_penalty=1.4, logit_bias=0),
    dict(repetition_penalty=1.4, logit_bias=1, bad_words=0, temperature=0.6),
    dict(repetition_penalty=1.1, no_repeat_ngram_size=2, min_new_tokens=9, top_p=0.8),
    dict(logit_bias=1, no_repeat_ngram_size=3, bad_words=1, min_new_tokens=9, temperature=1.3,
         top_k=9, top_p=0.9, min_p=0.01, typical_p=0.95),
    dict(repetition_penalty=1.2, temperature=0.8, top_k=15, typical_p=0.7, bad_words=2,
         renormalize_logits=True),
    dict(epsilon_cutoff=3e-4),
    dict(epsilon_cutoff=0.03),
    dict(epsilon_cutoff=0.6),
    dict(eta_cutoff=1e-3),
    dict(eta_cutoff=0.07),
    dict(eta_cutoff=0.8),
    dict(temperature=1.4, typical_p=0.8, epsilon_cutoff=0.01, eta_cutoff=0.02),
    dict(sequence_bias=0),
    dict(sequence_bias=1),
    dict(sequence_bias=1, logit_bias=0, repetition_penalty=1.3),
    dict(suppress_tokens=0),
    dict(begin_suppress_tokens=0),
    dict(begin_suppress_tokens=0, forced_bos_token_id=0),
    dict(forced_bos_token_id=0),
    dict(forced_bos_token_id=1, repetition_penalty=1.2),
    dict(forced_eos_token_id=0, max_length=1),
    dict(forced_eos_token_id=1, max_length=1, suppress_tokens=0, top_k=5),
    dict(forced_eos_token_id=1, max_length=2),
    dict(exponential_decay_length_penalty=[0, 1.5]),
    dict(exponential_decay_length_penalty=[2, 1.1]),
    dict(exponential_decay_length_penalty=[1, 0.4], min_new_tokens=2, temperature=0.7),
    dict(exponential_decay_length_penalty=[-1, 1.3], sequence_bias=0, suppress_tokens=0,
         no_repeat_ngram_size=2, top_p=0.9, eta_cutoff=1e-3),
]


def vectors():
    """(name, float32 logits, history). A history may repeat ids and may be empty."""
    rng = torch.Generator().manual_seed(20)

    def normal(n, std, mean=0.0):
        return torch.randn(n, generator=rng) * std + mean

    return [
        ("plain", normal(50, 3), [3, 3, 17, 49, 0, 3, 21]),
        ("ties", (normal(41, 2) * 2).round() / 2, [0, 1, 2, 3, 4, 5, 5, 5, 40]),
        ("all negative", normal(23, 2, -30), [1, 2, 3, 22, 22]),
        ("wide", normal(131, 12), list(range(0, 131, 5))),
        ("flat", normal(97, 0.05), [96, 8, 8]),
        ("all equal", torch.full((7,), 1.5), [2]),
        ("zeros", torch.zeros(5), [0, 1, 2, 3, 4]),
        ("large", normal(11, 1, 3e4), []),
        ("one token", torch.tensor([-2.0]), [0, 0]),
        ("two tokens", torch.tensor([0.25, -0.125]), [1]),
        ("whole history", normal(9, 2), list(range(9)) * 2),
        ("n-grams", normal(31, 2), [7, 8, 9, 7, 8, 4, 8, 9, 7, 8, 9, 30, 9, 7, 8]),
        ("same again", normal(29, 2), [6, 6, 6, 6, 6, 6]),
        ("many", normal(3001, 2), [5, 2999, 3000, 5, 2999]),
        ("many flat", normal(1237, 0.3), [1, 2, 1, 2, 1]),
        ("many ties", normal(2003, 1.5).mul(4).round().div(4), [11, 12]),
    ]


def shape_of(logits, history):
    """How many ids of the history are the prompt, and the end ids."""
    vocab = len(logits)
    prompt = len(history) - 3 if len(history) > 3 else len(history)
    return prompt, sorted({vocab - 1, vocab // 2})


def filled_in(setting, logits, history):
    """The setting with its lists of ids chosen for this vocabulary and history."""
    vocab = len(logits)
    end_ids = shape_of(logits, history)[1]
    best = int(logits.argmax())
    tail = history[-2:]
    setting = dict(setting)
    if "bad_words" in setting:
        words = [
            [[best], [0], [end_ids[0]]],  # an end id is no bad word
            [[*tail, best], [*tail[1:], (best + 1) % vocab], [(best + 2) % vocab, best]],
            [[best, *history, 1 % vocab], [*history, 0], [*end_ids, best], *[[i % vocab, i % vocab]
             for i in range(5, 9)]],
        ]
        setting["bad_words"] = words[setting["bad_words"]]
    if "logit_bias" in setting:
        some = [0, vocab // 3, vocab - 1, *(history[-1:])]
        biases = [{best: -1.5}, {i: 0.75 * n - 1.0 for n, i in enumerate(some)}]
        setting["logit_bias"] = sorted(biases[setting["logit_bias"]].items())
    if "sequence_bias" in setting:
        tail = tail or [0]  # no single id in the second: logit_bias may have it
        after = [*tail, (best + 1) % vocab]
        lists = [
            [[[best], -1.25], [[vocab - 1], 0.5]],
            [[after, 2.5], [[*tail[1:], best, best], 1.5], [[7 % vocab, *after], -3.0],
             [[*tail[-1:], best], -0.75]],
        ]
        setting["sequence_bias"] = lists[setting["sequence_bias"]]
    for name in ("suppress_tokens", "begin_suppress_tokens"):
        if name in setting:
            setting[name] = [best, 1 % vocab, vocab + 3]  # the last is no token
    if "forced_bos_token_id" in setting:
        setting["forced_bos_token_id"] = [[0], [best, vocab // 3]][setting["forced_bos_token_id"]]
    if "forced_eos_token_id" in setting:
        setting["forced_eos_token_id"] = [[vocab // 2], end_ids][setting["forced_eos_token_id"]]
        setting["max_length"] += len(history)
    return setting


def processors(setting, prompt, end_ids):
    """transformers' list for these options."""
    options = {**OFF, **setting}
    bias = options.pop("logit_bias", None)
    words = options.pop("bad_words", None)
    sequences = options.pop("sequence_bias", [])
    config = GenerationConfig(do_sample=True, eos_token_id=end_ids, pad_token_id=0, **options,
                              sequence_bias=[[[i], b] for i, b in bias or []] + sequences or None,
                              bad_words_ids=words)
    MODEL._prepare_special_tokens(config)
    return MODEL._get_logits_processor(config, input_ids_seq_length=prompt, device="cpu")


MODEL = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=8, n_head=1, n_layer=1, n_positions=8,
                                    bos_token_id=None, eos_token_id=None))


def cut_is_clear(cumulative, values, bound, removed_first):
    """Whether a cut of sorted values at a cumulative bound is decided by more than rounding."""
    if bool(((cumulative - bound).abs() < MARGIN)[:-1].any()):
        return False
    at = int((cumulative[:-1] <= bound).sum())
    gap = abs(float(values[at] - values[at - 1])) if at > 0 else 1.0
    return gap > MARGIN or (not removed_first and gap == 0)


def is_clear(processor, scores):
    scores = scores[0]
    if isinstance(processor, TopPLogitsWarper):
        values = torch.sort(scores).values
        return cut_is_clear(values.softmax(-1).cumsum(-1), values, 1 - processor.top_p, True)
    if isinstance(processor, MinPLogitsWarper):
        ratio = scores.softmax(-1) / scores.softmax(-1).max()
        near = (ratio - processor.min_p).abs() < MARGIN * processor.min_p
        return not bool((near & (ratio != 1)).any())
    if isinstance(processor, (EpsilonLogitsWarper, EtaLogitsWarper)):
        probabilities, least = scores.softmax(-1), torch.as_tensor(processor.epsilon).double()
        if isinstance(processor, EtaLogitsWarper):
            entropy = torch.distributions.Categorical(logits=scores).entropy()
            least = torch.min(least, least.sqrt() * torch.exp(-entropy))
        return not bool(((probabilities - least).abs() < MARGIN * least).any())
    if isinstance(processor, TypicalLogitsWarper):
        normalized = torch.log_softmax(scores, -1)
        entropy = -(normalized * normalized.exp()).nansum()
        shifted, order = torch.sort((-normalized - entropy).abs())
        cumulative = scores[order].softmax(-1).cumsum(-1)
        if bool(((cumulative - processor.mass).abs() < MARGIN)[:-1].any()):
            return False
        last = min(int((cumulative < processor.mass).sum()), len(scores) - 1)
        gaps = (shifted - shifted[last]).abs()
        return not bool(((gaps < MARGIN) & (scores[order] != scores[order[last]])).any())
    return True


def warped(logits, history, setting):
    """Scores after all steps, or None when rounding could change which tokens stay."""
    prompt, end_ids = shape_of(logits, history)
    scores = logits.double()[None]
    ids = torch.tensor([history], dtype=torch.long)
    try:
        steps = processors(setting, prompt, end_ids)
    except ValueError:  # a forced token is suppressed
        return None
    for processor in steps:
        if not is_clear(processor, scores):
            return None
        before, scores = scores, processor(ids, scores)
        if isinstance(processor, ExponentialDecayLengthPenalty):  # in float32 by `generate`
            single = processor(ids, before.float()).double()
            if bool(((single - scores).abs() > MARGIN * 10).any()):
                return None
        if bool((scores == -float("inf")).all()):
            return None
    assert scores.dtype == torch.float64
    return scores[0]


def case(setting, scores):
    """Kept tokens, highest score first, ties by id. A probability may vanish to 0."""
    scores, probabilities = scores.tolist(), scores.softmax(dim=-1).tolist()
    ids = [i for i, score in enumerate(scores) if score > -float("inf")]
    ids.sort(key=lambda i: (-scores[i], i))
    return {**setting, "ids": ids, "probabilities": [float(f"{probabilities[i]:.9g}") for i in ids]}


def main():
    records, count = [], 0
    kept = [0] * len(SETTINGS)
    for name, logits, history in vectors():
        cases = []
        for number, setting in enumerate(SETTINGS):
            setting = filled_in(setting, logits, history)
            scores = warped(logits, history, setting)
            if scores is None:
                continue
            left = int((scores > -float("inf")).sum())
            if left > 1300 or (left > 200 and number > 0):  # keeps the file small
                continue
            cases.append(case(setting, scores))
            kept[number] += 1
        assert len(cases) >= 12, (name, len(cases))
        count += len(cases)
        exact = [float(f"{v:.9g}") for v in logits.tolist()]  # nine digits give a float back
        assert torch.equal(torch.tensor(exact), logits)
        prompt, end_ids = shape_of(logits, history)
        head = json.dumps({"name": name, "logits": exact, "history": history, "prompt": prompt,
                           "end_ids": end_ids}, separators=(",", ":"))
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        records.append(f'{head[:-1]},"cases":[\n{lines}\n]}}')
    assert min(kept) >= 5, kept
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "goldens.json").write_text("[\n" + ",\n".join(records) + "\n]\n")
    print(f"{len(records)} vectors, {count} cases, per setting {kept}")


if __name__ == "__main__":
    main()
