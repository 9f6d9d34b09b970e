"""The report: one HTML file that opens from disk, asks nothing of any network, and is the same for the same inputs."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from med_lora.pipelines.reporting.answers import list_errors, list_examples
from med_lora.pipelines.reporting.contents import list_sections, place_figures
from med_lora.pipelines.reporting.glance import list_answers, say_limits, say_meaning
from med_lora.pipelines.reporting.marking import COMPARED_WORDS
from med_lora.pipelines.reporting.probes import list_benchmarks, list_canaries, list_latency
from med_lora.pipelines.reporting.provenance import show_run
from med_lora.pipelines.reporting.tables import (
    list_best_controls,
    list_comparison,
    list_conduct,
    list_controls,
    list_corpus_scores,
    list_forgetting,
    list_parts,
    list_published,
    list_whole,
)
from med_lora.report_page import render_page
from med_lora.report_page.markdown import render_markdown
from med_lora.report_page.wording import CONTROL_MEANINGS, percent, title


def write_report(
    headline: dict[str, Any],
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    subgroups: pd.DataFrame,
    forgetting: pd.DataFrame,
    as_published: pd.DataFrame,
    examples: pd.DataFrame,
    data: dict[str, Any],
    settings: dict[str, Any],
    errors: pd.DataFrame | None = None,
    run: dict[str, Any] | None = None,
    datasheet: str | None = None,
    study: dict[str, Any] | None = None,
    retrieval: dict[str, Any] | None = None,
    judge: dict[str, Any] | None = None,
    people: dict[str, Any] | None = None,
    divergence: dict[str, Any] | None = None,
    canaries: pd.DataFrame | None = None,
    benchmarks: pd.DataFrame | None = None,
    latency: pd.DataFrame | None = None,
    checklists: list[dict[str, Any]] | None = None,
    **figures: Any,
) -> str:
    """The whole report as one HTML document; plotly.js and the figures are inside, everything else is plain HTML.

    Args:
        headline: as :func:`write_headline` returns it.
        comparison: as the evaluation writes it; so are the next five.
        controls: null controls.
        corpus_scores: metrics of the test set as a whole.
        subgroups: parts of the test set.
        forgetting: general English before and after.
        as_published: figures as studies publish them.
        examples: as :func:`choose_examples` returns them.
        data: as :func:`describe_data` returns it.
        settings: as :func:`describe_settings` returns them.
        errors: as :func:`find_errors` returns them; None, like all that follow, leaves its section out.
        run: as :func:`describe_run` returns it.
        datasheet: CommonMark.
        study: as :func:`describe_study` returns it.
        retrieval: as :func:`describe_retrieval` returns it.
        judge: as :func:`describe_judge` returns it.
        people: as :func:`describe_people` returns it.
        divergence: as :func:`describe_divergence` returns it.
        canaries: as :func:`summarise_exposure` returns it.
        benchmarks: as :func:`compare_benchmarks` returns it.
        latency: as :func:`measure_latency` returns it.
        checklists: as :func:`count_checklists` returns them.
        figures: ``plotly`` figures by the names of their datasets (``loss_curve_figure``); without a trace they are
            left out.
    """
    drawn, places = place_figures(figures)
    optional = {
        "errors": None if errors is None else list_errors(errors),
        "run": None if run is None else show_run(run),
        "canaries": None if canaries is None else list_canaries(canaries),
        "benchmarks": None if benchmarks is None else list_benchmarks(benchmarks),
        "latency": None if latency is None else list_latency(latency),
        **{"study": study, "retrieval": retrieval, "judge": judge, "people": people, "divergence": divergence},
        "checklists": checklists,
    }
    values = {
        **_list_scores(comparison, controls, corpus_scores, subgroups, forgetting, as_published),
        **optional,
        "headline": headline,
        "sentence": _keep_together(headline["sentence"]),
        "answers": list_answers(headline, forgetting, judge, people, canaries),
        "meaning": say_meaning(headline),
        "limits": say_limits(people is not None),
        "confidence": percent(headline["confidence"]),
        "pairs": data["splits"]["test"],
        "compared_words": COMPARED_WORDS,
        "examples": list_examples(examples),
        "data": data,
        "datasheet": render_markdown(datasheet) if datasheet else None,
        "settings": settings,
        "sections": list_sections({name for name, value in optional.items() if value}, places),
        "numbers": {name: place for section in places.values() for name, place in section.items()},
        "drawn_in": places,
    }
    filters = {"plain": lambda name: name.replace("_", " ")}
    return render_page(__package__, "templates/report.html.j2", drawn, filters, values)


def _list_scores(
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    subgroups: pd.DataFrame,
    forgetting: pd.DataFrame,
    as_published: pd.DataFrame,
) -> dict[str, Any]:
    """Rows of the tables of every run."""
    arms = set(controls["arm"])
    return {
        "comparison": list_comparison(comparison),
        "conduct": list_conduct(comparison),
        "whole": list_whole(comparison),
        "groups": int(comparison["groups"].max()),
        "excluded": int(comparison["excluded"].max()),
        "best_controls": list_best_controls(controls, comparison),
        "controls": list_controls(controls, comparison),
        "control_meanings": [f"“{title(arm)}” {CONTROL_MEANINGS[arm]}" for arm in CONTROL_MEANINGS if arm in arms],
        "corpus_scores": list_corpus_scores(corpus_scores),
        "parts": list_parts(subgroups),
        "forgetting": list_forgetting(forgetting),
        "published": list_published(as_published),
    }


def _keep_together(text: str) -> str:
    """``text`` with spaces that do not break inside brackets, around ``=`` and ``<`` and before ``%``."""
    return re.sub(r"\[[^\]]*\]|\w+ [=<] [\d.]+|\d %", lambda match: match[0].replace(" ", "\u00a0"), text)
