"""How the runs trained: losses by step, and scores by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.pipelines.comparison.figures.panels import HEAD, MOST_NAMED, shorten
from med_lora.report_page.figures import Series, empty_figure, fit, make_figure, make_panels, pick_series, thin
from med_lora.report_page.wording import PERCENT_SCALED, title

MOST_POINTS = 300  # of a training curve; of longer ones, means of steps in a row are drawn
EPOCH_METRICS = ("bleu", "rougeL", "token_accuracy")
COLUMNS = 2
_PANEL, _FOOT = 240, 70  # pixels
_TITLES = {"token_accuracy": "Accuracy of the next token"}


def draw_loss_courses(run_histories: pd.DataFrame) -> Any:
    """Training and validation losses by step, alike for runs of the same rank of the LoRA, as a ``plotly`` figure."""
    looks = _look_of_ranks(run_histories)
    traces, shown = [], set()
    for metric in ("train_loss", "validation_loss"):
        for (_, label), part in run_histories[run_histories["metric"] == metric].groupby(["run", "label"], sort=True):
            name, look = looks[_rank_of(part)]
            validated = metric == "validation_loss"
            traces.append(_draw_course(part, "step", str(label), look, faint=not validated))
            traces[-1].update(name=name, legendgroup=name, showlegend=validated and name not in shown)
            shown |= {name} if validated else set()
    subtitle = f"n = {run_histories['run'].nunique()} runs; thin lines: training batches, with markers: validation"
    texts = ("Loss during training", subtitle, _caption_losses(run_histories))
    if not traces:
        return empty_figure(*texts)
    figure = make_figure(traces, *texts)
    figure.update_xaxes(title_text="optimiser step (number)", tickformat=",")
    figure.update_yaxes(title_text="loss (nats per answer token)")
    return fit(figure, 380)


def draw_epoch_courses(run_histories: pd.DataFrame) -> Any:
    """BLEU, ROUGE-L and accuracy of the next token on validation pairs by epoch, as a ``plotly`` figure.

    BLEU and ROUGE are there where ``training.epoch_answers`` asked for answers after each epoch.
    """
    there = set(run_histories["metric"])
    metrics = [name for name in EPOCH_METRICS if f"validation_{name}" in there]
    scored = run_histories[run_histories["metric"].isin([f"validation_{name}" for name in metrics])]
    labels = sorted(set(scored["label"]))
    texts = (
        "Scores during training",
        f"n = {len(labels)} runs; validation pairs, by epoch",
        _caption_epochs(run_histories, metrics),
    )
    if not metrics:
        return empty_figure(*texts)
    named: set[str] = set()
    rows = math.ceil(len(metrics) / COLUMNS)
    body = rows * (_PANEL + _FOOT + 2 * HEAD) - 2 * HEAD
    figure = make_panels(
        [_draw_scores(scored[scored["metric"] == f"validation_{name}"], name, labels, named) for name in metrics],
        texts,
        **{"rows": rows, "cols": min(COLUMNS, len(metrics)), "horizontal_spacing": 0.16},
        vertical_spacing=(_FOOT + 2 * HEAD) / (body - _FOOT) if rows > 1 else 0,
        subplot_titles=[f"<b>{_title(name).replace(' of the', '<br>of the')}</b>" for name in metrics],
    )
    figure.update_annotations(font_size=14)
    figure.update_xaxes(title_text="epoch (number)", nticks=5, tickangle=0)
    figure.update_yaxes(nticks=5)
    figure.update_yaxes(title_text="score (0 to 1)", col=1)
    return fit(figure, body, 2 * HEAD).update_layout(margin_b=_FOOT)


def _draw_scores(of_metric: pd.DataFrame, metric: str, labels: Sequence[str], named: set[str]) -> list[Any]:
    """A curve a run, of which few enough stand in the legend once: those in ``named`` do, to which these are added."""
    traces = []
    for label, part in of_metric.groupby("label", sort=True):
        scaled = part.assign(value=part["value"] / (100 if metric in PERCENT_SCALED else 1))
        traces.append(_draw_course(scaled, "epoch", str(label), pick_series(labels.index(str(label))), faint=False))
        in_legend = label not in named and len(labels) <= MOST_NAMED
        traces[-1].update(name=shorten(str(label)), legendgroup=str(label), showlegend=in_legend)
        named.add(str(label))
    return traces


def _draw_course(part: pd.DataFrame, axis: str, label: str, look: Series, faint: bool) -> Any:
    import plotly.graph_objects as go

    ordered = part.sort_values(axis, kind="stable")
    columns = [ordered[name].tolist() for name in (axis, "value")]
    x, y = thin(columns, MOST_POINTS)[0] if faint else columns
    line = {"color": look.colour, "dash": look.dash, "width": 1 if faint else 2}
    style = {"opacity": 0.35 if faint else 1.0, "mode": "lines" if faint else "lines+markers", "line": line}
    marker = {"color": look.colour, "symbol": look.symbol, "size": 8}
    hover = f"{shorten(label)}: %{{y:.4g}}<extra></extra>"
    return go.Scatter(x=x, y=y, marker=None if faint else marker, hovertemplate=hover, **style)


def _rank_of(part: pd.DataFrame) -> float:
    rank = part["rank"].iloc[0]
    return -1.0 if pd.isna(rank) else float(rank)


def _look_of_ranks(run_histories: pd.DataFrame) -> dict[float, tuple[str, Series]]:
    """Name and look of every rank; -1 is training without a LoRA."""
    ranks = sorted({-1.0 if pd.isna(rank) else float(rank) for rank in run_histories["rank"]})
    return {
        rank: ("all weights" if rank < 0 else f"rank {rank:g}", pick_series(place)) for place, rank in enumerate(ranks)
    }


def _title(metric: str) -> str:
    return _TITLES.get(metric) or title(metric) + (" / 100" if metric in PERCENT_SCALED else "")


def _caption_losses(run_histories: pd.DataFrame) -> str:
    losses = run_histories[run_histories["metric"] == "validation_loss"]
    if losses.empty:
        return "No run took a validation loss."
    lowest = losses.sort_values(["value", "run"]).iloc[0]
    return (
        f"The lowest validation loss is {lowest['value']:.3f} nats per answer token, of {lowest['label']} at step "
        f"{int(lowest['step'])}. Losses of runs with other tokenizers or validation pairs are no rivals."
    )


def _caption_epochs(run_histories: pd.DataFrame, metrics: Sequence[str]) -> str:
    if not metrics:
        return "No run scored answers or tokens during training."
    said = []
    for metric in metrics:
        rows = run_histories[run_histories["metric"] == f"validation_{metric}"]
        best = rows.sort_values(["value", "run"], ascending=[False, True]).iloc[0]
        scale = 100 if metric in PERCENT_SCALED else 1
        said.append(f"{_title(metric)} {best['value'] / scale:.3f} at epoch {best['epoch']:g} of {best['label']}")
    return f"Highest: {'; '.join(said)}."
