"""Whether longer answers score higher: length against score, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.figures.units import unit_of
from med_lora.pipelines.reporting.shown_pairs import Shown, gather_shown
from med_lora.report_page.figures import ARM_STYLES, INK, break_label, empty_figure, make_panels
from med_lora.report_page.wording import minus, title

LENGTH = "length_ratio"
FIRST = "rougeL"  # the metric whose pairs are drawn, where it was scored
MOST_POINTS = 500  # of an arm
TENTHS = 10
FEWEST_FOR_TENTHS = 5 * TENTHS
SCATTER, BETWEEN, LINE, TOP, FOOT = 220, 95, 19, 205, 70  # pixels


def draw_length_against_score(scores: pd.DataFrame, comparison: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """Length of the answers against their scores, and its rank correlation with every metric, as a ``plotly`` figure.

    Above, a panel an arm: ROUGE-L (or the first metric) of each pair over the length ratio, with the means of ten equal
    parts of the pairs by length. Of more than ``MOST_POINTS`` pairs, equally spaced ones in order of id are drawn;
    means and correlations are over all. Below, Spearman's correlation of the length ratio with every metric of
    ``comparison`` that is better higher. It is described, not tested: longer answers may say more, or only be longer.

    Args:
        scores: columns id, group, arm, metric, score; lengths are those of ``length_ratio`` (words of the answer by
            words of the reference).
        comparison: for the metrics and their order.
        evaluation: exclusions.
    """
    shown = gather_shown(scores, evaluation)
    wanted = comparison.loc[comparison["better"] == "higher", "metric"].astype(str)
    metrics = [metric for metric in wanted if all(len(_pairs(shown, arm, metric)) for arm in BARE_ARMS)]
    first = FIRST if FIRST in metrics else next(iter(metrics), "")
    found = {(arm, metric): _correlate(_pairs(shown, arm, metric)) for arm in BARE_ARMS for metric in metrics}
    drawn = {arm: _pairs(shown, arm, first) for arm in BARE_ARMS} if first else {}
    n = max((len(pairs) for pairs in drawn.values()), default=0)
    subtitle = f"n = {n:,} test pairs; ρ is the rank correlation of length and score; lines are means of tenths"
    texts = ("Answer length against score", subtitle, _caption(found, first, drawn))
    if not first:
        return empty_figure(*texts)
    lines = 1 + max(break_label(title(metric)).count("<br>") for metric in metrics)
    body = SCATTER + BETWEEN + (LINE * lines + 9) * (len(metrics) + 1)
    figure = make_panels(
        [*([_points(*of), *_tenths(of[1])] for of in drawn.items()), [_dots(arm, metrics, found) for arm in BARE_ARMS]],
        texts,
        **{"rows": 2, "cols": 2, "specs": [[{}, {}], [{"colspan": 2}, None]], "horizontal_spacing": 0.06},
        **{"vertical_spacing": BETWEEN / body, "row_heights": [SCATTER, body - SCATTER - BETWEEN]},
        subplot_titles=[
            f"<b>{title(arm)}</b><br>n = {len(pairs):,}<br>{_rho(found[arm, first])}" for arm, pairs in drawn.items()
        ],
    )
    _name_axes(figure, first, drawn)
    height = body + TOP + FOOT
    legend = {"x": 0, "xref": "container", "y": 1 - 92 / height, "yref": "container", "yanchor": "top"}
    return figure.update_layout(height=height, margin={"t": TOP, "b": FOOT}, legend=legend)


def _pairs(shown: Shown, arm: str, metric: str) -> pd.DataFrame:
    """Columns length and score of an arm, in order of id, of the pairs where both are known."""
    columns = [(arm, LENGTH), (arm, metric)]
    if not set(columns) <= set(shown.kept.columns):
        return pd.DataFrame({"length": [], "score": []})
    return shown.kept[columns].set_axis(["length", "score"], axis=1).dropna()


def _correlate(pairs: pd.DataFrame) -> float:
    """Spearman's; NaN for fewer than three pairs, or where length or score does not vary."""
    if len(pairs) < 3 or pairs.nunique().min() < 2:
        return math.nan
    ranks = pairs.rank()
    return float(np.corrcoef(ranks["length"], ranks["score"])[0, 1])


def _points(arm: str, pairs: pd.DataFrame) -> Any:
    import plotly.graph_objects as go

    some = pairs.iloc[np.unique(np.linspace(0, len(pairs) - 1, min(MOST_POINTS, len(pairs))).round().astype(int))]
    style = ARM_STYLES[arm]
    return go.Scatter(
        x=_short(some["length"]),
        y=_short(some["score"]),
        name=title(arm),
        legendgroup=arm,
        mode="markers",
        marker={"color": style.colour, "symbol": style.symbol, "size": 6, "opacity": 0.7},
        hovertemplate="length ratio %{x:.3g}, score %{y:.3g}<extra>%{fullData.name}</extra>",
    )


