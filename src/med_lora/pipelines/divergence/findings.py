"""What each track says of tuned against base, and whether two tracks agree about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.divergence.track_scores import TRACKS
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.pipelines.evaluation.comparison.verdicts import decide
from med_lora.pipelines.judge.summary import DOUBTS
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import (
    capital,
    decimals,
    in_groups,
    interval,
    minus,
    name_axis,
    number,
    percent,
    split_rated,
    title,
)

Stand = Literal["improved", "worsened", "mixed", "cannot tell", "not compared"]
NAMES = {"lexical": "the text metrics", "judge": "the judge", "people": "the raters"}
POSSESSIVES = {"lexical": "the text metrics'", "judge": "the judge's", "people": "the raters'"}
VERBS = {"improved": "helped", "worsened": "harmed"}
WORDS = {
    "improved": "tuning improved",
    "worsened": "tuning made worse",
    "unclear": "no change is shown in",
    "not compared": "no comparison was possible of",
    "not believed": "nothing is concluded from",
    "floors unclear": "for want of floors that passed, nothing is concluded from",
}


@dataclass(frozen=True)
class Finding:
    """What one track says of tuned against base.

    Attributes:
        track: "lexical", "judge" or "people".
        rows: of its metrics in the comparison, only those that were to be tested.
        verdicts: "improved", "worsened", "unclear", "not compared", "not believed" or "floors unclear", by metric.
    """

    track: str
    rows: list[Record]
    verdicts: dict[str, str]

    @property
    def name(self) -> str:
        return NAMES[self.track]

    @property
    def stand(self) -> Stand:
        """What the track claims as a whole: a change where one of its metrics does and none claims the opposite."""
        said = set(self.verdicts.values())
        if {"improved", "worsened"} <= said:
            return "mixed"
        if "improved" in said:
            return "improved"
        if "worsened" in said:
            return "worsened"
        return "cannot tell" if "unclear" in said else "not compared"

    def of(self, verdict: str) -> list[Record]:
        return [row for row in self.rows if self.verdicts[row["metric"]] == verdict]


def find(track: str, table: pd.DataFrame, doubts: Mapping[str, str], evaluation: EvaluationParams) -> Finding:
    """What a comparison says for a track.

    Args:
        track: "lexical", "judge" or "people".
        table: with base and tuned as columns, or of any contrasts with reference and arm.
        doubts: as :func:`read_doubts` gives them.
        evaluation: for the level of significance.
    """
    rows = [row for row in read_records(table) if _is_tuning(row)]
    of_track = [row for row in rows if TRACKS.get(row["family"]) == track and row["better"] != "neither"]
    # a metric that only describes has no p-value either
    tested = [row for row in of_track if row["groups"] < 2 or not math.isnan(row["p_value"])]
    verdicts: dict[str, str] = {row["metric"]: decide(row, evaluation.significance_level) for row in tested}
    claimed = {metric for metric, verdict in verdicts.items() if verdict != "not compared"}
    return Finding(track, tested, verdicts | {metric: doubt for metric, doubt in doubts.items() if metric in claimed})


def read_doubts(judge_summary: Mapping[str, Any] | None) -> dict[str, str]:
    """The judge's metrics that allow no conclusion, with the verdict that ``judge_summary`` gives them."""
    if judge_summary is None:
        return {}
    lists = {"nothing_said": DOUBTS["failed"], "floors_unclear": DOUBTS["unclear"]}
    return {metric: doubt for name, doubt in lists.items() for metric in judge_summary[name]}


def _is_tuning(row: Record) -> bool:
    return "reference" not in row or (row["reference"], row["arm"]) == TUNING


def tell_track(finding: Finding) -> str:
    """Where a track shows a change, with numbers, and what it leaves open."""
    if not finding.rows:
        return {
            "lexical": "The text metrics: none was tested.",
            "judge": "The judge: there is no score.",
            "people": "The raters: no ratings have come back, so people say nothing yet.",
        }[finding.track]
    n, groups = (max(int(row[name]) for row in finding.rows) for name in ("n", "groups"))
    count = f"{len(finding.rows)} metric{'s' if len(finding.rows) > 1 else ''}"
    parts = [
        f"{words} {len(rows)} of {count} ({list_changes(rows)})"
        for verdict, words in WORDS.items()
        if (rows := finding.of(verdict))
    ]
    over = f"n = {n:,} test pairs {in_groups({'groups': groups})}"
    return f"{capital(finding.name)} ({over}): {'; '.join(parts)}."


