"""Test pairs one by one: how base, tuned model and the best null control did on each, and what its answer is like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from med_lora.arms import ARMS
from med_lora.errors import InputError
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.shown_pairs import CROSS_ENTROPY, gather_shown
from med_lora.pipelines.reporting.tables import VALUE_FAMILIES
from med_lora.report_page.records import read_records

FLAGS = ("answer_cut", "answer_empty", "degenerate", "refusal", "unsupported_numbers", "unsupported_doses")
AMOUNTS = ("copied_words", "length_ratio")


def compare_pairs(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame, evaluation: EvaluationParams
) -> pd.DataFrame:
    """One row a pair and metric, of the pairs that the comparison is over (:func:`gather_shown`).

    Args:
        scores: id, group, arm, metric, score.
        comparison: metric, family, better, best_control; metrics without a score of single pairs are left out.
        traits: id, dimension, level.
        evaluation: its ``exclude``.

    Returns:
        Columns pair (from 1, in order of id, the same in every metric), id, group, metric, base, tuned; gain (tuned
        against base, more is better whichever way the metric runs); place (percentage of pairs with a smaller gain, and
        half of those with the same: 0 is the worst of many); control (score of the metric's best null control) and
        over_control (tuned against it, more is better), missing where there is none; a column of every dimension of
        ``traits``; and of the tuned answer the flags (0 or 1) and amounts that were scored. By metric and then pair.

    Raises:
        InputError: if scores and traits are not of the same pairs, as after a run that was cut off, or the
            comparison has no metric of pairs.
    """
    shown = gather_shown(scores, evaluation)
    if not set(scores["id"]) <= set(traits["id"]):
        raise InputError(
            "The saved scores and pair_traits are of different test pairs, so of different runs; run `kedro run` to "
            "its end."
        )
    rows = [row for row in read_records(comparison) if row["family"] in VALUE_FAMILIES and row["better"] != "neither"]
    if not rows:
        raise InputError("The saved comparison holds no metric of single pairs; run `kedro run` to its end.")
    tables = [_compare(shown.of(row["metric"]), row, scores) for row in rows]
    found = pd.concat([table for table in tables if len(table)] or tables[:1])
    pairs = sorted(set(scores["id"]))
    found.insert(0, "pair", found["id"].map({name: place for place, name in enumerate(pairs, start=1)}))
    found.insert(2, "group", found["id"].map(scores.drop_duplicates("id").set_index("id")["group"]))
    levels = traits.pivot(index="id", columns="dimension", values="level")
    tuned = scores[(scores["arm"] == "tuned") & scores["metric"].isin([*FLAGS, *AMOUNTS])]
    of_answer = tuned.pivot(index="id", columns="metric", values="score")
    return found.join(levels, on="id").join(of_answer, on="id").reset_index(drop=True)


def _compare(pairs: pd.DataFrame, row: dict[str, Any], scores: pd.DataFrame) -> pd.DataFrame:
    """Columns id, metric, base, tuned, gain, place, control and over_control, in order of id."""
    sign = 1 if row["better"] == "higher" else -1
    gain = (sign * (pairs["tuned"] - pairs["base"])).round(9)  # equal gains stay equal
    place = 100 * (gain.rank() - 0.5) / max(1, len(gain))
    of_control = scores[(scores["arm"] == row["best_control"]) & (scores["metric"] == row["metric"])]
    control = of_control.set_index("id")["score"].reindex(pairs.index)
    table = pairs.assign(metric=row["metric"], gain=gain, place=place, control=control)
    table = table.assign(over_control=(sign * (table["tuned"] - control)).round(9))
    columns = ["id", "metric", "base", "tuned", "gain", "place", "control", "over_control"]
    return table.rename_axis("id").reset_index()[columns]


def summarise_gains(pairs: pd.DataFrame) -> pd.DataFrame:
    """How the gains are spread in each metric.

    Args:
        pairs: of :func:`compare_pairs`.

    Returns:
        Columns metric, pairs, mean, worst (the least gain), p5 and median (gains that occur), worse_than_base and
        not_over_control: shares from 0 to 1, of the pairs with a control in the latter.
    """
    rows = []
    for metric, of_metric in pairs.groupby("metric", sort=False):
        gain, over = of_metric["gain"], of_metric["over_control"].dropna()
        low, median = np.percentile(gain, (5, 50), method="inverted_cdf")
        rows.append(
            {"metric": metric, "pairs": len(gain), "mean": gain.mean(), "worst": gain.min(), "p5": low}
            | {"median": median, "worse_than_base": float((gain < 0).mean())}
            | {"not_over_control": float((over <= 0).mean()) if len(over) else np.nan}
        )
    return pd.DataFrame(rows)


def rank_parts(subgroups: pd.DataFrame, comparison: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Parts of the test set by the tuned model's mean gain in a metric, the worst part first.

    Args:
        subgroups: as the evaluation saved them, with intervals and p-values over all parts.
        comparison: metric, better.
        metric: one of those.

    Returns:
        Columns dimension, level, n, groups, gain, low and high (its interval; missing for too few groups), p_holm.

    Raises:
        InputError: if the parts were not scored by the metric, or the comparison does not hold it.
    """
    rows = subgroups[subgroups["metric"] == metric]
    if rows.empty:
        known = ", ".join(dict.fromkeys(map(str, subgroups["metric"])))
        raise InputError(f"No part of the test set is scored by {metric!r}; set `metric` to one of {known}.")
    better = comparison.set_index("metric")["better"]
    if metric not in better:
        raise InputError(
            f"The saved subgroups hold {metric!r} and the comparison does not, so they are of different runs; run "
            "`kedro run` to its end."
        )
    if better[metric] == "higher":
        gains = {"gain": rows["difference"], "low": rows["difference_low"], "high": rows["difference_high"]}
    else:
        gains = {"gain": -rows["difference"], "low": -rows["difference_high"], "high": -rows["difference_low"]}
    ranked = rows.assign(**gains).sort_values(["gain", "dimension", "level"], ignore_index=True)
    return ranked[["dimension", "level", "n", "groups", "gain", "low", "high", "p_holm"]]


def count_answers(scores: pd.DataFrame) -> pd.DataFrame:
    """Answers that have a flag, by arm.

    Args:
        scores: id, arm, metric, score.

    Returns:
        A row a flag that was scored: pairs; answers of each arm that have it; new, answers of the tuned model that have
        it where the base model's has not; and gold, references that have it, of gold_pairs, those that could be judged.
    """
    arms = [arm for arm in (*ARMS, "gold") if (scores["arm"] == arm).any()]
    rows = []
    for flag in FLAGS:
        of_flag = scores[(scores["metric"] == flag) & scores["arm"].isin(arms)]
        if of_flag.empty:
            continue
        table = of_flag.pivot(index="id", columns="arm", values="score").reindex(columns=arms)
        counts = {arm: int((table[arm] == 1).sum()) for arm in arms}
        judged = {"gold_pairs": int(table["gold"].notna().sum())} if "gold" in arms else {}
        new = int(((table["tuned"] == 1) & (table["base"] == 0)).sum())
        rows.append({"flag": flag, "pairs": len(table)} | counts | judged | {"new": new})
    gold = ["gold_pairs"] if "gold" in arms else []
    return pd.DataFrame(rows, columns=["flag", "pairs", *arms, *gold, "new"])


def describe_copying(scores: pd.DataFrame) -> pd.DataFrame:
    """Words of the longest run that each answer has in common with a training answer: quantiles by arm.

    The references (``gold``) are the yardstick: what two true answers have in common is no copying.
    """
    wanted = [arm for arm in (*ARMS, "gold") if (scores["arm"] == arm).any()]
    runs = scores[(scores["metric"] == "copied_words") & scores["arm"].isin(wanted)].dropna(subset="score")
    rows = []
    for arm in wanted:
        words = runs.loc[runs["arm"] == arm, "score"]
        if len(words):
            low, high = np.percentile(words, (50, 95), method="inverted_cdf")
            rows.append({"arm": arm, "answers": len(words), "median": int(low), "p95": int(high)})
            rows[-1]["longest"] = int(words.max())
    return pd.DataFrame(rows, columns=["arm", "answers", "median", "p95", "longest"])


def list_losses(scores: pd.DataFrame) -> pd.DataFrame:
    """Nats a token of every reference answer under both models: columns id, base, tuned, in order of id."""
    of_arms = scores[(scores["metric"] == CROSS_ENTROPY) & scores["arm"].isin(["base", "tuned"])]
    return of_arms.pivot(index="id", columns="arm", values="score").rename_axis(columns=None).reset_index()
