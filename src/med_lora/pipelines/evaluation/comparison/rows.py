"""One metric in one contrast as a row: numbers, what the null controls reach beside it, and remarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.contrasts import (
    remark_on_numbers,
    remark_on_ratios,
    run_tests,
    state,
    state_gold,
    state_means,
    state_power,
    state_ratio,
)
from med_lora.pipelines.evaluation.comparison.items import Scope
from med_lora.statistics.resampling import ROUNDING


def describe_scope(scope: Scope) -> dict[str, Any]:
    """What a row is about: the arms, the metric, and how many pairs count."""
    kept, whole = scope
    return {
        **kept.contrast._asdict(),
        **{key: value for key, value in asdict(kept.metric).items() if key not in ("name", "tested")},
        "metric": kept.metric.name,
        "n": kept.over.n,
        "groups": kept.over.groups,
        "excluded": whole.over.n - kept.over.n,
        "note": "" if whole.over.n or kept.metric.missing else "no pair has a score of both arms",
    }


def compare_scope(
    scope: Scope, rivals: Sequence[dict[str, Any]], pairs: int, evaluation: EvaluationParams, ratios: bool
) -> dict[str, Any]:
    """One row; the correction of the p-value waits for all rows.

    Args:
        scope: the metric in the contrast.
        rivals: as :func:`compare_controls` gives them.
        pairs: of which the metric may score fewer.
        evaluation: confidence and power.
        ratios: whether the note says why ratios are missing.
    """
    kept, whole = scope
    described = describe_scope(scope)
    if not whole.over.n:
        return described
    over_all = state_means(whole, evaluation.confidence)
    numbers = {
        **state_means(kept, evaluation.confidence),
        **{f"{name}_all": over_all[f"{name}_mean"] for name in ("reference", "arm")},
        **{f"difference_all{end}": over_all[f"difference{end}"] for end in ("", "_low", "_high")},
        **state_gold(kept, evaluation.confidence),
        **state_ratio(kept, evaluation.confidence),
        **run_tests(kept),
        **state_power(kept, evaluation),
    }
    remarks = [
        *remark_on_pairs(scope, pairs),
        *remark_on_numbers(kept, numbers, evaluation),
        *(remark_on_ratios(kept, numbers) if ratios else []),
        *_remark_on_controls(scope, rivals),
    ]
    return described | numbers | _state_controls(scope, rivals) | {"note": "; ".join(remarks)}


def compare_controls(scope: Scope, controls: Sequence[str], confidence: float) -> list[dict[str, Any]]:
    """What each of these controls reaches that the metric scores, and how far the arm is ahead of it.

    Returns:
        For each, in the order given: arm (its name), metric, n, family, excluded; mean and arm_difference (arm -
        control) with bounds, and the same over all pairs with ``_all``.
    """
    metric = scope.kept.metric
    rows: list[dict[str, Any]] = []
    for name in controls if scope.whole.over.n else ():
        if (name, metric.name) not in scope.kept.over.columns:
            continue
        row: dict[str, Any] = {"arm": name, "metric": metric.name, "n": scope.kept.over.n}
        for measured, suffix in ((scope.kept, ""), (scope.whole, "_all")):
            control = measured.estimate(name)
            ahead = measured.estimate(measured.contrast.arm) - control
            row |= state(f"mean{suffix}", control, confidence)
            row |= state(f"arm_difference{suffix}", ahead, confidence)
        rows.append(row | {"family": metric.family, "excluded": scope.whole.over.n - scope.kept.over.n})
    return rows


def remark_on_pairs(scope: Scope, pairs: int) -> list[str]:
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


def _counts_all(scope: Scope) -> bool:
    """Whether controls are stated over all pairs, because too few are kept."""
    return scope.kept.over.groups < 2


def _remark_on_controls(scope: Scope, rivals: Sequence[dict[str, Any]]) -> list[str]:
    """Which controls a metric that is better higher cannot be held against, for want of a score on every pair."""
    if scope.kept.metric.better != "higher" or scope.whole.over.groups < 2:
        return []
    mean = "mean_all" if _counts_all(scope) else "mean"
    lacking = [rival["arm"] for rival in rivals if math.isnan(rival[mean])]
    return [f"without a score on some of these pairs: {', '.join(lacking)}"] if lacking else []


def _state_controls(scope: Scope, rivals: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The best control and those that the arm does not beat: over all pairs where too few are left."""
    if scope.kept.metric.better != "higher" or scope.whole.over.groups < 2:
        return {}
    suffix = "_all" if _counts_all(scope) else ""
    scored = [rival for rival in rivals if not math.isnan(rival[f"mean{suffix}"])]
    if not scored:
        return {}
    best = max(scored, key=lambda rival: rival[f"mean{suffix}"])  # the first by name in a tie
    unbeaten = [rival["arm"] for rival in scored if rival[f"arm_difference{suffix}_low"] <= ROUNDING]
    return {
        "best_control": best["arm"],
        "best_control_mean": best[f"mean{suffix}"],
        **{f"best_control{end}": best[f"mean{suffix}{end}"] for end in ("_low", "_high")},
        "unbeaten_controls": ", ".join(unbeaten),
    }
