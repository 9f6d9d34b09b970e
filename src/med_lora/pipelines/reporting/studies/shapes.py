"""A study's main table in its own shape, with the run in rows of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from med_lora.arms import ARMS, BARE_ARMS
from med_lora.parameters import PublishedParams, StudyParams
from med_lora.pipelines.reporting.studies.own_figures import PADDING, QUESTION_COLUMNS, is_of_one_question
from med_lora.pipelines.reporting.studies.settings import look_up
from med_lora.pipelines.reporting.studies.tables import NAN, RunTables, show_facts
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import shown_place

Row = dict[str, Any]
PUBLISHED, OURS, REHEARSAL = "published", "ours", "rehearsal"
COLUMNS = {
    "side_by_side": ["source", "question", "arm", "words", "refused", "cut", "cites_passage", "passages"],
    "models": [
        *("source", "system", "arm", "n", "exact_match", "bleu", "bleu_max", "rouge1", "rouge1_max"),
        *("token_f1", "token_f1_max", "answer_seconds", "impossible"),
    ],
    "tracks": ["source", "track", "metric", "n", "base", "tuned", "difference", "gain", "p_as_published", "p_holm"],
    "losses": [
        "source",
        "stage",
        "step",
        "train_loss",
        "validation_loss",
        "perplexity",
        "perplexity_padded",
        "impossible",
    ],
    "ranks": ["source", "rank", "adaptation", "measure", "n", "before", "after", "note"],
}
CITED = re.compile(r"(?:\A|; )\[\d+\] ")  # as `choose_examples` joins citations
MODEL_METRICS = ("exact_match", "bleu", "rouge1", "token_f1")
RANK_METRICS = ("cross_entropy", "bleu", "rouge1", "rougeL", "bert_score_f1", "choice_accuracy", "exact_match")


def tabulate_study(
    study: str,
    studies: dict[str, Any],
    parameters: dict[str, Any],
    comparison: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    as_published: pd.DataFrame,
    training_history: pd.DataFrame,
    forgetting: pd.DataFrame,
    study_system: str = "",
    **optional: Any,
) -> pd.DataFrame:
    """The study's main table in this project's units, without the text of any answer; published rows first.

    Args:
        study: name of the study.
        studies: the parameter ``studies``.
        parameters: the whole parameter tree of the run.
        comparison: base and tuned model, as the evaluation writes it; so are the next two, and ``forgetting``.
        corpus_scores: metrics of the test set as a whole.
        as_published: figures in ways that studies have used.
        training_history: step, epoch, metric, value.
        forgetting: general English before and after.
        study_system: the system of the study that the run stands beside; empty for all of them.
        optional: further tables of :class:`RunTables` by name: scores, latency, judge_comparison,
            retrieval_comparison, benchmark_comparison, examples, probes.

    Returns:
        Columns of the shape, as in ``COLUMNS``; ``source`` is published or ours, in a rehearsal published or
        rehearsal.
    """
    given = StudyParams.model_validate(studies[study])
    tables = RunTables(comparison, corpus_scores, as_published, training_history, forgetting=forgetting, **optional)
    rows = _SHAPES[given.shape](given, study_system or "", tables, parameters)
    table = pd.DataFrame(rows, columns=COLUMNS[given.shape])
    return table.replace({"source": {OURS: REHEARSAL}}) if look_up(parameters, "rehearsal_of") else table


def _side_by_side(study: StudyParams, system: str, tables: RunTables, parameters: Mapping[str, Any]) -> Iterator[Row]:
    """A row a question and arm: how long the answer is, whether it was refused or cut, and what it cites.

    The run's questions are its probes, each behind the published one of its number, under the probe's name. Where it
    has none they are test questions, told by their place among the examples of the report, which gives their ids.
    """
    published: dict[tuple[str, str], Row] = {}
    for figure in study.figures_of(system):
        if is_of_one_question(figure):
            name, _, question = figure.quantity.partition("@")
            published.setdefault((question, figure.arm), {})[QUESTION_COLUMNS[name]] = figure.value
    asked = [] if tables.probes is None else read_records(tables.probes)
    rows = [(int(question), {"source": PUBLISHED, "arm": arm, **row}) for (question, arm), row in published.items()]
    rows += [(row["number"], {"source": OURS, "arm": row["arm"], **show_facts(row)}) for row in asked]
    names = {row["number"]: f"{row['number']}: {row['probe']}" for row in asked}
    for number, row in sorted(rows, key=lambda numbered: numbered[0]):
        yield {"question": names.get(number, f"question {number}"), **row}
    if tables.probes is None and tables.examples is not None:
        yield from _list_examples(tables.examples, tables)


def _list_examples(examples: pd.DataFrame, tables: RunTables) -> Iterator[Row]:
    for place, example in enumerate(read_records(examples), start=1):
        for arm in (arm for arm in ARMS if arm in example):
            scores = {
                column: tables.question_scores(metric, arm).get(example["id"], NAN)
                for column, metric in (("refused", "refusal"), ("cites_passage", "cites_passage"))
            }
            shown = len(CITED.findall(example["sources"])) if arm.endswith("_rag") else 0
            cut = float(example[f"{arm}_finish"] == "length")
            own = {"words": float(len(example[arm].split())), "cut": cut, "passages": shown, **scores}
            yield {"source": OURS, "question": f"test question {place}", "arm": arm, **own}


def _models(study: StudyParams, system: str, tables: RunTables, parameters: Mapping[str, Any]) -> Iterator[Row]:
    """A row a model; ours with means beside the maxima."""
    for name in [system] if system else study.systems:
        row: Row = {"source": PUBLISHED, "system": name, "arm": "tuned"}
        figures = [figure for figure in study.published if figure.system == name]
        row |= {figure.quantity: figure.value for figure in figures}
        wrong = [figure.quantity for figure in figures if figure.impossible]
        yield row | {"n": max((figure.n or 0 for figure in figures), default=0), "impossible": ", ".join(wrong)}
    model = shown_place(str(look_up(parameters, "model.id")))
    for arm in BARE_ARMS:
        own: Row = {"source": OURS, "system": model, "arm": arm, "impossible": ""}
        for metric in MODEL_METRICS:
            contrast = tables.contrast(metric, arm) or {}
            scored = tables.question_scores(metric, arm)
            own |= {metric: contrast.get("base" if arm == "base" else "value", NAN), "n": contrast.get("n", 0)}
            own |= {f"{metric}_max": float(scored.max()) if len(scored) else NAN}
        yield own | {"answer_seconds": _seconds(arm, tables)}


def _seconds(arm: str, tables: RunTables) -> float:
    if tables.latency is None:
        return NAN
    return float(tables.latency.set_index("arm")["answer_p50"].get(arm, NAN))


def _tracks(study: StudyParams, system: str, tables: RunTables, parameters: Mapping[str, Any]) -> Iterator[Row]:
    """A row a metric of either track: means, improvement, the study's test and the sound one."""
    figures = study.figures_of(system)
    for figure in (figure for figure in figures if figure.arm == "tuned" and _is_score(figure, figures)):
        of = {(other.quantity, other.arm): other.value for other in figures}
        base = of.get((figure.quantity, "base"), NAN)
        row: Row = {"source": PUBLISHED, **_name_track(figure.quantity), "n": figure.n, "base": base}
        row |= {"tuned": figure.value, "difference": figure.value - base}
        row |= {"gain": of.get((f"{figure.quantity}_gain", "tuned"), figure.value / base - 1)}
        yield row | {"p_as_published": NAN if figure.p_value is None else figure.p_value, "p_holm": NAN}
        contrast = tables.contrast(figure.quantity)
        if contrast is not None:
            own: Row = {name: contrast[name] for name in ("n", "base", "difference", "p_holm")}
            own |= {"tuned": contrast["value"], "gain": contrast["ratio"], "p_as_published": contrast["mann_whitney_p"]}
            yield {"source": OURS, **_name_track(figure.quantity), **own}


