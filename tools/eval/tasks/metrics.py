"""Results of one document, for the tasks in this folder."""

import math


def mc2(doc: dict, results: list[tuple[float, bool]]) -> dict:
    """The true answers' share of the probability of all answers."""
    labels = doc["mc2_targets"]["labels"]
    best = max(logprob for logprob, _ in results)
    weights = [math.exp(logprob - best) for logprob, _ in results]
    true = sum(weight for weight, label in zip(weights, labels) if label == 1)
    return {"acc": true / sum(weights)}


def perplexity(doc: dict, results: list[float]) -> dict:
    (logprob,) = results
    words = len(doc["text"].split())
    size = len(doc["text"].encode())
    return {"word_perplexity": (logprob, words), "byte_perplexity": (logprob, size), "bits_per_byte": (logprob, size)}
