"""The comparison of arms: intervals, tests, and what the null controls reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from med_lora.arms import PASSAGE_CONTROLS
from med_lora.metrics.definition import Metric, read_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING, Contrast
from med_lora.pipelines.evaluation.comparison.items import find_controls, gather_items, measure
from med_lora.pipelines.evaluation.comparison.rows import compare_controls, compare_scope
from med_lora.statistics.paired import holm

CONTRAST_COLUMNS = [
    *("reference", "arm", "metric", "family", "n", "groups", "excluded"),
    *("reference_mean", "reference_low", "reference_high", "arm_mean", "arm_low", "arm_high"),
    *("difference", "difference_low", "difference_high", "p_value", "p_holm", "better", "rank_biserial"),
    *("ratio", "ratio_low", "ratio_high", "detectable", "pairs_needed", "mann_whitney_p", "mean_of_ratios"),
    *("gold", "gold_low", "gold_high"),
    *("best_control", "best_control_mean", "best_control_low", "best_control_high", "unbeaten_controls"),
    *("missing", "signature", "note"),
]
COLUMNS = [
    *("metric", "n", "groups", "excluded", "base", "base_low", "base_high", "tuned", "tuned_low", "tuned_high"),
    *("difference", "difference_low", "difference_high", "p_value", "p_holm", "better", "signature"),
    *("base_all", "tuned_all", "difference_all", "difference_all_low", "difference_all_high", "note"),
    *("family", "missing", "gold", "gold_low", "gold_high", "rank_biserial", "ratio", "ratio_low", "ratio_high"),
    *("detectable", "pairs_needed", "mann_whitney_p", "mean_of_ratios"),
    *("best_control", "best_control_mean", "best_control_low", "best_control_high", "unbeaten_controls"),
]
CONTROL_COLUMNS = [
    *("arm", "metric", "n", "mean", "low", "high"),
    *("tuned_difference", "tuned_difference_low", "tuned_difference_high", "mean_all", "mean_all_low", "mean_all_high"),
    *("tuned_difference_all", "tuned_difference_all_low", "tuned_difference_all_high", "family", "excluded"),
]
# Columns of these two whose names in a row fit any contrast.
_NAMES = {
    f"{name}{end}": f"{part}{end or '_mean'}"
    for part, name in zip(TUNING._fields, TUNING, strict=True)
    for end in ("", "_low", "_high", "_all")
}
_CONTROL_NAMES = {"low": "mean_low", "high": "mean_high"} | {
    f"tuned_difference{end}": f"arm_difference{end}" for end in ("", "_low", "_high", "_all", "_all_low", "_all_high")
}


def compare_arms(
    scores: pd.DataFrame,
    metrics: pd.DataFrame,
    base_losses: pd.DataFrame,
    tuned_losses: pd.DataFrame,
    evaluation: EvaluationParams,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Base against tuned on the same pairs, one row a metric in the order of ``metrics``.

    A metric counts on the pairs where both arms have a score. All but losses and flags leave out the pairs with an
    answer that ``evaluation.exclude`` names (``n`` are left, the others are ``excluded``); the columns with ``_all``
    are over all pairs. Perplexity, cross-entropy and bits per byte are ratios of sums over pairs, all others are means.
    Pairs of one ``group`` of ``scores`` are not independent: all intervals are percentiles of a cluster bootstrap over
    groups (Field and Welsh 2007), with the same resamples for every arm and control, and p-values come from the
    signed-rank test on the mean difference of each group (for perplexity: of its nats a token), corrected by Holm over
    the tested metrics. Where fewer than two groups are left, values are NaN and ``note`` says why.

    Other arms change no number of these two: footing in passages, which neither was given, has no row here, and copies
    of passages are no rivals.

    Returns:
        comparison: metric, n, groups (that the n pairs come in), excluded, base, base_low, base_high, tuned, tuned_low,
            tuned_high, difference (tuned - base), difference_low, difference_high, p_value, p_holm (NaN where nothing
            is tested), better ("lower", "higher" or "neither"), signature, base_all, tuned_all, difference_all,
            difference_all_low, difference_all_high, note, family, missing (why the metric could not be had: then n is 0
            and every value NaN), gold, gold_low, gold_high (the references scored as answers), rank_biserial (of the
            groups' differences), ratio, ratio_low, ratio_high (tuned / base - 1), detectable (smallest difference found
            with the chance ``evaluation.power`` in so many groups, in the metric's unit), pairs_needed (groups that the
            observed difference needs), mann_whitney_p and mean_of_ratios (unpaired test, uncorrected, and mean of the
            pairs' ratios less 1, both as published studies have them), best_control with its mean and interval, and
            unbeaten_controls (whose difference to the tuned arm may be 0; all pairs count where too few are kept).
        controls: arm, metric, n, mean, low, high, tuned_difference (tuned - control), tuned_difference_low,
            tuned_difference_high, and over all pairs mean_all, mean_all_low, mean_all_high, tuned_difference_all,
            tuned_difference_all_low, tuned_difference_all_high; family, excluded (pairs). NaN for a control without a
            score on some pair.

    Raises:
        InputError: if losses are not about the pairs of ``scores``.
    """
    scores = scores[~scores["arm"].isin(PASSAGE_CONTROLS)]
    items = gather_items(scores, dict(zip(TUNING, (base_losses, tuned_losses), strict=True)))
    named = [metric for metric in read_metrics(metrics) if metric.family != "grounding"]
    rows, controls = compare_items(items, named, [TUNING], groups_of(scores), evaluation)
    comparison = _tabulate(rows, COLUMNS, _NAMES)
    comparison["p_holm"] = holm(list(comparison["p_value"]))
    rivals = _tabulate(controls, CONTROL_COLUMNS, _CONTROL_NAMES)
    return comparison, rivals.sort_values(["arm", "metric"], ignore_index=True)


