"""What transformers makes of a folder: ids of texts and generated ids, in float64.

A prompt counts only when rounding could not change its answer: the best two candidates of each step
differ by more than MARGIN of the largest score, and a beam search decides nothing by less than
beams.MARGIN.
"""

import dataclasses
import math
import pathlib
import tempfile

import torch
from beams import LOWEST, MARGIN as BEAM_MARGIN, Watched
from transformers import AutoModelForCausalLM, AutoTokenizer

MARGIN = 1e-3


class Unclear(Exception):
    """The answer depends on rounding or on chance."""


def load(case, folder):
    """(tokenizer, model); every tensor of the model must come from the folder."""
    place = folder / case.model
    tokenizer = AutoTokenizer.from_pretrained(place)
    model, loading = AutoModelForCausalLM.from_pretrained(
        place, dtype=torch.float64, attn_implementation="eager", output_loading_info=True)
    missing = [k for k in loading["missing_keys"] if k != "lm_head.weight"
               or not model.config.tie_word_embeddings]
    assert not missing and not loading["mismatched_keys"], (case.name, loading)
    if case.adapter:
        from peft import PeftModel
        model = PeftModel.from_pretrained(model, folder / case.adapter).double().merge_and_unload()
    for field in case.clear:
        setattr(model.generation_config, field, None)
    for block in model.transformer.h:
        block.attn.reorder_and_upcast_attn = False  # the same sums, but never in float64
    model.eval()
    model.__class__ = Watched
    return tokenizer, model


def check_steps(scores):
    """Refuses a step with a near tie for the first place."""
    for step in scores:
        best = torch.topk(step[0].double(), 2).values
        if best.tolist() == [0, 0]:
            continue  # forced ids: exactly equal, the first one counts
        scale = max(1e-9, float(step[0][torch.isfinite(step[0])].abs().max()))
        if torch.isfinite(best[1]) and float(best[0] - best[1]) < MARGIN * scale:
            raise Unclear("near tie")


def answers(tokenizer, model, ids, **options):
    """The generated ids of each returned sequence; what follows the end is left out."""
    options = {"return_dict_in_generate": True, "output_scores": True, **options}
    model.margin = float("inf")
    ids = torch.tensor([ids])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), tokenizer=tokenizer, **options)
    new = out.sequences[:, ids.shape[1]:].tolist()
    config = model.generation_config
    beams = options.get("num_beams") or config.num_beams or 1
    if beams > 1:
        if model.margin < BEAM_MARGIN:
            raise Unclear("near tie of beams")
        if options.get("do_sample", config.do_sample):
            raise Unclear("drawn")
        assert min(out.sequences_scores.tolist()) > LOWEST or math.isinf(LOWEST)
        return [row[:int((b >= 0).sum())] for row, b in zip(new, out.beam_indices)]
    if options.get("do_sample", config.do_sample):
        if any(int(torch.isfinite(step).sum(-1).max()) != 1 for step in out.scores):
            raise Unclear("drawn")
    else:
        check_steps(out.scores)
    return [row[:len(out.scores)] for row in new]


def shown(case, tokenizer, model, ids):
    """The text without the end or the stop text, which this program does not print."""
    config = model.generation_config
    if case.differs == "text":
        return tokenizer.decode(ids, skip_special_tokens=True)
    ends = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    text = tokenizer.decode(ids[:-1] if ids[-1] in ends else ids, skip_special_tokens=True)
    for stop in [config.stop_strings] if isinstance(
        config.stop_strings, str) else config.stop_strings or []:
        text = text.split(stop)[0]
    return text


def line(case, tokenizer, model, asked, ids):
    """A JSON line and the answers that it must give."""
    found = answers(tokenizer, model, ids, **case.generate)
    return {"in": {**asked, **case.options},
            "answers": [{"ids": row, "text": shown(case, tokenizer, model, row)} for row in found]}


def batched(case, tokenizer, model):
    """Rows of different lengths as one batch, padded on the left; each must equal the row alone."""
    longest = max(map(len, case.rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in case.rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in case.rows])
    together = model.generate(ids, attention_mask=mask, tokenizer=tokenizer, **case.generate)
    each = len(together) // len(case.rows)
    for number, row in enumerate(case.rows):
        for i, found in enumerate(answers(tokenizer, model, row, **case.generate)):
            assert together[number * each + i, longest:longest + \
                len(found)].tolist() == found, case.name


def question_ids(case, tokenizer, question):
    if case.context_ids:
        return case.context_ids(tokenizer, question)
    return list(tokenizer.apply_chat_template([{"role": "user", "content": question}],
                                              add_generation_prompt=True, return_dict=False))


def lines(case, tokenizer, model):
    found, problems = [], []
    if case.rows:
        batched(case, tokenizer, model)
    asked = [({"question": q}, question_ids(case, tokenizer, q)) for q in case.questions]
    asked += [({"prompt_ids": row}, row) for row in case.rows]
    asked += [({"prompt": p}, list(tokenizer(p).input_ids)) for p in case.prompts]
    wanted = case.count + len(asked) - len(case.prompts)
    for line_in, ids in asked:
        if len(found) == wanted:
            break
        if not ids or len(ids) > 60:
            continue
        try:
            found.append(line(case, tokenizer, model, line_in, ids))
        except Unclear as problem:
            problems.append(str(problem))
    assert len(found) >= min(wanted, 1), (case.name, problems)
    return found


def texts(case, tokenizer):
    """Ids with the tokenizer's template and without."""
    found = []
    for text in case.texts:
        whole = list(tokenizer(text).input_ids)
        plain = list(tokenizer(text, add_special_tokens=False).input_ids)
        found.append({"text": text, "ids": plain, **
                     ({} if whole == plain else {"template": whole})})
    return found


def golden(case, folder):
    if case.as_if is not None:
        with tempfile.TemporaryDirectory() as place:
            case.as_if(pathlib.Path(place))
            return golden(dataclasses.replace(case, as_if=None), pathlib.Path(place))
    if case.differs == "refused there":
        try:
            answers(*load(case, folder), [1])
        except ValueError:
            return {"lines": [{"in": {"prompt": case.prompts[0]}}]}
        raise AssertionError(f"{case.name}: transformers does not refuse it")
    tokenizer, model = load(case, folder)
    result = {"lines": lines(case, tokenizer, model)}
    if case.texts:
        result["texts"] = texts(case, tokenizer)
    return result
