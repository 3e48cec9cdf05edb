# SPDX-License-Identifier: Apache-2.0
"""Trains a GPT-2 to answer questions, following the Aira recipe; the defaults are that recipe.

Reads JSON lines or Parquet with `prompt` and `completion` (the shape of Instruct-Aira) and learns
the sequence `bos + prompt + sep + completion + eos`. Starts from an existing checkpoint (--base)
or from scratch (--tokenizer and the --n-* options); saves Hugging Face files in 16-bit floats.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import time
from pathlib import Path

import torch
from torch.nn import functional
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerBase,
    get_linear_schedule_with_warmup,
    logging,
)

from energy import EnergyMeter

IGNORED = -100
Example = tuple[list[int], int]  # token ids, index of the first token of the completion


def pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id to pad with; padding is never looked at, so the end token serves where none is set."""
    return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """The (prompt, completion) pairs of a file."""
    if path.suffix == ".parquet":
        try:
            from pyarrow import parquet
        except ImportError as error:
            raise SystemExit("Reading Parquet needs pyarrow: pip install pyarrow") from error
        rows = parquet.read_table(path, columns=["prompt", "completion"]).to_pylist()
    else:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()]
    return [(row["prompt"], row["completion"]) for row in rows]


def encode(
    pairs: list[tuple[str, str]], tokenizer: PreTrainedTokenizerBase, context: int
) -> list[Example]:
    """Token ids of each pair, cut at the context as the recipe does."""
    examples: list[Example] = []
    for prompt, completion in pairs:
        head = [tokenizer.bos_token_id, *tokenizer.encode(prompt), tokenizer.sep_token_id]
        ids = head + [*tokenizer.encode(completion), tokenizer.eos_token_id]
        if len(head) < context:
            examples.append((ids[:context], len(head)))
    return examples


def make_batches(examples: list[Example], size: int, rng: random.Random) -> list[list[Example]]:
    """Shuffled batches of similar lengths: sorting within large pools leaves little padding."""
    order = rng.sample(examples, len(examples))
    pool = size * 50
    batches: list[list[Example]] = []
    for start in range(0, len(order), pool):
        part = sorted(order[start : start + pool], key=lambda example: len(example[0]))
        batches += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(batches)
    return batches


def collate(
    batch: list[Example], loss_on: str, pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids [B, T] and the targets of each position [B, T]."""
    width = max(len(ids) for ids, _ in batch)
    inputs = torch.full((len(batch), width), pad, dtype=torch.long)
    targets = torch.full((len(batch), width), IGNORED, dtype=torch.long)
    for i, (ids, start) in enumerate(batch):
        row = torch.tensor(ids)
        inputs[i, : len(ids)] = row
        first = start if loss_on == "completion" else 1
        targets[i, first - 1 : len(ids) - 1] = row[first:]
    return inputs.to(device), targets.to(device)


def penalise(
    logits: torch.Tensor, ids: torch.Tensor, used: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Applies the repetition penalty that generation will apply, so that training allows for it.

    logits [N, V] belong to the positions `used` [B, T] of `ids` [B, T].
    """
    seen = torch.zeros(*ids.shape, logits.shape[-1], device=ids.device)
    seen.scatter_(2, ids.unsqueeze(-1), 1.0)
    before = seen.cumsum(dim=1)[used] > 0
    return torch.where(before, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def batch_loss(
    model: GPT2LMHeadModel, inputs: torch.Tensor, targets: torch.Tensor, penalty: float
) -> torch.Tensor:
    """Mean cross entropy; the vocabulary is only projected where there is a target."""
    # Padding stands on the right, where causal attention never looks, so no mask is needed.
    hidden = model.transformer(inputs, use_cache=False).last_hidden_state
    used = targets != IGNORED
    logits = model.lm_head(hidden[used])
    if penalty != 1.0:
        logits = penalise(logits, inputs, used, penalty)
    return functional.cross_entropy(logits.float(), targets[used])


def make_model(args: argparse.Namespace, tokenizer: PreTrainedTokenizerBase) -> GPT2LMHeadModel:
    """The checkpoint to fine-tune, its vocabulary grown if need be, or a fresh GPT-2."""
    if args.base is not None:
        model = GPT2LMHeadModel.from_pretrained(args.base, dtype=torch.float32)
        if len(tokenizer) > model.config.vocab_size:
            model.resize_token_embeddings(len(tokenizer))
    else:
        model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=len(tokenizer),
                n_positions=args.n_positions,
                n_embd=args.n_embd,
                n_layer=args.n_layer,
                n_head=args.n_head,
                embd_pdrop=args.dropout,
                attn_pdrop=args.dropout,
                resid_pdrop=args.dropout,
                tie_word_embeddings=True,
            )
        )
    model.config.bos_token_id = tokenizer.bos_token_id
    model.config.eos_token_id = tokenizer.eos_token_id
    model.config.pad_token_id = pad_id(tokenizer)
    return model


