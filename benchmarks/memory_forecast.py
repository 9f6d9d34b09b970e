"""The memory forecast against what training takes on this CPU, and the table of docs/memory.md.

    python benchmarks/memory_forecast.py measure [--size 4m 30m 100m] [--tokens 128 512]
    python benchmarks/memory_forecast.py table

``measure`` trains each case in processes of its own: once under torch's profiler, whose record of every allocation
gives the peak that is compared with the forecast (without ``runtime``), and once without it for the growth of the
largest resident set, to which glibc's allocator adds what it keeps. ``table`` asks the hub nothing: the shapes of the
published models stand below as numbers.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import resource
import subprocess
import sys
import warnings
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

from training_rows import machine, make_tokenizer, recipe

from med_lora.engine import Row, fit
from med_lora.engine.memory import GIB, forecast
from med_lora.models.adapters import attach_adapter
from med_lora.parameters import HardwareParams, LoraParams, ModelParams, TrainingParams

SIZES = {"4m": (4096, 256, 4, 704), "30m": (8192, 512, 8, 1408), "100m": (16384, 768, 12, 2048)}
ROWS = 4
MIB = 2**20
# Vocabulary, width, layers, heads, key-value heads, feed-forward, as the publishers' configurations have them.
SHAPES = {
    "Llama-2-7B": ("llama", 32000, 4096, 32, 32, 32, 11008),
    "Mistral-7B": ("mistral", 32000, 4096, 32, 32, 8, 14336),
    "Llama-3-8B": ("llama", 128256, 4096, 32, 32, 8, 14336),
    "Gemma-1.1-7B": ("gemma", 256000, 3072, 28, 16, 16, 24576),
    "Llama-2-13B": ("llama", 32000, 5120, 40, 40, 40, 13824),
    "Qwen3-1.7B": ("qwen3", 151936, 2048, 28, 16, 8, 6144),
}
DISTILGPT2 = {"vocab_size": 50257, "n_embd": 768, "n_head": 12}
GPT2_LAYERS = {"DistilGPT2": 6, "GPT-2": 12}
# GiB that a process may use. fp16 and bf16 take the same.
CARDS = {
    "V100 16 GB": 15.5,
    "V100 32 GB": 31.5,
    "A100 40 GB": 39.0,
    "RTX 8000 48 GB": 47.0,
    "A100 80 GB": 79.0,
    "H100 80 GB": 79.0,
}
LARGEST = 16  # rows in an optimiser step of the study


def settings(tokens: int, rows: int) -> TrainingParams:
    """Study B's adapter: rank 16 on attention and feed-forward."""
    lora = LoraParams(
        r=16,
        alpha=16,
        dropout=0.25 if rows == LARGEST else 0.0,
        target_modules="attention-mlp",
        use_rslora=False,
        use_dora=False,
        initialisation="default",
    )
    return TrainingParams(
        method="lora",
        loss_on="all",
        max_length=tokens,
        overlong="truncate",
        epoch_answers=0,
        lora=lora,
        optimisation=recipe(rows),
    )


def quantised(name: str) -> ModelParams:
    return ModelParams(id="benchmark", revision=None, quantisation=name)  # type: ignore[arg-type]


def case_hardware(checkpointing: bool, precision: str) -> HardwareParams:
    return machine(precision, micro_batch_size=ROWS, inference_batch_size=ROWS, gradient_checkpointing=checkpointing)


def small_llama(size: str, tokens: int) -> Any:
    from transformers import LlamaConfig

    vocabulary, width, layers, feed_forward = SIZES[size]
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        intermediate_size=feed_forward,
        max_position_embeddings=max(512, tokens),
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
    )


def train_once(size: str, tokens: int, checkpointing: bool, precision: str) -> None:
    """Three steps of full rows, validated before and after."""
    from transformers import LlamaForCausalLM

    model = attach_adapter(LlamaForCausalLM(small_llama(size, tokens)), settings(tokens, ROWS).lora)
    rows = [Row(input_ids=[2 + row] * tokens, labels=[2 + row] * tokens) for row in range(3 * ROWS)]
    fit(model, make_tokenizer([""]), rows, rows[:ROWS], recipe(ROWS), case_hardware(checkpointing, precision))


def child(size: str, tokens: int, checkpointing: bool, precision: str, profiled: bool) -> None:
    """One case; prints the bytes measured."""
    from torch.profiler import ProfilerActivity, profile

    train_once("4m", 8, checkpointing, precision)  # whatever is imported or cached once
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if not profiled:
        train_once(size, tokens, checkpointing, precision)
        measured = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    else:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
            train_once(size, tokens, checkpointing, precision)
        events = record.profiler.kineto_results.events()  # type: ignore[union-attr]
        changes = [
            event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()) if event.name() == "[memory]"
        ]
        measured = max(itertools.accumulate(changes))
    sys.stdout.write(f"\n{json.dumps(measured)}\n")


def run_child(size: str, tokens: int, checkpointing: bool, precision: str, profiled: bool, **variables: str) -> int:
    arguments = [size, str(tokens), str(int(checkpointing)), precision, str(int(profiled))]
    command = [sys.executable, "-W", "ignore", __file__, "child", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | variables)
    if result.returncode:
        sys.exit(result.stderr[-2000:])
    return int(result.stdout.splitlines()[-1])


