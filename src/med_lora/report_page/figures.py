"""The style of the figures of all reports.

Colours are those of Okabe and Ito (2008, "Color Universal Design"), which stay apart for colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

TEMPLATE = "med_lora"
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE, GREY = (
    *("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"),
    "#999999",
)
INK = "#222222"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


def make_figure(traces: Sequence[Any], heading: str, subtitle: str, caption: str) -> Any:
    """A ``plotly`` figure of ``traces`` with its finding in words under ``layout.meta["caption"]``."""
    import plotly.graph_objects as go

    register_template()
    figure = go.Figure(data=list(traces))
    figure.update_layout(
        template=TEMPLATE, title={"text": heading, "subtitle": {"text": subtitle}}, meta={"caption": caption}
    )
    if not traces:
        figure.add_annotation(text="no values", xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False)
    return figure


def register_template() -> None:
    """Make the style known to plotly under the name ``med_lora``."""
    import plotly.graph_objects as go
    import plotly.io as pio

    title_style = {
        **{"x": 0, "xref": "container", "y": 1, "yref": "container", "yanchor": "top", "pad": {"l": 12, "t": 14}},
        **{"font": {"size": 19}, "subtitle": {"font": {"size": 14}}},
    }
    axis = {
        **{"gridcolor": "#e3e3e3", "linecolor": "#777777", "ticks": "outside", "zeroline": False, "automargin": True},
        "title": {"font": {"size": 15}},
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
            "height": 420,
            "margin": {"l": 70, "r": 20, "t": 110, "b": 60},
            "legend": {"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
            "hoverlabel": {"font": {"family": FONT}},
        },
        data={"bar": [{"error_x": whiskers, "error_y": whiskers}]},
    )