def save(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerBase, args: argparse.Namespace
) -> None:
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad_id(tokenizer),
        do_sample=True,
        temperature=0.2,
        top_k=30,
        top_p=0.3,
        repetition_penalty=args.generate_penalty,
        max_new_tokens=200,
    )
    # A copy, as training goes on in 32 bits after the end of an epoch.
    copy.deepcopy(model).half().save_pretrained(args.output)
    source = args.tokenizer or args.base
    kept = [Path(source) / name for name in ("tokenizer.json", "tokenizer_config.json")]
    if args.special_added or not all(path.is_file() for path in kept):
        tokenizer.save_pretrained(args.output)
        return
    for path in kept:
        (args.output / path.name).write_bytes(path.read_bytes())


def add_missing_specials(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Gives a base model's tokenizer Aira's markers; says whether any was missing."""
    wanted = {
        "bos_token": "<|startofinstruction|>",
        "sep_token": "<|endofinstruction|>",
        "eos_token": "<|endofcompletion|>",
        "pad_token": "<|pad|>",
    }
    missing = {name: text for name, text in wanted.items() if getattr(tokenizer, name) is None}
    if "sep_token" not in missing:
        return False
    # Without a separator the tokenizer is a plain GPT-2 one, whose bos and eos mean other things.
    tokenizer.add_special_tokens(wanted)
    return True


def train(args: argparse.Namespace) -> None:
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    logging.set_verbosity_error()
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    tokenizer = AutoTokenizer.from_pretrained(args.tokenizer or args.base)
    args.special_added = add_missing_specials(tokenizer)
    model = make_model(args, tokenizer).to(device)
    model.train()
    examples = encode(read_pairs(args.data), tokenizer, model.config.n_positions)
    tokens = sum(len(ids) for ids, _ in examples)
    rng = random.Random(args.seed)
    steps = args.epochs * -(-len(examples) // args.batch_size)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.learning_rate, eps=args.epsilon, weight_decay=args.weight_decay
    )
    schedule = get_linear_schedule_with_warmup(optimizer, args.warmup_steps, steps)
    print(
        f"{model.num_parameters():,} parameters, {len(examples):,} sequences, {tokens:,} tokens "
        f"per epoch, {steps:,} steps on {device}",
        flush=True,
    )

    meter, start, done, seen, shown = EnergyMeter(), time.monotonic(), 0, 0, 0.0
    for epoch in range(args.epochs):
        for batch in make_batches(examples, args.batch_size, rng):
            inputs, targets = collate(batch, args.loss_on, pad_id(tokenizer), device)
            penalty = args.train_penalty if done % 2 else 1.0
            loss = batch_loss(model, inputs, targets, penalty)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if args.max_grad_norm > 0:
                torch.nn.utils.clip_grad_norm_(model.parameters(), args.max_grad_norm)
            optimizer.step()
            schedule.step()
            done += 1
            seen += sum(len(ids) for ids, _ in batch)
            elapsed = time.monotonic() - start
            if elapsed - shown >= args.show_every or done == steps:
                shown = elapsed
                meter.update()
                left = elapsed / done * (steps - done)
                print(
                    f"epoch {epoch + 1}/{args.epochs} step {done}/{steps} loss {loss.item():.4f} "
                    f"{seen / elapsed:.0f} tokens/s, {left / 60:.1f} min left",
                    flush=True,
                )
        save(model, tokenizer, args)
    print(f"trained in {(time.monotonic() - start) / 60:.1f} min")
    print(meter.report())
    print(f"saved in {args.output}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", type=Path, required=True, help="JSON lines or Parquet: prompt, completion")
    add("--output", type=Path, required=True, help="folder for the trained model")
    add("--base", help="checkpoint to fine-tune (folder or hub id); left out: from scratch")
    add("--tokenizer", help="folder of the tokenizer (default: that of --base)")
    add("--n-positions", type=int, default=256)
    add("--n-embd", type=int, default=192)
    add("--n-layer", type=int, default=6)
    add("--n-head", type=int, default=6)
    add("--dropout", type=float, default=0.1)
    add("--epochs", type=int, default=5)
    add("--batch-size", type=int, default=24)
    add("--learning-rate", type=float, default=5e-4)
    add("--epsilon", type=float, default=1e-8)
    add("--warmup-steps", type=int, default=100)
    add("--weight-decay", type=float, default=0.01)
    add("--max-grad-norm", type=float, default=0.0, help="clip gradients; 0 is off")
    add("--loss-on", choices=["all", "completion"], default="all", help="which tokens to learn")
    add(
        "--train-penalty",
        type=float,
        default=1.0,
        help="repetition penalty applied to the logits of every second batch; 1 is off",
    )
    add(
        "--generate-penalty",
        type=float,
        default=1.2,
        help="repetition penalty to write into generation_config.json",
    )
    add("--seed", type=int, default=7)
    add("--device", help="cpu or cuda (default: cuda where there is one)")
    add("--show-every", type=float, default=10.0, help="seconds between progress lines")
    args = parser.parse_args()
    if args.base is None and args.tokenizer is None:
        parser.error("give --base (fine-tuning) or --tokenizer (from scratch)")
    args.output.mkdir(parents=True, exist_ok=True)
    train(args)


if __name__ == "__main__":
    main()
