"""How long an answer takes, as a figure."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from med_lora.report_page.figures import ARM_STYLES, empty_figure, error_bars, make_panels
from med_lora.report_page.records import Record, plain, read_records
from med_lora.report_page.wording import title

PARTS = {"first_token": "seconds to the first token", "answer": "seconds to the last token"}


def draw_latency(latency: pd.DataFrame) -> Any:
    """Median time to the first and to the last token of an answer, by arm, as a ``plotly`` figure.

    A whisker ends at the 95th percentile; the table holds no quartiles. The machine stands in the subtitle.

    Args:
        latency: as ``measure_latency`` returns it.
    """
    timed = latency[latency["answer_p50"].notna()].sort_values("arm")
    rows = read_records(timed)
    texts = ("Response time", _subtitle(rows), _caption(rows))
    if not rows:
        return empty_figure(*texts)
    traces = [[_bar(row, part) for row in rows] for part in PARTS]
    figure = make_panels(traces, texts, **{"rows": 2, "cols": 1, "vertical_spacing": 0.24})
    for place, unit in enumerate(PARTS.values(), start=1):
        figure.update_xaxes(title_text=unit, rangemode="tozero", row=place, col=1)
        figure.update_yaxes(autorange="reversed", showgrid=False, row=place, col=1)
    top = 70 + 18 * figure.layout.title.subtitle.text.count("<br>")
    height = top + 160 + 2 * 55 * len(rows)
    return figure.update_layout(height=height, margin_t=top, showlegend=False, barmode="overlay", bargap=0.3)


def _bar(row: Record, part: str) -> Any:
    import plotly.graph_objects as go

    half, most = float(row[f"{part}_p50"]), float(row[f"{part}_p95"])
    return go.Bar(
        y=[f"{title(row['arm'])}<br><b>{half:.3g} s</b>"],
        x=[half],
        error_x=error_bars([(half, half, most)]),
        marker=ARM_STYLES[row["arm"]].bars(),
        orientation="h",
        name=title(row["arm"]),
        customdata=[plain(most)],
        hovertemplate="median %{x:.3g} s, 95th percentile %{customdata:.3g} s<extra>%{fullData.name}</extra>",
    )


def _subtitle(rows: list[Record]) -> str:
    if not rows:
        return "n = 0 answers"
    counts = sorted({int(row["n"]) for row in rows})
    n = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
    lengths = sorted({int(row["new_tokens"]) for row in rows})
    machines = dict.fromkeys(f"{row['device']}, {row['dtype']}, {int(row['threads'])} threads" for row in rows)
    asked = f"n = {n} answers an arm, one at a time, of {lengths[-1]} tokens"
    marks = "bars are medians, whiskers end at the 95th percentile"
    return f"{asked}; {marks}; {escape('; '.join(machines), quote=False)}"


def _caption(rows: list[Record]) -> str:
    if not rows:
        return "No answer was timed."
    told = [
        f"{title(row['arm']).lower()} {row['first_token_p50']:.3g} s to the first token and {row['answer_p50']:.3g} s "
        f"to the last, {row['tokens_per_second']:.3g} tokens a second"
        for row in rows
    ]
    return f"Medians of this machine on that day: {'; '.join(told)}."
