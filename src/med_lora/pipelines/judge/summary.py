"""What the judge found and whether it can be believed, as numbers and in plain sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.verdicts import decide
from med_lora.pipelines.judge.checks import FLOORS
from med_lora.pipelines.judge.floors import Floor, read_floors
from med_lora.pipelines.judge.orders import KNOWN_PAIR
from med_lora.pipelines.judge.sentences import Standing, write_sentences
from med_lora.report_page.records import Record, plain, read_records

_NUMBERS = (
    *("n", "groups", "reference_mean", "reference_low", "reference_high", "arm_mean", "arm_low", "arm_high"),
    *("difference", "difference_low", "difference_high", "p_value", "p_holm", "mann_whitney_p", "detectable"),
)
# What a metric's scores allow where its floors did not pass.
DOUBTS = {"failed": "not believed", "unclear": "floors unclear"}


def summarise_judge(
    judge_comparison: pd.DataFrame,
    judge_checks: pd.DataFrame,
    judge_usage: dict[str, Any],
    judge_forecast: dict[str, Any],
    evaluation: EvaluationParams,
) -> dict[str, Any]:
    """What the judge says of the arms, and first what its own checks say of the judge.

    Scores of a metric are believed where the judge is shown to tell the reference from no answer and from another
    question's, that is, where all floors of the metric passed. From other scores nothing is concluded, whatever the
    other checks found. A difference is claimed only if its interval and the Holm-adjusted p-value agree.

    Returns:
        sentences: for a reader, the verdict on the judge first; judge and version; verdict: on the judge ("fails its
        floor controls", "fails a check", "unclear": a floor is, "passes its floor controls": other checks are unclear,
        "passes": none is; checks that were not made count for nothing here and are named in the sentences);
        nothing_said: metrics of which a floor failed; floors_unclear: metrics of which none failed and not all passed;
        checks: "check: subject" by verdict; results: of every contrast and metric its numbers and verdict ("improved",
        "worsened", "unclear", "not compared", "not believed", "floors unclear"). A number that does not exist is None.
    """
    checks = read_records(judge_checks)
    rows = read_records(judge_comparison)
    floors = read_floors(checks, [str(row["metric"]) for row in rows if row["n"]])
    standing = _find_standing(checks, floors)
    results = [_state_result(row, floors, evaluation) for row in rows]
    told = [row | {"verdict": result["verdict"]} for row, result in zip(rows, results, strict=True)]
    return {
        "sentences": write_sentences(standing, floors, checks, told, judge_usage, judge_forecast, evaluation),
        "judge": str(judge_usage["judge"]),
        "version": str(judge_usage["version"]),
        "verdict": standing,
        "nothing_said": [metric for metric, floor in floors.items() if floor.verdict == "failed"],
        "floors_unclear": [metric for metric, floor in floors.items() if floor.verdict == "unclear"],
        "checks": {verdict: _name(checks, verdict) for verdict in ("passed", "failed", "unclear", "not measured")},
        "results": results,
    }


def _find_standing(checks: list[Record], floors: dict[str, Floor]) -> Standing:
    verdicts = {floor.verdict for floor in floors.values()}
    others = {check["verdict"] for check in checks if check["check"] not in (*FLOORS, KNOWN_PAIR)}
    if "failed" in verdicts:
        return "fails its floor controls"
    if "failed" in others:
        return "fails a check"
    if verdicts != {"passed"}:
        return "unclear"
    return "passes its floor controls" if "unclear" in others else "passes"


def _state_result(row: Record, floors: dict[str, Floor], evaluation: EvaluationParams) -> Record:
    verdict: str = decide(row, evaluation.significance_level)
    if verdict != "not compared":
        verdict = DOUBTS.get(floors[row["metric"]].verdict, verdict)
    named = {name: str(row[name]) for name in ("reference", "arm", "metric")}
    return named | {name: plain(row[name]) for name in _NUMBERS} | {"verdict": verdict}


def _name(checks: list[Record], verdict: str) -> list[str]:
    return [f"{check['check']}: {check['subject']}" for check in checks if check["verdict"] == verdict]
