"""What every model of every run reaches in each compared metric, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from med_lora.metrics.definition import Metric, read_metrics
from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.runs import read_distinct
from med_lora.pipelines.evaluation.comparison.contrasts import Contrast, Measured, metric_columns
from med_lora.pipelines.evaluation.comparison.items import gather_items
from med_lora.statistics.resampling import index_groups, resample

MEAN_COLUMNS = [
    *("test_set", "run", "arm", "metric", "better", "n", "groups", "mean", "low", "high"),
    *("best_control", "best_control_mean", "note"),
]


def measure_runs(
    compared_runs: pd.DataFrame,
    run_scores: pd.DataFrame,
    run_metrics: pd.DataFrame,
    losses_by_run: pd.DataFrame,
    run_controls: pd.DataFrame,
    comparison: ComparisonParams,
    evaluation: EvaluationParams,
) -> pd.DataFrame:
    """The tuned model of every run, and every base model once, by each compared metric over all test pairs.

    No pair is left out here, so that all rows of a test set are about the same pairs; the shares of cut answers stand
    in the leaderboard, and the contrasts leave out what ``evaluation.exclude`` names. Intervals are those of the
    cluster bootstrap, with the same resamples for all runs of a test set.

    Returns:
        test_set, run, arm, metric, better, n (pairs with a score), groups, mean, low, high, best_control (the null
        control with the highest mean in that run, where the metric is better higher), best_control_mean, note (why
        there is no number).
    """
    metrics = {str(run): read_metrics(part.drop(columns="run")) for run, part in run_metrics.groupby("run")}
    rows: list[dict[str, Any]] = []
    for test_set, members in read_distinct(compared_runs).groupby("test_set", sort=True):
        arms = list(_list_arms(members))
        items, groups = gather_run_items(arms, run_scores, losses_by_run)
        found = _measure(items, groups, arms, metrics, comparison.metrics, evaluation)
        rows += [{"test_set": test_set, **row, **_best_control(row, run_controls)} for row in found]
    return pd.DataFrame(rows, columns=MEAN_COLUMNS)


def gather_run_items(
    arms: Sequence[tuple[str, str]], run_scores: pd.DataFrame, losses_by_run: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """One row a pair, a column each (name of a run's arm, quantity), and the group of every pair.

    Raises:
        InputError: if losses of a run are not about the pairs of its scores.
    """
    wanted = pd.DataFrame(arms, columns=["run", "arm"])
    scores = run_scores.merge(wanted, on=["run", "arm"])
    groups = scores.groupby("id")["group"].first()
    losses = {
        arm_name(str(run), str(arm)): table
        for (run, arm), table in losses_by_run.merge(wanted, on=["run", "arm"]).groupby(["run", "arm"])
    }
    return gather_items(scores.assign(arm=scores["run"] + "/" + scores["arm"]), losses), groups


def arm_name(run: str, arm: str) -> str:
    """A model of a run among those of other runs."""
    return f"{run}/{arm}"


def _list_arms(members: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """The tuned model of each run after the base model that it is the first to have."""
    seen = set()
    for run, base in zip(members["run"], members["base"], strict=True):
        if base not in seen:
            seen.add(base)
            yield run, "base"
        yield run, "tuned"


def _measure(
    items: pd.DataFrame,
    groups: pd.Series,
    arms: Sequence[tuple[str, str]],
    metrics: Mapping[str, Sequence[Metric]],
    names: Sequence[str],
    evaluation: EvaluationParams,
) -> list[dict[str, Any]]:
    """A row each arm and metric; those that score the same pairs share their resamples."""
    planned = []
    alike: dict[bytes, set[tuple[str, str]]] = {}
    for run, arm in arms:
        for metric in (found for name in names for found in metrics[run] if found.name == name):
            columns = metric_columns(metric.name, arm_name(run, arm))
            there = set(columns) <= set(items.columns) and not metric.missing
            mask = items[columns].notna().all(axis=1).to_numpy() if there else np.zeros(len(items), bool)
            planned.append((run, arm, metric, mask))
            if mask.any():
                alike.setdefault(mask.tobytes(), set()).update(columns)
    drawn = {
        key: resample(
            items.loc[np.frombuffer(key, bool), sorted(columns)], groups, evaluation.bootstrap_samples, evaluation.seed
        )
        for key, columns in alike.items()
    }
    rows = []
    for run, arm, metric, mask in planned:
        row = {"run": run, "arm": arm, "metric": metric.name, "better": metric.better, "n": int(mask.sum())}
        if not mask.any():
            rows.append(row | {"groups": 0, "note": metric.missing or "the run left no score of it"})
            continue
        name, over = arm_name(run, arm), drawn[mask.tobytes()]
        members = index_groups(groups.loc[items.index[mask]])
        estimate = Measured(metric, Contrast(name, name), {}, members, over).estimate(name)
        low, high = estimate.interval(evaluation.confidence)
        note = "" if over.groups > 1 else "all pairs are of one group, and an interval needs two"
        rows.append(row | {"groups": over.groups, "mean": estimate.value, "low": low, "high": high, "note": note})
    return rows


def _best_control(row: Mapping[str, Any], run_controls: pd.DataFrame) -> dict[str, Any]:
    """The null control with the highest mean, the first by name in a tie."""
    of_row = run_controls[(run_controls["run"] == row["run"]) & (run_controls["metric"] == row["metric"])]
    if row["better"] != "higher" or of_row.empty:
        return {"best_control": "", "best_control_mean": math.nan}
    best = of_row.sort_values(["mean", "control"], ascending=[False, True]).iloc[0]
    return {"best_control": best["control"], "best_control_mean": float(best["mean"])}
