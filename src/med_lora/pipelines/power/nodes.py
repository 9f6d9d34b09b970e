"""The smallest difference that a number of test pairs can show, and the pairs that a difference needs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams, PowerParams, SplitParams
from med_lora.statistics.power import detectable, pairs_needed

COLUMNS = ["given", "pairs", "difference", "tests", "alpha", "power", "own_split"]


def tabulate_power(power: PowerParams, evaluation: EvaluationParams, split: SplitParams) -> pd.DataFrame:
    """Numbers of pairs and differences, each with what it means for one test and at Holm's first step.

    The test is the two-sided signed-rank test of the comparison at the level 1 - ``evaluation.confidence``; the first
    step of Holm's correction divides the level by ``power.tests``. The number of pairs of the test split is judged too,
    unless it is a fraction. Pairs count as independent: where pairs are related, the number of their groups counts.

    Returns:
        given ("pairs" or "difference"), pairs, difference (in standard deviations of the paired differences), tests
        (1 or ``power.tests``), alpha (level of one test), power, own_split (whether these are the pairs of the test
        split). Where pairs are given, difference is the smallest that they show (infinite where they show none); where
        a difference is given, pairs is the number that it needs.
    """
    own = split.test if isinstance(split.test, int) and split.test > 0 else None
    level, chance = evaluation.significance_level, evaluation.power
    rows: list[tuple[Any, ...]] = []
    for tests in sorted({1, power.tests}):
        alpha = round(level / tests, 12)
        for pairs in sorted({*power.pairs, *([own] if own else [])}):
            smallest = detectable(pairs, chance, alpha)
            rows.append(("pairs", float(pairs), smallest, tests, alpha, chance, pairs == own))
        for difference in sorted(set(power.differences)):
            rows.append(
                ("difference", pairs_needed(difference, chance, alpha), difference, tests, alpha, chance, False)
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def describe_power(power_table: pd.DataFrame, power: PowerParams, evaluation: EvaluationParams) -> str:
    """The table as plain text for a terminal."""
    numbers = sorted({1, power.tests})
    level = f"{evaluation.significance_level:g}"
    heads = ["one metric", f"the first of {power.tests} metrics (Holm)"][: len(numbers)]
    lines = [
        f"Two arms on the same pairs, signed-rank test at {level}, power {evaluation.power:g}.",
        "Differences are in standard deviations of the paired differences; pairs are independent.",
        "",
        f"{'pairs':>12}  smallest difference found, {', '.join(heads)}",
    ]
    given = power_table[power_table["given"] == "pairs"]
    for pairs, rows in given.groupby("pairs"):
        mark = "   (the test split of this experiment)" if rows["own_split"].any() else ""
        lines.append(f"{pairs:>12,.0f}  {_list(rows, 'difference', '.2f')}{mark}")
    lines += ["", f"{'difference':>12}  pairs needed, {', '.join(heads)}"]
    wanted = power_table[power_table["given"] == "difference"]
    for difference, rows in wanted.groupby("difference"):
        lines.append(f"{difference:>12.2f}  {_list(rows, 'pairs', ',.0f')}")
    return "\n".join(lines) + "\n"


def _list(rows: pd.DataFrame, column: str, form: str) -> str:
    """One number a correction, the uncorrected first."""
    numbers = rows.sort_values("tests")[column]
    return "".join(f"{'none' if math.isinf(number) else format(number, form):>10}" for number in numbers)
