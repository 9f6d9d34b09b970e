"""The report's section on a study: its faults, its figures beside this run's, and its table, as text."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import StudyParams
from med_lora.pipelines.reporting.cells import Cells
from med_lora.pipelines.reporting.judge_verdict import describe_verdict
from med_lora.pipelines.reporting.studies.own_figures import QUESTION_COLUMNS
from med_lora.pipelines.reporting.studies.published import SEPARATOR, list_setting_clauses
from med_lora.pipelines.reporting.studies.settings import list_stated_settings
from med_lora.pipelines.reporting.studies.shapes import REHEARSAL
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import capital, decimals, interval, minus, number, percent_change, show_p, title

WARNING = "⚠"
COUNTS = ("training_tokens", "training_seconds", "training_steps", "fast_epochs", "plateau_epoch")
ENDINGS = {"_max": "largest", "_gain": "relative improvement", "_difference": "tuned − base"}
HEADINGS = {
    "p_as_published": "p as published",
    "p_holm": "Holm p",
    "n": "n",
    "perplexity_padded": "Perplexity, padding counted",
    "answer_seconds": "Seconds an answer",
    "cites_passage": "Cites a passage",
}
WHOLE = ("n", "step", "rank", "words", "passages")
YES_NO = ("refused", "cut", "cites_passage")


def describe_study(
    study: str,
    studies: dict[str, Any],
    parameters: dict[str, Any],
    published_comparison: pd.DataFrame,
    study_table: pd.DataFrame,
    study_system: str = "",
    judge_summary: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the report's section on a study shows.

    Args:
        study: name of the study.
        studies: the parameter ``studies``.
        parameters: the whole parameter tree of the run.
        published_comparison: as :func:`compare_with_published` makes it.
        study_table: as :func:`tabulate_study` makes it.
        study_system: the system of the study that the run stands beside; empty for all of them.
        judge_summary: what the judge's own checks say of it; None without a judge.

    Returns:
        title, citation, system, judge_note (that its ratings show nothing; "" where they do), faults and differences
        (sentences), impossible (figures that cannot be right), settings (label, key, there, here, differs), comparison
        (rows of text), columns (name, heading, whether they hold numbers) and rows of the study's own table, and
        is_rehearsal.
    """
    given = StudyParams.model_validate(studies[study])
    system = study_system or ""
    rows = read_records(published_comparison)
    columns = [str(name) for name in study_table if name not in ("source", "impossible")]
    return {
        "title": given.title,
        "citation": given.citation,
        "system": system,
        "judge_note": _doubt_judge(rows, judge_summary),
        "faults": given.faults,
        "differences": given.differences,
        "impossible": list(dict.fromkeys(_name_impossible(row) for row in rows if row["impossible"])),
        "settings": [
            {"label": capital(setting.label), "key": setting.key, "there": setting.there, "here": setting.here}
            | {"differs": "differs" if setting.differs else "same"}
            for setting in list_stated_settings(given, system, parameters)
        ],
        "comparison": _list_comparison(rows, given, parameters),
        "columns": [(name, _heading(name), _is_number(study_table[name])) for name in columns],
        "rows": _blank_repeated([_show_row(row, columns) for row in study_table.to_dict("records")]),
        "is_rehearsal": (study_table["source"] == REHEARSAL).any(),
    }


def _blank_repeated(rows: list[Cells]) -> list[Cells]:
    """The rows with ``again`` not empty where the question is that of the row before."""
    asked = [row.get("question", "") for row in rows]
    before = ["", *asked[:-1]]
    return [row | {"again": "yes" * (own == last)} for row, own, last in zip(rows, asked, before, strict=True)]


def _doubt_judge(rows: list[dict[str, Any]], judge_summary: dict[str, Any] | None) -> str:
    """That the figures of the run's judge show nothing, where it does not pass its own checks."""
    rated = any(row["quantity"].startswith("judge_") for row in rows)
    if not rated or judge_summary is None or judge_summary["verdict"].startswith("passes"):
        return ""
    return f"This run's judge {describe_verdict(judge_summary)}: its figures here show nothing by themselves."


def name_quantity(quantity: str) -> str:
    """What readers call a quantity: ``ROUGE-1 F, largest``, ``Train loss at step 100``, ``Refusal, question 3``."""
    name, _, step = quantity.partition("@")
    if name in QUESTION_COLUMNS and step:
        return f"{capital(title(name))}, question {step}"
    for ending, meaning in ENDINGS.items():
        if name.endswith(ending):
            return f"{title(name.removesuffix(ending))}, {meaning}"
    return capital(title(name)) + (f" at step {step}" if step else "")


def _name_impossible(row: dict[str, Any]) -> str:
    return f"{row['system']}, {name_quantity(row['quantity'])}: {row['printed']}. {row['impossible']}"


