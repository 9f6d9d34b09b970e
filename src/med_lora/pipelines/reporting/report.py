"""The report: one HTML file that opens from disk, asks nothing of any network, and is the same for the same inputs."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from med_lora.pipelines.reporting.answers import list_errors, list_examples, list_probes
from med_lora.pipelines.reporting.contents import list_sections, place_figures
from med_lora.pipelines.reporting.exams_times_secrets import list_benchmarks, list_canaries, list_latency
from med_lora.pipelines.reporting.glance import list_answers, say_limits, say_meaning
from med_lora.pipelines.reporting.marking import COMPARED_WORDS, MOST_MARKED
from med_lora.pipelines.reporting.run_section import show_run
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
    errors: pd.DataFrame,
    data: dict[str, Any],
    datasheet: str,
    settings: dict[str, Any],
    run: dict[str, Any],
    checklists: list[dict[str, Any]],
    study: dict[str, Any] | None = None,
    retrieval: dict[str, Any] | None = None,
    judge: dict[str, Any] | None = None,
    people: dict[str, Any] | None = None,
    divergence: dict[str, Any] | None = None,
    canaries: pd.DataFrame | None = None,
    benchmarks: pd.DataFrame | None = None,
    latency: pd.DataFrame | None = None,
    probes: pd.DataFrame | None = None,
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
        errors: as :func:`find_errors` returns them.
        data: as :func:`describe_data` returns it.
        datasheet: CommonMark.
        settings: as :func:`describe_settings` returns them.
        run: as :func:`describe_run` returns it.
        checklists: as :func:`count_checklists` returns them.
        study: as :func:`describe_study` returns it; None, like all that follow, leaves its section out.
        retrieval: as :func:`describe_retrieval` returns it.
        judge: as :func:`describe_judge` returns it.
        people: as :func:`describe_people` returns it.
        divergence: as :func:`describe_divergence` returns it.
        canaries: as :func:`summarise_exposure` returns it.
        benchmarks: as :func:`compare_benchmarks` returns it.
        latency: as :func:`measure_latency` returns it.
        probes: as :func:`collect_probes` returns it.
        figures: ``plotly`` figures by the names of their datasets (``loss_curve_figure``); without a trace they are
            left out.
    """
    drawn, places = place_figures(figures)
    optional = {"study": study, "retrieval": retrieval, "judge": judge, "people": people, "divergence": divergence}
    optional |= _list_optional(canaries, benchmarks, latency, probes)
    values = {
        **_list_scores(comparison, controls, corpus_scores, subgroups, forgetting, as_published, data["on_pairs"]),
        **_list_result(headline, forgetting, judge, people, canaries),
        **_list_pairs(examples, errors, data, datasheet),
        **{"settings": settings, "run": show_run(run), "checklists": checklists},
        **optional,
        "sections": list_sections({name for name, value in optional.items() if value}, places),
        "numbers": {name: place for section in places.values() for name, place in section.items()},
        "drawn_in": places,
    }
    filters = {"plain": lambda name: name.replace("_", " ")}
    return render_page(__package__, "templates/report.html.j2", drawn, filters, values)


def _list_optional(
    canaries: pd.DataFrame | None,
    benchmarks: pd.DataFrame | None,
    latency: pd.DataFrame | None,
    probes: pd.DataFrame | None,
) -> dict[str, Any]:
    """What is shown of secrets, exams, speed and fixed questions; None for those that the run has not."""
    return {
        "canaries": None if canaries is None else list_canaries(canaries),
        "benchmarks": None if benchmarks is None else list_benchmarks(benchmarks),
        "latency": None if latency is None else list_latency(latency),
        "probes": None if probes is None else list_probes(probes),
    }


def _list_result(
    headline: dict[str, Any],
    forgetting: pd.DataFrame,
    judge: dict[str, Any] | None,
    people: dict[str, Any] | None,
    canaries: pd.DataFrame | None,
) -> dict[str, Any]:
    """What stands at the top."""
    return {
        "headline": headline,
        "sentence": _keep_together(headline["sentence"].removeprefix(headline["rehearsal"]).lstrip()),
        "answers": list_answers(headline, forgetting, judge, people, canaries),
        "meaning": say_meaning(headline),
        "limits": say_limits(people is not None),
        "confidence": percent(headline["confidence"]),
    }


def _list_pairs(examples: pd.DataFrame, errors: pd.DataFrame, data: dict[str, Any], datasheet: str) -> dict[str, Any]:
    """The pairs that are shown, and where all of them come from."""
    return {
        "pairs": data["splits"]["test"],
        "examples": list_examples(examples),
        "errors": list_errors(errors),
        "compared_words": COMPARED_WORDS,
        "most_marked": percent(MOST_MARKED),
        "data": data,
        "datasheet": render_markdown(datasheet),
    }


def _list_scores(
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    subgroups: pd.DataFrame,
    forgetting: pd.DataFrame,
    as_published: pd.DataFrame,
    on_pairs: bool,
) -> dict[str, Any]:
    """Rows of the tables of every run."""
    arms = set(controls["arm"])
    return {
        "comparison": list_comparison(comparison),
        "conduct": list_conduct(comparison, on_pairs),
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