def measure(sizes: list[str], lengths: list[int], precisions: list[str]) -> None:
    """One line a case: forecast, allocated, and resident, the last also with a fixed threshold of glibc."""
    errors = []
    for case in itertools.product(sizes, lengths, (False, True), precisions):
        size, tokens, checkpointing, precision = case
        allocated = run_child(*case, profiled=True)
        resident = run_child(*case, profiled=False)
        fixed = run_child(*case, profiled=False, MALLOC_MMAP_THRESHOLD_=str(MIB))
        expected = forecast(
            small_llama(size, tokens),
            quantised("none"),
            settings(tokens, ROWS),
            case_hardware(checkpointing, precision),
            tokens,
            validation_rows=ROWS,
        )
        predicted = expected.total - expected.runtime
        errors.append(predicted / allocated - 1)
        sys.stdout.write(
            f"{size}, {tokens} tokens, {precision}, checkpointing {'on' if checkpointing else 'off'}: forecast "
            f"{predicted / MIB:.0f} MiB, allocated {allocated / MIB:.0f} ({errors[-1]:+.1%}); resident "
            f"{resident / MIB:.0f}, with MALLOC_MMAP_THRESHOLD_ {fixed / MIB:.0f} ({predicted / fixed - 1:+.1%})\n"
        )
        sys.stdout.flush()
    sys.stdout.write(f"errors from {min(errors):+.1%} to {max(errors):+.1%}, n = {len(errors)}\n")


def published(name: str, layers: int) -> Any:
    """The published model's configuration, with so many layers."""
    from transformers import AutoConfig, GPT2Config

    if name in GPT2_LAYERS:
        return GPT2Config(**{**DISTILGPT2, "n_layer": layers})
    kind, vocabulary, width, _, heads, key_value_heads, feed_forward = SHAPES[name]
    return AutoConfig.for_model(
        kind,
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        intermediate_size=feed_forward,
        head_dim=256 if kind == "gemma" else width // heads,
        tie_word_embeddings=kind in ("gemma", "qwen3"),
    )


def layers_of(name: str) -> int:
    return GPT2_LAYERS.get(name) or SHAPES[name][3]


def grown(few: tuple[int, float], more: tuple[int, float], layers: int) -> float:
    """With checkpointing and a frozen base each further layer adds the same, so two small models tell a large one's."""
    return few[1] + (more[1] - few[1]) / (more[0] - few[0]) * (layers - few[0])


def forecast_card(name: str, quantisation: str, rows: int) -> float:
    """GiB of study B's settings on a GPU; DistilGPT2 has 1,024 positions."""
    tokens = 1024 if name == "DistilGPT2" else 2048
    hardware = machine("bf16", device="cuda", micro_batch_size=rows, gradient_checkpointing=True)
    few, more = (
        (
            count,
            forecast(
                published(name, count), quantised(quantisation), settings(tokens, LARGEST), hardware, tokens
            ).total,
        )
        for count in (2, 4)
    )
    return grown(few, more, layers_of(name)) / GIB


def table() -> None:
    """Markdown: GiB with one row at a time, GiB a further row, and the most rows that fit each card."""
    sys.stdout.write(f"| model | weights | 1 row | each further row | {' | '.join(CARDS)} |\n")
    sys.stdout.write(f"|---|---|---|---|{'---|' * len(CARDS)}\n")
    of_study_b = ["DistilGPT2", *(name for name in SHAPES if name != "Qwen3-1.7B")]
    for name, quantisation in itertools.product(of_study_b, ("nf4", "int8", "none")):
        one, four = (forecast_card(name, quantisation, rows) for rows in (1, 4))
        each = (four - one) / 3
        cells = []
        for memory in CARDS.values():
            fitting = [rows for rows in (1, 2, 4, 8, LARGEST) if one + (rows - 1) * each <= memory]
            cells.append(str(max(fitting)) if fitting else "no")
        kind = "16 bits" if quantisation == "none" else quantisation
        sys.stdout.write(f"| {name} | {kind} | {one:.1f} | {each:.2f} | {' | '.join(cells)} |\n")
        sys.stdout.flush()


def main() -> None:
    warnings.simplefilter("ignore")
    if sys.argv[1:2] == ["child"]:
        size, tokens, checkpointing, precision, profiled = sys.argv[2:]
        child(size, int(tokens), bool(int(checkpointing)), precision, bool(int(profiled)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    modes = parser.add_subparsers(dest="mode", required=True)
    of_measure = modes.add_parser("measure")
    of_measure.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    of_measure.add_argument("--tokens", nargs="+", type=int, default=[128, 512])
    of_measure.add_argument("--precision", nargs="+", choices=["fp32", "bf16"], default=["fp32"])
    modes.add_parser("table")
    options = parser.parse_args()
    if options.mode == "measure":
        measure(options.size, options.tokens, options.precision)
    else:
        table()


if __name__ == "__main__":
    main()
