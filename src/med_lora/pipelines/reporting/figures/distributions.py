"""How the scores of both arms spread over the pairs, metric by metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.shown_pairs import CROSS_ENTROPY, gather_shown
from med_lora.report_page.figures import ARM_STYLES, empty_figure, fit, make_panels
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import decimals, interval, minus, number, p_value, percent, title

STEPS = 200  # of a curve at most: each half percent of the pairs
COLUMNS = 3  # so that nine metrics fit on a printed page
PANEL, LINE, FOOT, GAP = 90, 17, 58, 8  # pixels
SMALL = 13  # of a text within a third of a page 400 pixels wide
WORDS, NUMBERS = 11, 14  # characters of a line there


def draw_distributions(scores: pd.DataFrame, comparison: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """The empirical distribution function of both arms' scores, a panel a metric, as a ``plotly`` figure.

    It needs no bins, so that it shows zeros and ties as they are. A curve of more than ``STEPS`` values keeps one in
    each half percent of the pairs, and lies at most that far from the whole one. Panels are those of the
    cross-entropy and of every metric of ``comparison`` that is better higher, in its order; each is over the pairs that
    the comparison is over, or over all where the exclusions leave fewer than two groups.

    Args:
        scores: columns id, group, arm, metric, score.
        comparison: for the differences in the titles.
        evaluation: confidence and exclusions.
    """
    shown = gather_shown(scores, evaluation)
    values = {
        str(row["metric"]): (row, pairs)
        for row in read_records(comparison)
        if (row["better"] == "higher" or row["metric"] == CROSS_ENTROPY) and len(pairs := shown.of(str(row["metric"])))
    }
    counts = sorted({len(pairs) for _, pairs in values.values()})
    n = " to ".join(f"{count:,}" for count in dict.fromkeys((counts or [0])[:1] + counts[-1:]))
    told = f"share of pairs up to a score; above: tuned − base, {percent(evaluation.confidence)} interval, Holm's p"
    texts = ("Scores pair by pair", f"n = {n} test pairs; {told}", _caption(values, shown.too_few))
    if not values:
        return empty_figure(*texts)
    rows, heads = math.ceil(len(values) / COLUMNS), [_head(row) for row, _ in values.values()]
    head = LINE * max(1 + text.count("<br>") for text in heads) + GAP
    body = rows * (PANEL + head + FOOT) - head
    figure = make_panels(
        [_curves(pairs, first=not place) for place, (_, pairs) in enumerate(values.values())],
        texts,
        **{"rows": rows, "cols": COLUMNS, "vertical_spacing": (head + FOOT) / (body - FOOT) if rows > 1 else 0},
        **{"horizontal_spacing": 0.07, "subplot_titles": heads},
    )
    _name_axes(figure, {metric: pairs for metric, (_, pairs) in values.items()})
    return fit(figure, body, head).update_layout(margin={"l": 50, "r": 8, "b": FOOT})


def _name_axes(figure: Any, values: Mapping[str, pd.DataFrame]) -> None:
    """Titles, units, ranges, and the heads of the panels at their left ends."""
    for place, (metric, pairs) in enumerate(values.items()):
        row, column = divmod(place, COLUMNS)
        where = {"row": row + 1, "col": column + 1}
        unit = "nats" if metric == CROSS_ENTROPY else "score"
        ticks = {"nticks": 3, "tickangle": 0, "tickfont_size": SMALL, "title_font_size": SMALL, "title_standoff": 4}
        figure.update_xaxes(title_text=f"{unit}<br>n = {len(pairs):,}", range=_range(pairs), **ticks, **where)
        side = "pairs (%)" if column == 0 else None
        labels = {"tickvals": [0, 50, 100], "showticklabels": column == 0, "title_font_size": SMALL}
        figure.update_yaxes(range=[-3, 103], title_text=side, tickfont_size=SMALL, **labels, **where)
    figure.update_annotations(xanchor="left", align="left", font_size=SMALL)
    for place, head in enumerate(figure.layout.annotations):
        head.x = figure.layout[f"xaxis{place + 1 if place else ''}"].domain[0]


def _curves(pairs: pd.DataFrame, first: bool) -> list[Any]:
    import plotly.graph_objects as go

    low, high = _range(pairs)
    curves = []
    for rank, arm in ((2, "tuned"), (1, "base")):  # dashes over the solid curve, so that curves that agree both show
        x, y = _steps(pairs[arm].to_numpy(dtype=np.float64))
        style = ARM_STYLES[arm]
        curves.append(
            go.Scatter(
                x=[low, *x, high],
                y=[0.0, *y, 100.0],
                name=title(arm),
                legendgroup=arm,
                legendrank=rank,
                showlegend=first,
                mode="lines",
                line={"shape": "hv", "color": style.colour, "dash": style.dash, "width": 2},
                hovertemplate="%{y:.1f} % at most %{x:.4g}<extra>%{fullData.name}</extra>",
            )
        )
    return curves


def _steps(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[list[float], list[float]]:
    """Distinct values and the percentage of values up to each.

    Of many, the last one in each half percent, and every value that so many share, whose step is then where it belongs.
    """
    distinct, counts = np.unique(values, return_counts=True)
    shares = 100 * np.cumsum(counts) / len(values)
    if len(distinct) > STEPS:
        parts = np.ceil(shares * STEPS / 100)
        last = np.append(parts[1:] > parts[:-1], True)
        kept = last | (counts >= len(values) / STEPS)
        distinct, shares = distinct[kept], shares[kept]
    return [float(f"{value:.5g}") for value in distinct], [round(float(share), 2) for share in shares]


def _range(pairs: pd.DataFrame) -> tuple[float, float]:
    """The ends of the axis, a little beyond the values; where all are alike, 1 above them."""
    values = pairs.to_numpy(dtype=np.float64)
    low, high = float(values.min()), float(values.max())
    high = high if high > low else low + 1.0
    room = 0.04 * (high - low)
    return low - room, high + room


def _head(row: Record) -> str:
    """The metric, its difference with the interval, and the p-value; without the exclusions where nothing is left."""
    suffix = "" if math.isfinite(row["difference"]) else "_all"
    difference, low, high = (row[f"difference{suffix}{bound}"] for bound in ("", "_low", "_high"))
    places = decimals(row)
    name = "<br>".join(wrap(title(row["metric"]), WORDS, max_lines=2, placeholder="…"))
    if not math.isfinite(difference):
        return f"<b>{name}</b><br>not compared"
    sign = "+" if difference > 0 else ""
    tested = f"p {p_value(row['p_holm'])}" if math.isfinite(row["p_holm"]) else ""
    bounds = wrap(interval(low, high, places), NUMBERS)
    told = [f"{sign}{number(difference, places)}", *bounds, tested]
    return f"<b>{name}</b><br>{minus('<br>'.join(filter(None, told)))}"


def _caption(values: Mapping[str, tuple[Record, pd.DataFrame]], too_few: bool) -> str:
    if not values:
        return "No pair was scored for both arms."
    with_loss = CROSS_ENTROPY in values
    sentences = [
        "Where the solid curve runs to the right of the dashed one, more of the tuned model's answers score high: "
        + ("better, but for cross-entropy, where the curve further left is better." if with_loss else "better."),
        *_below(values),
        f"Curves of more than {STEPS} different scores are drawn at every half percent of the pairs."
        if any(len(pairs) > STEPS for _, pairs in values.values())
        else "",
        "The exclusions leave too few pairs, so all pairs are shown." if too_few else "",
    ]
    return " ".join(filter(None, sentences))


def _below(values: Mapping[str, tuple[Record, pd.DataFrame]]) -> Sequence[str]:
    """How many pairs score 0 by the metric that is 0 most often, since their mean says little."""
    zeros = {
        metric: [100 * float((pairs[arm] == 0).mean()) for arm in BARE_ARMS]
        for metric, (_, pairs) in values.items()
        if metric != CROSS_ENTROPY
    }
    most = max(zeros, key=lambda metric: sum(zeros[metric]), default="")
    if not most or not sum(zeros[most]):
        return []
    base, tuned = zeros[most]
    return [
        f"By {title(most)}, {base:.0f} % of the base model's and {tuned:.0f} % of the tuned model's answers score 0."
    ]
