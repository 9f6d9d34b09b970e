"""LaTeX tables of a published study beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.exports.typesetting import DASH, Table
from med_lora.pipelines.reporting.studies.description import show_interval, show_value
from med_lora.pipelines.reporting.studies.own_figures import SOUND
from med_lora.pipelines.reporting.studies.published import SEPARATOR
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import minus, percent, title

WRONG = " (!)"
LONG_CELL = 28  # characters, beyond which a column becomes one of paragraphs


def show_study(study_table: pd.DataFrame, doubt: Sequence[str]) -> Table:
    """The study's main table as it stands, the run's rows beside the published ones.

    Args:
        study_table: as ``tabulate_study`` makes it.
        doubt: what the judge's own checks say of it, to stand below a table with ratings of a judge.
    """
    columns = [name for name in study_table if name != "impossible"]
    rows = []
    for row in study_table.to_dict("records"):
        wrong = str(row.get("impossible", "")).split(", ")
        rows.append([_cell(row[name]) + WRONG * (name in wrong) for name in columns])
    head = [str(name).replace("_", " ") for name in columns]
    caption = "The study's main table in its own shape, with this run's figures beside the published ones."
    if "impossible" in study_table:
        caption += " (!): cannot be right as printed, see the report."
    notes = doubt if "metric" in study_table and _is_rated(study_table["metric"]) else ()
    return Table("study", caption, head, rows, columns=_widths(rows, len(head)), notes=notes)


def show_published(published: pd.DataFrame, evaluation: EvaluationParams, doubt: Sequence[str], own: str) -> Table:
    """A row a figure, with this run's under ``own``; what differs is told by numbers, since most rows share reasons."""
    records = read_records(published)
    shared = _share_reasons(records)
    rows: list[list[str]] = []
    reasons: dict[str, int] = {}
    for row in records:
        counts = [DASH if pd.isna(row[name]) else f"{int(row[name]):,}" for name in ("published_n", "ours_n")]
        apart = [reason for reason in _list_reasons(row) if reason not in shared]
        marks = [str(reasons.setdefault(reason, len(reasons) + 1)) for reason in apart]
        figures = [f"{row['printed']}{WRONG if row['impossible'] else ''}", counts[0], _show_ours(row), counts[1]]
        rows.append([title(row["quantity"]), str(row["system"]), *figures, ", ".join(marks)])
    caption = (
        f"Published figures beside this run's; brackets: {percent(evaluation.confidence)} intervals; n: items, a dash "
        "where the study does not say. (!): cannot be right as printed, see the report. Why they differ: by numbers, "
        "below the table."
    )
    if shared:
        caption += f" In every figure of ours: {'; '.join(shared)}."
    head = ["Quantity", "System", "Published", "n", own, "n", "Why"]
    told = ["; ".join(f"{number}: {reason.rstrip('.')}" for reason, number in reasons.items()) + "."] * bool(reasons)
    notes = [*told, *(doubt if _is_rated(published["quantity"]) else ())]
    return Table("published", caption, head, rows, columns=_widths(rows, len(head)), notes=notes)


def _list_reasons(row: Record) -> list[str]:
    """Why ours differs, or why there is none of ours."""
    why: str = row["note"] if pd.isna(row["ours"]) else row["why_they_differ"]
    return [reason for reason in why.split(SEPARATOR) if reason]


def _share_reasons(rows: Sequence[Record]) -> list[str]:
    """What sets every figure of ours apart, of two or more."""
    lists = [_list_reasons(row) for row in rows if not pd.isna(row["ours"])]
    return [reason for reason in lists[0] if all(reason in others for others in lists)] if len(lists) > 1 else []


def _show_ours(row: Record) -> str:
    """Our figure, how it was computed where that is not the usual way, and its interval."""
    if pd.isna(row["ours"]):
        return DASH
    quantity, way = row["quantity"], row["way"].removeprefix(SOUND).removeprefix(": ")
    bounds = show_interval(quantity, row["ours_low"], row["ours_high"], row["ours"])
    return " ".join(filter(None, [show_value(quantity, row["ours"]), f"({way})" * bool(way), bounds]))


def _is_rated(quantities: pd.Series) -> bool:
    """Whether a judge's ratings are among quantities."""
    return bool(quantities.str.startswith("judge_").any())


def _widths(rows: Sequence[Sequence[str]], count: int) -> str:
    """Left columns, as paragraphs where a cell is long."""
    longest = [max((len(row[place]) for row in rows), default=0) for place in range(count)]
    return "".join("l" if length <= LONG_CELL else r"p{5cm}" for length in longest)


def _cell(value: Any) -> str:
    """A value of any column: text as it is, four digits of a number, a dash for nothing."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return DASH
    return minus(f"{value:.4g}") if isinstance(value, float) else str(value)
