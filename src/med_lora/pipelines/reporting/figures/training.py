"""Losses, learning rate and the answers to some validation questions during training."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import TrainingParams
from med_lora.pipelines.reporting.figures.units import scale_of
from med_lora.report_page.figures import (
    BLUE,
    GREY,
    VERMILION,
    empty_figure,
    make_figure,
    make_panels,
    pick_series,
    thin,
)
from med_lora.report_page.wording import PERCENT_SCALED, title

EPOCH_METRICS = ("rouge1", "rouge2", "rougeL", "bleu", "chrf", "token_f1", "exact_match")
MOST_POINTS = 2_000  # of a line: more than a screen is wide
STEP = "optimiser step (number)"


def draw_loss_curve(training_history: pd.DataFrame, training: TrainingParams) -> Any:
    """Training loss of every step, and the validation losses with markers, as a ``plotly`` figure.

    Losses are of the tokens that training counts: those of the answers, or all.
    Of a training of more than ``MOST_POINTS`` steps, means of equally many steps in a row are drawn.

    Args:
        training_history: columns step, metric ("train_loss", "validation_loss"; others are left out), value in nats a
            counted token.
        training: whether the losses are of pairs, or of passages.
    """
    import plotly.graph_objects as go

    on_pairs = training.method != "none"
    train, validation = (_pick(training_history, name) for name in ("train_loss", "validation_loss"))
    (steps, losses), block = _thin(train)
    each = "one batch" if block == 1 else f"means of {block} batches"
    traces = []
    if len(train):
        line = {"color": GREY, "width": 1.5}
        traces.append(go.Scatter(x=steps, y=losses, name=f"training, {each}", mode="lines", line=line))
    if len(validation):
        x, y = validation["step"].tolist(), validation["value"].tolist()
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                name=f"validation, {'whole split' if on_pairs else 'held-out passages'}",
                **_markers(BLUE, "circle"),
            )
        )
    counts = f"n = {len(train):,} optimiser steps, {len(validation):,} validations"
    heading, caption = "Loss during training", _caption_losses(validation, "" if on_pairs else " of held-out passages")
    if not traces:
        return empty_figure(heading, counts, caption)
    figure = make_figure(traces, heading, counts, caption)
    figure.update_xaxes(title_text=STEP, tickformat=",")
    figure.update_yaxes(title_text="loss (nats per counted token)")
    return figure


def draw_learning_rate(training_history: pd.DataFrame) -> Any:
    """Learning rate, and below it the norm of the gradient before it is clipped, by step, as a ``plotly`` figure.

    Of a training of more than ``MOST_POINTS`` steps, means of equally many steps in a row are drawn.

    Args:
        training_history: columns step, metric ("learning_rate", "gradient_norm"; others are left out), value.
    """
    import plotly.graph_objects as go

    parts = {
        "learning_rate": ("learning rate<br>(no unit)", {"color": BLUE, "width": 2}),
        "gradient_norm": ("gradient norm<br>(no unit)", {"color": VERMILION, "width": 1.5}),
    }
    of = {name: _pick(training_history, name) for name in parts}
    drawn = [name for name in parts if len(of[name])]
    traces, block = [], 1
    for name in drawn:
        (steps, values), block = _thin(of[name])
        traces.append([go.Scatter(x=steps, y=values, name=title(name), mode="lines", line=parts[name][1])])
    subtitle = f"n = {max(map(len, of.values())):,} optimiser steps"
    subtitle += f"; means of {block} steps in a row" if block > 1 else ""
    texts, rows = ("Learning rate and gradient norm", subtitle, _caption_rates(of)), len(drawn)
    if not drawn:
        return empty_figure(*texts)
    grid = {"rows": rows, "cols": 1, "shared_xaxes": True, "vertical_spacing": 0.08}
    figure = make_panels(traces, texts, **grid)
    for row, name in enumerate(drawn, start=1):
        figure.update_yaxes(title_text=parts[name][0], rangemode="tozero", exponentformat="power", row=row, col=1)
        figure.update_xaxes(title_text=STEP if row == rows else None, tickformat=",", row=row, col=1)
    return figure.update_layout(height=180 + 170 * rows, margin_t=90, showlegend=False)


def draw_epoch_scores(training_history: pd.DataFrame) -> Any:
    """Scores of the answers to some validation questions before training and after every epoch, as a ``plotly`` figure.

    It has no trace where none were asked for.

    Args:
        training_history: columns step, epoch, metric (``validation_<metric>``), value.
    """
    import plotly.graph_objects as go

    traces: list[Any] = []
    said: list[str] = []
    for metric in EPOCH_METRICS:
        rows = _pick(training_history, f"validation_{metric}")
        if rows.empty:
            continue
        values = (rows["value"] / scale_of(metric)).tolist()
        name = title(metric) + (" / 100" if metric in PERCENT_SCALED else "")
        look = pick_series(len(traces))
        traces.append(go.Scatter(x=rows["epoch"].tolist(), y=values, name=name, **_markers(look.colour, look.symbol)))
        said.append(f"{name} {values[0]:.3f} to {values[-1]:.3f}")
    caption = f"From before training to its end: {', '.join(said)}." if said else "No answers were scored."
    asked = training_history[training_history["metric"] == "validation_answers"]["value"].max()
    subtitle = f"n = {0 if math.isnan(asked) else asked:.0f} validation questions, answered greedily"
    heading = "Answers during training"
    if not traces:
        return empty_figure(heading, subtitle, caption)
    figure = make_figure(traces, heading, subtitle, caption)
    figure.update_xaxes(title_text="epoch (number)")
    figure.update_yaxes(title_text="score (0 to 1, mean over questions)", rangemode="tozero")
    return figure.update_layout(margin_t=150, height=460)


def _pick(training_history: pd.DataFrame, metric: str) -> pd.DataFrame:
    return training_history[training_history["metric"] == metric].sort_values("step", kind="stable")


def _thin(rows: pd.DataFrame) -> tuple[list[list[float]], int]:
    return thin([rows["step"].tolist(), rows["value"].tolist()], MOST_POINTS)


def _markers(colour: str, symbol: str) -> dict[str, Any]:
    marker = {"color": colour, "size": 9, "symbol": symbol}
    return {"mode": "lines+markers", "line": {"color": colour, "width": 2}, "marker": marker}


def _caption_losses(losses: pd.DataFrame, of: str) -> str:
    if losses.empty or losses["value"].isna().all():
        return "No validation loss was taken."
    best = losses.nsmallest(1, "value").iloc[0]
    first, last = losses["value"].iloc[0], losses["value"].iloc[-1]
    return (
        f"Validation loss{of}: {first:.3f} nats per counted token at step {losses['step'].iloc[0]}, {last:.3f} at step "
        f"{losses['step'].iloc[-1]}, lowest {best['value']:.3f} at step {int(best['step'])}."
    )


def _caption_rates(of: dict[str, pd.DataFrame]) -> str:
    sentences = []
    rates, norms = (of[name][of[name]["value"].notna()] for name in ("learning_rate", "gradient_norm"))
    if len(rates):
        peak = rates.nlargest(1, "value").iloc[0]
        sentences.append(
            f"The learning rate is highest, {peak['value']:.3g}, at step {int(peak['step'])} and ends at "
            f"{rates['value'].iloc[-1]:.3g}."
        )
    if len(norms):
        peak = norms.nlargest(1, "value").iloc[0]
        sentences.append(
            f"The gradient norm, before clipping, has the median {norms['value'].median():.3g} and the maximum "
            f"{peak['value']:.3g} at step {int(peak['step'])}."
        )
    return " ".join(sentences) or "Neither learning rate nor gradient norm was kept."
