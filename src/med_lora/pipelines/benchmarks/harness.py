"""The choices of one arm, by EleutherAI's lm-evaluation-harness, in memory and offline."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.session import ModelSession
from med_lora.prompts import context_length


def check_installed() -> None:
    """Refuse to go on without lm-evaluation-harness.

    Raises:
        InputError: if it is not installed.
    """
    if find_spec("lm_eval") is None:
        raise InputError(
            "The pipeline benchmarks needs lm-evaluation-harness, which is missing; run `pip install -e .[bench]`."
        )


def answer_benchmarks(
    session: ModelSession, benchmark_questions: pd.DataFrame, adapter: PretrainedFolder | None = None
) -> pd.DataFrame:
    """The choice with the highest log-likelihood behind each prompt (a space before it), all items of all benchmarks.

    It is the harness's task type ``multiple_choice``: log-probabilities of a choice's tokens are summed, not divided by
    its length (its metric ``acc``), and computed in fp32 from the model's logits. A prompt too long for the model's
    context loses its beginning. Random states of Python, numpy and torch are as before afterwards.

    Args:
        session: the base model.
        benchmark_questions: those of ``collect_questions``; rows with a fault are not asked.
        adapter: what the model answers with; None for the model itself.

    Returns:
        Columns benchmark, id, gold, choice, correct, margin (log-likelihood of gold less the highest of another choice,
        nats), prompt_truncated, signature.

    Raises:
        InputError: if the harness is not installed, or a log-likelihood is not finite.
    """
    check_installed()
    from med_lora.pipelines.benchmarks.asked_model import AskedModel

    asked = benchmark_questions[benchmark_questions["fault"] == ""].reset_index(drop=True)
    with session.arm(adapter) as model, _kept_randomness(model.device), _quiet():
        batch_size = session.hardware.inference_batch_size
        harness = AskedModel(model, session.tokenizer(), context_length(model), batch_size)
        likelihoods = _measure(harness, asked)
        truncated = _find_truncated(harness, asked)
    _check_finite(likelihoods, asked)
    chosen = [
        choices.split()[int(np.argmax(values))] for choices, values in zip(asked["choices"], likelihoods, strict=True)
    ]
    margins = [
        _margin(choices.split().index(gold), values)
        for choices, gold, values in zip(asked["choices"], asked["gold"], likelihoods, strict=True)
    ]
    return asked[["benchmark", "id", "gold"]].assign(
        choice=chosen,
        correct=np.array(chosen, dtype=object) == asked["gold"].to_numpy(dtype=object),
        margin=margins,
        prompt_truncated=truncated,
        signature=f"lm_eval {version('lm_eval')}, multiple_choice, acc, 0-shot, {session.dtype}",
    )


def _measure(harness: Any, asked: pd.DataFrame) -> list[list[float]]:
    """Log-likelihood of each choice of each row, in nats; ``limit`` is never set."""
    from lm_eval.evaluator import evaluate

    tasks = {str(name): _make_task(str(name), items) for name, items in asked.groupby("benchmark", sort=False)}
    samples = evaluate(harness, {"tasks": tasks}, bootstrap_iters=0)["samples"]
    likelihoods: list[list[float]] = [[]] * len(asked)
    for name, items in asked.groupby("benchmark", sort=False):
        for sample in samples[name]:
            likelihoods[items.index[sample["doc_id"]]] = [float(value) for value, _ in sample["filtered_resps"]]
    return likelihoods


def _make_task(name: str, items: pd.DataFrame) -> Any:
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    documents = [
        {"prompt": prompt, "choices": choices.split(), "gold": choices.split().index(gold)}
        for prompt, choices, gold in zip(items["prompt"], items["choices"], items["gold"], strict=True)
    ]
    return ConfigurableTask(
        config={
            "task": name,
            "custom_dataset": lambda: {"test": Dataset.from_list(documents)},
            "test_split": "test",
            "output_type": "multiple_choice",
            # a text without a field's name is taken for a template, which an item must never be
            "doc_to_text": lambda document: document["prompt"],
            "doc_to_choice": lambda document: document["choices"],
            "doc_to_target": lambda document: document["gold"],
            "num_fewshot": 0,
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        }
    )


def _find_truncated(harness: Any, asked: pd.DataFrame) -> list[bool]:
    """Whether prompt and choice together exceed the context; the last token is only predicted."""
    return [
        max(len(harness.tok_encode(f"{prompt} {choice}")) for choice in choices.split()) > harness.max_length + 1
        for prompt, choices in zip(asked["prompt"], asked["choices"], strict=True)
    ]


def _check_finite(likelihoods: Sequence[Sequence[float]], asked: pd.DataFrame) -> None:
    faulty = [row for row, values in enumerate(likelihoods) if not all(math.isfinite(value) for value in values)]
    if faulty:
        raise InputError(
            f"A log-likelihood of benchmark item {asked['id'].iat[faulty[0]]} is not finite ({len(faulty)} of "
            f"{len(asked)} items); check the model's weights, or take an environment of another precision."
        )


def _margin(gold: int, values: Sequence[float]) -> float:
    return values[gold] - max(value for place, value in enumerate(values) if place != gold)


@contextmanager
def _kept_randomness(device: Any) -> Iterator[None]:
    """Random states of Python, numpy, torch and ``device`` afterwards as before: libraries may seed them anew."""
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the harness's advice for its command line, and its line for every prompt that is cut."""
    log = logging.getLogger("lm_eval")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
