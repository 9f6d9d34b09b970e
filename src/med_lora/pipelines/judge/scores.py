"""The judge's answers as scores of the arms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.pipelines.judge.orders import match_orders

PREFIX = "judge_"
CRITERIA, PREFERENCE = f"{PREFIX}criteria", f"{PREFIX}preference"
COLUMNS = ["id", "group", "arm", "metric", "score"]
_ANSWER = ["id", "group", "arm"]


def score_judged(judge_answers: pd.DataFrame, judge_usage: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One score an item, arm and metric; what the judge did not answer is NaN, never 0.

    - ``judge_<axis>``: points from 1 to 5, the mean of the repeats that were answered.
    - ``judge_criteria``: points of the criteria met, each the mean of its repeats, over the sum of the positive points
      of the item, held within 0 and 1 (Arora et al. 2025, arXiv:2505.08775, there within 0 and 1 only in the mean of
      all items); NaN where a criterion has no answer.
    - ``judge_preference``, of base and tuned: 1 if the arm wins in both orders, 0 if the other does, 0.5 otherwise; the
      mean of the repeats that were answered in both orders.

    Args:
        judge_answers: call, id, group, task ("axis", "criterion" or "preference"), subject, arm, rival, repeat, points,
            value (NaN where missing), missing (kind of failure, or ""), model.
        judge_usage: judge, version, rubric_sha256, prompt_version, answers_by, settings (temperature).

    Returns:
        scores: id, group, arm, metric, score, sorted by id, arm and metric.
        metrics: one row a metric, axes by name; the signature says who judged, how often, and how many answers are
            missing.
    """
    parts = [_score_axes(judge_answers), _score_criteria(judge_answers), _score_preference(judge_answers)]
    filled = [part[COLUMNS] for part in parts if len(part)]
    scores = pd.concat(filled) if filled else pd.DataFrame(columns=COLUMNS)
    metrics = [
        _describe(name, rows, judge_usage)
        for name, rows in list_subjects(judge_answers)
        if (scores["metric"] == name).any()
    ]
    return scores.sort_values(["id", "arm", "metric"], ignore_index=True), tabulate_metrics(metrics)


def list_subjects(judge_answers: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """Every metric of the judge with its answers: axes by name, then criteria, then the preference."""
    axes = judge_answers[judge_answers["task"] == "axis"]
    for subject, rows in axes.groupby("subject", sort=True):
        yield f"{PREFIX}{subject}", rows
    for name, task in ((CRITERIA, "criterion"), (PREFERENCE, "preference")):
        rows = judge_answers[judge_answers["task"] == task]
        if len(rows):
            yield name, rows


def _score_axes(judge_answers: pd.DataFrame) -> pd.DataFrame:
    asked = judge_answers[judge_answers["task"] == "axis"]
    means = asked.groupby([*_ANSWER, "subject"])["value"].mean().reset_index(name="score")
    return means.assign(metric=PREFIX + means["subject"].astype("str"))


def _score_criteria(judge_answers: pd.DataFrame) -> pd.DataFrame:
    asked = judge_answers[judge_answers["task"] == "criterion"]
    met = asked.groupby([*_ANSWER, "subject"]).agg(met=("value", "mean"), points=("points", "first")).reset_index()
    met = met.assign(earned=met["points"] * met["met"], most=met["points"].clip(lower=0), open=met["met"].isna())
    items = met.groupby(_ANSWER)[["earned", "most", "open"]].sum().reset_index()
    judged = (items["open"] == 0) & (items["most"] > 0)
    shares = items["earned"] / items["most"].where(items["most"] > 0)
    return items.assign(score=np.where(judged, shares.clip(0.0, 1.0), math.nan), metric=CRITERIA)


def _score_preference(judge_answers: pd.DataFrame) -> pd.DataFrame:
    matched = match_orders(judge_answers, *TUNING)
    wins = matched.groupby(["id", "group"])["wins"].mean().reset_index(name="score")
    of_reference = wins.assign(arm=TUNING.reference, score=1 - wins["score"])
    return pd.concat([of_reference, wins.assign(arm=TUNING.arm)]).assign(metric=PREFERENCE)


def _describe(name: str, rows: pd.DataFrame, usage: dict[str, Any]) -> Metric:
    lost, repeats = rows["value"].isna(), rows["repeat"].nunique()
    sampled = usage["answers_by"] == "json"
    signature = [
        f"judge {name_judge(usage)}",
        f"rubric {usage['rubric_sha256']}",
        f"prompt {usage['prompt_version']}",
        f"temperature {usage['settings']['temperature']:g}" if sampled else str(usage["answers_by"]),
        f"mean of {repeats} repeats" if repeats > 1 else "asked once",
        f"{int(lost.sum())} of {len(rows)} answers missing",
    ]
    reason = f"the judge gave no usable answer ({count_failures(rows)})" if lost.all() else ""
    return Metric(name, "judge", "higher", True, "; ".join(signature), reason)


def name_judge(usage: dict[str, Any]) -> str:
    """The judge and its version: the names under which it answered, or the hash of a model of this machine."""
    return f"{usage['judge']} (version {usage['version']})"


def count_failures(rows: pd.DataFrame) -> str:
    """Answers that are missing by kind of failure, as words: ``timeout 3, wrong_schema 1``."""
    kinds = rows["missing"][rows["value"].isna()].replace("", "unknown").value_counts()
    ordered = sorted(kinds.items(), key=lambda kind: (-kind[1], str(kind[0])))
    return ", ".join(f"{kind} {count}" for kind, count in ordered)