def _is_score(figure: PublishedParams, figures: list[PublishedParams]) -> bool:
    return any(other.quantity == figure.quantity and other.arm == "base" for other in figures)


def _name_track(quantity: str) -> Row:
    return {"track": "judge" if quantity.startswith("judge_") else "text", "metric": quantity}


def _losses(study: StudyParams, system: str, tables: RunTables, parameters: Mapping[str, Any]) -> Iterator[Row]:
    """A row a step, and the perplexities before and after."""
    steps: dict[int, Row] = {}
    perplexities: dict[str, PublishedParams] = {}
    for figure in study.figures_of(system):
        name, _, place = figure.quantity.partition("@")
        if place:
            steps.setdefault(int(place), {})[name] = figure.value
        elif name == "perplexity":
            perplexities[figure.arm] = figure
    for step in sorted(steps):
        yield {"source": PUBLISHED, "stage": "training", "step": step, **steps[step]}
    for arm, stage in (("base", "before"), ("tuned", "after")):
        row: Row = {"source": PUBLISHED, "stage": stage}
        if printed := perplexities.get(arm):
            row |= {"perplexity_padded": printed.value, "impossible": "perplexity_padded" * bool(printed.impossible)}
        yield row
    train, validation = (tables.losses(name) for name in ("train_loss", "validation_loss"))
    validated = validation[validation.index > 0]
    before = 0
    for step, loss in zip(validated.index.tolist(), validated.tolist(), strict=True):
        since = train[(train.index > before) & (train.index <= step)]
        yield {"source": OURS, "stage": "training", "step": step, "train_loss": since.mean(), "validation_loss": loss}
        before = step
    contrast, padded = tables.contrast("perplexity") or {}, tables.published_way("perplexity", PADDING) or {}
    for arm, stage, column in (("base", "before", "base"), ("tuned", "after", "value")):
        own = {"perplexity": contrast.get(column, NAN), "perplexity_padded": padded.get(arm, NAN)}
        yield {"source": OURS, "stage": stage, **own}


