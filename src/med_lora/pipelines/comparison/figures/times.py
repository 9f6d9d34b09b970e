"""Seconds of an answer, and of training, by machine and model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.pipelines.comparison.figures.panels import COLOURS, axis_kind, fit, shorten
from med_lora.pipelines.comparison.machines import BATCHED
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page.figures import make_figure
from med_lora.report_page.wording import title


def draw_answer_times(answer_times: pd.DataFrame) -> Any:
    """Seconds of an answer by model, a colour a machine, as a ``plotly`` figure; hollow points are batches."""
    known = restore_texts(answer_times).dropna(subset="seconds").sort_values(["model", "arm"])
    names = [
        f"{shorten(model)}, {title(arm).split()[0].lower()}"
        for model, arm in zip(known["model"], known["arm"], strict=True)
    ]
    hollow = known["measured"].str.startswith(BATCHED) if len(known) else known["measured"]
    traces = _draw_points(known.assign(shown=names, hollow=hollow))
    ways = sorted(set(known["measured"]))
    caption = (
        "Filled points are medians of one question at a time, hollow ones seconds of a batch by its answers "
        f"({'; '.join(ways)}). Points that were taken differently must not be compared."
    )
    if not ways:
        caption = "No run recorded the time of its answers."
    elif len(ways) == 1:
        caption = f"All times were taken alike: {ways[0]}."
    subtitle = f"n = {len(known)} models in {known['run'].nunique()} runs; a point a run"
    return _finish(
        make_figure(traces, "Response time by machine", subtitle, caption), known, "seconds per answer", names
    )


def draw_training_times(compared_runs: pd.DataFrame) -> Any:
    """Seconds of training by model and rank, a colour a machine, as a ``plotly`` figure."""
    known = restore_texts(compared_runs).dropna(subset="train_seconds")
    known = known.sort_values(["model", "method", "rank", "epochs"])
    names = [
        f"{shorten(row['model'])}, {row['method']}"
        + (f" r {row['rank']:g}" if pd.notna(row["rank"]) else "")
        + f", {row['epochs']:g} ep."
        for row in known.to_dict("records")
    ]
    points = known.assign(shown=names, hollow=False, seconds=known["train_seconds"])
    traces = _draw_points(points)
    caption = "Wall time of the training node, with its validations; other work on the machine is in it."
    subtitle = f"n = {len(known)} runs that trained; a point a run"
    figure = make_figure(traces, "Time of training by machine", subtitle, caption if len(known) else "No run trained.")
    return _finish(figure, points, "seconds of training", names)


def _draw_points(points: pd.DataFrame) -> list[Any]:
    import plotly.graph_objects as go

    traces = []
    for place, (machine, part) in enumerate(points.groupby("machine", sort=True)):
        colour = COLOURS[place % len(COLOURS)]
        symbols = ["circle-open" if hollow else "circle" for hollow in part["hollow"]]
        traces.append(
            go.Scatter(
                **{"x": part["seconds"].tolist(), "y": part["shown"].tolist(), "mode": "markers"},
                **{"name": shorten(str(machine)), "text": [shorten(label) for label in part["label"]]},
                **{"marker": {"color": colour, "size": 11, "symbol": symbols, "line": {"width": 2, "color": colour}}},
                **{"hovertemplate": "%{text}: %{x:.3g} s<extra>%{fullData.name}</extra>", "showlegend": True},
            )
        )
    return traces


def _finish(figure: Any, known: pd.DataFrame, axis: str, names: Sequence[str]) -> Any:
    rows = max(1, len(set(names)))
    fit(figure, 230 + 34 * rows)
    kind = axis_kind(known["seconds"].tolist()) if len(known) else "linear"
    figure.update_xaxes(title_text=f"{axis} (s{', logarithmic' if kind == 'log' else ''})", type=kind)
    if kind == "linear":
        figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(showgrid=True, categoryorder="array", categoryarray=list(dict.fromkeys(names))[::-1])
    return figure