def _list_comparison(rows: list[dict[str, Any]], study: StudyParams, parameters: dict[str, Any]) -> list[Cells]:
    """Rows of the comparison; ``first`` is empty where the published figure is that of the row before.

    ``why`` is empty where it is that of the last row of the same metric.
    """
    shown: list[Cells] = []
    last: tuple[Any, ...] = ()
    told: dict[str, str] = {}
    apart = {system: list_setting_clauses(study, system, parameters) for system in {row["system"] for row in rows}}
    for row in rows:
        figure = tuple(row[name] for name in ("quantity", "system", "arm", "printed", "published"))
        cells = _show_comparison(row, apart[row["system"]]) | {"first": "" if figure == last else "yes"}
        metric, why = row["quantity"], cells["why"]
        if why == told.get(metric):
            cells["why"] = ""
        if why:
            told[metric] = why
        shown.append(cells)
        last = figure
    return shown


def _show_comparison(row: dict[str, Any], apart: list[str]) -> Cells:
    """One row of the comparison; of why the two differ, what the clauses ``apart`` do not say."""
    own = [clause for clause in row["why_they_differ"].split(SEPARATOR) if clause and clause not in apart]
    quantity = row["quantity"]
    shown = show_value(quantity, row["published"])
    return {
        "quantity": name_quantity(quantity),
        "system": row["system"],
        "arm": title(row["arm"]),
        "printed": row["printed"],
        "unit": "" if _is_as_printed(row["printed"], row["published"]) else f"{shown} in the unit here",
        "published_n": _show_count(row["published_n"]),
        "published_p": show_p(row["published_p"]),
        "impossible": f"{WARNING} cannot be right as printed: {row['impossible']}" if row["impossible"] else "",
        "ours": show_value(quantity, row["ours"]),
        "ours_interval": show_interval(quantity, row["ours_low"], row["ours_high"], row["ours"]),
        "ours_n": _show_count(row["ours_n"]),
        "ours_p": show_p(row["ours_p"]),
        "way": row["way"],
        "why": SEPARATOR.join(own),
        "note": row["note"],
    }


def _is_as_printed(printed: str, value: float) -> bool:
    """Whether the first number of the printed text is the figure itself."""
    try:
        return math.isclose(float(printed.split()[0].strip("+,")), value)
    except ValueError:
        return False


def _places(quantity: str, value: float) -> int:
    name = quantity.partition("@")[0]
    for ending in ENDINGS:
        name = name.removesuffix(ending)
    if name in COUNTS or (name in QUESTION_COLUMNS and "@" in quantity):
        return 0
    if name.startswith("answer_seconds"):
        return 2
    family = "judge" if name.startswith("judge_") else ""
    return decimals({"metric": name, "family": family, "base": value})


def show_value(quantity: str, value: float) -> str:
    """A figure with the decimals of its quantity; a gain in percent."""
    if quantity.endswith("_gain"):
        return percent_change(value, math.nan, math.nan) or "–"
    return minus(number(value, _places(quantity, value)))


def show_interval(quantity: str, low: float, high: float, value: float) -> str:
    """The interval of ``value`` with the same decimals; empty where there is none."""
    if quantity.endswith("_gain") and math.isfinite(low) and math.isfinite(high):
        return minus(f"[{100 * low:+.0f} %, {100 * high:+.0f} %]")
    return minus(interval(low, high, _places(quantity, value)))


def _show_count(count: Any) -> str:
    return "–" if pd.isna(count) else f"{count:,.0f}"


def _heading(name: str) -> str:
    return HEADINGS.get(name) or (name_quantity(name) if name.endswith("_max") else capital(title(name)))


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) or all(not isinstance(value, str) for value in column.dropna())


def _show_row(row: dict[Any, Any], columns: list[str]) -> Cells:
    """One row of the study's table; a figure that cannot be right has a warning sign in front."""
    wrong = str(row.get("impossible", "")).split(", ")
    metric = next((str(row[name]) for name in ("metric", "measure") if name in row), "")
    cells = {"source": str(row["source"])}
    for name in columns:
        cell = _show_cell(name, row[name], metric)
        cells[name] = f"{WARNING} {cell}" if name in wrong else cell
    return cells


def _show_cell(name: str, value: Any, metric: str) -> str:
    if pd.isna(value) or value == "":
        return "–"
    if isinstance(value, str):
        return title(value) if name in ("arm", "metric", "measure") else value
    if name in YES_NO:
        return "yes" if value else "no"
    if name in WHOLE:
        return f"{value:,.0f}"
    if name.startswith("p_"):
        return show_p(value)
    return show_value(f"{metric}_gain" if name == "gain" else metric or name, value)
