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


def list_probes(probe_answers: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of :func:`collect_probes` by question, in their order, the answers of all arms beside each other."""
    shown = []
    for _, rows in probe_answers.groupby("number", sort=True):
        of_arms = {row["arm"]: row for row in read_records(rows)}
        texts = {name: value for arm, row in of_arms.items() for name, value in _name_texts(arm, row).items()}
        first, *_ = of_arms.values()
        sources = next((row["sources"] for row in of_arms.values() if row["sources"]), "")
        told = {"id": first["probe"], "question": first["question"], "sources": sources}
        shown.append(_show_pair(told | texts, {arm: _describe_answer(row) for arm, row in of_arms.items()}))
    return shown


def _name_texts(arm: str, row: Record) -> dict[str, str]:
    return {arm: row["answer"], f"{arm}_finish": row["finish_reason"]}


def _describe_answer(row: Record) -> str:
    """What can be said of an answer that has no reference."""
    said = [f"{row['words']:,} {'word' if row['words'] == 1 else 'words'}"]
    said += ["refusal"] if row["refusal"] else []
    if row["passages"]:
        said.append("cites a passage" if row["cites_passage"] else "cites no passage")
    return ", ".join([*said, "its prompt was cut"] if row["prompt_truncated"] else said)


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
