"""Folders that differ in generation_config.json, or in config.json's legacy keys."""

from folder_base import Case, edit, generation, standard, write

GREEDY = dict(do_sample=False, repetition_penalty=1.0, max_new_tokens=12, eos_token_id=0,
              pad_token_id=0)
BEAMS = dict(GREEDY, num_beams=3, length_penalty=1.0, early_stopping=False)
SAMPLE = dict(GREEDY, do_sample=True, temperature=1.0, top_k=0, top_p=1.0)
ENDS = [377, 258, 394]  # ids that answers have
STOPS = ["nte", " a", "rasQ"]  # texts that answers have
LIKELY = list(range(1, 420, 3))  # a third of the vocabulary, so that a bias or ban always tells


def by_hand(content, config=None, remove_config=()):
    """generation_config.json as a human writes it (None: no such file)."""
    def write_folder(folder):
        standard(folder)
        path = folder / "generation_config.json"
        path.unlink()
        if content is not None:
            write(path, content)
        edit(folder / "config.json", remove_config, **(config or {}))
    return write_folder


def greedy_case(name, more=None, **how):
    return Case(f"generation/{name}", by_hand({**GREEDY, **(more or {})}), **how)


def beam_case(name, more=None, **how):
    return Case(f"generation/{name}", by_hand({**BEAMS, **(more or {})}), **how)


def sampling_case(name, more=None, **how):
    return Case(f"generation/{name}", by_hand({**SAMPLE, **(more or {})}), **how)


def legacy_case(name, more, **how):
    """The same keys in config.json, without a generation_config.json."""
    return Case(f"legacy/{name}", by_hand(None, {**GREEDY, **more}), **how)


def without(*keys, **more):
    return {k: v for k, v in {**GREEDY, **more}.items() if k not in keys}


