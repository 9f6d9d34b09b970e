"""What the figures of the data report are made of: labels, bars of a split, notes where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from med_lora.report_page.figures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, bar_marker, make_figure

STAGE_COLOURS = {"kept": BLUE, "read": INK, "parse": GREY, "clean": ORANGE, "deduplicate": SKY, "decontaminate": PURPLE}
SPLIT_COLOURS = {"train": BLUE, "validation": ORANGE, "test": GREEN}
# never by colour alone
STAGE_PATTERNS = {"kept": "", "read": "x", "parse": "/", "clean": ".", "deduplicate": "-", "decontaminate": "\\"}
SPLIT_PATTERNS = {"train": "", "validation": "/", "test": "."}
LABEL_CHARACTERS = 28
ROW = 22  # pixels


def split_bars(split: str, shares: Sequence[float], counts: Sequence[str], pairs: int) -> Any:
    """Horizontal bars of one split: shares in percent, each with its count beside it."""
    import plotly.graph_objects as go

    return go.Bar(
        y=list(range(len(shares))),
        x=list(shares),
        text=list(counts),
        textposition="outside",
        textfont={"size": 13},
        cliponaxis=False,
        orientation="h",
        name=f"{split}, n = {pairs:,}",
        marker=bar_marker(SPLIT_COLOURS.get(split, GREY), SPLIT_PATTERNS.get(split, "")),
        hovertemplate="%{text} (%{x:.1f} %)<extra>%{fullData.name}</extra>",
    )


def stage_bars(stage: str, shares: Sequence[float], counts: Sequence[str], fewest: float) -> Any:
    """Parts of stacked bars in percent: the rows kept, or those left out at a stage.

    Counts stand inside of parts of at least ``fewest`` percent; the others would not hold them.
    """
    import plotly.graph_objects as go

    colour = colour_of(stage)
    return go.Bar(
        y=list(range(len(shares))),
        x=list(shares),
        text=[count if part >= fewest else "" for count, part in zip(counts, shares, strict=True)],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        constraintext="none",
        textfont={"size": 14, "color": "#ffffff" if colour in (BLUE, INK) else INK},
        customdata=list(counts),
        orientation="h",
        name="kept" if stage == "kept" else f"left out: {stage}",
        marker=bar_marker(colour, STAGE_PATTERNS.get(stage, "|")) | {"line": {"color": "#ffffff", "width": 1}},
        hovertemplate="%{customdata} rows (%{x:.1f} %)<extra>%{fullData.name}</extra>",
    )


def colour_of(stage: str) -> str:
    """The colour of the rows that ended at a stage."""
    return STAGE_COLOURS.get(stage, GREY)


def name_rows(figure: Any, labels: Sequence[str], row: int | None = None) -> None:
    """Put labels to bars at 0, 1, ... from the top down; bars are numbered, since two labels may be equal."""
    place = {} if row is None else {"row": row, "col": 1}
    ticks = {"tickvals": list(range(len(labels))), "ticktext": list(labels), "ticks": ""}
    figure.update_yaxes(range=[len(labels) - 0.5, -0.5], showgrid=False, **ticks, **place)


def label(text: str) -> str:
    """A name from the data as a label: short, and with what plotly would take for a tag escaped."""
    return escape(shorten(text), quote=False)


def shorten(text: str) -> str:
    """The beginning of ``text``, as much as a label holds."""
    return text if len(text) <= LABEL_CHARACTERS else f"{text[: LABEL_CHARACTERS - 1].rstrip()}…"


def empty_figure(heading: str, subtitle: str, caption: str) -> Any:
    """A figure that says why there is nothing to draw."""
    figure = make_figure([], heading, subtitle, caption)
    figure.layout.annotations = []
    figure.update_xaxes(visible=False).update_yaxes(visible=False).update_layout(height=240)
    return note(figure, caption, "paper", "paper")


def note(figure: Any, text: str, across: str, up: str) -> Any:
    """``text`` in the middle of the axes ``across`` and ``up`` (``"paper"``, or such as ``"x2 domain"``)."""
    return figure.add_annotation(text=escape(text, quote=False), x=0.5, y=0.5, xref=across, yref=up, showarrow=False)


def height_of(rows: int, bars: int) -> int:
    """Pixels of a figure with ``rows`` groups of ``bars`` bars each."""
    return 220 + ROW * rows * bars
