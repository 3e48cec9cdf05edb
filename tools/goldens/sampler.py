#!/usr/bin/env python3
"""Makes tests/data/sampler/goldens.json: logits, history and options to a distribution.

transformers' own processors in float64, in the order of its `generate`: repetition penalty,
temperature, top-k, top-p. A combination is left out when rounding could decide it: when the top-p
cut runs between two equal scores or the cumulative probability is within 1e-6 of it.

  pip install -r tools/goldens/requirements.txt && python tools/goldens/sampler.py
"""

import json
import pathlib

import torch
from transformers.generation.logits_process import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "data" / "sampler"
MARGIN = 1e-6

# (repetition_penalty, temperature, top_k, top_p); 1, 1, 0 and 1 switch a step off.
SETTINGS = [
    (1.0, 1.0, 0, 1.0),
    (1.2, 1.0, 0, 1.0),
    (0.8, 1.0, 0, 1.0),
    (1.0, 0.2, 0, 1.0),
    (1.0, 2.5, 0, 1.0),
    (1.0, 0.01, 0, 1.0),
    (1.0, 1.0, 1, 1.0),
    (1.0, 1.0, 3, 1.0),
    (1.0, 1.0, 10, 1.0),
    (1.0, 1.0, 100000, 1.0),
    (1.0, 1.0, 0, 1e-9),
    (1.0, 1.0, 0, 0.3),
    (1.0, 1.0, 0, 0.9),
    (1.0, 1.0, 0, 0.999999),
    (1.0, 1.0, 4, 0.5),
    (1.0, 3.0, 7, 0.6),
    (1.2, 0.2, 30, 0.3),
    (1.2, 0.7, 5, 0.95),
    (5.0, 1.5, 12, 0.8),
    (0.5, 0.9, 6, 0.7),
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
    ]


def top_p_is_clear(scores, top_p):
    """Whether the cut at `top_p` is decided by more than rounding."""
    values, _ = torch.sort(scores[0])
    cumulative = values.softmax(dim=-1).cumsum(dim=-1)
    if bool(((cumulative - (1 - top_p)).abs() < MARGIN)[:-1].any()):
        return False
    removed = int((cumulative[:-1] <= 1 - top_p).sum())
    return removed == 0 or bool(values[removed] > values[removed - 1])


def warped(logits, history, setting):
    """Scores after all steps, or None when rounding could change which tokens stay."""
    penalty, temperature, top_k, top_p = setting
    scores = logits.double()[None]
    ids = torch.tensor([history], dtype=torch.long)
    if penalty != 1.0 and history:
        scores = RepetitionPenaltyLogitsProcessor(penalty)(ids, scores)
    if temperature != 1.0:
        scores = TemperatureLogitsWarper(temperature)(ids, scores)
    if top_k != 0:
        scores = TopKLogitsWarper(top_k)(ids, scores)
    if top_p < 1.0:
        if not top_p_is_clear(scores, top_p):
            return None
        scores = TopPLogitsWarper(top_p)(ids, scores)
    assert scores.dtype == torch.float64
    return scores[0]


def case(setting, scores):
    """Kept tokens, highest score first, ties by id. A probability may vanish to 0."""
    scores, probabilities = scores.tolist(), scores.softmax(dim=-1).tolist()
    ids = [i for i, score in enumerate(scores) if score > -float("inf")]
    ids.sort(key=lambda i: (-scores[i], i))
    return {"repetition_penalty": setting[0], "temperature": setting[1], "top_k": setting[2],
            "top_p": setting[3], "ids": ids,
            "probabilities": [float(f"{probabilities[i]:.9g}") for i in ids]}


def main():
    records, count = [], 0
    for name, logits, history in vectors():
        cases = []
        for setting in SETTINGS:
            scores = warped(logits, history, setting)
            if scores is not None:
                cases.append(case(setting, scores))
        assert len(cases) >= len(SETTINGS) // 2, name
        count += len(cases)
        exact = [float(f"{v:.9g}") for v in logits.tolist()]  # nine digits give a float back
        assert torch.equal(torch.tensor(exact), logits)
        head = json.dumps({"name": name, "logits": exact, "history": history},
                          separators=(",", ":"))
        lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
        records.append(f'{head[:-1]},"cases":[\n{lines}\n]}}')
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "goldens.json").write_text("[\n" + ",\n".join(records) + "\n]\n")
    print(f"{len(records)} vectors, {count} cases")


if __name__ == "__main__":
    main()
