"""Scores by each number that differs among the runs: rank, epochs, learning rate, ..."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.figures.panels import COLOURS, axes_of, axis_kind, fit, lay_out, shorten, whiskers
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page.figures import GREY, make_figure
from med_lora.report_page.wording import percent, title

COLUMNS = 3
PANEL_HEIGHT = 290
MOST_NAMED = 8  # curves of a panel that a legend can name
_CURVES = tuple(colour for colour in COLOURS if colour != GREY)
_DASHES, _SYMBOLS = ("solid", "dash", "dot", "dashdot"), ("circle", "square", "diamond")


def draw_setting_curves(
    setting_scores: pd.DataFrame, comparison: ComparisonParams, evaluation: EvaluationParams
) -> Any:
    """The first metric by every numeric setting that differs, a panel a setting, as a ``plotly`` figure.

    A line joins runs that differ in that setting alone; grey points differ in others as well.
    """
    metric, setting_scores = comparison.metrics[0], restore_texts(setting_scores)
    numbers = setting_scores[(setting_scores["kind"] == "number") & (setting_scores["metric"] == metric)]
    numbers = numbers.dropna(subset="mean")
    settings = list(dict.fromkeys(numbers["setting"]))
    traces = [
        trace
        for place, setting in enumerate(settings)
        for trace in _draw_panel(numbers[numbers["setting"] == setting], place)
    ]
    joined = numbers[numbers["alone"].astype(bool)] if len(numbers) else numbers
    caption = (
        f"{title(metric)} of the tuned models. Coloured lines join runs that differ in that setting alone "
        f"({joined['setting'].nunique()} of {len(settings)} settings); grey points differ in others as well, so their "
        "position proves nothing about the setting. Intervals are of single means: what differs is in the contrasts."
        if settings
        else "No number among the settings differs between runs on the same test pairs."
    )
    subtitle = f"n = {numbers['run'].nunique()} runs; whiskers are {percent(evaluation.confidence)} intervals"
    figure = make_figure(traces, f"{title(metric)} by setting", subtitle, caption)
    rows = max(1, math.ceil(len(settings) / COLUMNS))
    if settings:
        lay_out(figure, [setting.split(".")[-1] for setting in settings], rows, shared_y=False)
    for place, setting in enumerate(settings):
        values = [float(value) for value in numbers["value"][numbers["setting"] == setting]]
        axis = figure.layout[f"xaxis{place + 1 if place else ''}"]
        kind = axis_kind(values)
        axis.update(type=kind, title_text=f"{setting}{' (log)' if kind == 'log' else ''}", title_font_size=12)
        axis.update(tickvals=sorted(set(values)), ticktext=[f"{value:g}" for value in sorted(set(values))])
    fit(figure, 170 + PANEL_HEIGHT * rows)
    figure.layout.yaxis.title.text = title(metric)
    return figure


def _draw_panel(points: pd.DataFrame, place: int) -> list[Any]:
    import plotly.graph_objects as go

    traces: list[Any] = []
    curves = points[points["alone"].astype(bool)][["test_set", "curve"]].drop_duplicates()
    known = list(curves.itertuples(index=False, name=None))
    for curve, part in points.groupby(["test_set", "curve"], sort=True):
        part = part.assign(value=part["value"].astype(float)).sort_values(["value", "run"])
        alone = bool(part["alone"].iloc[0])
        number = known.index(curve) if alone else 0
        colour, values = _CURVES[number % len(_CURVES)] if alone else GREY, part["mean"].tolist()
        bars = whiskers(values, part["low"].tolist(), part["high"].tolist()) | {"color": colour}
        traces.append(
            go.Scatter(
                **{"x": part["value"].tolist(), "y": values, "mode": "lines+markers" if alone else "markers"},
                **{"marker": {"color": colour, "size": 8, "symbol": _SYMBOLS[number // len(_CURVES) % len(_SYMBOLS)]}},
                **{"line": {"color": colour, "width": 1.5, "dash": _DASHES[number % len(_DASHES)]}, "error_y": bars},
                **{
                    "text": part["label"].tolist(),
                    "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
                    "showlegend": 1 < len(known) <= MOST_NAMED and alone,
                },
                **{"name": f"from {shorten(part['label'].iloc[0])}", **axes_of(place)},
            )
        )
    return traces