def _tabulate(rows: Sequence[dict[str, Any]], columns: Sequence[str], names: Mapping[str, str]) -> pd.DataFrame:
    """The rows as a table with these columns, some of which have another name in the rows."""
    return pd.DataFrame(rows, columns=[names.get(column, column) for column in columns]).set_axis(list(columns), axis=1)


def compare(
    scores: pd.DataFrame,
    metrics: pd.DataFrame,
    contrasts: Sequence[Contrast],
    evaluation: EvaluationParams,
    losses: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """Every contrast by every metric, as :func:`compare_arms` does for one, with Holm's correction over all tests here.

    A row counts the pairs where both of its arms have a score. Pairs that ``evaluation.exclude`` names by an answer of
    either arm are left out, but of losses, flags and the ratings of a judge or of people: those were of the answers as
    they are. Rows of one arm in two contrasts may therefore be over different pairs. Arms that are neither a model nor
    of a contrast are null controls, whose length-matched ones have the length of the tuned arm's answers whatever the
    contrast.

    Args:
        scores: columns id, group, arm, metric, score; NaN, or no row, for what could not be scored.
        metrics: as :func:`~med_lora.metrics.definition.tabulate_metrics` gives them.
        contrasts: pairs of arms; one whose arms have no score keeps its rows, without numbers.
        evaluation: exclusions, confidence, resamples, power and seed.
        losses: columns id, nll, tokens, answer_bytes, by arm; without them, metrics of losses have no number.

    Returns:
        One row a contrast and metric, in their order: reference and arm (names), metric, family, n, groups, excluded,
        reference_mean and arm_mean with bounds, difference (arm - reference) with bounds, p_value, p_holm, better,
        rank_biserial, ratio (arm / reference - 1) with bounds, detectable, pairs_needed, mann_whitney_p,
        mean_of_ratios, gold with bounds, best_control with its mean and bounds and unbeaten_controls (both against
        ``arm``), missing, signature, note.

    Raises:
        InputError: if losses are not about the pairs of ``scores``.
    """
    items = gather_items(scores, losses or {})
    rows, _ = compare_items(items, read_metrics(metrics), contrasts, groups_of(scores), evaluation)
    return tabulate_contrasts(rows)


def compare_items(
    items: pd.DataFrame,
    metrics: Sequence[Metric],
    contrasts: Sequence[Contrast],
    groups: pd.Series,
    evaluation: EvaluationParams,
    ratios: bool = True,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of every contrast and metric, before the correction for several tests, and of the controls beside them.

    Without ``ratios`` the notes do not say why a relative change or a mean of ratios is missing, for tables that have
    neither.
    """
    known = find_controls(items, contrasts)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite perplexities, no reference judged: notes say so
        scopes = measure(metrics, contrasts, items, groups, evaluation)
        rivals = [compare_controls(scope, known, evaluation.confidence) for scope in scopes]
        rows = [compare_scope(*found, len(items), evaluation, ratios) for found in zip(scopes, rivals, strict=True)]
    return rows, [row for of_scope in rivals for row in of_scope]


def tabulate_contrasts(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows of contrasts as a table, with Holm's correction over all their tests."""
    compared = pd.DataFrame(rows, columns=CONTRAST_COLUMNS)
    compared["p_holm"] = holm(list(compared["p_value"]))
    return compared


def groups_of(scores: pd.DataFrame) -> pd.Series:
    """The group of every pair, by its id."""
    return scores.groupby("id")["group"].first()
