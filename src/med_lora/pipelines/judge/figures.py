"""The judge's scores of the arms beside those of answers whose worth is known."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.judge.candidates import ASKS_FOR_5, EMPTY, GOLD, PADDED, SHUFFLED
from med_lora.pipelines.judge.scores import CRITERIA, PREFERENCE
from med_lora.report_page.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, fit, make_figure
from med_lora.report_page.wording import name_axis, percent, title
from med_lora.statistics.resampling import resample

# The symbols tell the arms apart where colours are not printed.
STYLES = {
    "base": (ORANGE, "circle"),
    "tuned": (BLUE, "star"),
    "base_rag": (VERMILION, "square"),
    "tuned_rag": (SKY, "cross"),
    GOLD: (GREEN, "diamond"),
    SHUFFLED: (GREY, "x-thin-open"),
    EMPTY: (GREY, "circle-open"),
    ASKS_FOR_5: (PURPLE, "triangle-up-open"),
    PADDED: (PURPLE, "square-open"),
}
ROW = 17  # pixels a point


class Point(NamedTuple):
    """A mean with its interval."""

    metric: str
    n: int
    mean: float
    low: float
    high: float


def draw_judge(judge_scores: pd.DataFrame, judge_summary: dict[str, Any], evaluation: EvaluationParams) -> Any:
    """Mean points of every arm and control on every axis with intervals, as a ``plotly`` figure.

    Each mean is over the items that the judge scored for that arm. Criteria and preferences have other units and are
    not drawn.

    Args:
        judge_scores: columns id, group, arm, metric, score.
        judge_summary: for the judge's name and the verdict on it.
        evaluation: confidence and bootstrap.
    """
    points = {arm: _points(judge_scores, arm, evaluation) for arm in STYLES}
    traces = [_draw_arm(arm, found) for arm, found in points.items() if found]
    counts = sorted({point.n for found in points.values() for point in found})
    n = f"n = {' to '.join(str(count) for count in (counts[:1] + counts[1:][-1:]))} test pairs" if counts else "n = 0"
    subtitle = f"{n}; judge {judge_summary['judge']}; whiskers are {percent(evaluation.confidence)} intervals"
    figure = make_figure(traces, "Points given by the judge", subtitle, _caption(points, judge_summary))
    axes = max((len(found) for found in points.values()), default=0)
    fit(figure, 110 + ROW * max(1, axes) * max(1, len(traces))).update_layout(scattermode="group")
    figure.update_xaxes(
        title_text="score (points, 1 to 5,<br>mean over pairs)", range=[0.8, 5.2], tickvals=[1, 2, 3, 4, 5]
    )
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    return figure


def _points(judge_scores: pd.DataFrame, arm: str, evaluation: EvaluationParams) -> list[Point]:
    """Of one arm, axis by axis; an axis without a score is left out."""
    rows = judge_scores[(judge_scores["arm"] == arm) & ~judge_scores["metric"].isin([CRITERIA, PREFERENCE])]
    return [
        _estimate(str(metric), scored, evaluation)
        for metric, scored in rows.dropna(subset=["score"]).groupby("metric", sort=True)
    ]


def _estimate(metric: str, scored: pd.DataFrame, evaluation: EvaluationParams) -> Point:
    items = scored.set_index("id")
    column = ("", "score")
    over = resample(
        pd.DataFrame({column: items["score"]}), items["group"], evaluation.bootstrap_samples, evaluation.seed
    )
    low, high = over.mean(column).interval(evaluation.confidence)
    return Point(metric, len(items), float(items["score"].mean()), low, high)


def _draw_arm(arm: str, points: list[Point]) -> Any:
    import plotly.graph_objects as go

    colour, symbol = STYLES[arm]
    above, below = (
        [0.0 if math.isnan(end) else abs(end - point.mean) for point, end in zip(points, ends, strict=True)]
        for ends in ([point.high for point in points], [point.low for point in points])
    )
    return go.Scatter(
        x=[point.mean for point in points],
        y=[name_axis(point.metric) for point in points],
        error_x={"type": "data", "array": above, "arrayminus": below, "color": colour, "thickness": 1.5, "width": 3},
        mode="markers",
        name=title(arm),
        marker={"color": colour, "symbol": symbol, "size": 9, "line": {"color": colour, "width": 2}},
        customdata=[point.n for point in points],
        hovertemplate="%{y}: %{x:.2f} (n = %{customdata})",
        orientation="h",
    )


def _caption(points: dict[str, list[Point]], judge_summary: dict[str, Any]) -> str:
    said = [
        f"{name_axis(base.metric)} {base.mean:.2f} to {tuned.mean:.2f}"
        for base in points["base"]
        for tuned in points["tuned"]
        if base.metric == tuned.metric
    ]
    means = f"Base to tuned model: {', '.join(said)}. " if said else "No axis was scored. "
    return f"{means}The judge {STANDINGS[judge_summary['verdict']]}"


STANDINGS = {
    "fails its floor controls": "fails its floor controls: where it does, its scores say nothing.",
    "fails a check": "fails a check on itself.",
    "unclear": "is not shown to tell true answers from empty or misplaced ones.",
    "passes its floor controls": "passes its floor controls; other checks on it are unclear.",
    "passes": "passes the checks that were made on it.",
}
