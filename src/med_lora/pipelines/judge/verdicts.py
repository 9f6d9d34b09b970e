"""What a check on the judge found, what was expected, and the verdict that follows from the interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.statistics.power import fewest_groups
from med_lora.statistics.resampling import ROUNDING
from med_lora.statistics.shares import ratio_interval

Verdict = Literal["passed", "failed", "unclear", "not measured"]
COLUMNS = ["check", "subject", "n", "value", "low", "high", "level", "expected", "verdict", "note"]
Range = tuple[float, float]


@dataclass(frozen=True)
class Expectation:
    """What a sound judge's value is.

    Attributes:
        words: as in the table.
        sound: passed if the whole interval lies strictly within.
        tolerable: failed, unless passed, if the whole interval lies outside; what lies between allows no verdict.
    """

    words: str
    sound: Range
    tolerable: Range

    def decide(self, low: float, high: float) -> Verdict:
        """The verdict on an interval; "unclear" where there is none."""
        if math.isnan(low) or math.isnan(high):
            return "unclear"
        if low > self.sound[0] + ROUNDING and high < self.sound[1] - ROUNDING:
            return "passed"
        if high < self.tolerable[0] - ROUNDING or low > self.tolerable[1] + ROUNDING:
            return "failed"
        return "unclear"


@dataclass(frozen=True)
class Simultaneous:
    """The level of each of several intervals that hold together (Bonferroni).

    Attributes:
        confidence: of one interval.
        together: intervals that hold together with ``evaluation.confidence``.
    """

    confidence: float
    together: int

    @classmethod
    def of(cls, evaluation: EvaluationParams, together: int) -> Simultaneous:
        return cls(1 - evaluation.significance_level / together, together)


@dataclass(frozen=True)
class Checked:
    """A measured value with its interval.

    Attributes:
        n: what it is a mean or a share of.
        groups: that these come in, the independent observations.
        value: NaN if it was not measured.
        low: bound of the interval; NaN where there is none.
        high: the other.
        level: of the interval.
        note: more about the value, or why there is none.
    """

    n: int
    groups: int
    value: float
    low: float
    high: float
    level: Simultaneous | None
    note: str = ""

    def row(self, check: str, subject: str, expected: Expectation) -> dict[str, Any]:
        """A row of the table of checks; too few groups for any test at the level give no verdict."""
        verdict, remarks = expected.decide(self.low, self.high), [self.note]
        if math.isnan(self.value):
            verdict = "not measured"
        elif self.level is not None:
            fewest = fewest_groups(1 - self.level.confidence)
            if self.groups < fewest:
                verdict = "unclear"
                remarks.append(f"{self.groups} independent pairs, and a verdict needs {fewest}")
        described = {"check": check, "subject": subject, "n": self.n, "expected": expected.words, "verdict": verdict}
        level = self.level.confidence if self.level is not None and not math.isnan(self.low) else math.nan
        numbers = {"value": self.value, "low": self.low, "high": self.high, "level": level}
        return described | numbers | {"note": "; ".join(filter(None, remarks))}


def not_measured(reason: str) -> Checked:
    """Why a check has no value."""
    return Checked(0, 0, math.nan, math.nan, math.nan, None, reason)


def mean_of(values: pd.Series, groups: pd.Series, level: Simultaneous) -> Checked:
    """The mean of the items that have a value; see :func:`ratio_of`.

    Args:
        values: one an item, NaN where missing.
        groups: of the items, by the same index.
        level: of the interval.
    """
    measured = values.dropna().astype("float64")
    if measured.empty:
        return not_measured("no pair has both scores")
    return ratio_of(measured, pd.Series(1.0, index=measured.index), groups.loc[measured.index], level)


def ratio_of(above: pd.Series, below: pd.Series, groups: pd.Series, level: Simultaneous, note: str = "") -> Checked:
    """Ratio of two sums over items, whose n is the sum of ``below``.

    The interval is that of the groups' residuals and no bootstrap: at the far levels of checks that hold together, an
    unbiased judge would fail more often than it should by one of 20 items. See
    :func:`~med_lora.statistics.shares.ratio_interval`.
    """
    value, (low, high) = ratio_interval(above, below, groups, level.confidence)
    return Checked(round(float(below.sum())), int(groups.nunique()), value, low, high, level, note)
