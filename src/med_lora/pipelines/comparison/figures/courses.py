"""How the runs trained: losses by step, and scores by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from med_lora.pipelines.comparison.figures.panels import COLOURS, axes_of, fit, lay_out, shade, shorten
from med_lora.report_page.figures import make_figure
from med_lora.report_page.wording import PERCENT_SCALED, title

MOST_POINTS = 300  # of a training curve; of longer ones, equal stretches are averaged
EPOCH_METRICS = ("bleu", "rougeL", "token_accuracy")
_TITLES = {"token_accuracy": "Accuracy of the next token"}


def draw_loss_courses(run_histories: pd.DataFrame) -> Any:
    """Training and validation losses by step, coloured by the rank of the LoRA, as a ``plotly`` figure."""
    colours = _colour_ranks(run_histories)
    traces, shown = [], set()
    for metric, style in (("train_loss", "lines"), ("validation_loss", "lines+markers")):
        for (_, label), part in run_histories[run_histories["metric"] == metric].groupby(["run", "label"], sort=True):
            name, colour = colours[_rank_of(part)]
            validated = metric == "validation_loss"
            traces.append(_draw_course(part, "step", str(label), style, colour, faint=not validated))
            traces[-1].update(name=name, legendgroup=name, showlegend=validated and name not in shown)
            shown |= {name} if validated else set()
    runs = run_histories["run"].nunique()
    subtitle = f"n = {runs} runs; thin lines: training batches, with markers: validation"
    caption = _caption_losses(run_histories)
    figure = make_figure(traces, "Loss during training", subtitle, caption)
    figure.update_xaxes(title_text="optimiser step")
    figure.update_yaxes(title_text="loss (nats per answer token)")
    fit(figure, 520)
    return figure


def draw_epoch_courses(run_histories: pd.DataFrame) -> Any:
    """BLEU, ROUGE-L and accuracy of the next token on validation pairs by epoch, as a ``plotly`` figure.

    BLEU and ROUGE are there where ``training.epoch_answers`` asked for answers after each epoch.
    """
    there = set(run_histories["metric"])
    metrics = [name for name in EPOCH_METRICS if f"validation_{name}" in there]
    labels = sorted(set(run_histories["label"][run_histories["metric"].str.startswith("validation_")]))
    traces: list[Any] = []
    shown: set[str] = set()
    for place, metric in enumerate(metrics):
        for label in labels:
            part = run_histories[
                (run_histories["label"] == label) & (run_histories["metric"] == f"validation_{metric}")
            ]
            if part.empty:
                continue
            scaled = part.assign(value=part["value"] / (100 if metric in PERCENT_SCALED else 1))
            colour = COLOURS[labels.index(label) % len(COLOURS)] if len(labels) <= len(COLOURS) else COLOURS[0]
            trace = _draw_course(scaled, "epoch", label, "lines+markers", colour, faint=False)
            trace.update(name=shorten(label), legendgroup=label, **axes_of(place))
            traces.append(trace.update(showlegend=label not in shown and len(labels) <= len(COLOURS)))
            shown.add(label)
    caption = _caption_epochs(run_histories, metrics)
    subtitle = f"n = {len(labels)} runs; validation pairs, by epoch"
    figure = make_figure(traces, "Scores during training", subtitle, caption)
    if metrics:
        lay_out(figure, [_title(name) for name in metrics], shared_y=False)
    figure.update_xaxes(title_text="epoch")
    fit(figure, 470)
    figure.layout.yaxis.title.text = "score (0 to 1)"
    return figure


def _draw_course(part: pd.DataFrame, axis: str, label: str, mode: str, colour: str, faint: bool) -> Any:
    import plotly.graph_objects as go

    ordered = part.sort_values(axis)
    x, y = _thin(ordered[axis].tolist(), ordered["value"].tolist()) if faint else (ordered[axis], ordered["value"])
    line = {"color": colour, "width": 1 if faint else 2}
    hover = f"{shorten(label)}: %{{y:.4g}}<extra></extra>"
    style = {"opacity": 0.35 if faint else 1.0, "line": line, "marker": {"color": colour, "size": 7}}
    return go.Scatter(x=list(x), y=list(y), mode=mode, hovertemplate=hover, **style)


def _thin(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """At most ``MOST_POINTS`` points, each the mean of as many that follow each other."""
    if len(x) <= MOST_POINTS:
        return list(x), list(y)
    parts = np.array_split(np.arange(len(x)), MOST_POINTS)
    means = [(float(np.mean(np.take(x, part))), float(np.mean(np.take(y, part)))) for part in parts]
    return [mean[0] for mean in means], [mean[1] for mean in means]


def _rank_of(part: pd.DataFrame) -> float:
    rank = part["rank"].iloc[0]
    return -1.0 if pd.isna(rank) else float(rank)


def _colour_ranks(run_histories: pd.DataFrame) -> dict[float, tuple[str, str]]:
    """Name and colour of every rank; -1 is training without a LoRA."""
    ranks = sorted({-1.0 if pd.isna(rank) else float(rank) for rank in run_histories["rank"]})
    return {
        rank: ("all weights" if rank < 0 else f"rank {rank:g}", shade(place, len(ranks)))
        for place, rank in enumerate(ranks)
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
