"""The comparison of the arms: intervals, tests, and what the null controls reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.metrics.definition import Metric, read_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.contrasts import (
    GOLD,
    ROUNDING,
    TUNING,
    Contrast,
    Measured,
    judged,
    metric_columns,
    remark_on_numbers,
    run_tests,
    state,
    state_arms,
    state_gold,
    state_power,
    state_ratio,
)
from med_lora.pipelines.evaluation.scores.scoring import check_ids
from med_lora.statistics.paired import holm
from med_lora.statistics.resampling import Column, Resamples, resample

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
ALL_PAIRS_FAMILIES = ("loss", "flag")  # about references, or about what excludes a pair: no pair is left out
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class Scope(NamedTuple):
    """One metric on the pairs that count, and on all pairs that it scores."""

    kept: Measured
    whole: Measured


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
    contrast = TUNING
    items = _gather_items(scores, dict(zip(contrast, (base_losses, tuned_losses), strict=True)))
    groups = scores.groupby("id")["group"].first()
    named = read_metrics(metrics)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite perplexities, no reference judged: notes say so
        scopes = _measure(named, contrast, items, groups, evaluation)
        controls = _compare_controls(scopes, contrast, evaluation.confidence)
        rivals = dict(list(controls.groupby("metric")))
        rows = [_compare(scope, rivals.get(scope.kept.metric.name), len(items), evaluation) for scope in scopes]
    comparison = pd.DataFrame(rows, columns=COLUMNS)
    comparison["p_holm"] = holm(list(comparison["p_value"]))
    return comparison, controls


def _gather_items(scores: pd.DataFrame, losses: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a pair, one column an (arm, quantity): its scores, and nll, tokens and answer_bytes of its losses.

    Where only some references have a score, the others count as 0 of it and of a column that says so.
    """
    items = scores.pivot(index="id", columns=["arm", "metric"], values="score")
    for name in [str(name[1]) for name in items.columns if name[0] == GOLD and items[name].isna().any()]:
        items[judged(name)] = items[GOLD, name].notna().astype("float64")
        items[GOLD, name] = items[GOLD, name].fillna(0.0)
    parts = [items]
    for arm, table in losses.items():
        check_ids(table, items.index.to_series(), f"{arm}_losses")
        part = table.set_index("id")[["nll", "tokens", "answer_bytes"]]
        parts.append(part.set_axis(pd.MultiIndex.from_product([[arm], part.columns]), axis=1))
    return pd.concat(parts, axis=1).sort_index()


def _measure(
    metrics: list[Metric], contrast: Contrast, items: pd.DataFrame, groups: pd.Series, evaluation: EvaluationParams
) -> list[Scope]:
    """Every metric on its pairs; metrics on the same pairs share their resamples."""
    values = _split_columns(items)
    arms = sorted({arm for arm, _ in values})
    complete = np.all([values[arm, flag] == 0 for arm in contrast for flag in evaluation.exclude], axis=0)
    masks: list[tuple[Mask, Mask]] = []
    wanted: dict[bytes, set[Column]] = {}
    for metric in metrics:
        scored = _find_scored(metric, contrast, values, len(items))
        masks.append((scored if metric.family in ALL_PAIRS_FAMILIES else scored & complete, scored))
        columns = {column for arm in arms for column in metric_columns(metric.name, arm)} | {judged(metric.name)}
        for mask in masks[-1]:
            wanted.setdefault(mask.tobytes(), set()).update(columns & set(values))
    parts = {key: _resample_part(items, np.frombuffer(key, bool), wanted[key], groups, evaluation) for key in wanted}
    return [
        Scope(*(Measured(metric, contrast, *parts[mask.tobytes()]) for mask in pair))
        for metric, pair in zip(metrics, masks, strict=True)
    ]


def _resample_part(
    items: pd.DataFrame, mask: Mask, columns: set[Column], groups: pd.Series, evaluation: EvaluationParams
) -> tuple[dict[Column, Floats], npt.NDArray[np.int64], Resamples]:
    """Some columns of some pairs, the numbers of their groups, and their resamples."""
    part = items.loc[mask, sorted(columns)]
    over = resample(part, groups, evaluation.bootstrap_samples, evaluation.seed)
    members = pd.factorize(groups.loc[part.index].to_numpy())[0]
    return _split_columns(part), members, over


def _split_columns(items: pd.DataFrame) -> dict[Column, Floats]:
    """Every column by its arm and quantity."""
    names: list[Column] = [(str(name[0]), str(name[1])) for name in items.columns]
    return dict(zip(names, items.to_numpy(dtype=np.float64).T, strict=True))