def _tenths(pairs: pd.DataFrame) -> list[Any]:
    """Mean length and mean score of ten equal parts of the pairs, the shortest answers first."""
    import plotly.graph_objects as go

    if len(pairs) < FEWEST_FOR_TENTHS:
        return []
    ordered = pairs.sort_values("length", kind="stable").to_numpy(dtype=np.float64)
    means = np.array([part.mean(axis=0) for part in np.array_split(ordered, TENTHS)])
    return [
        go.Scatter(
            x=_short(means[:, 0]),
            y=_short(means[:, 1]),
            name="Mean of a tenth",
            showlegend=False,
            mode="lines",
            line={"color": INK, "width": 2.5},
            hovertemplate="mean length ratio %{x:.3g}, mean score %{y:.3g}<extra></extra>",
        )
    ]


def _dots(arm: str, metrics: Sequence[str], found: dict[tuple[str, str], float]) -> Any:
    import plotly.graph_objects as go

    style = ARM_STYLES[arm]
    known = [metric for metric in metrics if math.isfinite(found[arm, metric])]
    return go.Scatter(
        x=[round(found[arm, metric], 4) for metric in known],
        y=[break_label(title(metric)) for metric in known],
        name=title(arm),
        legendgroup=arm,
        showlegend=False,
        mode="markers",
        marker={"color": style.colour, "symbol": style.symbol, "size": 11, "line": {"color": style.colour, "width": 2}},
        hovertemplate="ρ = %{x:.2f}<extra>%{fullData.name}</extra>",
    )


def _name_axes(figure: Any, first: str, drawn: dict[str, pd.DataFrame]) -> None:
    """Titles and ranges; a few answers far longer than the others would press those together, so they lie outside."""
    longest = _longest(drawn)
    highest = max(float(pairs["score"].max()) for pairs in drawn.values()) or 1.0
    figure.update_xaxes(range=[-0.04 * longest, 1.04 * longest], title_text="length ratio<br>(no unit)", row=1)
    figure.update_xaxes(nticks=4, tickangle=0, row=1)
    figure.update_yaxes(range=[-0.05 * highest, 1.08 * highest], row=1)
    figure.update_yaxes(title_text=f"{break_label(title(first))} {unit_of(first).removeprefix('score ')}", row=1, col=1)
    figure.update_yaxes(showticklabels=False, row=1, col=2)
    figure.update_xaxes(
        title_text="rank correlation with<br>length ratio (no unit)", range=[-1.05, 1.05], zeroline=True, row=2
    )
    figure.update_xaxes(zerolinecolor="#777777", zerolinewidth=1.5, row=2)
    figure.update_yaxes(type="category", autorange="reversed", row=2, col=1)
    figure.update_annotations(font_size=14)


def _longest(drawn: dict[str, pd.DataFrame]) -> float:
    lengths = np.concatenate([pairs["length"].to_numpy(dtype=np.float64) for pairs in drawn.values()])
    return max(1.2, float(np.quantile(lengths, 0.99)))


def _short(values: Any) -> list[float]:
    """Five digits: more would only make the report longer."""
    return [float(f"{value:.5g}") for value in values]


def _rho(correlation: float) -> str:
    return minus(f"ρ = {correlation:.2f}") if math.isfinite(correlation) else "no ρ"


def _caption(found: dict[tuple[str, str], float], first: str, drawn: dict[str, pd.DataFrame]) -> str:
    if not first:
        return "No pair has both a length ratio and a score."
    said = [f"{title(arm).lower()} {_rho(found[arm, first])}" for arm in BARE_ARMS]
    beyond = sum(int((pairs["length"] > 1.04 * _longest(drawn)).sum()) for pairs in drawn.values())
    sizes = [abs(value) for value in found.values() if math.isfinite(value)]
    sentences = [
        f"{title(first)} and the length of the answer (words by words of the reference): {', '.join(said)}.",
        f"The strongest of {len(sizes)} rank correlations is {max(sizes):.2f} in size; none is tested."
        if sizes
        else "",
        f"Of each arm {MOST_POINTS} pairs are drawn, equally spaced by id."
        if max(map(len, drawn.values())) > MOST_POINTS
        else "",
        f"{beyond:,} far longer answers lie outside of the axis and count." if beyond else "",
    ]
    return " ".join(filter(None, sentences))
