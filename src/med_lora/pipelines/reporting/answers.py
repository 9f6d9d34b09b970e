"""Questions with the answers of every arm side by side, their differences marked."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.arms import ARMS
from med_lora.pipelines.reporting.marking import COMPARED_WITH, mark_differences
from med_lora.pipelines.reporting.worst_pairs import LOST, LOWEST
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import number, title

KINDS = {LOST: "Lost most against the base model", LOWEST: "Lowest scores among the others"}


def list_examples(examples: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of :func:`choose_examples`, with the answers of each as pieces of text."""
    return [_show_pair(row, {}) for row in read_records(examples)]


def list_errors(errors: pd.DataFrame) -> dict[str, Any]:
    """Rows of :func:`find_errors` by kind.

    Returns:
        metric: title; kinds: title and pairs of each, the answers of the bare arms with their scores.
    """
    rows = read_records(errors)
    metric = title(str(rows[0]["metric"])) if rows else "score"
    kinds = []
    for kind, heading in KINDS.items():
        pairs = [
            _show_pair(row, {arm: f"{metric} {number(row[f'{arm}_score'], 3)}" for arm in ("base", "tuned")})
            for row in rows
            if row["kind"] == kind
        ]
        kinds.append({"title": heading, "pairs": pairs})
    return {"metric": metric, "kinds": kinds}


def _show_pair(row: Record, scores: dict[str, str]) -> dict[str, Any]:
    arms = [arm for arm in ARMS if arm in row]
    answers = []
    for arm in arms:
        pieces, unlike = mark_differences(row[arm], row[COMPARED_WITH[arm]])
        shown = {"arm": title(arm), "score": scores.get(arm, ""), "pieces": pieces}
        shown["unlike"] = title(COMPARED_WITH[arm]).lower() if unlike else ""
        answers.append(shown | {"cut": row[f"{arm}_finish"] == "length"})
    told = {name: row.get(name, "") for name in ("id", "question", "reference", "sources")}
    return {**told, "answers": answers}
