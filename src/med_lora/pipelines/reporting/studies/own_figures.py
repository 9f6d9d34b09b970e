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
OWN_PROBES = "as published: of the fixed questions"
# Why a run has no figure beside one of a study.
REASONS = {
    "training_tokens": "of pairs counted in the data report, by the tokens of this run's model",
    "training_seconds": "stands in the run's record, with the machine",
    "fast_epochs": "read off a figure; scores by epoch need training.epoch_answers above 0",
    "plateau_epoch": "read off a figure; scores by epoch need training.epoch_answers above 0",
    "answer_seconds_lowest": "over several machines, of which a run has one; the comparison across runs has a table",
    "answer_seconds_highest": "over several machines, of which a run has one; the comparison across runs has a table",
    "answer_seconds_fastest_machine": "over several machines, of which a run has one; the comparison across runs has a "
    "table",
}
LOSSES = ("train_loss", "validation_loss")
# Of the answer to one question, `refusal@3`: the column of the study's table, and of the run's answers to its probes.
QUESTION_COLUMNS = {"answer_words": "words", "refusal": "refused", "cut": "cut"}


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
    """Whether a figure says something of the answer to one question: the probe of this number, where a run has some."""
    name, _, place = figure.quantity.partition("@")
    return bool(place) and name in QUESTION_COLUMNS


def find_own_figures(figure: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    """The run's figures beside one of a study, the sound one first; none where the run has none."""
    name, _, step = figure.quantity.partition("@")
    if name in LOSSES:
        return _loss(name, int(step), tables)
    if is_of_one_question(figure):
        return _of_probe(name, int(step), figure.arm, tables)
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
    if is_of_one_question(figure):
        return _explain_unasked(name.partition("@")[2], tables)
    return "not measured in this run"


def _explain_unasked(number: str, tables: RunTables) -> str:
    if tables.probes is None:
        return "not measured: probes is empty; name the study's questions there, in its order"
    return f"not measured: probes has no question {number}; name the study's questions there, in its order"


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


def _of_probe(name: str, number: int, arm: str, tables: RunTables) -> list[OwnFigure]:
    answer = tables.probe_answer(number, arm)
    if answer is None:
        return []
    note = f"probe {number} of this run, matched by its number"
    return [OwnFigure(SOUND, float(answer[QUESTION_COLUMNS[name]]), n=1, note=note)]


def _refusals(figure: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    """Of the test questions, and of the fixed questions where the run has some."""
    own = _score(figure, tables)
    if tables.probes is not None:
        refused = tables.probes.loc[tables.probes["arm"] == figure.arm, "refusal"]
        own += [OwnFigure(OWN_PROBES, float(refused.mean()), n=len(refused))] if len(refused) else []
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


def _tokens(_: PublishedParams, tables: RunTables) -> list[OwnFigure]:
    """Tokens that continued pre-training passed, where nothing else was trained; the last batch may be smaller."""
    steps = tables.losses("train_loss").index
    if not tables.step_tokens or steps.empty:
        return []
    note = f"{steps.max():,} steps of {tables.step_tokens:,} tokens of this run's model at most"
    return [OwnFigure(SOUND, float(steps.max() * tables.step_tokens), note=note)]


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
    "refusal": _refusals,
    "answer_seconds": _seconds,
    "training_steps": _steps,
    "training_tokens": _tokens,
}
