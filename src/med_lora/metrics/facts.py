"""Metrics of the reference answers' losses, and of how an answer came about."""

from __future__ import annotations

from importlib.metadata import version

import pandas as pd

from med_lora.metrics.definition import Metric, lengthen


def loss_metrics() -> list[Metric]:
    """Metrics of the reference answers' losses: ratios of sums over pairs, not means of scores."""
    libraries = f"torch {version('torch')}|transformers {version('transformers')}"
    return [
        Metric(
            "perplexity", "loss", "lower", True, f"exp(sum of nll / sum of tokens)|answer tokens with EOS|{libraries}"
        ),
        Metric("cross_entropy", "loss", "lower", False, f"sum of nll / sum of tokens|nats|{libraries}"),
        Metric(
            "bits_per_byte",
            "loss",
            "lower",
            False,
            f"sum of nll / (ln 2 x sum of bytes)|UTF-8, answer with EOS|{libraries}",
        ),
    ]


def flag_metrics() -> list[Metric]:
    """How often an arm gave no complete answer to a whole question, over all pairs."""
    return [
        Metric(
            "answer_cut",
            "flag",
            "lower",
            False,
            "answers that reached evaluation.decoding.max_new_tokens / all answers",
        ),
        Metric("answer_empty", "flag", "lower", False, "answers without a visible character / all answers"),
        Metric(
            "prompt_truncated",
            "flag",
            "lower",
            False,
            "questions whose beginning did not fit the model's context / all questions",
        ),
    ]


def read_flags(answers: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Rows of ``SCORE_COLUMNS`` with each flag of :func:`flag_metrics`, 0 or 1, of an arm's table of answers."""
    flags = {
        "id": answers["id"],
        "answer_cut": (answers["finish_reason"] == "length").astype(float),
        "answer_empty": answers["empty"].astype(float),
        "prompt_truncated": answers["prompt_truncated"].astype(float),
    }
    return lengthen(pd.DataFrame(flags), arm)


def read_entropies(losses: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Rows of ``SCORE_COLUMNS`` with ``cross_entropy``, nats an answer token, of an arm's table of losses."""
    return lengthen(pd.DataFrame({"id": losses["id"], "cross_entropy": losses["nll"] / losses["tokens"]}), arm)
