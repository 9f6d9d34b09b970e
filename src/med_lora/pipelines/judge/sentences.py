"""What the judge found and whether it can be believed, in plain sentences."""

from __future__ import annotations

import math
from typing import Any, Literal

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.pipelines.judge.candidates import EMPTY, SHUFFLED
from med_lora.pipelines.judge.checks import FLOORS, LOST, MISSING
from med_lora.pipelines.judge.floors import Floor
from med_lora.pipelines.judge.scores import PREFERENCE, name_judge
from med_lora.report_page.records import Record
from med_lora.report_page.wording import in_groups, interval, minus, name_axis, number, p_value, percent, share, title
from med_lora.statistics.power import detectable

Standing = Literal["fails its floor controls", "fails a check", "unclear", "passes its floor controls", "passes"]
CHANGES = {"improved": "higher", "worsened": "lower", "unclear": "no difference shown"}
CONTROLS = {EMPTY: "nothing", SHUFFLED: "another question's"}
STANDINGS = {
    "fails a check": "The judge fails a check on itself, which weakens whatever it says of the arms.",
    "passes its floor controls": "The judge tells true answers from empty and misplaced ones; other checks on it "
    "leave open what moves its scores.",
    "passes": "The judge passes every check that was made on it, which rules out these faults and not others.",
}


def write_sentences(
    standing: Standing,
    floors: dict[str, Floor],
    checks: list[Record],
    rows: list[Record],
    usage: dict[str, Any],
    forecast: dict[str, Any],
    evaluation: EvaluationParams,
) -> list[str]:
    """The judge's standing, who it is, the power, base against tuned, the arms with passages, and the checks.

    Args:
        standing: verdict on the judge.
        floors: by metric.
        checks: rows of ``judge_checks``.
        rows: of ``judge_comparison``, each with its verdict.
        usage: judge_usage.
        forecast: judge_forecast.
        evaluation: power.
    """
    tuning = [row for row in rows if (row["reference"], row["arm"]) == TUNING]
    others = [row for row in rows if (row["reference"], row["arm"]) != TUNING and row["verdict"] != "not compared"]
    return [
        *_tell_standing(standing, floors),
        _tell_judge(usage, forecast, checks),
        _tell_power(tuning, evaluation),
        *(_tell_row(row, floors) for row in tuning),
        *([_tell_passages(others)] if others else []),
        *_list_checks(checks),
    ]


def _tell_standing(standing: Standing, floors: dict[str, Floor]) -> list[str]:
    """Whether the judge can be believed, with the metrics on which it cannot unless it is all of them."""
    void, open_ = ([name for name, floor in floors.items() if floor.verdict == of] for of in ("failed", "unclear"))
    sentences = [STANDINGS[standing]] if standing in STANDINGS else []
    if void:
        said = "its scores of these say nothing" if len(void) < len(floors) else "its scores say nothing"
        sentences.append(f"The judge fails its floor controls{_list_some(void, floors)}: {said}.")
    if open_ or not floors:
        sentences.append(
            f"Whether the judge tells a true answer from an empty or a misplaced one is not shown"
            f"{_list_some(open_, floors)}, so nothing is concluded from these scores."
        )
    return sentences


def _list_some(metrics: list[str], floors: dict[str, Floor]) -> str:
    """Metrics, unless they are all."""
    return f" on {', '.join(map(name_axis, metrics))}" if len(metrics) < len(floors) else ""


def _tell_judge(usage: dict[str, Any], forecast: dict[str, Any], checks: list[Record]) -> str:
    versions = "; several versions answered, so that their scores are mixed" if ", " in str(usage["version"]) else ""
    lost = [
        f"{share(check['value'])} of the answers on {name_axis(check['subject'])}"
        for check in checks
        if check["check"] == MISSING and check["value"] > LOST
    ]
    missing = f"; missing are {', '.join(lost)}" if lost else ""
    pairs = f"on {forecast['items']} test pairs in {forecast['groups']} groups"
    return f"Judge: {name_judge(usage)}, {pairs}{versions}{missing}."


