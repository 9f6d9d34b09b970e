"""What a study printed, what this run found, and which stated facts set the two apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from med_lora.parameters import PublishedParams, StudyParams
from med_lora.pipelines.reporting.studies.own_figures import (
    OWN_TEST,
    OwnFigure,
    explain_absence,
    find_own_figures,
)
from med_lora.pipelines.reporting.studies.settings import list_stated_settings, look_up
from med_lora.pipelines.reporting.studies.tables import RunTables

COLUMNS = [
    *("study", "quantity", "system", "arm", "published", "printed", "published_n", "published_p"),
    *("ours", "ours_low", "ours_high", "ours_n", "ours_p", "impossible", "why_they_differ", "note", "way"),
]
SEPARATOR = "; "
SOUND_TEST = "signed-rank test on groups with Holm's correction"


def compare_with_published(
    study: str,
    studies: dict[str, Any],
    parameters: dict[str, Any],
    comparison: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    as_published: pd.DataFrame,
    training_history: pd.DataFrame,
    study_system: str = "",
    scores: pd.DataFrame | None = None,
    latency: pd.DataFrame | None = None,
    judge_comparison: pd.DataFrame | None = None,
    retrieval_comparison: pd.DataFrame | None = None,
    probes: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Every figure of a study beside this run's; those of a single question beside the probe of its number.

    Args:
        study: name of the study.
        studies: the parameter ``studies``, values as :class:`StudyParams` or as plain mappings.
        parameters: the whole parameter tree of the run.
        comparison: base and tuned model, as the evaluation writes it; so are the next two.
        corpus_scores: metrics of the test set as a whole.
        as_published: figures in ways that studies have used.
        training_history: step, epoch, metric, value.
        study_system: the system of the study that the run stands beside; empty for all of them.
        scores: id, group, arm, metric, score of every question.
        latency: seconds of an answer.
        judge_comparison: arms on the judge's axes.
        retrieval_comparison: arms with passages.
        probes: answers to the fixed questions.

    Returns:
        One row a figure and way of this run: study, quantity, system, arm, published (in the unit here), printed,
        published_n, published_p, ours, ours_low, ours_high, ours_n, ours_p (Holm's, or of the way), impossible (why
        the figure cannot be right as printed; "" if it can), why_they_differ (clauses with semicolons between: what
        this row compares, then the settings in which the run is not the study), note (why there is no figure of ours,
        or what ours is), way (how ours was computed).
    """
    given = StudyParams.model_validate(studies[study])
    tables = RunTables(
        comparison=comparison,
        corpus_scores=corpus_scores,
        as_published=as_published,
        training_history=training_history,
        scores=scores,
        latency=latency,
        judge_comparison=judge_comparison,
        retrieval_comparison=retrieval_comparison,
        probes=probes,
        step_tokens=_count_step_tokens(parameters),
    )
    systems = {figure.system for figure in given.published}
    apart = {system: list_setting_clauses(given, system, parameters) for system in systems}
    rows = []
    for figure in given.figures_of(study_system or ""):
        own = find_own_figures(figure, tables)
        absent = "" if own else explain_absence(figure, tables)
        for ours in own or [OwnFigure("", math.nan, note=absent)]:
            clauses = list_row_clauses(figure, ours, given) + apart[figure.system] if own else []
            rows.append({"study": study} | _describe(figure, ours) | {"why_they_differ": SEPARATOR.join(clauses)})
    return pd.DataFrame(rows, columns=COLUMNS).astype({"published_n": "Int64", "ours_n": "Int64"})


def _count_step_tokens(parameters: Mapping[str, Any]) -> int:
    """Tokens of a step on plain text, whose rows are all full; 0 where the last stage is of pairs."""
    if look_up(parameters, "training.method") != "none":
        return 0
    first = "continued_pretraining"
    rows = look_up(parameters, f"{first}.optimisation.effective_batch_size")
    return int(rows * look_up(parameters, f"{first}.block_length"))


def list_setting_clauses(study: StudyParams, system: str, parameters: Mapping[str, Any]) -> list[str]:
    """The settings in which the run is not the study, in words."""
    clauses = [setting.clause for setting in list_stated_settings(study, system, parameters) if setting.differs]
    return list(dict.fromkeys(clauses))


def list_row_clauses(figure: PublishedParams, ours: OwnFigure, study: StudyParams) -> list[str]:
    """What one row compares that is not the same: number of items, definition of the metric, test."""
    clauses = []
    if ours.n is not None and figure.n != ours.n:
        clauses.append(f"n: {'not stated' if figure.n is None else figure.n} there, {ours.n} here")
    defined = _definition(figure.quantity, study)
    if ours.signature:
        clauses.append(f"definition there: {defined or 'not stated'}, here: {ours.signature}")
    elif defined:
        clauses.append(f"definition there: {defined}")
    if figure.p_value is not None and ours.way != OWN_TEST and not math.isnan(ours.p):
        clauses.append(f"test there: {study.definitions.get('p_value', 'not stated')}, here: {SOUND_TEST}")
    return [clause.replace(";", ",") for clause in clauses]


def _definition(quantity: str, study: StudyParams) -> str:
    """How the study computes a quantity, by its name or that of what it is made of."""
    name = quantity.partition("@")[0]
    bare = name.removesuffix("_max").removesuffix("_gain").removesuffix("_difference")
    return study.definitions.get(bare, study.definitions.get(bare.partition("_")[0], ""))


def _describe(figure: PublishedParams, ours: OwnFigure) -> dict[str, Any]:
    return {
        "quantity": figure.quantity,
        "system": figure.system,
        "arm": figure.arm,
        "published": float(figure.value),
        "printed": figure.printed,
        "published_n": figure.n,
        "published_p": math.nan if figure.p_value is None else figure.p_value,
        "ours": float(ours.value),
        "ours_low": float(ours.low),
        "ours_high": float(ours.high),
        "ours_n": ours.n,
        "ours_p": float(ours.p),
        "impossible": figure.impossible,
        "note": ours.note,
        "way": ours.way,
    }
