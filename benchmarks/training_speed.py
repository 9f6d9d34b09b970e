"""Useful tokens a second of training on a CPU: this project, SFTTrainer as it comes, and a bare PyTorch loop.

    MED_LORA_RAW=FOLDER python benchmarks/training_speed.py [--size 10m 100m] [--corpus genmedgpt wikidoc]
        [--precision fp32 bf16] [--rounds 5] [--rows 64] [--batch 4] [--settings]

All contenders train LoRA of rank 16 on all linear layers of the same random Llama, in one process, on the same rows for
one epoch, with the same recipe and number of optimiser steps; rounds are interleaved, so that other work on the machine
meets each alike. Only ratios of one call mean anything. SFTTrainer has its defaults, batches of four and padding; the
bare loop replays the very batches of this project. Setting up the trainers counts. Useful tokens are those of the rows,
without padding. ``--settings`` adds this project with other micro-batches, shuffled batches and packing.

Rows are pairs of GenMedGPT-5k (at most 256 tokens) and WikiDoc (1,024) from the publishers' files in MED_LORA_RAW;
without it, random tokens with the corpora's lengths. Reads the clock: with OMP_NUM_THREADS=1 seconds of the processor,
which other work on the machine changes little, else of the wall.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from training_rows import CORPORA, SIZES, machine, made_up_rows, make_model, real_rows, recipe

from med_lora.engine import Row, fit, mean_loss
from med_lora.engine.batches import micro_batches, rows_of_steps
from med_lora.engine.losses import LabelLoss
from med_lora.engine.rows import collate
from med_lora.parameters import HardwareParams

HELD_OUT = 64
now = time.process_time if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter
Contender = Callable[[Any, Sequence[Row]], float]


def project(tokenizer: Any, hardware: HardwareParams, batch: int, **changes: Any) -> Contender:
    def train(model: Any, rows: Sequence[Row]) -> float:
        started = now()
        fit(model, tokenizer, rows, [], recipe(batch, **changes), hardware)
        return now() - started

    return train


def studies(tokenizer: Any, precision: str, batch: int, limit: int) -> Contender:
    """SFTTrainer's defaults; the recipe, the precision and the loss are those of all contenders."""

    def train(model: Any, rows: Sequence[Row]) -> float:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        masks = [[int(label >= 0) for label in row["labels"]] for row in rows]
        data = Dataset.from_dict({"input_ids": [row["input_ids"] for row in rows], "completion_mask": masks})
        with tempfile.TemporaryDirectory() as folder:
            arguments = SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=4,
                gradient_accumulation_steps=batch // 4,
                num_train_epochs=1,
                learning_rate=2e-3,
                lr_scheduler_type="cosine",
                max_length=limit,
                completion_only_loss=True,
                bf16=precision == "bf16",
                use_cpu=True,
                save_strategy="no",
                report_to="none",
                seed=1,
            )
            started = now()
            SFTTrainer(model=model, args=arguments, train_dataset=data, processing_class=tokenizer).train()
            return now() - started

    return train


def bare_loop(precision: str, hardware: HardwareParams, batch: int, label_logits: bool) -> Contender:
    """PyTorch alone, over the batches that this project makes of the rows; logits of all tokens or at labels only."""

    def train(model: Any, rows: Sequence[Row]) -> float:
        import torch

        steps = rows_of_steps([len(row["input_ids"]) for row in rows], recipe(batch), 0)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimiser = torch.optim.AdamW(weights, lr=2e-3, weight_decay=0.0, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, len(steps))
        summed = LabelLoss(model) if label_logits else plain_loss
        model.train()
        started = now()
        for step in steps:
            plan = micro_batches(step, hardware.micro_batch_size, 1)
            batches = [collate([rows[index] for index in part], 1) for part in plan]
            count = sum(int((inputs["labels"] >= 0).sum()) for inputs in batches)
            for inputs in batches:
                with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    loss = summed(model, inputs)[0]
                (loss / count).backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
        return now() - started

    return train


def plain_loss(model: Any, inputs: dict[str, Any]) -> tuple[Any]:
    import torch

    logits = model(input_ids=inputs["input_ids"], use_cache=False).logits[:, :-1].flatten(0, 1).float()
    return (torch.nn.functional.cross_entropy(logits, inputs["labels"][:, 1:].flatten(), reduction="sum"),)


