"""The model "aira" of lm-evaluation-harness: a GPT-2 that aira-cli runs, with the numbers of the harness's model "hf".

python3 aira_lm.py run --model aira --model_args pretrained=FOLDER[,aira=PROGRAM,dtype=f32,threads=2,...] --tasks ...
"""

from __future__ import annotations

from lm_eval.__main__ import cli_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from aira_client import AiraError, AiraScore, Ids

# Generation options that "hf" has too, with what transformers takes when neither the task nor the model's
# generation_config.json says (aira-cli's own defaults are Aira's).
SAMPLING = {"temperature": 1.0, "top_k": 50, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0}
ALWAYS = {
    "repetition_penalty": 1.0, "no_repeat_ngram_size": 0, "min_new_tokens": 0, "num_beams": 1, "length_penalty": 1.0,
    "early_stopping": False,
}  # fmt: skip


@register_model("aira")
class AiraLM(TemplateLM):
    def __init__(
        self, pretrained: str, aira: str | None = None, dtype: str = "auto", threads: int | None = None,
        aira_device: str | None = None, batch_size: int | str = 32, max_length: int | None = None,
        prefix_token_id: int | None = None, seed: int = 0, **torch_options,
    ):  # fmt: skip
        """The harness also gives torch's device ("cuda:0") and max_batch_size to every model; they mean nothing here."""
        if unknown := sorted(torch_options.keys() - {"device", "max_batch_size"}):
            raise AiraError(f"The model aira has no argument {', '.join(unknown)}.")
        super().__init__()
        options = [*(("--threads", str(threads)) if threads else ()), *(("--device", aira_device) if aira_device else ())]
        batch = int(batch_size) if str(batch_size).isdigit() and int(batch_size) > 1 else 32  # its results are the same for any
        self.engine = AiraScore(pretrained, aira, dtype, batch, options)
        if max_length is not None and max_length > self.engine.context:
            raise AiraError(f"max_length is {max_length}, but the model's context holds {self.engine.context}.")
        self._max_length = max_length or self.engine.context
        self._prefix = prefix_token_id
        self._seed = seed
        self._special = self.engine.special_ids()
        own = {name: value for name, value in self.engine.generation_config().items() if value is not None}
        self._defaults = {name: own.get(name, default) for name, default in {**SAMPLING, **ALWAYS}.items()}

    @property
    def tokenizer_name(self) -> str:
        return str(self.engine.info["name"]).replace("/", "__")

    @property
    def max_length(self) -> int:
        return self._max_length

    @property
    def max_gen_toks(self) -> int:
        return 256

    @property
    def eot_token_id(self) -> int | None:
        end = self.engine.special("eos")
        return end["id"] if end else None

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text that has nothing before it: as with "hf" the tokenizer's bos, else its eos."""
        if self._prefix is not None:
            return self._prefix
        start = self.engine.special("bos") or self.engine.special("eos")
        if start is None:
            raise AiraError("The tokenizer names no bos and no eos token; say prefix_token_id=ID.")
        return start["id"]

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs) -> Ids:
        """As "hf": with the tokenizer's own template unless the text begins with its begin token already."""
        if add_special_tokens is None:
            start = self.engine.special("bos") or self.engine.special("eos")
            add_special_tokens = start is None or not string.startswith(start["text"])
        return self.engine.encode([string], template=add_special_tokens)[0]

    def _score(self, pairs: list[tuple[Ids, Ids]], disable_tqdm: bool) -> list[dict]:
        for _, after in pairs:
            if len(after) > self.max_length:
                raise AiraError(f"A continuation takes {len(after)} tokens, but the context holds {self.max_length}.")
        kept = [(before[max(0, len(before) + len(after) - self.max_length - 1) :], after) for before, after in pairs]
        with tqdm(total=len(pairs), disable=disable_tqdm, desc="Scoring with aira-cli") as bar:
            return self.engine.score_ids(kept, bar.update)

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], Ids, Ids]], disable_tqdm: bool = False, **kwargs
    ) -> list[tuple[float, bool]]:
        scores = self._score([(before, after) for _, before, after in requests], disable_tqdm)
        answers = [(score["logprob"], score["is_greedy"]) for score in scores]
        for (texts, _, _), answer in zip(requests, answers):
            self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        pairs, owners = [], []
        for owner, request in enumerate(requests):
            ids = self.tok_encode(request.args[0])
            for window in get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, context_len=1):
                pairs.append(make_disjoint_window(window))
                owners.append(owner)
        totals = [0.0] * len(requests)
        for owner, score in zip(owners, self._score(pairs, disable_tqdm)):
            totals[owner] += score["logprob"]
        for request, total in zip(requests, totals):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def _generation(self, context: Ids, given: dict) -> tuple[dict, list[str]]:
        """A request for aira-cli, and the texts that end it."""
        options = dict(normalize_gen_kwargs(given, self.max_gen_toks))
        end = self.engine.special("eos")
        until = [text for text in handle_stop_sequences(options.pop("until"), eos=end["text"] if end else None) if text]
        count = options.pop("max_gen_toks")
        if count >= self.max_length:
            raise AiraError(f"max_gen_toks is {count}, which leaves no room for a prompt in the context of {self.max_length}.")
        request = {"prompt_ids": context[-(self.max_length - count) :], "max_new_tokens": count, "stop": until}
        samples = options.pop("do_sample")
        chosen = {name: options.pop(name, default) for name, default in self._defaults.items()}
        request |= {name: value for name, value in chosen.items() if samples or name in ALWAYS}
        request |= {"seed": self._seed} if samples else {"greedy": True}
        if options:
            raise AiraError(f"aira-cli has no generation option {', '.join(sorted(options))}.")
        return request, until

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        contexts = self.engine.encode([request.args[0] for request in requests], template=True)
        lines = [self._generation(context, request.args[1]) for context, request in zip(contexts, requests)]
        with tqdm(total=len(lines), disable=disable_tqdm, desc="Answering with aira-cli") as bar:
            ids = self.engine.generate([request for request, _ in lines], bar.update)
        texts = self.engine.decode([[one for one in answer if one not in self._special] for answer in ids])
        answers = [postprocess_generated_text(text, until, None) for text, (_, until) in zip(texts, lines)]
        for request, answer in zip(requests, answers):
            self.cache_hook.add_partial("generate_until", request.args, answer)
        return answers


if __name__ == "__main__":
    cli_evaluate()
