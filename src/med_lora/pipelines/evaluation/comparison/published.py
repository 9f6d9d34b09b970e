"""The figures that publications would have given for the same answers, beside the sound ones, and what is wrong."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from med_lora.pipelines.evaluation.losses.batches import BATCH, MEAN_OF_BATCHES, PADDING_COUNTED

COLUMNS = ["quantity", "variant", "n", "excluded", "base", "tuned", "value", "sound", "note"]
# variant of a perplexity: what is wrong with it
PERPLEXITIES = {
    "padding and prompt counted": f"Every position of right-padded batches of {BATCH} counts, so that the figure "
    "follows the length of the prompts and the share of padding, neither of which the model has to know.",
    "mean of batch losses": f"Every batch of {BATCH} answers counts alike, so that tokens of short answers weigh more "
    "and the figure changes with the batches.",
    "mean of batch perplexities": f"Exponentials of the losses of batches of {BATCH} are averaged, which the worst "
    "batches rule and which never lies below the exponential of their mean.",
}
# variant of a comparison, its column, and what is wrong with it
COMPARED = (
    (
        "Mann-Whitney U",
        "mann_whitney_p",
        "The test takes the two answers to a question for unrelated ones, so that differences between questions hide "
        "those between the models.",
    ),
    (
        "uncorrected p",
        "p_value",
        "It is one of {tests} tests on the same pairs, and among so many a small p-value comes up by chance more often "
        "than it says.",
    ),
    (
        "mean of ratios",
        "mean_of_ratios",
        "The improvements of single pairs are averaged, which pairs with a base score near 0 rule without limit.",
    ),
)
NO_RATIO = "It has no value where the base model scores 0 on some pair, which studies mend with constants of their own."


def list_published(
    comparison: pd.DataFrame, base_batch_losses: pd.DataFrame, tuned_batch_losses: pd.DataFrame
) -> pd.DataFrame:
    """Discrepancies between the usual ways to compute a figure and the ways of this project, on the same run.

    Args:
        comparison: of the arms; mann_whitney_p, p_value and mean_of_ratios of the tested text metrics are shown.
        base_batch_losses: sums over batches (columns variant, batch, tokens, nll); ``tuned_batch_losses`` likewise.

    Returns:
        Columns quantity (metric), variant (how it was computed), n and excluded (pairs), base and tuned (the arms'
        figures), value (of a variant that compares them: the p-value, or the improvement as a fraction; else NaN),
        sound (this project's figure, in words) and note (what is wrong with the variant, one sentence).
    """
    rows = _list_perplexities(comparison, base_batch_losses, tuned_batch_losses)
    compared = comparison[~comparison["family"].isin(["loss", "flag"])]
    tests = int(comparison["p_value"].notna().sum())
    for row in compared.to_dict("records"):
        rows += _list_tests({str(key): value for key, value in row.items()}, tests)
    pairs = comparison.set_index("metric")[["n", "excluded"]]
    return pd.DataFrame(rows).join(pairs, on="quantity")[COLUMNS]


def _list_perplexities(
    comparison: pd.DataFrame, base_batch_losses: pd.DataFrame, tuned_batch_losses: pd.DataFrame
) -> list[dict[str, Any]]:
    sound = comparison.set_index("metric").loc["perplexity"].to_dict()
    words = "none: fewer than two groups"
    if not math.isnan(sound["base"]):
        words = f"{sound['base']:.4g} to {sound['tuned']:.4g}: exp of all nats divided by all answer tokens"
    of_arm = {"base": _perplexities(base_batch_losses), "tuned": _perplexities(tuned_batch_losses)}
    return [
        {
            "quantity": "perplexity",
            "variant": variant,
            "base": of_arm["base"][variant],
            "tuned": of_arm["tuned"][variant],
            "value": math.nan,
            "sound": words,
            "note": note,
        }
        for variant, note in PERPLEXITIES.items()
    ]


def _perplexities(batch_losses: pd.DataFrame) -> dict[str, float]:
    """Perplexity by each variant; infinite beyond the range of floats."""
    batches, padded = (
        batch_losses[batch_losses["variant"] == variant] for variant in (MEAN_OF_BATCHES, PADDING_COUNTED)
    )
    means = (batches["nll"] / batches["tokens"]).to_numpy(dtype=np.float64)
    with np.errstate(over="ignore"):
        return {
            "padding and prompt counted": float(np.exp(padded["nll"].sum() / padded["tokens"].sum())),
            "mean of batch losses": float(np.exp(means.mean())),
            "mean of batch perplexities": float(np.exp(means).mean()),
        }


def _list_tests(row: dict[str, Any], tests: int) -> list[dict[str, Any]]:
    """The variants of one metric that is tested; none for what is not."""
    if math.isnan(row["p_value"]):
        return []
    corrected = f"p = {row['p_holm']:.3g}: signed-rank test on groups, corrected by Holm over {tests} tests"
    shared = {"quantity": row["metric"], "base": row["base"], "tuned": row["tuned"]}
    return [
        shared
        | {
            "variant": variant,
            "value": row[column],
            "sound": _tell_ratio(row) if column == "mean_of_ratios" else corrected,
            "note": NO_RATIO if column == "mean_of_ratios" and math.isnan(row[column]) else note.format(tests=tests),
        }
        for variant, column, note in COMPARED
    ]


def _tell_ratio(row: dict[str, Any]) -> str:
    if math.isnan(row["ratio"]):
        return "none: the mean of the base model is 0"
    interval = "" if math.isnan(row["ratio_low"]) else f" [{row['ratio_low']:+.1%}, {row['ratio_high']:+.1%}]"
    return f"{row['ratio']:+.1%}{interval}: ratio of the means"
