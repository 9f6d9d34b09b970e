"""Base against tuned on each kind of test pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from med_lora.arms import BARE_ARMS, PASSAGE_CONTROLS, RAG_ARMS
from med_lora.metrics.definition import Metric, read_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.contrasts import GOLD, even_out
from med_lora.pipelines.evaluation.comparison.items import ALL_PAIRS_FAMILIES
from med_lora.pipelines.evaluation.comparison.traits import DIMENSIONS, sort_levels
from med_lora.statistics.paired import holm, wilcoxon_p
from med_lora.statistics.resampling import resample

DIFFERENCE = "difference"
_COLUMNS = [
    *("dimension", "level", "metric", "n", "groups", "excluded"),
    *(*BARE_ARMS, DIFFERENCE, "difference_low", "difference_high", "best_control", "best_control_mean"),
]


def compare_subgroups(
    scores: pd.DataFrame, metrics: pd.DataFrame, pair_traits: pd.DataFrame, evaluation: EvaluationParams
) -> pd.DataFrame:
    """The arms on the test pairs of each level of each dimension, by the tested metrics.

    Perplexity stands here as ``cross_entropy``, the mean over pairs of their nats a token. As in the comparison, text
    metrics leave out the pairs that ``evaluation.exclude`` names, intervals are those of a cluster bootstrap over the
    groups of the level, and p-values come from the signed-rank test on the mean difference of each group. Holm's
    correction is over all tests of the table: none of them was planned, and a reader looks for the smallest of them
    all. Correlated tests make it stricter than it need be, never laxer.

    Args:
        scores: columns id, group, arm, metric, score.
        metrics: as :func:`~med_lora.metrics.definition.tabulate_metrics` gives them.
        pair_traits: columns id, dimension, level.
        evaluation: exclusions, confidence, resamples and their seed.

    Returns:
        Columns dimension, level, metric, n, groups, excluded (pairs of the level that do not count), base, tuned,
        difference (tuned - base), difference_low, difference_high, best_control and best_control_mean (of a metric that
        is better higher, the null control with the highest mean), p_value, p_holm, note. With fewer than two groups the
        interval and p-value are NaN and the note says why.
    """
    compared = _compared(read_metrics(metrics), scores)
    values = _pair_scores(scores, [metric.name for metric in compared], evaluation.exclude)
    groups = scores.groupby("id")["group"].first()
    rows: list[dict[str, Any]] = []
    for dimension in DIMENSIONS:
        traits = pair_traits[pair_traits["dimension"] == dimension]
        for level in sort_levels(dimension, traits["level"].unique()):
            of_level = values[values.index.isin(traits["id"][traits["level"] == level])]
            for row in _compare(of_level, compared, groups, evaluation):
                rows.append({"dimension": dimension, "level": level, **row})
    subgroups = pd.DataFrame(rows, columns=[*_COLUMNS, "p_value", "note"])
    subgroups.insert(len(_COLUMNS) + 1, "p_holm", holm(list(subgroups["p_value"])))
    return subgroups


def _compared(metrics: Sequence[Metric], scores: pd.DataFrame) -> list[Metric]:
    """The tested metrics that both arms have scores of; instead of perplexity, which no pair has, its logarithm."""
    found = scores[scores["score"].notna()]
    scored = set.intersection(*(set(found["metric"][found["arm"] == arm]) for arm in BARE_ARMS))
    tested = [metric for metric in metrics if metric.tested and metric.family != "grounding"]
    named = [replace(metric, name="cross_entropy") if metric.name == "perplexity" else metric for metric in tested]
    return [metric for metric in named if metric.name in scored]


def _pair_scores(scores: pd.DataFrame, names: Sequence[str], exclude: Sequence[str]) -> pd.DataFrame:
    """One row a pair, a column each (arm, metric), and ("kept", "") for pairs that the text metrics are over."""
    others = [GOLD, *RAG_ARMS, *PASSAGE_CONTROLS]
    wanted = scores[~scores["arm"].isin(others) & scores["metric"].isin({*names, *exclude})]
    values = wanted.pivot(index="id", columns=["arm", "metric"], values="score").sort_index()
    kept = (values[[(arm, flag) for arm in BARE_ARMS for flag in exclude]] == 0).all(axis=1)
    return values.assign(**{"kept": kept})


def _compare(
    values: pd.DataFrame, metrics: Sequence[Metric], groups: pd.Series, evaluation: EvaluationParams
) -> list[dict[str, Any]]:
    """A row each metric, the level and the correction aside; metrics over the same pairs share their resamples."""
    differences = pd.DataFrame(
        {metric.name: values["tuned", metric.name] - values["base", metric.name] for metric in metrics}
    )
    over = {metric.name: differences[metric.name].notna() for metric in metrics}
    for metric in metrics:
        if metric.family not in ALL_PAIRS_FAMILIES:
            over[metric.name] &= values["kept"]
    alike: dict[bytes, list[str]] = {}
    for name, chosen in over.items():
        alike.setdefault(chosen.to_numpy().tobytes(), []).append(name)
    rows: dict[str, dict[str, Any]] = {}
    for names in alike.values():
        chosen = over[names[0]]
        rows |= _compare_alike(values[chosen], differences.loc[chosen, names], groups, evaluation)
    return [
        rows[metric.name]
        | {"excluded": len(values) - rows[metric.name]["n"]}
        | (_find_best_control(values[over[metric.name]], metric.name) if metric.better == "higher" else {})
        for metric in metrics
    ]


def _find_best_control(values: pd.DataFrame, metric: str) -> dict[str, Any]:
    """The null control with the highest mean over these pairs, the first by name in a tie; none without a score."""
    controls = sorted(str(column[0]) for column in values.columns if column[1] == metric and column[0] not in BARE_ARMS)
    means = pd.Series({arm: values[arm, metric].mean(skipna=False) for arm in controls}, dtype="float64").dropna()
    return {"best_control": means.idxmax(), "best_control_mean": means.max()} if len(means) else {}


def _compare_alike(
    values: pd.DataFrame, differences: pd.DataFrame, groups: pd.Series, evaluation: EvaluationParams
) -> dict[str, dict[str, Any]]:
    """A row each metric, all of them over the same pairs."""
    items = differences.set_axis(pd.MultiIndex.from_product([[DIFFERENCE], differences.columns]), axis=1)
    drawn = resample(items, groups, evaluation.bootstrap_samples, evaluation.seed)
    of_groups = differences.groupby(groups.loc[differences.index]).mean()
    rows = {}
    for name in differences.columns:
        low, high = drawn.mean((DIFFERENCE, name)).interval(evaluation.confidence)
        rows[name] = {
            "metric": name,
            "n": len(differences),
            "groups": drawn.groups,
            **{arm: values[arm, name].mean() for arm in BARE_ARMS},
            DIFFERENCE: differences[name].mean(),
            "difference_low": low,
            "difference_high": high,
            "p_value": wilcoxon_p(even_out(of_groups[name])),
            "note": _note(len(differences), drawn.groups),
        }
    return rows


def _note(pairs: int, groups: int) -> str:
    if not pairs:
        return "no pair has this score, or all are left out by evaluation.exclude"
    if groups < 2:
        return f"all {pairs} pairs are of one group, and an interval needs two groups" if pairs > 1 else "only one pair"
    return ""
