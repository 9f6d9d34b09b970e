"""Perplexity, and the text metrics beside their best null controls, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.figures.units import scale_of
from med_lora.pipelines.reporting.headline import find_best_control, find_metric, state_cut
from med_lora.report_page.figures import ARM_STYLES, Point, break_label, empty_figure, error_bars, make_figure
from med_lora.report_page.wording import PERCENT_SCALED, decimals, measured, number, percent, title


def draw_perplexity(comparison: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """Perplexity of both arms on the test answers with its intervals, as a ``plotly`` figure."""
    import plotly.graph_objects as go

    row = find_metric(comparison, "perplexity")
    places = decimals(row)
    arms = [arm for arm in ("base", "tuned") if math.isfinite(row[arm])]
    labels = [f"{title(arm)}<br><b>{number(row[arm], places)}</b>" for arm in arms]
    bars = [
        go.Bar(
            y=[label],
            x=[float(row[arm])],
            error_x=error_bars([(row[arm], row[f"{arm}_low"], row[f"{arm}_high"])]),
            marker=ARM_STYLES[arm].bars(),
            orientation="h",
            name=title(arm),
            hovertemplate="%{x}<extra></extra>",
        )
        for arm, label in zip(arms, labels, strict=True)
    ]
    words = [f"{title(arm).lower()} {measured(row, arm, places)}" for arm in arms]
    caption = f"Perplexity of the reference answers: {', '.join(words)}." if arms else row["note"] or "No value."
    subtitle = f"n = {row['n']:,} test pairs; whiskers are {percent(evaluation.confidence)} intervals; lower is better"
    heading = "Perplexity of the held-out answers"
    if not bars:
        return empty_figure(heading, subtitle, caption)
    figure = make_figure(bars, heading, subtitle, caption)
    figure.update_layout(height=290, margin_t=95, showlegend=False, barmode="overlay", bargap=0.35)
    figure.update_xaxes(title_text="perplexity (no unit),<br>exp of nats per answer token", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def draw_scores(comparison: pd.DataFrame, controls: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """Text metrics of both arms, each with its best null control, on one axis from 0 to 1, as a ``plotly`` figure.

    Scores that run to 100 (BLEU, chrF) are drawn divided by 100, and labelled so. Where the exclusions leave
    fewer than two groups of pairs, the means over all pairs are drawn; the arms have no intervals there.
    """
    scored = comparison[comparison["metric"].isin(set(controls["metric"])) & (comparison["better"] == "higher")]
    best = {metric: find_best_control(controls, metric) for metric in scored["metric"]}
    suffix = "" if scored["tuned"].notna().any() else "_all"
    arms = {arm: _points(scored, f"{arm}{suffix}") for arm in ("base", "tuned")}
    metrics = [metric for metric in scored["metric"] if metric in arms["base"] and metric in arms["tuned"]]
    arms["control"] = {
        metric: [control[name] for name in ("mean", "mean_low", "mean_high")]
        for metric, control in best.items()
        if control is not None
    }
    controlled = {metric: title(control["arm"]) for metric, control in best.items() if control is not None}
    traces = [_score_bars(arm, metrics, points, controlled) for arm, points in arms.items()]
    counts = sorted(set(scored["n"] if not suffix else scored["n"] + scored["excluded"]))
    pairs = "test pairs, cut answers included" if suffix else "test pairs"
    n = ", ".join(f"{count:,}" for count in counts) or "0"
    subtitle = f"n = {n} {pairs}; whiskers are {percent(evaluation.confidence)} intervals; higher is better"
    caption = f"{_caption_scores(arms, metrics, suffix)} {state_cut(comparison, evaluation)}".rstrip()
    heading = "Answers against their references"
    if not metrics:
        return empty_figure(heading, subtitle, caption)
    figure = make_figure(traces, heading, subtitle, caption)
    figure.update_layout(height=270 + 20 * len(metrics) * len(arms), margin_t=160, bargap=0.25)
    figure.update_xaxes(title_text="score (0 to 1,<br>mean over pairs)", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _points(rows: pd.DataFrame, name: str) -> dict[str, Point]:
    """(value, low, high) of each metric that has a value in column ``name``; NaN for bounds without a column."""
    missing = pd.Series(math.nan, index=rows.index)
    columns = (rows["metric"], rows[name], rows.get(f"{name}_low", missing), rows.get(f"{name}_high", missing))
    return {metric: point for metric, *point in zip(*columns, strict=True) if not math.isnan(point[0])}


def _score_bars(arm: str, metrics: Sequence[str], points: dict[str, Point], controls: dict[str, str]) -> Any:
    """Bars of an arm, or of the best control of each metric, whose name shows under the pointer."""
    import plotly.graph_objects as go

    known = [metric for metric in metrics if metric in points]
    scaled = [[float(value) / scale_of(metric) for value in points[metric]] for metric in known]
    name = "Best null control" if arm == "control" else title(arm)
    return go.Bar(
        y=[break_label(title(metric) + (" / 100" if metric in PERCENT_SCALED else "")) for metric in known],
        x=[point[0] for point in scaled],
        error_x=error_bars(scaled),
        name=name,
        orientation="h",
        customdata=[controls.get(metric, "") if arm == "control" else name for metric in known],
        hovertemplate="%{y}: %{x:.3f}<extra>%{customdata}</extra>",
        marker=ARM_STYLES[arm].bars(),
    )


def _caption_scores(arms: dict[str, dict[str, Point]], metrics: Sequence[str], suffix: str) -> str:
    if not metrics:
        return "No pair was scored."
    better = sum(1 for metric in metrics if arms["tuned"][metric][0] > arms["base"][metric][0])
    basis = "The exclusions leave too few pairs, so all pairs are shown. " if suffix else ""
    return (
        f"{basis}The tuned model's mean is above the base model's in {better} of {len(metrics)} metrics; the tables "
        "say which differences the data support. Hatched bars are the best null control of each metric, which needs no "
        "understanding."
    )