def _find_scored(metric: Metric, contrast: Contrast, values: Mapping[Column, Floats], pairs: int) -> Mask:
    """The pairs where both arms have a score."""
    columns = [column for arm in contrast for column in metric_columns(metric.name, arm)]
    if metric.missing or not set(columns) <= set(values):
        return np.zeros(pairs, dtype=bool)
    scored: Mask = np.all([~np.isnan(values[column]) for column in columns], axis=0)
    return scored


def _compare(scope: Scope, rivals: pd.DataFrame | None, pairs: int, evaluation: EvaluationParams) -> dict[str, Any]:
    """One row of the comparison; the correction of the p-value waits for all rows."""
    kept, whole = scope
    described: dict[str, Any] = {
        **{key: value for key, value in asdict(kept.metric).items() if key not in ("name", "tested")},
        "metric": kept.metric.name,
        "n": kept.over.n,
        "groups": kept.over.groups,
        "excluded": whole.over.n - kept.over.n,
    }
    if not whole.over.n:
        return described | {"note": "" if kept.metric.missing else "no pair has a score of both arms"}
    over_all = state_arms(whole, evaluation.confidence)
    numbers = {
        **state_arms(kept, evaluation.confidence),
        **{f"{name}_all": over_all[name] for name in ("base", "tuned", "difference")},
        **{f"difference_all_{end}": over_all[f"difference_{end}"] for end in ("low", "high")},
        **state_gold(kept, evaluation.confidence),
        **state_ratio(kept, evaluation.confidence),
        **run_tests(kept),
        **state_power(kept, evaluation),
    }
    remarks = [*_remark_on_pairs(scope, pairs), *remark_on_numbers(kept, numbers, evaluation)]
    return described | numbers | _state_controls(scope, rivals) | {"note": "; ".join(remarks)}


def _compare_controls(scopes: Iterable[Scope], contrast: Contrast, confidence: float) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for scope in scopes:
        if not scope.whole.over.n:
            continue
        name = scope.kept.metric.name
        arms = sorted(arm for arm, metric in scope.kept.over.columns if metric == name)
        for arm in arms:
            if arm in contrast or arm == GOLD:
                continue
            row: dict[str, Any] = {"arm": arm, "metric": name, "n": scope.kept.over.n}
            for measured, suffix in ((scope.kept, ""), (scope.whole, "_all")):
                control = measured.estimate(arm)
                ahead = measured.estimate(contrast.arm) - control
                row |= state(f"mean{suffix}", control, confidence)
                row |= state(f"tuned_difference{suffix}", ahead, confidence)
            rows.append(row | {"family": scope.kept.metric.family, "excluded": scope.whole.over.n - scope.kept.over.n})
    controls = pd.DataFrame(rows).rename(columns={"mean_low": "low", "mean_high": "high"})
    return controls.reindex(columns=CONTROL_COLUMNS).sort_values(["arm", "metric"], ignore_index=True)


def _remark_on_pairs(scope: Scope, pairs: int) -> list[str]:
    """How many pairs a metric scores where it does not score all, and why there is no interval."""
    kept, whole = scope.kept.over, scope.whole.over
    remarks = [f"{whole.n} of {pairs} pairs have a score"] if whole.n < pairs else []
    if whole.n == 1:
        remarks.append("there is one pair, and an interval needs two groups")
    elif whole.groups < 2:
        remarks.append(f"all {whole.n} pairs are of one group, and an interval needs two groups")
    elif kept.groups < 2:
        group = ", all of one group," if kept.n > 1 else ""
        remarks.append(f"only {kept.n} of {whole.n} pairs{group} are left by evaluation.exclude")
    return remarks


def _state_controls(scope: Scope, rivals: pd.DataFrame | None) -> dict[str, Any]:
    """The best control and those that the tuned arm does not beat: over all pairs where too few are left."""
    kept, whole = scope.kept.over, scope.whole.over
    if rivals is None or scope.kept.metric.better != "higher" or whole.groups < 2:
        return {}
    suffix = "_all" if kept.groups < 2 else ""
    rivals = rivals[rivals[f"mean{suffix}"].notna()]
    if rivals.empty:
        return {}
    best = rivals.sort_values([f"mean{suffix}", "arm"], ascending=[False, True]).iloc[0]
    low, high = (f"mean_all_{end}" if suffix else end for end in ("low", "high"))
    return {
        "best_control": best["arm"],
        "best_control_mean": best[f"mean{suffix}"],
        "best_control_low": best[low],
        "best_control_high": best[high],
        "unbeaten_controls": ", ".join(rivals["arm"][rivals[f"tuned_difference{suffix}_low"] <= ROUNDING]),
    }
