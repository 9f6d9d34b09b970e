"""The figures of the report, in one style: losses during training, perplexity, and text scores beside controls.

Every figure carries its finding in words under ``layout.meta["caption"]``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.headline import find_best_control, find_metric, state_cut
from med_lora.report_page.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, make_figure
from med_lora.report_page.wording import PERCENT_SCALED, decimals, measured, number, percent, title

COLOURS = {"base": ORANGE, "tuned": BLUE}
# hatched, so that a black-and-white print tells the control from the arms as well
HATCH = {"shape": "/", "fillmode": "overlay", "fgcolor": "#ffffff", "size": 6, "solidity": 0.25}
BAR_STYLES: dict[str, dict[str, Any]] = {
    **{arm: {"color": colour} for arm, colour in COLOURS.items()},
    "control": {"color": GREY, "pattern": HATCH},
}
EPOCH_METRICS = ("rouge1", "rouge2", "rougeL", "bleu", "chrf", "token_f1", "exact_match")
Point = Sequence[float]  # a value and the bounds of its interval


def draw_loss_curve(training_history: pd.DataFrame) -> Any:
    """Training loss of every step, and the validation losses with markers, as a ``plotly`` figure.

    Args:
        training_history: columns step, metric ("train_loss", "validation_loss"; others are left out), value in nats an
            answer token.
    """
    import plotly.graph_objects as go

    of = {name: rows.sort_values("step") for name, rows in training_history.groupby("metric")}
    styles = {
        "train_loss": ("training, one batch", {"mode": "lines", "line": {"color": GREY, "width": 1.5}}),
        "validation_loss": ("validation, whole split", _markers(BLUE)),
    }
    drawn = [name for name in styles if name in of]
    traces = [
        go.Scatter(x=of[name]["step"].tolist(), y=of[name]["value"].tolist(), name=styles[name][0], **styles[name][1])
        for name in drawn
    ]
    counts = [
        f"n = {len(of.get('train_loss', ()))} optimiser steps",
        f"{len(of.get('validation_loss', ()))} validations",
    ]
    figure = make_figure(traces, "Loss during training", ", ".join(counts), _caption_losses(of))
    figure.update_xaxes(title_text="optimiser step")
    figure.update_yaxes(title_text="loss (nats per answer token)")
    return figure


def draw_epoch_scores(training_history: pd.DataFrame) -> Any:
    """Scores of the answers to some validation questions before training and after every epoch, as a ``plotly`` figure.

    It has no trace where none were asked for.

    Args:
        training_history: columns step, epoch, metric (``validation_<metric>``), value.
    """
    import plotly.graph_objects as go

    traces, said = [], []
    colours = cycle((BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, GREY))
    for metric in EPOCH_METRICS:
        rows = training_history[training_history["metric"] == f"validation_{metric}"].sort_values("step")
        if rows.empty:
            continue
        values = (rows["value"] / _scale(metric)).tolist()
        name = title(metric) + (" / 100" if metric in PERCENT_SCALED else "")
        traces.append(go.Scatter(x=rows["epoch"].tolist(), y=values, name=name, **_markers(next(colours))))
        said.append(f"{name} {values[0]:.3f} to {values[-1]:.3f}")
    caption = f"From before training to its end: {', '.join(said)}." if said else "No answers were scored."
    asked = training_history[training_history["metric"] == "validation_answers"]["value"].max()
    subtitle = f"n = {0 if math.isnan(asked) else asked:.0f} validation questions, answered greedily"
    figure = make_figure(traces, "Answers during training", subtitle, caption)
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="score (0 to 1, mean over questions)", rangemode="tozero")
    return figure


def draw_perplexity(comparison: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """Perplexity of both arms on the test answers with its intervals, as a ``plotly`` figure."""
    import plotly.graph_objects as go

    row = find_metric(comparison, "perplexity")
    places = decimals(row)
    arms = [arm for arm in ("base", "tuned") if math.isfinite(row[arm])]
    labels = [f"{title(arm)}<br><b>{number(row[arm], places)}</b>" for arm in arms]
    bars = go.Bar(
        y=labels,
        x=[float(row[arm]) for arm in arms],
        error_x=_whiskers([(row[arm], row[f"{arm}_low"], row[f"{arm}_high"]) for arm in arms]),
        marker_color=[COLOURS[arm] for arm in arms],
        orientation="h",
        name="perplexity",
        hovertemplate="%{x}<extra></extra>",
    )
    words = [f"{title(arm).lower()} {measured(row, arm, places)}" for arm in arms]
    caption = f"Perplexity of the reference answers: {', '.join(words)}." if arms else row["note"]
    subtitle = f"n = {row['n']} test pairs; whiskers are {percent(evaluation.confidence)} intervals; lower is better"
    figure = make_figure([bars] if arms else [], "Perplexity of the held-out answers", subtitle, caption)
    figure.update_layout(height=270, margin_t=80, showlegend=False, bargap=0.35)
    figure.update_xaxes(title_text="perplexity (no unit), exp of nats per answer token", rangemode="tozero")
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
    n = ", ".join(str(count) for count in counts)
    subtitle = f"n = {n} {pairs}; whiskers are {percent(evaluation.confidence)} intervals; higher is better"
    caption = f"{_caption_scores(arms, metrics, suffix)} {state_cut(comparison, evaluation)}".rstrip()
    figure = make_figure(traces if metrics else [], "Answers against their references", subtitle, caption)
    figure.update_layout(height=230 + 20 * max(1, len(metrics)) * len(arms), margin_t=120, bargap=0.25)
    figure.update_xaxes(title_text="score (0 to 1, mean over pairs)", rangemode="tozero")
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
    scaled = [[float(value) / _scale(metric) for value in points[metric]] for metric in known]
    name = "Best null control" if arm == "control" else title(arm)
    return go.Bar(
        y=[title(metric) + (" / 100" if metric in PERCENT_SCALED else "") for metric in known],
        x=[point[0] for point in scaled],
        error_x=_whiskers(scaled),
        name=name,
        orientation="h",
        customdata=[controls.get(metric, "") if arm == "control" else name for metric in known],
        hovertemplate="%{y}: %{x:.3f}<extra>%{customdata}</extra>",
        marker=BAR_STYLES[arm],
    )


def _scale(metric: str) -> float:
    return 100.0 if metric in PERCENT_SCALED else 1.0


def _whiskers(points: Sequence[Point]) -> dict[str, Any]:
    """Error bars from (value, low, high), as distances from the value."""
    if any(math.isnan(bound) for point in points for bound in point):
        # plotly would draw a missing interval like one of length 0
        return {"visible": False}
    return {
        "type": "data",
        "symmetric": False,
        "array": [float(high - value) for value, _, high in points],
        "arrayminus": [float(value - low) for value, low, _ in points],
    }


def _markers(colour: str) -> dict[str, Any]:
    return {"mode": "lines+markers", "line": {"color": colour, "width": 2}, "marker": {"color": colour, "size": 9}}


def _caption_losses(of: dict[Any, pd.DataFrame]) -> str:
    if "validation_loss" not in of:
        return "No validation loss was taken."
    losses = of["validation_loss"]
    best = losses.nsmallest(1, "value").iloc[0]
    first, last = losses["value"].iloc[0], losses["value"].iloc[-1]
    return (
        f"Validation loss: {first:.3f} nats per answer token at step {losses['step'].iloc[0]}, {last:.3f} at step "
        f"{losses['step'].iloc[-1]}, lowest {best['value']:.3f} at step {int(best['step'])}."
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