def contenders(tokenizer: Any, precision: str, batch: int, limit: int, settings: bool) -> dict[str, Contender]:
    """The first is what the others are compared with."""
    default = machine(precision)
    found = {
        "SFTTrainer as it comes": studies(tokenizer, precision, batch, limit),
        "bare loop, all logits": bare_loop(precision, default, batch, label_logits=False),
        "bare loop, label logits": bare_loop(precision, default, batch, label_logits=True),
        "med_lora": project(tokenizer, default, batch),
    }
    if settings:
        for rows in sorted({1, 2, 4, 8} - {default.micro_batch_size}):
            changed = machine(precision, micro_batch_size=rows)
            found[f"med_lora, micro-batch of {rows}"] = project(tokenizer, changed, batch)
        found["med_lora, shuffled"] = project(tokenizer, default, batch, batches="random")
        found["med_lora, packed"] = project(tokenizer, machine(precision, packing=True, micro_batch_size=batch), batch)
    return found


def compare(model: Any, rows: Sequence[Row], found: dict[str, Contender], rounds: int) -> None:
    """Interleaved rounds from the same weights; one line a contender."""
    seconds: dict[str, list[float]] = {name: [] for name in found}
    losses: dict[str, float] = {}
    train, held_out = rows[HELD_OUT:], rows[:HELD_OUT]
    losses["untrained"] = mean_loss(model, held_out, 1, 8)
    for _ in range(rounds):
        for name, contender in found.items():
            trained = copy.deepcopy(model)
            seconds[name].append(contender(trained, train))
            if name not in losses:
                losses[name] = mean_loss(trained, held_out, 1, 8)
    tokens = sum(len(row["input_ids"]) for row in train)
    reference = seconds[next(iter(found))]
    for name, taken in seconds.items():
        ratios = [slow / fast for slow, fast in zip(reference, taken, strict=True)]
        sys.stdout.write(
            f"  {name}: {tokens / statistics.median(taken):.0f} useful tokens/s, {statistics.median(ratios):.2f} times "
            f"({min(ratios):.2f} to {max(ratios):.2f}, n = {rounds}), held-out loss {losses[name]:.4f}\n"
        )
    ours = seconds["med_lora"]
    for name in ("bare loop, all logits", "bare loop, label logits"):
        against = [bare / own for bare, own in zip(seconds[name], ours, strict=True)]
        sys.stdout.write(
            f"  med_lora against {name}: {statistics.median(against):.2f} ({min(against):.2f} to {max(against):.2f})\n"
        )
    sys.stdout.write(f"  untrained: held-out loss {losses['untrained']:.4f}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--corpus", nargs="+", choices=CORPORA, default=list(CORPORA))
    parser.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32", "bf16"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=64, help="training rows")
    parser.add_argument("--batch", type=int, default=4, help="rows in an optimiser step, a multiple of four")
    parser.add_argument("--settings", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    raw = os.environ.get("MED_LORA_RAW")
    count = options.rows + HELD_OUT
    tokenizer, rows = real_rows(raw, count) if raw else made_up_rows(count)
    kind = "pairs of the corpora" if raw else "random tokens with the corpora's lengths (MED_LORA_RAW is not set)"
    sys.stdout.write(f"{kind}; {torch.get_num_threads()} of {os.cpu_count()} cores, torch {torch.__version__}\n")
    for size, corpus, precision in itertools.product(options.size, options.corpus, options.precision):
        model = make_model(size)
        weights = sum(weight.numel() for weight in model.parameters()) / 1e6
        tokens = sum(len(row["input_ids"]) for row in rows[corpus][HELD_OUT:])
        sys.stdout.write(
            f"{size} ({weights:.1f} M weights), {corpus}, {precision}: {options.rows} rows, {tokens} tokens, steps of "
            f"{options.batch} rows\n"
        )
        found = contenders(tokenizer, precision, options.batch, CORPORA[corpus][1], options.settings)
        compare(model, rows[corpus], found, options.rounds)


if __name__ == "__main__":
    main()