def _tell_power(tuning: list[Record], evaluation: EvaluationParams) -> str:
    """What the groups that were scored can show; the forecast had those that were drawn."""
    groups = max((row["groups"] for row in tuning), default=0)
    smallest = detectable(groups, evaluation.power, evaluation.significance_level) if groups else math.inf
    if not math.isfinite(smallest):
        return "So few scores cannot show any difference between two arms, whatever the judge says."
    return (
        f"With a chance of {percent(evaluation.power)}, {groups} independent pairs show a difference of {smallest:.2f} "
        "standard deviations or more, before the correction for several tests; one that they do not show may exist."
    )


def _tell_row(row: Record, floors: dict[str, Floor]) -> str:
    """One metric of base against tuned."""
    name = f"{title(row['arm'])} against {title(row['reference']).lower()}, {name_axis(row['metric'])}"
    if not row["n"]:
        return f"{name}: no score ({row['missing'] or row['note']})."
    if row["verdict"] == "not compared":
        reason = f" ({row['note']})" if row["note"] else ""
        return f"{name}: not compared{reason}."
    means = f"{number(row['arm_mean'], 2)} against {number(row['reference_mean'], 2)}"
    bounds = interval(row["difference_low"], row["difference_high"], 2)
    difference = minus(f"difference {number(row['difference'], 2)} {bounds}".rstrip())
    tested = f"n = {row['n']} {in_groups(row)}, Holm p {p_value(row['p_holm'])}"
    return f"{name}: {means}, {difference}, {tested}: {_conclude(row, floors)}."


def _conclude(row: Record, floors: dict[str, Floor]) -> str:
    if row["verdict"] == "not believed":
        return "no conclusion, because the judge fails a floor of it"
    if row["verdict"] == "floors unclear":
        return f"no conclusion, because {_tell_open(floors[row['metric']], row['metric'])}"
    return CHANGES[row["verdict"]]


def _tell_open(floor: Floor, metric: str) -> str:
    """What the floors of a metric leave open."""
    controls = [CONTROLS[FLOORS.get(str(check["check"]), SHUFFLED)] for check in floor.open]
    rivals = " or from ".join(controls or CONTROLS.values())
    n = max((int(check["n"]) for check in floor.open), default=0)
    if not n:
        return f"it was not measured whether the judge tells a reference from {rivals}"
    counted = f"{n} verdicts" if metric == PREFERENCE else f"{n} items"
    return f"{counted} do not show that the judge tells a reference from {rivals}"


def _tell_passages(rows: list[Record]) -> str:
    """How many differences of the arms with passages are claimed, and which."""
    claims: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["verdict"] in ("improved", "worsened"):
            pair = (str(row["reference"]), str(row["arm"]))
            claims.setdefault(pair, []).append(f"{name_axis(row['metric'])} {CHANGES[row['verdict']]}")
    parts = [
        f"{title(arm).lower()} against {title(reference).lower()}: {', '.join(said)}"
        for (reference, arm), said in claims.items()
    ]
    count = sum(map(len, claims.values()))
    shown = f"{count or 'none'} of {len(rows)} differences {'are' if count > 1 else 'is'} claimed"
    doubted = sum(row["verdict"] in ("not believed", "floors unclear") for row in rows)
    silent = f", and {doubted} allow no conclusion, since a floor did not pass" if doubted else ""
    which = f" ({'; '.join(parts)})" if parts else ""
    return f"Arms with passages: {shown}{which}{silent}."


def _list_checks(checks: list[Record]) -> list[str]:
    """Which checks failed, passed, are unclear or were not made."""
    leads = {"failed": "Failed", "passed": "Passed", "unclear": "Unclear", "not measured": "Not measured"}
    return [f"{lead}: {', '.join(named)}." for verdict, lead in leads.items() if (named := _group(checks, verdict))]


def _group(checks: list[Record], verdict: str) -> list[str]:
    """Checks of a verdict with how many of their subjects: "padded (3 of 4)"."""
    names = list(dict.fromkeys(str(check["check"]) for check in checks))
    grouped = []
    for name in names:
        verdicts = [check["verdict"] for check in checks if check["check"] == name]
        count = verdicts.count(verdict)
        if count:
            grouped.append(name if count == len(verdicts) else f"{name} ({count} of {len(verdicts)})")
    return grouped