def _ranks(study: StudyParams, system: str, tables: RunTables, parameters: Mapping[str, Any]) -> Iterator[Row]:
    """A row a rank and measure: losses, scores, general English and exams, before and after."""
    ranks = study.settings.get("training.lora.r")
    for rank in ranks if isinstance(ranks, list) else [ranks]:
        row: Row = {"source": PUBLISHED, "rank": rank, "adaptation": "instruction tuning", "measure": "train_loss"}
        yield row | {"before": NAN, "after": NAN, "note": "a curve, without figures"}
    first, method = look_up(parameters, "continued_pretraining.enabled"), look_up(parameters, "training.method")
    adaptation = "continued pre-training, then instruction tuning" if first else "instruction tuning"
    adaptation = {"full": f"{adaptation} of all weights", "none": "continued pre-training"}.get(method, adaptation)
    trained = "continued_pretraining" if method == "none" else "training"
    own: Row = {"source": OURS, "rank": None if method == "full" else look_up(parameters, f"{trained}.lora.r")}
    own |= {"adaptation": adaptation}
    for row in _measures(tables):
        yield own | row


def _measures(tables: RunTables) -> Iterator[Row]:
    for name in ("train_loss", "validation_loss"):
        losses = tables.losses(name)
        if len(losses):
            steps = f"steps {losses.index.min():,} and {losses.index.max():,}"
            yield {"measure": name, "before": losses.iloc[0], "after": losses.iloc[-1], "note": steps}
    for metric in RANK_METRICS:
        contrast = tables.contrast(metric)
        if contrast is not None and not math.isnan(contrast["value"]):
            yield {"measure": metric, "n": contrast["n"], "before": contrast["base"], "after": contrast["value"]}
    for table, name, prefix in (
        (tables.forgetting, "measure", "general English: "),
        (tables.benchmark_comparison, "benchmark", "exam: "),
    ):
        for row in [] if table is None else read_records(table):
            measured = {"n": row["n"], "before": row["base"], "after": row["tuned"], "note": row["note"]}
            yield {"measure": f"{prefix}{row[name]}", **measured}


_SHAPES: dict[str, Callable[[StudyParams, str, RunTables, Mapping[str, Any]], Iterator[Row]]] = {
    "side_by_side": _side_by_side,
    "models": _models,
    "tracks": _tracks,
    "losses": _losses,
    "ranks": _ranks,
}
