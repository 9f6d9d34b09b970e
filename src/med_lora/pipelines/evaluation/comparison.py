"""The comparison of the arms: intervals, tests, and what the null controls reach."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.metrics import Metric, flag_metrics, loss_metrics, text_metrics
from med_lora.pipelines.evaluation.scoring import check_ids
from med_lora.pipelines.evaluation.statistics import Estimate, Resamples, holm, resample, wilcoxon_p

ARMS = ("base", "tuned")
ROUNDING = 1e-9  # sums taken in another order differ by less; smaller differences are none


def compare_arms(
    scores: pd.DataFrame, base_losses: pd.DataFrame, tuned_losses: pd.DataFrame, evaluation: EvaluationParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Base against tuned on the same pairs, perplexity first.

    Text metrics leave out the pairs with an answer that ``evaluation.exclude`` names (``n`` are left, the others are
    ``excluded``); the columns with ``_all`` are over all pairs. Pairs of one ``group`` of ``scores`` are not
    independent: all intervals are percentiles of a cluster bootstrap over groups (Field and Welsh 2007), with the same
    resamples for every arm and control, and p-values come from the signed-rank test on the mean difference of each
    group (for perplexity: of its nats a token), corrected by Holm over the tested metrics. Where fewer than two groups
    are left, values are NaN and ``note`` says why; it also names every control that the tuned arm does not beat.

    Returns:
        comparison: metric, n, groups (that the n pairs come in), excluded, base, base_low, base_high, tuned, tuned_low,
            tuned_high, difference (tuned - base), difference_low, difference_high, p_value, p_holm (NaN where nothing
            is tested), better ("lower", "higher" or "neither"), signature, base_all, tuned_all, difference_all,
            difference_all_low, difference_all_high, note.
        controls: arm, metric, n, mean, low, high, tuned_difference (tuned - control), tuned_difference_low,
            tuned_difference_high, and over all pairs mean_all, mean_all_low, mean_all_high, tuned_difference_all,
            tuned_difference_all_low, tuned_difference_all_high.
    """
    items = _gather_items(scores, base_losses, tuned_losses)
    groups = scores.groupby("id")["group"].first()
    flags = [(arm, flag) for arm in ARMS for flag in evaluation.exclude]
    kept_items = items[(items[flags] == 0).all(axis=1)]
    whole = resample(items, groups, evaluation.bootstrap_samples, evaluation.seed)
    kept = resample(kept_items, groups, evaluation.bootstrap_samples, evaluation.seed)
    controls = _compare_controls(kept, whole, evaluation.confidence)
    rows = []
    for metrics, pairs, over in (
        (loss_metrics(), items, whole),
        (text_metrics(), kept_items, kept),
        (flag_metrics(), items, whole),
    ):
        for metric in metrics:
            row = _compare(metric, over, whole, _test(metric, pairs, groups), evaluation.confidence)
            rows.append(row | {"note": _note(metric, over, whole, controls)})
    comparison = pd.DataFrame(rows)
    comparison["p_holm"] = holm(list(comparison["p_value"]))
    return comparison, controls


def _gather_items(scores: pd.DataFrame, base_losses: pd.DataFrame, tuned_losses: pd.DataFrame) -> pd.DataFrame:
    """One row a pair, one column an (arm, quantity): its scores, and nll, tokens and answer_bytes of its losses."""
    items = scores.pivot(index="id", columns=["arm", "metric"], values="score")
    parts = [items]
    for arm, losses in zip(ARMS, (base_losses, tuned_losses), strict=True):
        check_ids(losses, items.index.to_series(), f"{arm}_losses")
        part = losses.set_index("id")[["nll", "tokens", "answer_bytes"]]
        parts.append(part.set_axis(pd.MultiIndex.from_product([[arm], part.columns]), axis=1))
    return pd.concat(parts, axis=1).sort_index()


