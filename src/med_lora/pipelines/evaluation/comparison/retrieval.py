"""What passages change: each model with them and without, and whether they change as much for both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from med_lora.arms import ARMS, BARE_ARMS, RAG_ARMS
from med_lora.errors import InputError
from med_lora.metrics.definition import Metric, read_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare_items, groups_of, tabulate_contrasts
from med_lora.pipelines.evaluation.comparison.contrasts import (
    LOSS_RATIOS,
    RETRIEVAL,
    Contrast,
    remark_on_numbers,
    run_tests,
    state_means,
    state_power,
)
from med_lora.pipelines.evaluation.comparison.items import gather_items, measure
from med_lora.pipelines.evaluation.comparison.rows import describe_scope, remark_on_pairs

GAIN = Contrast("base_rag - base", "tuned_rag - tuned")  # what passages add to either model
FACTORS = "the means are the factors by which passages multiply the perplexity; their logarithms are tested"


def compare_retrieval(
    scores: pd.DataFrame, metrics: pd.DataFrame, evaluation: EvaluationParams, **losses: pd.DataFrame
) -> pd.DataFrame:
    """The contrasts of ``RETRIEVAL``, and ``GAIN``: whether passages help the tuned model as much as the base model.

    The contrasts are those of :func:`~med_lora.pipelines.evaluation.comparison.arms.compare`. The perplexity of an arm
    that was given passages is that of the same answer tokens after a prompt that holds them.

    The rows of ``GAIN`` are a difference of differences, of tested metrics only: the score with passages less the score
    without is taken of every pair, and the two models are compared by it, with the same intervals and test. Pairs with
    an excluded answer of any of the four arms are left out. Nothing there has a relative change, a control or a
    reference scored as an answer. A positive difference of a metric that is better higher says that passages help the
    tuned model more.

    Args:
        scores: of all four arms.
        metrics: of the scores.
        evaluation: exclusions, confidence, resamples, power and seed.
        losses: ``<arm>_losses`` of all four arms.

    Returns:
        The columns of ``compare``, with Holm's correction over all tests of the table.

    Raises:
        InputError: if losses are not about the pairs of ``scores``, or a model's losses with and without passages are
            not about the same tokens.
    """
    items = gather_items(scores, {arm: losses[f"{arm}_losses"] for arm in ARMS})
    _check_tokens(items)
    named, groups = read_metrics(metrics), groups_of(scores)
    rows, _ = compare_items(items, named, RETRIEVAL, groups, evaluation)
    cut = _remark_on_cut(items)
    for row in rows:
        if row["family"] == "loss" and row["n"]:
            remarks = [row["note"], *(cut[arm] for arm in (row["reference"], row["arm"]) if arm in cut)]
            row["note"] = "; ".join(filter(None, remarks))
    return tabulate_contrasts([*rows, *_compare_gains(items, named, groups, evaluation)])


def _check_tokens(items: pd.DataFrame) -> None:
    for arm, model in zip(RAG_ARMS, BARE_ARMS, strict=True):
        if any(not items[arm, count].equals(items[model, count]) for count in ("tokens", "answer_bytes")):
            raise InputError(
                f"{arm}_losses and {model}_losses are not about the same answer tokens; run the evaluation of both "
                "arms again."
            )


def _remark_on_cut(items: pd.DataFrame) -> dict[str, str]:
    """Of each arm some of whose prompts did not fit, how many."""
    flags = {arm: items[arm, "prompt_truncated"] for arm in ARMS if (arm, "prompt_truncated") in items}
    counts = {arm: int((flag > 0).sum()) for arm, flag in flags.items()}
    return {
        arm: f"{count} of {len(items)} prompts of {arm} did not fit the model's context beside an answer"
        for arm, count in counts.items()
        if count
    }


def _compare_gains(
    items: pd.DataFrame, metrics: Sequence[Metric], groups: pd.Series, evaluation: EvaluationParams
) -> Iterator[dict[str, Any]]:
    """Rows of ``GAIN``."""
    tested = [metric for metric in metrics if metric.tested]
    gains = _subtract(items, tested, evaluation.exclude)
    with np.errstate(over="ignore", invalid="ignore"):
        for scope in measure(tested, [GAIN], gains, groups, evaluation):
            kept, row = scope.kept, describe_scope(scope)
            if scope.whole.over.n:
                numbers = state_means(kept, evaluation.confidence) | state_power(kept, evaluation)
                remarks = remark_on_pairs(scope, len(items)) + remark_on_numbers(kept, numbers, evaluation)
                if kept.metric.name == "perplexity":
                    remarks.append(FACTORS)
                row |= numbers | {"p_value": run_tests(kept)["p_value"], "note": "; ".join(remarks)}
            yield row


def _subtract(items: pd.DataFrame, metrics: Sequence[Metric], exclude: Sequence[str]) -> pd.DataFrame:
    """With passages less without, by model as an arm of ``GAIN``; its flags are raised where one of the two is."""
    columns: dict[tuple[str, str], pd.Series] = {}
    for gain, arm, model in zip(GAIN, RAG_ARMS, BARE_ARMS, strict=True):
        differing = ["nll", *(metric.name for metric in metrics if metric.name not in LOSS_RATIOS)]
        for name in differing:
            if (arm, name) in items and (model, name) in items:
                columns[gain, name] = items[arm, name] - items[model, name]
        for name in ("tokens", "answer_bytes"):
            columns[gain, name] = items[model, name]
        for flag in exclude:
            columns[gain, flag] = items[[(arm, flag), (model, flag)]].max(axis=1)
    return pd.DataFrame(columns)
