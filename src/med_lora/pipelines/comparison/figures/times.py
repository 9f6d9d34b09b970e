"""Seconds of an answer, and of training, by machine and model."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.pipelines.comparison.figures.panels import axis_kind, fold, shorten
from med_lora.pipelines.comparison.findings import count_of
from med_lora.pipelines.comparison.machines import BATCHED
from med_lora.report_page.figures import empty_figure, fit, make_figure, pick_series
from med_lora.report_page.wording import title


def draw_answer_times(answer_times: pd.DataFrame) -> Any:
    """Seconds of an answer by model, a symbol a machine, as a ``plotly`` figure; hollow points are batches."""
    known = answer_times.dropna(subset="seconds").sort_values(["model", "arm"])
    names = [
        fold(f"{model}, {title(arm).split()[0].lower()}")
        for model, arm in zip(known["model"], known["arm"], strict=True)
    ]
    hollow = known["measured"].str.startswith(BATCHED) if len(known) else known["measured"]
    ways = sorted(set(known["measured"]))
    caption = (
        "Filled points are medians of one question at a time, hollow ones seconds of a batch by its answers "
        f"({'; '.join(ways)}). Points that were taken differently must not be compared."
    )
    if not ways:
        caption = "No run recorded the time of its answers."
    elif len(ways) == 1:
        caption = f"All times were taken alike: {ways[0]}."
    models, runs = (count_of(known[name].nunique(), name) for name in ("model", "run"))
    subtitle = f"n = {count_of(len(known), 'time')} of {models} in {runs}, base and tuned"
    texts = ("Response time by machine", subtitle, caption)
    return _draw(known.assign(shown=names, hollow=hollow), texts, "seconds per answer")


def draw_training_times(compared_runs: pd.DataFrame) -> Any:
    """Seconds of training by model and rank, a symbol a machine, as a ``plotly`` figure."""
    known = compared_runs.dropna(subset="train_seconds")
    known = known.sort_values(["model", "method", "rank", "epochs"])
    names = [
        fold(
            f"{row['model']}, {row['method']}"
            + (f" r {row['rank']:g}" if pd.notna(row["rank"]) else "")
            + f", {row['epochs']:g} ep."
        )
        for row in known.to_dict("records")
    ]
    points = known.assign(shown=names, hollow=False, seconds=known["train_seconds"])
    caption = "Wall time of the training node, with its validations; other work on the machine is in it."
    subtitle = f"n = {len(known)} runs that trained; a point a run"
    texts = ("Time of training by machine", subtitle, caption if len(known) else "No run trained.")
    return _draw(points, texts, "seconds of training")


def _draw_points(points: pd.DataFrame) -> list[Any]:
    import plotly.graph_objects as go

    traces = []
    for place, (machine, part) in enumerate(points.groupby("machine", sort=True)):
        colour, symbol, _ = pick_series(place)
        symbols = [f"{symbol}-open" if hollow else symbol for hollow in part["hollow"]]
        traces.append(
            go.Scatter(
                **{"x": part["seconds"].tolist(), "y": part["shown"].tolist(), "mode": "markers"},
                **{"name": shorten(str(machine)), "text": [shorten(label) for label in part["label"]]},
                **{"marker": {"color": colour, "size": 11, "symbol": symbols, "line": {"width": 2, "color": colour}}},
                **{"hovertemplate": "%{text}: %{x:.3g} s<extra>%{fullData.name}</extra>", "showlegend": True},
            )
        )
    return traces


def _draw(points: pd.DataFrame, texts: tuple[str, str, str], axis: str) -> Any:
    if points.empty:
        return empty_figure(*texts)
    figure = make_figure(_draw_points(points), *texts)
    names = list(dict.fromkeys(points["shown"]))
    kind = axis_kind(points["seconds"].tolist())
    figure.update_xaxes(title_text=f"{axis} (s{', logarithmic' if kind == 'log' else ''})", type=kind)
    if kind == "linear":
        figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1])
    return fit(figure, 90 + 56 * len(names))
