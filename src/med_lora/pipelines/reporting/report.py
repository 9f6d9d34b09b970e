"""The report: one HTML file that opens from disk, asks nothing of any network, and is the same for the same inputs."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from med_lora.arms import ARMS
from med_lora.pipelines.reporting.tables import (
    list_best_controls,
    list_comparison,
    list_conduct,
    list_controls,
    list_corpus_scores,
    list_forgetting,
    list_published,
    list_subgroups,
    list_whole,
)
from med_lora.report_page import render_page
from med_lora.report_page.wording import CONTROL_MEANINGS, percent, title


def write_report(
    headline: dict[str, Any],
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    subgroups: pd.DataFrame,
    forgetting: pd.DataFrame,
    as_published: pd.DataFrame,
    loss_curve: Any,
    epoch_scores: Any,
    perplexity_bars: Any,
    score_bars: Any,
    examples: pd.DataFrame,
    data: dict[str, Any],
    settings: dict[str, Any],
    retrieval: dict[str, Any] | None = None,
    judge: dict[str, Any] | None = None,
    judge_scores: Any = None,
    people: dict[str, Any] | None = None,
    divergence: dict[str, Any] | None = None,
    divergence_scatter: Any = None,
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
        loss_curve: ``plotly`` figure, as the next three.
        epoch_scores: scores of answers during training, without a trace where none were asked for.
        perplexity_bars: perplexity of the arms.
        score_bars: text scores of arms and controls.
        examples: as :func:`choose_examples` returns them.
        data: as :func:`describe_data` returns it.
        settings: as :func:`describe_settings` returns them.
        retrieval: as :func:`describe_retrieval` returns it; None, like all that follow, where the experiment has none.
        judge: as :func:`describe_judge` returns it.
        judge_scores: figure of the judge's scores.
        people: as :func:`describe_people` returns it.
        divergence: as :func:`describe_divergence` returns it.
        divergence_scatter: figure of judge and people against lexical scores.
    """
    figures = {"perplexity-bars": perplexity_bars, "score-bars": score_bars, "loss-curve": loss_curve}
    if epoch_scores.data:
        figures["epoch-scores"] = epoch_scores
    drawn = {"judge-scores": judge_scores, "divergence-scatter": divergence_scatter}
    figures |= {name: figure for name, figure in drawn.items() if figure is not None}
    arms = set(controls["arm"])
    values = {
        "headline": headline,
        "sentence": _keep_together(headline["sentence"]),
        "confidence": percent(headline["confidence"]),
        "comparison": list_comparison(comparison),
        "conduct": list_conduct(comparison),
        "whole": list_whole(comparison),
        "pairs": data["splits"]["test"],
        "groups": int(comparison["groups"].max()),
        "excluded": int(comparison["excluded"].max()),
        "best_controls": list_best_controls(controls, comparison),
        "controls": list_controls(controls, comparison),
        "control_meanings": [f"“{title(arm)}” {CONTROL_MEANINGS[arm]}" for arm in CONTROL_MEANINGS if arm in arms],
        "corpus_scores": list_corpus_scores(corpus_scores),
        "subgroups": list_subgroups(subgroups),
        "forgetting": list_forgetting(forgetting),
        "published": list_published(as_published),
        "examples": examples.to_dict("records"),
        "arms": [(arm, title(arm)) for arm in ARMS if arm in examples],
        "retrieval": retrieval,
        "judge": judge,
        "people": people,
        "divergence": divergence,
        "data": data,
        "settings": settings,
    }
    filters = {"plain": lambda name: name.replace("_", " ")}
    return render_page(__package__, "report.html.j2", figures, filters, values)


def _keep_together(text: str) -> str:
    """``text`` with spaces that do not break inside brackets, around ``=`` and ``<`` and before ``%``."""
    return re.sub(r"\[[^\]]*\]|\w+ [=<] [\d.]+|\d %", lambda match: match[0].replace(" ", "\u00a0"), text)
