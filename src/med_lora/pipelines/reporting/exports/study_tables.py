"""LaTeX tables of a published study beside the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.exports.typesetting import DASH, Table
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import percent, title

LONG_CELL = 28  # characters, beyond which a column becomes one of paragraphs


def show_study(study_table: pd.DataFrame) -> Table:
    """The study's main table as it stands, the run's rows beside the published ones."""
    rows = [[_cell(value) for value in row] for row in study_table.itertuples(index=False)]
    head = [str(name).replace("_", " ") for name in study_table]
    caption = "The study's main table in its own shape, with this run's figures beside the published ones."
    return Table("study", caption, head, rows, columns=_widths(rows, len(head)))


def show_published(published: pd.DataFrame, evaluation: EvaluationParams) -> Table:
    """A row a figure; what differs is told by numbers, since most rows share most reasons."""
    rows: list[list[str]] = []
    reasons: dict[str, int] = {}
    for row in read_records(published):
        has_ours, has_bounds = not pd.isna(row["ours"]), not pd.isna(row["ours_low"])
        printed = f"{row['printed']} (!)" if _text(row["impossible"]) else str(row["printed"])
        way = f" ({_text(row['way'])})" if has_ours and _text(row.get("way")) else ""
        ours = (
            _cell(row["ours"]) + way + (f" [{_cell(row['ours_low'])}, {_cell(row['ours_high'])}]" if has_bounds else "")
        )
        counts = [DASH if pd.isna(row[name]) else f"{int(row[name]):,}" for name in ("published_n", "ours_n")]
        why = _text(row["why_they_differ"] if has_ours else row["note"])
        marks = [str(reasons.setdefault(reason, len(reasons) + 1)) for reason in filter(None, why.split("; "))]
        figures = [printed, counts[0], ours, counts[1], ", ".join(marks)]
        rows.append([title(row["quantity"]), str(row["system"]), *figures])
    caption = (
        f"Published figures beside this run's; brackets: {percent(evaluation.confidence)} intervals; n: items, a dash "
        "where the study does not say. (!): cannot be right as printed, see the report. Why they differ: by numbers, "
        "below the table."
    )
    head = ["Quantity", "System", "Published", "n", "Ours", "n", "Why"]
    notes = (
        ["; ".join(f"{number}: {reason.rstrip('.')}" for reason, number in reasons.items()) + "."] if reasons else []
    )
    return Table("published", caption, head, rows, columns=_widths(rows, len(head)), notes=notes)


def _widths(rows: Sequence[Sequence[str]], count: int) -> str:
    """Left columns, as paragraphs where a cell is long."""
    longest = [max((len(row[place]) for row in rows), default=0) for place in range(count)]
    return "".join("l" if length <= LONG_CELL else r"p{5cm}" for length in longest)


def _text(value: Any) -> str:
    """A text, "" where a CSV file gave an empty column back as missing numbers."""
    return value if isinstance(value, str) else ""


def _cell(value: Any) -> str:
    """A value of any column: text as it is, four digits of a number, a dash for nothing."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return DASH
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)
