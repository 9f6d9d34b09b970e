"""The pairs behind every metric of a contrast, with resamples that contrasts and metrics over the same pairs share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.arms import ARMS
from med_lora.metrics.definition import Metric
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.contrasts import GOLD, Contrast, Measured, judged, metric_columns
from med_lora.pipelines.evaluation.scores.scoring import check_ids
from med_lora.statistics.resampling import Column, Floats, Resamples, resample

# About references, or about what excludes a pair, or given by whoever saw the answer as it is: no pair is left out.
ALL_PAIRS_FAMILIES = ("loss", "flag", "judge", "people")
Mask = npt.NDArray[np.bool_]


class Scope(NamedTuple):
    """One metric in one contrast on the pairs that count, and on all pairs that it scores."""

    kept: Measured
    whole: Measured


def gather_items(scores: pd.DataFrame, losses: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a pair, one column an (arm, quantity): its scores, and nll, tokens and answer_bytes of its losses.

    Where only some references have a score, the others count as 0 of it and of a column that says so.

    Args:
        scores: columns id, arm, metric, score.
        losses: of each arm, by its name.

    Raises:
        InputError: if losses are not about the pairs of ``scores``.
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


def find_controls(items: pd.DataFrame, contrasts: Iterable[Contrast]) -> list[str]:
    """The arms that are neither a model, nor of a contrast, nor the references, by name."""
    others = {GOLD, *ARMS, *(arm for contrast in contrasts for arm in contrast)}
    return sorted({str(name[0]) for name in items.columns} - others)


def measure(
    metrics: Sequence[Metric],
    contrasts: Sequence[Contrast],
    items: pd.DataFrame,
    groups: pd.Series,
    evaluation: EvaluationParams,
) -> list[Scope]:
    """Every metric in every contrast on its pairs, contrast by contrast; what is over the same pairs is resampled once.

    A pair is left out of a contrast where an answer of one of its two arms is one that ``evaluation.exclude`` names; an
    arm without such flags excludes none.
    """
    values = _split_columns(items)
    controls = find_controls(items, contrasts)
    planned: list[tuple[Metric, Contrast, tuple[Mask, Mask]]] = []
    wanted: dict[bytes, set[Column]] = {}
    for contrast in contrasts:
        complete = _find_complete(contrast, values, len(items), evaluation.exclude)
        arms = [*contrast, GOLD, *controls]
        for metric in metrics:
            scored = _find_scored(metric, contrast, values, len(items))
            masks = (scored if metric.family in ALL_PAIRS_FAMILIES else scored & complete, scored)
            planned.append((metric, contrast, masks))
            columns = {column for arm in arms for column in metric_columns(metric.name, arm)} | {judged(metric.name)}
            for mask in masks:
                wanted.setdefault(mask.tobytes(), set()).update(columns & set(values))
    parts = {key: _resample_part(items, np.frombuffer(key, bool), wanted[key], groups, evaluation) for key in wanted}
    return [
        Scope(*(Measured(metric, contrast, *parts[mask.tobytes()]) for mask in masks))
        for metric, contrast, masks in planned
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


def _find_complete(contrast: Contrast, values: Mapping[Column, Floats], pairs: int, exclude: Sequence[str]) -> Mask:
    """The pairs with no flag that excludes them."""
    complete = np.ones(pairs, dtype=bool)
    for column in ((arm, flag) for arm in contrast for flag in exclude):
        if column in values:
            complete &= values[column] == 0
    return complete


def _find_scored(metric: Metric, contrast: Contrast, values: Mapping[Column, Floats], pairs: int) -> Mask:
    """The pairs where both arms have a score."""
    columns = [column for arm in contrast for column in metric_columns(metric.name, arm)]
    if metric.missing or not set(columns) <= set(values):
        return np.zeros(pairs, dtype=bool)
    scored: Mask = np.all([~np.isnan(values[column]) for column in columns], axis=0)
    return scored
