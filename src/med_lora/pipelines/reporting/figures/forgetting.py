"""What tuning costs elsewhere: general English before and after."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.parameters import EvaluationParams
from med_lora.report_page.figures import ARM_STYLES, INK, empty_figure, error_bars, make_panels
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import measured, minus, number, percent, title

UNIT = "bits per byte of general English"
PLACES = 3


def draw_forgetting(forgetting: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """Bits per byte of general English of both arms, and below them the difference, as a ``plotly`` figure.

    Only the difference has an interval: it is paired over documents, whose own spread both arms share.

    Args:
        forgetting: one row, as ``compare_general`` returns it.
        evaluation: confidence.
    """
    (row,) = read_records(forgetting[forgetting["measure"] == "bits_per_byte"])
    level = percent(evaluation.confidence)
    subtitle = f"n = {row['n']:,} documents; the whisker is the {level} interval of tuned − base; lower is better"
    texts = ("General English before and after", subtitle, _caption(row, level))
    if not math.isfinite(row["difference"]):
        return empty_figure(*texts)
    grid = {"rows": 2, "cols": 1, "row_heights": [0.62, 0.38], "vertical_spacing": 0.26}
    figure = make_panels([_bars(row), [_difference(row)]], texts, **grid)
    figure.update_layout(height=430, margin_t=95, showlegend=False, barmode="overlay", bargap=0.3)
    figure.update_xaxes(title_text=UNIT, rangemode="tozero", row=1, col=1)
    reach = 1.15 * max(abs(row[end]) for end in ("difference", "low", "high") if math.isfinite(row[end])) or 1.0
    figure.update_xaxes(
        **{"title_text": "tuned − base (bits per byte)", "range": [-reach, reach], "zeroline": True},
        **{"zerolinecolor": "#777777", "zerolinewidth": 1.5, "row": 2, "col": 1},
    )
    figure.update_yaxes(showgrid=False, row=2, col=1)
    return figure.update_yaxes(autorange="reversed", showgrid=False, row=1, col=1)


def _bars(row: Record) -> list[Any]:
    import plotly.graph_objects as go

    return [
        go.Bar(
            y=[f"{title(arm)}<br><b>{number(row[arm], PLACES)}</b>"],
            x=[float(row[arm])],
            marker=ARM_STYLES[arm].bars(),
            orientation="h",
            name=title(arm),
            hovertemplate="%{x:.4f}<extra></extra>",
        )
        for arm in BARE_ARMS
    ]


def _difference(row: Record) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[float(row["difference"])],
        y=[minus(f"Difference<br><b>{number(row['difference'], PLACES)}</b>")],
        error_x=error_bars([(row["difference"], row["low"], row["high"])]),
        mode="markers",
        marker={"color": INK, "symbol": "square", "size": 10},
        name="Difference",
        hovertemplate="%{x:.4f}<extra></extra>",
    )


def _caption(row: Record, level: str) -> str:
    if not math.isfinite(row["difference"]):
        return f"General English was not compared{': ' + row['note'] if row['note'] else ''}."
    low_high = {"difference": row["difference"], "difference_low": row["low"], "difference_high": row["high"]}
    told = minus(measured(low_high, "difference", PLACES))
    return (
        f"Bits per byte of general English: base model {number(row['base'], PLACES)}, tuned model "
        f"{number(row['tuned'], PLACES)}, difference {told} ({level} interval): {row['note']}."
    )
