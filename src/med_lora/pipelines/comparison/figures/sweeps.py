"""Scores by each number that differs among the runs: rank, epochs, learning rate, ..."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.figures.panels import HEAD, MOST_NAMED, axis_kind, name_unit, shorten
from med_lora.report_page.figures import COLOURS, GREY, empty_figure, error_bars, fit, make_panels, pick_series
from med_lora.report_page.wording import percent, title

COLUMNS = 2  # the names of settings in three would touch on a narrow page
_PANEL, _FOOT = 190, 125  # pixels


def draw_setting_curves(
    setting_scores: pd.DataFrame, comparison: ComparisonParams, evaluation: EvaluationParams
) -> Any:
    """The first metric by every numeric setting that differs, a panel a setting, as a ``plotly`` figure.

    A line joins runs that differ in that setting alone; grey points differ in others as well.
    """
    metric = comparison.metrics[0]
    numbers = setting_scores[(setting_scores["kind"] == "number") & (setting_scores["metric"] == metric)]
    numbers = numbers.dropna(subset="mean")
    settings = list(dict.fromkeys(numbers["setting"]))
    joined = numbers[numbers["alone"].astype(bool)] if len(numbers) else numbers
    caption = (
        f"{title(metric)} of the tuned models. Coloured lines join runs that differ in that setting alone "
        f"({joined['setting'].nunique()} of {len(settings)} settings); grey points differ in others as well, so their "
        "position proves nothing about the setting. Intervals are of single means: what differs is in the contrasts."
        if settings
        else "No number among the settings differs between runs on the same test pairs."
    )
    subtitle = f"n = {numbers['run'].nunique()} runs; whiskers are {percent(evaluation.confidence)} intervals"
    texts = (f"{title(metric)} by setting", subtitle, caption)
    if not settings:
        return empty_figure(*texts)
    rows = math.ceil(len(settings) / COLUMNS)
    body = rows * (_PANEL + _FOOT + HEAD) - HEAD
    figure = make_panels(
        [_draw_panel(numbers[numbers["setting"] == setting]) for setting in settings],
        texts,
        **{"rows": rows, "cols": min(COLUMNS, len(settings)), "horizontal_spacing": 0.16},
        **{"vertical_spacing": (_FOOT + HEAD) / (body - _FOOT) if rows > 1 else 0},
        subplot_titles=[f"<b>{setting.split('.')[-1]}</b>" for setting in settings],
    )
    for place, setting in enumerate(settings):
        row, column = divmod(place, COLUMNS)
        values = sorted({float(value) for value in numbers["value"][numbers["setting"] == setting]})
        kind = axis_kind(values)
        titled = f"{setting.replace('.', '.<br>')}<br>(value{', log' if kind == 'log' else ''})"
        ticks = {"tickvals": values, "ticktext": [f"{value:g}" for value in values], "title_font_size": 14}
        figure.update_xaxes(type=kind, title_text=titled, **ticks, row=row + 1, col=column + 1)
    figure.update_annotations(font_size=14)
    figure.update_yaxes(title_text=f"{title(metric)}<br>({name_unit(metric)})", col=1, nticks=5)
    return fit(figure, body, HEAD).update_layout(margin_b=_FOOT)


def _draw_panel(points: pd.DataFrame) -> list[Any]:
    import plotly.graph_objects as go

    traces: list[Any] = []
    curves = points[points["alone"].astype(bool)][["test_set", "curve"]].drop_duplicates()
    known = list(curves.itertuples(index=False, name=None))
    for curve, part in points.groupby(["test_set", "curve"], sort=True):
        part = part.assign(value=part["value"].astype(float)).sort_values(["value", "run"])
        alone = bool(part["alone"].iloc[0])
        number = known.index(curve) if alone else 0
        look, values = pick_series(number), part["mean"].tolist()
        # grey is for points that prove nothing
        colour = (look.colour if look.colour != GREY else COLOURS[0]) if alone else GREY
        symbol = look.symbol if alone else "circle-open"
        bars = error_bars(list(zip(values, part["low"], part["high"], strict=True))) | {"color": colour}
        traces.append(
            go.Scatter(
                **{"x": part["value"].tolist(), "y": values, "mode": "lines+markers" if alone else "markers"},
                **{"marker": {"color": colour, "size": 9, "symbol": symbol}},
                **{"line": {"color": colour, "width": 1.5, "dash": look.dash}, "error_y": bars},
                **{"text": part["label"].tolist(), "hovertemplate": "%{text}: %{y:.4g}<extra></extra>"},
                name=f"from {shorten(part['label'].iloc[0])}",
                showlegend=alone and 1 < len(known) <= MOST_NAMED,
            )
        )
    return traces
