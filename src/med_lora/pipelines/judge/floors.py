"""Whether the judge is shown to tell the reference from nothing and from another question's, metric by metric."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from med_lora.pipelines.judge.checks import FLOORS
from med_lora.pipelines.judge.orders import KNOWN_PAIR
from med_lora.pipelines.judge.scores import PREFERENCE
from med_lora.report_page.records import Record


class Floor(NamedTuple):
    """What the floor checks of one metric say.

    Attributes:
        verdict: "passed" only where all of them passed; "failed" where one failed.
        open: those that did not pass, as rows of ``judge_checks``.
    """

    verdict: Literal["passed", "failed", "unclear"]
    open: list[Record]


def read_floors(checks: Iterable[Record], scored: Iterable[str]) -> dict[str, Floor]:
    """The floor of every metric, by name.

    Args:
        checks: rows of ``judge_checks``.
        scored: metrics with scores of the arms; one of them without a measured floor is unclear, and any other metric
            without one is left out.
    """
    found: dict[str, list[Record]] = {metric: [] for metric in scored}
    for check in checks:
        metric = PREFERENCE if check["check"] == KNOWN_PAIR else str(check["subject"])
        if check["check"] in (*FLOORS, KNOWN_PAIR) and (metric in found or check["verdict"] != "not measured"):
            found.setdefault(metric, []).append(check)
    return {metric: _settle(found[metric]) for metric in sorted(found)}


def _settle(rows: list[Record]) -> Floor:
    open_ = [row for row in rows if row["verdict"] != "passed"]
    if any(row["verdict"] == "failed" for row in open_):
        return Floor("failed", open_)
    return Floor("unclear" if open_ or not rows else "passed", open_)
