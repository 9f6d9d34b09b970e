"""A study's figure as a run gives it: by the sound way, and by the study's own where the project computes that too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from med_lora.parameters import PublishedParams
from med_lora.pipelines.reporting.studies.tables import NAN, RunTables

SOUND = "this project"
PADDING = "padding and prompt counted"
# Ways of the studies, as they stand in the tables.
OWN_PADDING = "as published: padding and prompt counted"
OWN_TEST = "as published: Mann-Whitney U, uncorrected"
OWN_CORPUS = "of the test set as a whole: sacreBLEU"
OWN_MAXIMUM = "as published: largest of a question"
# Why a run has no figure beside one of a study.
REASONS = {
    "training_tokens": "counted in the data report, by the tokens of this run's model",
    "training_seconds": "stands in the run's record, with the machine",
    "fast_epochs": "read off a figure; scores by epoch need training.epoch_answers above 0",
    "plateau_epoch": "read off a figure; scores by epoch need training.epoch_answers above 0",
    "answer_seconds_lowest": "over several machines, of which a run has one; the comparison across runs has a table",
    "answer_seconds_highest": "over several machines, of which a run has one; the comparison across runs has a table",
    "answer_seconds_fastest_machine": "over several machines, of which a run has one; the comparison across runs has a "
    "table",
}
LOSSES = ("train_loss", "validation_loss")


@dataclass(frozen=True)
class OwnFigure:
    """What the run has for a published figure.

    Attributes:
        way: how it was computed.
        value: in the unit of the quantity, with the bounds ``low`` and ``high``.
        low: NaN without an interval.
        high: likewise.
        n: items it rests on; None if it rests on none.
        p: of the comparison with the base model; NaN for none.
        signature: definition of the metric; "" for what is no metric.
        note: what else to know about it.
    """

    way: str
    value: float
    low: float = NAN
    high: float = NAN
    n: int | None = None
    p: float = NAN
    signature: str = ""
    note: str = ""


def is_of_one_question(figure: PublishedParams) -> bool:
    """Whether a figure says something of the answer to one question, which the study's table alone shows."""
    name, _, place = figure.quantity.partition("@")
    return bool(place) and name not in LOSSES


def find_own_figures(figure: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    """The run's figures beside one of a study, the sound one first; none where the run has none."""
    name, _, step = figure.quantity.partition("@")
    if name in LOSSES:
        return _loss(name, int(step), tables)
    if name in _KINDS:
        return _KINDS[name](figure, tables)
    for ending, column in (("_gain", "ratio"), ("_difference", "difference")):
        if name.endswith(ending):
            return _change(name.removesuffix(ending), column, figure.arm, tables)
    if name.endswith("_max"):
        return _maximum(name.removesuffix("_max"), figure.arm, tables)
    return _score(figure, tables)


def explain_absence(figure: PublishedParams, tables: RunTables) -> str:
    """Why :func:`find_own_figures` has nothing."""
    name = figure.quantity
    if name in REASONS:
        return REASONS[name]
    if name.startswith("judge_"):
        axis = name.removeprefix("judge_")
        off = tables.judge_comparison is None
        return "not measured: judge.enabled is false" if off else f"not measured: judge.axes has no {axis}"
    if name == "answer_seconds":
        return "not measured: latency.enabled is false"
    if figure.arm.endswith("_rag") and tables.retrieval_comparison is None:
        return "not measured: retrieval.enabled is false"
    return "not measured in this run"


def _score(figure: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    row = tables.contrast(figure.quantity, figure.arm)
    column = "base" if figure.arm == "base" else "value"
    if row is None or math.isnan(row[column]):
        return []
    given = {"value": row[column], "low": row[f"{column}_low"], "high": row[f"{column}_high"], "n": int(row["n"])}
    given |= {"signature": row["signature"]}
    tested = figure.arm != "base"
    own = [OwnFigure(SOUND, p=row["p_holm"] if tested else NAN, **given)]
    if tested and figure.p_value is not None:
        own.append(OwnFigure(OWN_TEST, p=row["mann_whitney_p"], **given))
    return own + (_corpus_bleu(figure.arm, tables) if figure.quantity == "bleu" else [])


def _corpus_bleu(arm: str, tables: RunTables) -> list[OwnFigure]:
    """BLEU of all answers together, which most studies mean that do not say."""
    table = tables.corpus_scores
    rows = table[(table["arm"] == arm) & (table["metric"] == "sacrebleu")].to_dict("records")
    return [
        OwnFigure(OWN_CORPUS, row["value"], row["low"], row["high"], int(row["n"]), signature=row["signature"])
        for row in rows
        if not math.isnan(row["value"])
    ]


def _change(metric: str, column: str, arm: str, tables: RunTables) -> list[OwnFigure]:
    row = tables.contrast(metric, arm)
    if row is None or math.isnan(row[column]):
        return []
    bounds = (row[f"{column}_low"], row[f"{column}_high"])
    return [OwnFigure(SOUND, row[column], *bounds, n=int(row["n"]), p=row["p_holm"], signature=row["signature"])]


def _maximum(metric: str, arm: str, tables: RunTables) -> list[OwnFigure]:
    """The mean over questions, and the largest of them."""
    row = tables.contrast(metric, arm)
    if row is None or math.isnan(row["value"]):
        return []
    shared: dict[str, Any] = {"signature": row["signature"]}
    mean = OwnFigure(
        f"{SOUND}: mean", row["value"], row["value_low"], row["value_high"], int(row["n"]), row["p_holm"], **shared
    )
    scored = tables.question_scores(metric, arm)
    largest = [OwnFigure(OWN_MAXIMUM, float(scored.max()), n=len(scored), **shared)] if len(scored) else []
    return [mean, *largest]


def _perplexity(figure: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    own = _score(figure, tables)
    row = tables.published_way("perplexity", PADDING)
    if row is not None and figure.arm in row:
        own.append(OwnFigure(OWN_PADDING, row[figure.arm], n=int(row["n"])))
    return own


def _seconds(figure: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    if tables.latency is None:
        return []
    rows = tables.latency[tables.latency["arm"] == figure.arm].to_dict("records")
    return [
        OwnFigure(
            f"{SOUND}: median",
            row["answer_p50"],
            n=int(row["n"]),
            note=f"answers of {row['new_tokens']} tokens on {row['device']}, p95 {row['answer_p95']:.3g} s",
        )
        for row in rows
    ]


def _steps(_: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    steps = tables.losses("train_loss").index
    return [OwnFigure(SOUND, float(steps.max()))] if len(steps) else []


def _loss(name: str, step: int, tables: RunTables) -> list[OwnFigure]:
    """The loss at the run's nearest step; of training, the mean of up to 100 steps before it, as trainers log it."""
    losses = tables.losses(name)
    if losses.empty:
        return []
    nearest = min(losses.index, key=lambda at: (abs(at - step), at))
    where = f"at step {nearest:,}" + ("" if nearest == step else ", the nearest of this run")
    if name == "validation_loss":
        return [OwnFigure(SOUND, float(losses[nearest]), note=where)]
    window = losses[(losses.index > nearest - min(step, 100)) & (losses.index <= nearest)]
    mean = f"mean of steps {window.index.min():,} to {nearest:,}"
    return [
        OwnFigure(SOUND, float(window.mean()), note=mean if nearest == step else f"{mean}, the nearest of this run")
    ]


_KINDS: dict[str, Callable[[PublishedParams, RunTables], list[OwnFigure]]] = {
    "perplexity": _perplexity,
    "answer_seconds": _seconds,
    "training_steps": _steps,
}
