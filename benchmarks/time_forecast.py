"""The forecast of training time against training on this CPU, for the table of docs/memory.md.

    OMP_NUM_THREADS=1 python benchmarks/time_forecast.py [--case NAME ...] [--rounds 3]

Each case is forecast and trained in every round, cases interleaved, so that other work on the machine meets each alike.
Rows are random tokens with the lengths of two corpora; models are random Llamas with LoRA of rank 16 on all linear
layers, validated twice. With OMP_NUM_THREADS=1 both are counted in
seconds of the processor, which other work on the machine changes less than those of the wall.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from training_rows import machine, made_up_rows, recipe

from med_lora.datasets.base_model import BaseModel
from med_lora.engine import Row, fit, monitor, time_forecast
from med_lora.models.adapters import attach_adapter
from med_lora.models.loading import load_model
from med_lora.parameters import HardwareParams, LoraParams, ModelParams, TrainingParams

SIZES = {  # vocabulary, width, layers, feed-forward
    "1 M": (4096, 128, 3, 384),
    "4 M": (4096, 192, 6, 576),
    "11 M": (16384, 256, 8, 704),
    "34 M": (16384, 512, 8, 1408),
}
HELD_OUT = 16
now = time.process_time if os.environ.get("OMP_NUM_THREADS") == "1" else time.perf_counter


@dataclass(frozen=True)
class Case:
    size: str
    lengths: str
    rows: int
    checkpointing: bool = False
    packing: bool = False
    quantisation: str = "none"

    @property
    def name(self) -> str:
        told = [self.size, self.lengths, "packed" if self.packing else "padded"]
        told += ["checkpointing"] if self.checkpointing else []
        told += [self.quantisation] if self.quantisation != "none" else []
        return ", ".join(told)


CASES = [
    Case("1 M", "genmedgpt", 240),
    Case("4 M", "genmedgpt", 160),
    Case("4 M", "genmedgpt", 160, checkpointing=True),
    Case("4 M", "genmedgpt", 160, packing=True),
    Case("4 M", "genmedgpt", 160, quantisation="nf4"),
    Case("4 M", "wikidoc", 32),
    Case("11 M", "wikidoc", 32),
    Case("34 M", "genmedgpt", 32),
]


def make_config(size: str) -> Any:
    from transformers import LlamaConfig

    vocabulary, width, layers, feed_forward = SIZES[size]
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        intermediate_size=feed_forward,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )


def make_rows(case: Case, found: dict[str, list[Row]]) -> list[Row]:
    """Training rows and then those held out, with tokens of the size's vocabulary."""
    vocabulary, count = SIZES[case.size][0], case.rows + HELD_OUT
    return [
        Row(
            input_ids=[token % vocabulary for token in row["input_ids"]],
            labels=[min(label, label % vocabulary) for label in row["labels"]],
        )
        for row in found[case.lengths][:count]
    ]


def settings() -> TrainingParams:
    lora = LoraParams(
        r=16,
        alpha=32,
        dropout=0.0,
        target_modules="all-linear",
        use_rslora=False,
        use_dora=False,
        initialisation="default",
    )
    return TrainingParams(
        method="lora",
        loss_on="answer",
        max_length=1024,
        overlong="truncate",
        epoch_answers=0,
        lora=lora,
        optimisation=recipe(16, evaluations=1),
    )


def make_model(case: Case, training: TrainingParams, hardware: HardwareParams) -> Any:
    from transformers import LlamaForCausalLM

    model: Any = LlamaForCausalLM(make_config(case.size))
    if case.quantisation != "none":
        with TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            model = load_model(BaseModel(folder, None, "0"), quantised(case), hardware, purpose="training")
    return attach_adapter(model, training.lora)


def quantised(case: Case) -> ModelParams:
    return ModelParams(id="benchmark", revision=None, quantisation=case.quantisation)  # type: ignore[arg-type]


def run(case: Case, tokenizer: Any, rows: Sequence[Row]) -> tuple[float, float, float]:
    """Forecast, seconds that training took, and seconds that the forecast took."""
    training, train, held_out = settings(), rows[HELD_OUT:], rows[:HELD_OUT]
    hardware = machine("fp32", packing=case.packing, gradient_checkpointing=case.checkpointing)
    began = now()
    given = (make_config(case.size), quantised(case), training, hardware, train, held_out)
    expected = time_forecast.forecast_time(*given, clock=now)
    cost = now() - began
    assert expected is not None
    model = make_model(case, training, hardware)
    taken = fit(model, tokenizer, train, held_out, training.optimisation, hardware).seconds
    return expected.seconds, taken, cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs="+", choices=[case.name for case in CASES], default=[c.name for c in CASES])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    time_forecast.SHORT = 0.0  # type: ignore[misc]
    monitor.time = SimpleNamespace(perf_counter=now)  # type: ignore[assignment]  # the clock of what fit returns
    tokenizer, found = made_up_rows(max(case.rows for case in CASES) + HELD_OUT)
    cases = {case.name: (case, make_rows(case, found)) for case in CASES if case.name in options.case}
    sys.stdout.write(f"{torch.get_num_threads()} of {os.cpu_count()} cores, torch {torch.__version__}\n")
    warm = Case("1 M", "genmedgpt", 16)
    run(warm, tokenizer, make_rows(warm, found))  # whatever is imported once
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in cases}
    for _ in range(options.rounds):
        for name, (case, rows) in cases.items():
            results[name].append(run(case, tokenizer, rows))
            sys.stderr.write(f"{name}: {' '.join(f'{seconds:.2f}' for seconds in results[name][-1])}\n")
    report(results)


def report(results: dict[str, list[tuple[float, float, float]]]) -> None:
    """Markdown: medians, the error of each round, and that of all."""
    sys.stdout.write("| case | forecast, s | training, s | error | the forecast took, s |\n|---|---|---|---|---|\n")
    every = []
    for name, rounds in results.items():
        errors = sorted(forecast / taken - 1 for forecast, taken, _ in rounds)
        every += errors
        forecast, taken, cost = (statistics.median(column) for column in zip(*rounds, strict=True))
        spread = f"{statistics.median(errors):+.0%} ({errors[0]:+.0%} to {errors[-1]:+.0%})"
        sys.stdout.write(f"| {name} | {forecast:.1f} | {taken:.1f} | {spread} | {cost:.1f} |\n")
    sizes = sorted(abs(error) for error in every)
    sys.stdout.write(
        f"Size of the error: median {statistics.median(sizes):.0%}, at most {sizes[-1]:.0%}; errors from "
        f"{min(every):+.0%} to {max(every):+.0%}, n = {len(every)}\n"
    )


if __name__ == "__main__":
    main()