def greedy_cases():
    yield greedy_case("greedy")
    yield greedy_case("idle-temperature-0", dict(temperature=0.0, top_p=0.0, top_k=-1))
    yield greedy_case("idle-sampling", dict(temperature=0.7, top_p=0.5, top_k=3, typical_p=0.2,
                                            min_p=0.9, epsilon_cutoff=0.5, eta_cutoff=0.5))
    yield greedy_case("idle-nonsense", dict(temperature=-3, top_p=7, top_k=1.5, typical_p=-1))
    yield greedy_case("nulls", {key: None for key in (
        "temperature", "top_k", "top_p", "min_p", "typical_p", "bad_words_ids", "max_length",
        "min_length", "num_beams", "stop_strings", "suppress_tokens", "sequence_bias",
        "forced_bos_token_id", "forced_eos_token_id", "early_stopping", "guidance_scale")})
    yield greedy_case("repetition-penalty", dict(repetition_penalty=1.7))
    yield greedy_case("repetition-reward", dict(repetition_penalty=0.7))
    yield greedy_case("max-length", dict(max_length=17, max_new_tokens=None))
    yield greedy_case("max-length-and-new", dict(max_length=17))
    yield greedy_case("min-length", dict(min_length=14, eos_token_id=LIKELY))
    yield greedy_case("min-new-tokens", dict(min_new_tokens=6, eos_token_id=LIKELY))
    yield greedy_case("min-both", dict(min_new_tokens=3, min_length=90, eos_token_id=LIKELY))
    yield greedy_case("eos-list", dict(eos_token_id=ENDS))
    yield greedy_case("eos-minus-one", dict(eos_token_id=-1, pad_token_id=-1))
    yield greedy_case("eos-null", dict(eos_token_id=None))
    yield greedy_case("no-repeat-ngram", dict(no_repeat_ngram_size=1))
    yield greedy_case("no-repeat-bigram", dict(no_repeat_ngram_size=2, repetition_penalty=0.6))
    yield greedy_case("bad-words", dict(bad_words_ids=[[i] for i in LIKELY] + [[5, 6], [2, 11, 8]]))
    yield greedy_case("sequence-bias", dict(
        sequence_bias=[[[i], 3.5] for i in LIKELY[::3]] + [[[i], -2.5] for i in LIKELY[1::3]]))
    yield greedy_case("sequence-bias-pairs", dict(
        sequence_bias=[[[a, b], 9.0] for a in range(0, 420, 5) for b in (7, 101, 333)]))
    yield greedy_case("suppress", dict(suppress_tokens=LIKELY))
    yield greedy_case("begin-suppress", dict(begin_suppress_tokens=list(range(2, 400, 2))))
    yield greedy_case("forced-eos", dict(forced_eos_token_id=7))
    yield greedy_case("forced-eos-list", dict(forced_eos_token_id=[9, 3], eos_token_id=None))
    yield greedy_case("forced-bos", dict(forced_bos_token_id=33), prompts=["e", "a", "o"], count=2)
    yield greedy_case("forced-bos-suppress", dict(
        forced_bos_token_id=33, begin_suppress_tokens=LIKELY), prompts=["e", "a", "o"])
    yield greedy_case("exponential-decay", dict(exponential_decay_length_penalty=[3, 1.6]))
    yield greedy_case("remove-invalid", dict(remove_invalid_values=True))
    yield greedy_case("renormalize", dict(renormalize_logits=True, repetition_penalty=1.4))
    yield greedy_case("encoder-fields", dict(encoder_repetition_penalty=1.0,
                                             encoder_no_repeat_ngram_size=0, decoder_start_token_id=5))
    yield greedy_case("all-processors", dict(
        repetition_penalty=1.3, no_repeat_ngram_size=2, bad_words_ids=[[i] for i in LIKELY[::5]],
        min_length=9, min_new_tokens=4, forced_eos_token_id=2, suppress_tokens=LIKELY[1::5],
        exponential_decay_length_penalty=[2, 1.2], begin_suppress_tokens=LIKELY[2::5],
        sequence_bias=[[[i], 2.5] for i in LIKELY[3::5]], eos_token_id=[0, 2, 3],
        renormalize_logits=True))
    yield greedy_case("stop-strings", dict(stop_strings="nte"))
    yield greedy_case("stop-strings-list", dict(stop_strings=STOPS))
    yield greedy_case("cache-fields", dict(use_cache=False, cache_implementation=None,
                                           output_scores=False, return_dict_in_generate=False))
    yield greedy_case("transformers-4", dict(transformers_version="4.30.2", _from_model_config=False,
                                             num_beam_groups=1, diversity_penalty=0.0,
                                             penalty_alpha=None, low_memory=None))
    yield greedy_case("unknown-key", dict(my_own_key=[1, {"a": None}], max_time=None), note="*")
    yield greedy_case("options-win", dict(repetition_penalty=1.5, min_new_tokens=5),
                      options=dict(repetition_penalty=1.0, max_new_tokens=7, min_new_tokens=0),
                      generate=dict(repetition_penalty=1.0, max_new_tokens=7, min_new_tokens=0))
    yield Case("generation/only-length", by_hand({"max_new_tokens": 9}))
    yield Case("generation/empty", by_hand({}), options=dict(max_new_tokens=9),
               generate=dict(max_new_tokens=9))
    yield Case("generation/no-penalty", by_hand(without("repetition_penalty")))
    yield Case("generation/no-do-sample", by_hand(without("do_sample")))
    yield Case("generation/eos-not-of-config", by_hand(dict(GREEDY, eos_token_id=1),
                                                       dict(eos_token_id=LIKELY)))
    yield Case("generation/eos-not-of-tokenizer", by_hand(
        dict(GREEDY, eos_token_id=1, sequence_bias=[[[0], 30.0]], max_new_tokens=5)))


def beam_cases():
    yield beam_case("beams")
    yield beam_case("beams-issue", dict(min_new_tokens=8, no_repeat_ngram_size=2,
                                        num_return_sequences=3))
    yield Case("generation/beams-defaults", by_hand(dict(GREEDY, num_beams=4)))
    yield beam_case("beams-all", dict(num_beams=5, num_return_sequences=5, eos_token_id=ENDS,
                                      length_penalty=-0.5))
    yield beam_case("beams-early", dict(early_stopping=True, eos_token_id=ENDS,
                                        num_return_sequences=2, length_penalty=2.0))
    yield beam_case("beams-never", dict(early_stopping="never", eos_token_id=ENDS,
                                        num_return_sequences=2, length_penalty=0.4))
    yield beam_case("beams-stop", dict(stop_strings=STOPS, num_return_sequences=3))
    yield beam_case("beams-processors", dict(
        repetition_penalty=1.3, bad_words_ids=[[i] for i in LIKELY[::5]], renormalize_logits=True,
        begin_suppress_tokens=LIKELY[2::5], forced_eos_token_id=4, min_length=10,
        exponential_decay_length_penalty=[2, 1.1], num_return_sequences=2))
    yield beam_case("beams-idle-sampling", dict(temperature=0.0, top_k=1, top_p=0.1))
    yield beam_case("beams-max-length", dict(max_length=15, max_new_tokens=None, eos_token_id=ENDS),
                    prompts=["e", "mar", "ação", "Bom dia"])
    yield beam_case("beams-forced-bos", dict(forced_bos_token_id=9), prompts=["e", "a", "o"])
    yield greedy_case("one-beam", dict(num_beams=1, length_penalty=0.1, early_stopping=True))


