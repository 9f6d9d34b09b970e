"""The style of the figures of all reports.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), which stay apart for colour-blind readers. They
never tell things apart alone: a pattern, a symbol, a dash or a name beside the mark differs as well.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

TEMPLATE = "med_lora"
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = (
    *("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"),
    "#999999",
)
INK = "#222222"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
# plotly breaks no lines; a page 400 pixels wide holds so many characters of a subtitle, and of a label beside its axis
LINE_CHARACTERS, LABEL_CHARACTERS = 46, 16
NO_INTERVAL = "none"  # not null, which plotly draws as a whisker of length 0


class ArmStyle(NamedTuple):
    """How an arm looks: the colour and one other trait for each kind of mark."""

    colour: str
    pattern: str
    symbol: str
    dash: str

    def bars(self) -> dict[str, Any]:
        """The ``marker`` of bars."""
        return bar_marker(self.colour, self.pattern)


def bar_marker(colour: str, shape: str = "") -> dict[str, Any]:
    """The ``marker`` of bars of a colour with a white pattern, which tells them from others in black and white too."""
    pattern = {"shape": shape, "fillmode": "overlay", "fgcolor": "#ffffff", "size": 6, "solidity": 0.25}
    return {"color": colour, "pattern": pattern} if shape else {"color": colour}


ARM_STYLES = {
    "base": ArmStyle(ORANGE, ".", "circle-open", "dash"),
    "tuned": ArmStyle(BLUE, "", "diamond", "solid"),
    "control": ArmStyle(GREY, "/", "x", "dot"),
}
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "9px,3px,2px,3px,2px,3px")  # one a colour
SYMBOLS = (
    *("circle", "diamond", "square", "triangle-up", "x", "star", "triangle-down"),
    *("cross", "pentagon", "hexagram", "bowtie", "hourglass", "triangle-left", "triangle-right"),
)
LEGEND_ROW = 23  # pixels
_LEGEND_WIDTH, _LEGEND_MARK, _CHARACTER = (
    250,
    40,
    8,
)  # pixels that a page 400 wide leaves, and what a name takes of them
Point = Sequence[float]  # a value and the bounds of its interval


class Series(NamedTuple):
    """How one of several lines or kinds of points looks."""

    colour: str
    symbol: str
    dash: str


def pick_series(place: int) -> Series:
    """The look of the series at a place from 0: no two of the first 14 share a symbol, nor of 98 symbol and dash."""
    dash = place % len(SYMBOLS) + place // len(SYMBOLS)
    return Series(COLOURS[place % len(COLOURS)], SYMBOLS[place % len(SYMBOLS)], DASHES[dash % len(DASHES)])


def make_figure(traces: Sequence[Any], heading: str, subtitle: str, caption: str) -> Any:
    """A ``plotly`` figure of ``traces`` with its finding in words under ``layout.meta["caption"]``.

    The subtitle is broken into lines that a narrow page holds.
    """
    import plotly.graph_objects as go

    register_template()
    figure = go.Figure(data=list(traces))
    figure.update_layout(
        template=TEMPLATE, title={"text": heading, "subtitle": {"text": _break(subtitle)}}, meta={"caption": caption}
    )
    if not traces:
        figure.add_annotation(text="no values", xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False)
    return figure


def make_panels(traces: Sequence[Sequence[Any]], texts: tuple[str, str, str], **subplots: Any) -> Any:
    """Like :func:`make_figure`, with panels side by side.

    Args:
        traces: of each panel, row by row.
        texts: heading, subtitle with n, and the finding in words.
        subplots: what ``set_subplots`` takes.
    """
    figure = make_figure([], *texts)
    figure.layout.annotations = ()
    figure.set_subplots(**subplots)
    for place, of_panel in enumerate(traces):
        row, column = divmod(place, subplots["cols"])
        figure.add_traces(list(of_panel), rows=row + 1, cols=column + 1)
    return figure


def fit(figure: Any, body: int, heads: int = 0) -> Any:
    """Give a figure its height, and room above for subtitle, legend and heads as a page 400 pixels wide breaks them.

    Args:
        figure: with its traces and its heading.
        body: pixels of the panels and of what is below them.
        heads: pixels of the heads of panels.
    """
    legend_top = 48 + 19 * (1 + (figure.layout.title.subtitle.text or "").count("<br>"))
    shown = [trace for trace in figure.data if trace.name and trace.showlegend is not False]
    is_named = len(shown) > 1 or any(trace.showlegend for trace in shown)
    names = [trace.name for trace in shown] if is_named and figure.layout.showlegend is not False else []
    widest = max((len(name) for name in names), default=0)
    in_a_row = max(1, _LEGEND_WIDTH // (_LEGEND_MARK + _CHARACTER * widest))
    top = legend_top + LEGEND_ROW * math.ceil(len(names) / in_a_row) + 14 + heads
    legend = {"x": 0, "xref": "container", "y": 1 - legend_top / (top + body), "yref": "container", "yanchor": "top"}
    return figure.update_layout(height=top + body, margin_t=top, legend=legend)


def thin(columns: Sequence[Sequence[float]], most: int) -> tuple[list[list[float]], int]:
    """At most so many points of a curve: means of equally many in a row, and how many (1 where nothing is left out).

    Args:
        columns: coordinates, such as x and y, of the same points in order.
        most: points that are kept.
    """
    import numpy as np

    length = len(columns[0])
    block = math.ceil(length / most) or 1
    if block == 1:
        return [list(column) for column in columns], 1
    starts = np.arange(0, length, block)
    counts = np.diff(np.append(starts, length))
    means = [np.add.reduceat(np.asarray(column, dtype=np.float64), starts) / counts for column in columns]
    return [[float(f"{value:.6g}") for value in column] for column in means], block


def empty_figure(heading: str, subtitle: str, caption: str) -> Any:
    """A figure that says that there is nothing to draw, without axes."""
    figure = make_figure([], heading, subtitle, caption)
    return figure.update_xaxes(visible=False).update_yaxes(visible=False).update_layout(height=240)


def _break(text: str) -> str:
    """``text`` in lines; a percent sign stays with its number."""
    joined = text.replace(" %", "\0%")
    lines = textwrap.wrap(joined, LINE_CHARACTERS, break_long_words=False, break_on_hyphens=False)
    return "<br>".join(lines).replace("\0", " ")


def break_label(text: str, lines: int = 3) -> str:
    """A name as a label of an axis or a panel: in at most so many lines, the end left out of one that is longer."""
    return "<br>".join(textwrap.wrap(text, LABEL_CHARACTERS, max_lines=lines, placeholder="…"))


def error_bars(points: Sequence[Point]) -> dict[str, Any]:
    """Error bars from (value, low, high), as distances from the value; a point without an interval has none."""
    known = [all(math.isfinite(bound) for bound in point) for point in points]
    if not any(known):
        return {"visible": False}
    above, below = (
        [sign * float(point[end] - point[0]) if has else NO_INTERVAL for point, has in zip(points, known, strict=True)]
        for end, sign in ((2, 1), (1, -1))
    )
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below}


def register_template() -> None:
    """Make the style known to plotly under the name ``med_lora``."""
    import plotly.graph_objects as go
    import plotly.io as pio

    if TEMPLATE in pio.templates:
        return
    title_style = {
        **{"x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top", "pad": {"l": 12, "t": 14}},
        **{"font": {"size": 19}, "subtitle": {"font": {"size": 14}}},
    }
    axis = {
        **{"gridcolor": "#e3e3e3", "linecolor": "#777777", "ticks": "outside", "zeroline": False, "automargin": True},
        **{"title": {"font": {"size": 15}}},
    }
    whiskers = {"color": INK, "thickness": 1.5, "width": 4}
    pio.templates[TEMPLATE] = go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 15, "color": INK},
            "title": title_style,
            "colorway": [ORANGE, BLUE, GREY, PURPLE, GREEN, SKY, VERMILION],
            "paper_bgcolor": "#ffffff",
            "plot_bgcolor": "#ffffff",
            "xaxis": axis,
            "yaxis": axis,
            "height": 440,
            "margin": {"l": 70, "r": 20, "t": 130, "b": 60},
            "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
            "hoverlabel": {"font": {"family": FONT, "size": 14}},
            "annotationdefaults": {"font": {"size": 14}},
        },
        data={"bar": [{"error_x": whiskers, "error_y": whiskers}], "scatter": [{"error_x": whiskers}]},
    )
