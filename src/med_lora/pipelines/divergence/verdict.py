"""What the tracks say together, in plain words that go no further than the number of items allows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.divergence.findings import (
    NAMES,
    find,
    is_shown,
    name_metric,
    read_doubts,
    relate,
    tell_correlation,
    tell_track,
    track_of,
)
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import interval, minus, name_axis, number, percent

VERY_STRONG = 0.5  # a correlation that only such are found above
FLOOR_DOUBTS = {
    "not believed": "The judge fails its own floor checks ({names}): there it does not tell a true answer from an "
    "empty or misplaced one, so nothing is concluded from these scores.",
    "floors unclear": "That the judge tells a true answer from an empty or misplaced one is not shown ({names}), so "
    "nothing is concluded from these scores.",
}
FAILS_A_CHECK = "The judge fails a check on itself; what it says below may be the fault that it shows there."


def write_verdict(
    divergence: pd.DataFrame,
    evaluation: EvaluationParams,
    comparison: pd.DataFrame,
    judge_comparison: pd.DataFrame | None = None,
    judge_summary: dict[str, Any] | None = None,
    ratings_comparison: pd.DataFrame | None = None,
    judge_agreement: pd.DataFrame | None = None,
) -> str:
    """Whether text metrics, judge and people agree about tuning, overall and item by item, as plain text.

    A track claims a change where interval and Holm-adjusted p-value of one of its metrics agree. Two tracks contradict
    each other only where they claim opposite changes: that one claims a change and the other does not is no
    disagreement, and that neither does is no agreement. The judge's metrics whose floors did not pass claim nothing.

    Args:
        divergence: as ``correlate_tracks`` returns it.
        evaluation: confidence and power.
        comparison: of the text metrics, with base and tuned as columns.
        judge_comparison: columns of ``compare``; None without a judge.
        judge_summary: verdict (on the judge itself), nothing_said (metrics whose floor it fails) and floors_unclear.
        ratings_comparison: columns of ``compare``, without a row where nobody has rated; None without people.
        judge_agreement: as ``judge_people_agreement`` returns it; None without judge or people.
    """
    doubts = read_doubts(judge_summary)
    tables = {"lexical": comparison, "judge": judge_comparison, "people": ratings_comparison}
    found = [find(track, table, doubts, evaluation) for track, table in tables.items() if table is not None]
    paragraphs = [
        _doubt_judge(judge_summary, doubts),
        *(tell_track(finding) for finding in found),
        *(relate(*pair, evaluation.power) for pair in combinations([finding for finding in found if finding.rows], 2)),
        *_tell_items(divergence, doubts, evaluation),
        _tell_agreement(judge_agreement, doubts),
        f"Differences are tuned − base; brackets are {percent(evaluation.confidence)} intervals.",
    ]
    return "\n\n".join(filter(None, paragraphs)) + "\n"


def _doubt_judge(summary: dict[str, Any] | None, doubts: dict[str, str]) -> str:
    """What the judge's checks on itself say against it; nothing where they do not."""
    if summary is None:
        return ""
    named = {
        doubt: ", ".join(name_axis(metric) for metric, of in doubts.items() if of == doubt) for doubt in FLOOR_DOUBTS
    }
    said = [words.format(names=named[doubt]) for doubt, words in FLOOR_DOUBTS.items() if named[doubt]]
    return " ".join([*said, FAILS_A_CHECK] if summary["verdict"] == "fails a check" else said)


def _tell_items(divergence: pd.DataFrame, doubts: dict[str, str], evaluation: EvaluationParams) -> Iterator[str]:
    """Whether two tracks order the test pairs alike by what tuning changed, for every two tracks."""
    believed = ~divergence[["first", "second"]].isin(list(doubts)).any(axis=1)
    rows = divergence[(divergence["basis"] == "difference") & believed]
    tracks = [(track_of(first), track_of(second)) for first, second in zip(rows["first"], rows["second"], strict=True)]
    for pair in dict.fromkeys(tracks):
        part = rows[[of == pair for of in tracks]]
        who = f"Item by item, {NAMES[pair[0]]} and {NAMES[pair[1]]}"
        known = part[part["spearman"].notna()]
        if known.empty:
            yield f"{who}: no rank correlation exists ({part['note'].iloc[0]})."
        else:
            yield f"{who}: {_tell_shown(known, evaluation)} {_tell_power(known, evaluation)}"


def _tell_shown(known: pd.DataFrame, evaluation: EvaluationParams) -> str:
    """How many correlations of two tracks are established, with the largest as an example."""
    shown = known[is_shown(known, evaluation.significance_level)]
    order = (shown if len(shown) else known).sort_values("spearman", key=abs, ascending=False, kind="stable")
    example = read_records(order)[0]
    largest = f"{name_metric(example['first'])} and {name_metric(example['second'])}, {tell_correlation(example)}"
    if shown.empty:
        return (
            f"none of {len(known)} rank correlations of what tuning changed is established (the largest is of "
            f"{largest}), which does not show that they are unrelated."
        )
    signs = {"positive": (shown["spearman"] > 0).sum(), "negative": (shown["spearman"] < 0).sum()}
    said = " and ".join(f"{count} {sign}" for sign, count in signs.items() if count)
    return (
        f"{len(shown)} of {len(known)} rank correlations of what tuning changed are established, {said} (the largest "
        f"is of {largest})."
    )


def _tell_power(known: pd.DataFrame, evaluation: EvaluationParams) -> str:
    """What so many items could establish."""
    groups, smallest = int(known["groups"].max()), float(known["detectable"].min())
    if math.isinf(smallest):
        return f"n = {groups} independent test pairs cannot establish any correlation."
    strength = "none but very strong correlations" if smallest >= VERY_STRONG else "no weaker correlations than"
    size = f", of {smallest:.2f} or more," if smallest >= VERY_STRONG else f" {smallest:.2f}"
    return (
        f"n = {groups} independent test pairs can establish {strength}{size} with a chance of "
        f"{percent(evaluation.power)}, and before the correction for several tests."
    )


def _tell_agreement(judge_agreement: pd.DataFrame | None, doubts: dict[str, str]) -> str:
    """The judge's agreement with people on every axis that both rated."""
    if judge_agreement is None or judge_agreement.empty:
        return ""
    parts = []
    for row in read_records(judge_agreement):
        bounds = interval(row["low"], row["high"], 2)
        kappa = minus(f"{number(row['quadratic_kappa'], 2)} {bounds}".rstrip())
        doubt = ", a score that is not believed" if f"judge_{row['axis']}" in doubts else ""
        parts.append(f"{row['axis']} {kappa} (n = {row['n']}{doubt})")
    return f"Judge and raters on the same answers, quadratic kappa: {', '.join(parts)}."
