"""What the figures of many runs are made of: panels side by side, colours in an order, points with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from med_lora.report_page.figures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY, GREY)
# viridis (van der Walt and Smith 2015), dark to light, its yellow darkened for white paper
_SCALE = ("#440154", "#3b528b", "#21918c", "#5ec962", "#c8b400")
_GAP = 0.1  # of the width, between panels
LABEL_CHARACTERS = 34
_LOG_RANGE = 4  # largest by smallest value from which an axis is logarithmic


def shade(place: int, count: int) -> str:
    """A colour for the ``place``-th of ``count`` ordered values, dark to light."""
    return _SCALE[0] if count < 2 else _SCALE[round(place * (len(_SCALE) - 1) / (count - 1))]


def shorten(label: str) -> str:
    """A label that fits beside an axis, with no markup of plotly."""
    text = label if len(label) <= LABEL_CHARACTERS else f"{label[: LABEL_CHARACTERS - 1]}…"
    return escape(text, quote=False)


def lay_out(figure: Any, titles: Sequence[str], rows: int = 1, shared_y: bool = True) -> None:
    """Give a figure a grid of panels with a heading each; panel k has the axes ``x<k>`` and ``y<k>``.

    With ``shared_y`` there is one row, and all panels have the labels of the first.
    """
    columns = math.ceil(len(titles) / rows)
    width = (1 - _GAP * (columns - 1)) / columns
    height = (1 - 0.2 * (rows - 1)) / rows
    for place, heading in enumerate(titles):
        row, column = divmod(place, columns)
        left, top = column * (width + _GAP), 1 - row * (height + 0.2)
        across, up = axes_of(place).values()
        right, bottom = min(1.0, left + width), max(0.0, top - height)
        figure.update_layout({f"xaxis{across[1:]}": {"domain": [left, right], "anchor": up}})
        figure.update_layout({f"yaxis{up[1:]}": {"domain": [bottom, top], "anchor": across}})
        if shared_y and place:
            figure.layout[f"yaxis{up[1:]}"].update(matches="y", showticklabels=False)
        figure.add_annotation(
            **{"text": f"<b>{escape(heading, quote=False)}</b>", "xref": "paper", "yref": "paper", "showarrow": False},
            **{"x": left, "y": top, "xanchor": "left", "yanchor": "bottom", "font": {"size": 14, "color": INK}},
        )


def axes_of(place: int) -> dict[str, str]:
    """The axes of the panel at a place from 0, as a trace names them."""
    end = str(place + 1) if place else ""
    return {"xaxis": f"x{end}", "yaxis": f"y{end}"}


def whiskers(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> dict[str, Any]:
    """Error bars as distances from the values; a point without an interval has none."""
    above = [high - value if math.isfinite(high - value) else None for value, high in zip(values, highs, strict=True)]
    below = [value - low if math.isfinite(value - low) else None for value, low in zip(values, lows, strict=True)]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    return {**bars, "thickness": 1.5, "width": 4}


def fit(figure: Any, height: int) -> None:
    """Give a figure its height in pixels, with the legend between two lines of subtitle and the headings of panels."""
    legend = {"yref": "container", "y": 1 - 86 / height, "yanchor": "top"}
    figure.update_layout(height=height, margin_t=155, legend=legend)


def axis_kind(values: Sequence[float]) -> str:
    """``log`` for positive values over a wide range, else ``linear``."""
    return "log" if min(values) > 0 and max(values) / min(values) >= _LOG_RANGE else "linear"