def _compare(metric: Metric, over: Resamples, whole: Resamples, p: float, confidence: float) -> dict[str, Any]:
    """One row of the comparison, its note aside; the correction of ``p`` waits for all rows."""
    return {
        "metric": metric.name,
        "n": over.n,
        "groups": over.groups,
        "excluded": whole.n - over.n,
        **_state_arms(metric, over, confidence),
        "p_value": p,
        "p_holm": math.nan,
        "better": metric.better,
        "signature": metric.signature,
        **_state_all(metric, whole, confidence),
    }


def _estimate(metric: str, arm: str, over: Resamples) -> Estimate:
    if metric == "perplexity":
        entropy = over.ratio((arm, "nll"), (arm, "tokens"))
        return Estimate(math.exp(entropy.value), np.exp(entropy.draws))
    if metric == "bits_per_byte":
        nats = over.ratio((arm, "nll"), (arm, "answer_bytes"))
        return Estimate(nats.value / math.log(2), nats.draws / math.log(2))
    return over.mean((arm, metric))


def _state_arms(metric: Metric, over: Resamples, confidence: float) -> dict[str, float]:
    base, tuned = (_estimate(metric.name, arm, over) for arm in ARMS)
    stated: dict[str, float] = {}
    for name, estimate in (("base", base), ("tuned", tuned), ("difference", tuned - base)):
        low, high = estimate.interval(confidence)
        stated |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
    return stated


def _state_all(metric: Metric, whole: Resamples, confidence: float) -> dict[str, float]:
    stated = _state_arms(metric, whole, confidence)
    return {
        "base_all": stated["base"],
        "tuned_all": stated["tuned"],
        "difference_all": stated["difference"],
        "difference_all_low": stated["difference_low"],
        "difference_all_high": stated["difference_high"],
    }


def _test(metric: Metric, pairs: pd.DataFrame, groups: pd.Series) -> float:
    if not metric.tested:
        return math.nan
    members = groups.loc[pairs.index]
    if metric.name == "perplexity":
        sums = pairs.groupby(members).sum()
        base, tuned = (sums[arm, "nll"] / sums[arm, "tokens"] for arm in ARMS)
        differences = tuned - base
    else:
        differences = (pairs["tuned", metric.name] - pairs["base", metric.name]).groupby(members).mean()
    return wilcoxon_p(differences.where(differences.abs() > ROUNDING, 0.0))


def _compare_controls(kept: Resamples, whole: Resamples, confidence: float) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for arm, metric in sorted(column for column in kept.columns if column[0] not in ARMS):
        row: dict[str, Any] = {"arm": arm, "metric": metric, "n": kept.n}
        for over, suffix in ((kept, ""), (whole, "_all")):
            control = over.mean((arm, metric))
            ahead = over.mean(("tuned", metric)) - control
            for name, estimate in ((f"mean{suffix}", control), (f"tuned_difference{suffix}", ahead)):
                low, high = estimate.interval(confidence)
                row |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows).rename(columns={"mean_low": "low", "mean_high": "high"})


def _note(metric: Metric, over: Resamples, whole: Resamples, controls: pd.DataFrame) -> str:
    """Why values are missing, and which controls the tuned arm does not beat: over all pairs where too few are left."""
    remarks, suffix, where = [], "", ""
    if whole.groups < 2:
        remarks.append(f"all {whole.n} pairs are of one group, and an interval needs two groups")
    elif over.groups < 2:
        group = ", all of one group," if over.n > 1 else ""
        remarks.append(f"only {over.n} of {whole.n} pairs{group} are left by evaluation.exclude")
        suffix, where = "_all", "over all pairs "
    if metric.better == "higher":
        rivals = controls[controls["metric"] == metric.name]
        unbeaten = list(rivals["arm"][rivals[f"tuned_difference{suffix}_low"] <= ROUNDING])
        remarks += [f"{where}tuned does not beat {', '.join(unbeaten)}"] if unbeaten else []
    return "; ".join(remarks)