def list_changes(rows: list[Record]) -> str:
    """Metrics with their differences and intervals, where there are any."""
    return ", ".join(f"{name_axis(row['metric'])} {_tell_change(row)}".rstrip() for row in rows)


def _tell_change(row: Record) -> str:
    if math.isnan(row["difference"]):
        return ""
    places = decimals(row)
    text = f"{number(row['difference'], places)} {interval(row['difference_low'], row['difference_high'], places)}"
    return minus(text.rstrip())


def relate(first: Finding, second: Finding, chance: float) -> str:
    """Whether two tracks agree about tuning, as far as each claims anything; ``chance`` is ``evaluation.power``."""
    stands = {first.stand, second.stand}
    if "not compared" in stands:
        return f"{capital(first.name)} and {second.name} cannot be set against each other: one has no tested result."
    if "mixed" in stands:
        mixed = " and by ".join(finding.name for finding in (first, second) if finding.stand == "mixed")
        return (
            f"By {mixed} tuning helped in some respects and harmed in others, so {first.name} and {second.name} "
            "neither agree nor contradict each other as a whole."
        )
    if stands == {"cannot tell"}:
        return (
            f"Neither by {first.name} nor by {second.name} is a change shown, which is no agreement that there is none."
        )
    if "cannot tell" in stands:
        claiming, silent = (first, second) if second.stand == "cannot tell" else (second, first)
        return _tell_one_claim(claiming, silent, chance)
    if len(stands) == 1:
        return f"By {first.name} and by {second.name} alike, tuning {VERBS[first.stand]}."
    return (
        f"The tracks contradict each other: by {first.name} tuning {VERBS[first.stand]}, by {second.name} it "
        f"{VERBS[second.stand]}."
    )


def _tell_one_claim(claiming: Finding, silent: Finding, chance: float) -> str:
    """One track shows a change and the other does not, which may be for want of items."""
    rows = silent.of("unclear")
    open_ = [row for row in rows if row["difference_low"] <= 0 <= row["difference_high"]]
    others = [row for row in rows if row not in open_]
    reasons = []
    if open_:
        subject = "intervals include" if len(open_) > 1 else "interval includes"
        reasons.append(f"{POSSESSIVES[silent.track]} {subject} no change ({list_changes(open_)})")
    if others:
        reasons.append(f"after the correction for several tests nothing is left of {list_changes(others)}")
    shown = f"By {claiming.name} tuning {VERBS[claiming.stand]}; by {silent.name} no change is shown."
    return f"{shown} This cannot be called a disagreement: {', and '.join(reasons)}.{_tell_limit(rows, chance)}"


def _tell_limit(rows: list[Record], chance: float) -> str:
    """The changes that so many test pairs would show."""
    known = [row for row in rows if math.isfinite(row["detectable"])]
    if not known:
        return ""
    sizes = ", ".join(f"{name_axis(row['metric'])} {number(row['detectable'], decimals(row))}" for row in known)
    groups = max(int(row["groups"]) for row in known)
    return (
        f" With a chance of {percent(chance)}, n = {groups} independent test pairs find changes from here on: {sizes}."
    )


def track_of(metric: str) -> str:
    return split_rated(metric)[0] or "lexical"


def name_metric(metric: str) -> str:
    """A metric within a sentence: ``accuracy by the judge``, ``ROUGE-L F``."""
    track = track_of(metric)
    return title(metric) if track == "lexical" else f"{name_axis(metric)} by {NAMES[track]}"


def tell_correlation(row: Mapping[str, Any]) -> str:
    """Spearman's correlation with its interval: ``ρ = 0.12 [−0.31, 0.52]``."""
    if math.isnan(row["spearman"]):
        return "no correlation"
    bounds = interval(row["low"], row["high"], 2)
    return minus(f"ρ = {number(row['spearman'], 2)} {bounds}".rstrip())


def is_shown(rows: pd.DataFrame, alpha: float) -> pd.Series:
    """Whether a correlation is other than 0, by interval and Holm-adjusted p-value, of every row of ``divergence``."""
    return ((rows["low"] > 0) | (rows["high"] < 0)) & (rows["p_holm"] < alpha)
