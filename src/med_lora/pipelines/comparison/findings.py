"""What the tables of many runs say, in sentences: which differences are real, and which the data cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.contrasts import ARM_BETTER, EVERY_PAIR, NOT_TESTED, NOT_TOLD_APART, REFERENCE_BETTER
from med_lora.pipelines.comparison.runs import read_distinct
from med_lora.report_page.wording import PERCENT_SCALED, interval, number, p_value, percent, title

MOST_NAMED = 6  # contrasts that are told one by one


def state_overview(compared_runs: pd.DataFrame, left_out: Sequence[tuple[str, str]]) -> str:
    """How many runs of what are compared, and how many are not."""
    distinct = read_distinct(compared_runs)
    same = len(compared_runs) - len(distinct)
    parts = [
        f"{count_of(len(compared_runs), 'run')} of {count_of(compared_runs['model'].nunique(), 'model')} on "
        f"{count_of(compared_runs['machine'].nunique(), 'machine')} and "
        f"{count_of(compared_runs['test_set'].nunique(), 'test set')}"
    ]
    if same:
        parts.append(f"{same} of them repeat{'s' * (same == 1)} another one exactly, and what is repeated counts once")
    if left_out:
        parts.append(f"{count_of(len(left_out), 'finished run')} left out, with the reason at the end")
    return f"{'; '.join(parts)}."


def state_contrasts(
    run_contrasts: pd.DataFrame, leaderboard: pd.DataFrame, comparison: ComparisonParams, evaluation: EvaluationParams
) -> list[str]:
    """For each test set: what the first metric shows, then how the others went."""
    said = []
    first = comparison.metrics[0]
    for test_set, ranked in leaderboard[leaderboard["arm"] == "tuned"].groupby("test_set", sort=True):
        if len(ranked) < 2:
            said.append(f"Test pairs {test_set}: {ranked['label'].iloc[0]} is alone on them, so nothing is compared.")
            continue
        of_set = run_contrasts[run_contrasts["test_set"] == test_set]
        rows = of_set[(of_set["metric"] == first) & (of_set["verdict"] != NOT_TESTED)].to_dict("records")
        decided = [row for row in rows if row["verdict"] != NOT_TOLD_APART]
        said.append(
            f"Test pairs {test_set} (n = {ranked['n'].max()} in {ranked['groups'].max()} groups), {title(first)}: "
            f"{len(decided)} of {len(rows)} contrasts between tuned models show a difference "
            f"({percent(evaluation.confidence)} intervals without zero, p corrected by Holm over "
            "every test of this page)."
        )
        said += [_state_difference(row, first) for row in decided[:MOST_NAMED]]
        if len(decided) > MOST_NAMED:
            said.append(f"The other {len(decided) - MOST_NAMED} stand in the table.")
        said += _state_unclear([row for row in rows if row["verdict"] == NOT_TOLD_APART], first, evaluation)
        if len(ranked) > EVERY_PAIR:
            said.append(
                f"With more than {EVERY_PAIR} runs each is compared with the first-ranked alone. It was picked by "
                "these scores, so its lead is flattered; test it on fresh pairs before you rely on it."
            )
        said += _state_others(of_set, first)
    return said


def state_controls(leaderboard: pd.DataFrame, comparison: ComparisonParams) -> list[str]:
    """Tuned models that do not even come above a null control."""
    tuned = leaderboard[leaderboard["arm"] == "tuned"]
    said = []
    for metric in comparison.metrics:
        held = tuned[tuned[f"{metric}_control"].notna() & tuned[metric].notna()]
        below = held[held[metric] <= held[f"{metric}_control"]]
        if len(below):
            said.append(f"{title(metric)} ({len(below)} of {len(held)})")
    if not said:
        return []
    return [
        "Tuned models whose mean is not above that of their best null control, which understands nothing: "
        f"{', '.join(said)}."
    ]


def state_untuned(run_means: pd.DataFrame, compared_runs: pd.DataFrame, comparison: ComparisonParams) -> list[str]:
    """Tuned models whose mean is no better than that of the base model they were tuned from, metric by metric."""
    bases = dict(zip(compared_runs["run"], compared_runs["base"], strict=True))
    signs = run_means["better"].map({"higher": 1, "lower": -1})
    known = run_means.assign(base=run_means["run"].map(bases), good=signs * run_means["mean"]).dropna(subset="good")
    tuned, untuned = (known[known["arm"] == arm] for arm in ("tuned", "base"))
    both = tuned.merge(untuned, on=["base", "metric"], suffixes=("", "_untuned"))
    said = []
    for metric in comparison.metrics:
        part = both[both["metric"] == metric]
        below = int((part["good"] <= part["good_untuned"]).sum())
        if below:
            said.append(f"{title(metric)} ({below} of {len(part)})")
    if not said:
        return []
    return [
        "Tuned models whose mean is not better than the untuned model's (not tested here; see each run's report): "
        f"{', '.join(said)}."
    ]


def state_repeats(compared_runs: pd.DataFrame) -> list[str]:
    """What came of runs with equal settings and seeds: whether the machine alone changes anything."""
    said = []
    for _, members in compared_runs.groupby("configuration", sort=True):
        if len(members) < 2:
            continue
        labels, machines = "; ".join(members["label"]), sorted(set(members["machine"]))
        where = f"on {machines[0]}" if len(machines) == 1 else f"on {len(machines)} machines ({', '.join(machines)})"
        different = len(read_distinct(members))
        found = (
            "their scores and losses are identical"
            if different == 1
            else f"they gave {different} different sets of scores, so machine, versions or chance made a difference"
        )
        said.append(f"{labels} have equal settings and seeds, {where}: {found}.")
    return said or ["No two runs have equal settings and seeds, so nothing here tells what the machine alone changes."]


def state_seeds(seed_spread: pd.DataFrame, comparison: ComparisonParams) -> list[str]:
    """How far runs that differ in seeds alone lie apart: a difference between settings within that is none."""
    rows = seed_spread[seed_spread["metric"] == comparison.metrics[0]].to_dict("records")
    return [
        f"Seeds alone: {title(row['metric'])} of {row['runs']} has the mean {row['mean']:.3f} and a range of "
        f"{row['range']:.3f} (n = {row['seeds']} seeds, {row['n']} pairs each)."
        for row in rows
    ] or [
        "No two runs differ in their seeds alone, so nothing here tells how much of a difference between runs is the "
        "chance of one training; the intervals are over test pairs."
    ]


def state_settings(
    setting_scores: pd.DataFrame, run_contrasts: pd.DataFrame, comparison: ComparisonParams
) -> list[str]:
    """Each setting that alone differs between two runs, with what their contrast showed."""
    metric, said = comparison.metrics[0], []
    own = setting_scores[(setting_scores["metric"] == metric) & setting_scores["alone"].astype(bool)]
    verdicts = {
        frozenset((row["reference"], row["arm"])): row
        for row in run_contrasts[run_contrasts["metric"] == metric].to_dict("records")
    }
    for (setting, test_set), part in own.groupby(["setting", "test_set"], sort=True):
        tested = [
            verdicts[key]
            for key in (frozenset((one, other)) for one in part["run"] for other in part["run"] if one < other)
            if key in verdicts and _one_curve(part, key)
        ]
        real = sum(row["verdict"] in (ARM_BETTER, REFERENCE_BETTER) for row in tested)
        values = ", ".join(str(value) for value in dict.fromkeys(part["value"]))
        said.append(
            f"{setting} ({values}), test pairs {test_set}: {real} of {len(tested)} contrasts between runs "
            f"that differ in it alone show a difference in {title(metric)}."
        )
    return said


def _one_curve(part: pd.DataFrame, pair: frozenset[str]) -> bool:
    return part["curve"][part["run"].isin(pair)].nunique() == 1


def _state_difference(row: dict[Any, Any], metric: str) -> str:
    ahead, behind = ("arm", "reference") if row["verdict"] == ARM_BETTER else ("reference", "arm")
    places = 2 if metric in PERCENT_SCALED | {"perplexity"} else 3
    low, high = sorted(abs(row[f"difference_{end}"]) for end in ("low", "high"))
    return (
        f"{row[f'{ahead}_label']} is better than {row[f'{behind}_label']} by {number(abs(row['difference']), places)} "
        f"{interval(low, high, places)} in {title(metric)} (p {p_value(row['p_holm'])}, n = {row['n']})."
    )


def _state_unclear(rows: Sequence[dict[Any, Any]], metric: str, evaluation: EvaluationParams) -> list[str]:
    if not rows:
        return []
    places = 2 if metric in PERCENT_SCALED | {"perplexity"} else 3
    finite = sorted({number(row["detectable"], places) for row in rows if math.isfinite(row["detectable"])}, key=float)
    found = (
        f" Differences under {' to '.join(dict.fromkeys([finite[0], finite[-1]]))} would be found with a chance "
        f"below {percent(evaluation.power)} even before the correction."
        if finite
        else ""
    )
    names = "; ".join(f"{row['reference_label']} and {row['arm_label']}" for row in rows[:MOST_NAMED])
    more = f"; and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return [f"The data cannot tell apart: {names}{more}.{found}"]


def _state_others(of_set: pd.DataFrame, first: str) -> list[str]:
    others = of_set[(of_set["metric"] != first) & (of_set["verdict"] != NOT_TESTED)]
    counts = [
        f"{title(str(metric))} {(part['verdict'] != 'not told apart').sum()} of {len(part)}"
        for metric, part in others.groupby("metric", sort=False)
    ]
    return [f"Contrasts with a difference in the other metrics: {', '.join(counts)}."] if counts else []


def count_of(count: int, noun: str) -> str:
    """A number with its noun: ``1 run``, ``2 runs``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
