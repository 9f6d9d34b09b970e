"""Cells of the report's tables: numbers as text, with their intervals, aligned at the point."""

from __future__ import annotations

import math
from collections.abc import Sequence

from med_lora.report_page.records import Record
from med_lora.report_page.wording import decimals, interval, minus, number

FIGURE_SPACE = "\u2007"  # as wide as a digit

Cells = dict[str, str]


def show_values(row: Record, names: Sequence[str]) -> dict[str, str]:
    """Each named value with a fixed number of decimals, and under ``<name>_interval`` its interval where it has one."""
    places = decimals(row)
    cells: dict[str, str] = {}
    for name in names:
        low, high = (row.get(f"{name}_{bound}", math.nan) for bound in ("low", "high"))
        cells[name] = minus(number(row[name], places))
        cells[f"{name}_interval"] = minus(interval(low, high, places))
    return cells


def show_detectable(row: Record) -> str:
    """The smallest difference that would be found: "none" where the groups are too few for any."""
    return "none" if math.isinf(row["detectable"]) else minus(number(row["detectable"], decimals(row)))


def show_direction(better: str) -> str:
    """Which direction is the better one."""
    return "" if better == "neither" else f"{better} is better"


def align(rows: list[dict[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """Rows whose numbers are padded to equally many decimals, so that right-aligned columns align at the point."""
    for name in names:
        tails = [row[name].partition(".")[1:] for row in rows]
        longest = max((len(tail) for _, tail in tails), default=0)
        for row, (point, tail) in zip(rows, tails, strict=True):
            missing = longest - len(tail)
            row[name] += FIGURE_SPACE * missing if point else ""
    return rows