def sampling_cases():
    yield sampling_case("top-k-1", dict(top_k=1))
    yield sampling_case("top-k-1-cold", dict(top_k=1, temperature=0.01))
    yield sampling_case("top-p-0", dict(top_p=0.0))
    yield sampling_case("top-p-tiny", dict(top_p=1e-6, top_k=50))
    yield sampling_case("min-p-1", dict(min_p=1.0))
    yield sampling_case("typical-tiny", dict(typical_p=1e-7))
    yield sampling_case("epsilon", dict(epsilon_cutoff=0.9999))
    yield sampling_case("eta", dict(eta_cutoff=0.9999, temperature=0.2))
    yield sampling_case("hot", dict(temperature=9.5, top_k=1, num_return_sequences=2))
    yield Case("generation/top-k-default", by_hand(without(
        "do_sample", do_sample=True, temperature=1.0, top_p=0.0)))
    yield sampling_case("sampling-processors", dict(
        top_k=1, repetition_penalty=1.4, min_new_tokens=5, suppress_tokens=LIKELY[::2],
        eos_token_id=LIKELY[1::2], num_beams=1))


def legacy_cases():
    yield legacy_case("greedy", {})
    yield legacy_case("bad-words", dict(bad_words_ids=[[i] for i in LIKELY]))
    yield legacy_case("max-length", dict(max_length=16, max_new_tokens=None))
    yield legacy_case("beams", dict(num_beams=3, num_return_sequences=2, length_penalty=1.0,
                                    early_stopping=True))
    yield legacy_case("suppress", dict(suppress_tokens=LIKELY, begin_suppress_tokens=LIKELY[::2]))
    yield legacy_case("sampling", dict(do_sample=True, top_k=1, temperature=0.5))
    yield legacy_case("eos-list", dict(eos_token_id=ENDS))
    yield Case("legacy/beside-the-file", by_hand(GREEDY, dict(
        bad_words_ids=[[i] for i in LIKELY], repetition_penalty=1.9, num_beams=4)))
    yield Case("legacy/task-specific", by_hand(GREEDY, dict(
        task_specific_params={"text-generation": {"do_sample": True, "max_length": 50}})))


def language_case(name, generation_config, seed, **config):
    """After transformers' GPT2ModelLanguageGenerationTest: ids in, ids out, random weights."""
    def write_folder(folder):
        standard(folder, generation_config=generation(**generation_config), seed=seed, **config)
    return Case(f"language/{name}", write_folder, prompts=[], count=0,
                rows=[[46, 329], [46, 1, 87, 3, 260], [377]])


def language_cases():
    yield language_case("greedy", dict(max_new_tokens=18), 3)
    yield language_case("greedy-upcast", dict(max_new_tokens=18), 19, reorder_and_upcast_attn=True)
    yield language_case("greedy-inverse", dict(max_new_tokens=18), 5,
                        scale_attn_by_inverse_layer_idx=True, n_layer=3)
    yield language_case("greedy-both", dict(max_new_tokens=18), 5, reorder_and_upcast_attn=True,
                        scale_attn_by_inverse_layer_idx=True)
    yield language_case("penalty", dict(max_new_tokens=18, repetition_penalty=1.2), 19)
    yield language_case("top-k-1", dict(do_sample=True, top_k=1), 3)
    yield language_case("beams", dict(num_beams=2), 29)
    yield language_case("beams-returned", dict(num_beams=3, num_return_sequences=3), 19)
    yield language_case("beams-length", dict(num_beams=3, length_penalty=-1.0, eos_token_id=ENDS), 19)
    yield language_case("no-repeat", dict(no_repeat_ngram_size=2, max_new_tokens=18), 19)
    yield language_case("stop", dict(stop_strings=["e", "a"]), 19)
    yield language_case("min-length", dict(min_length=12, eos_token_id=[377, 258]), 19)


def generation_cases():
    yield from language_cases()
    yield from greedy_cases()
    yield from beam_cases()
    yield from sampling_cases()
    yield from legacy_cases()
