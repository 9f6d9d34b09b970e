"""What tuning changed by a text metric against what it changed by the judge and by people, item by item."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.divergence.findings import is_shown, read_doubts, tell_correlation
from med_lora.pipelines.divergence.track_scores import TrackScores
from med_lora.report_page.figures import BLUE, ORANGE, fit, make_figure, make_panels
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import name_axis, percent, title

TEXT_METRIC = "rougeL"  # the one drawn, where it was scored
STYLES = {"judge": (BLUE, "circle"), "people": (ORANGE, "diamond")}
COLUMNS = 2  # the heads of three would touch on a narrow page
PANEL, HEAD, FOOT = 300, 100, 80  # pixels


def draw_divergence(
    track_scores: TrackScores,
    divergence: pd.DataFrame,
    evaluation: EvaluationParams,
    judge_summary: dict[str, Any] | None = None,
) -> Any:
    """Differences tuned - base of every test pair, ROUGE-L's across, as a ``plotly`` figure.

    One panel a metric of the judge or of people, with its rank correlation from ``divergence``. Where ROUGE-L was not
    scored it is the first text metric. The points carry neither ids nor text. The caption counts no metric of the judge
    whose floors did not pass, by ``judge_summary``.
    """
    texts = track_scores.metrics_of("lexical")
    across = TEXT_METRIC if TEXT_METRIC in texts else next(iter(texts), "")
    rated = [name for name in (*track_scores.metrics_of("judge"), *track_scores.metrics_of("people")) if across]
    panels = [name for name in rated if track_scores.scored(across, name).any()]
    most = max((int(track_scores.scored(across, name).sum()) for name in panels), default=0)
    subtitle = f"tuned − base of each of n = {most} test pairs; brackets are {percent(evaluation.confidence)} intervals"
    rows = divergence[(divergence["basis"] == "difference") & (divergence["first"] == across)]
    caption = _caption(rows, across, read_doubts(judge_summary), evaluation)
    told = ("Do the tracks agree?", subtitle, caption)
    if not panels:
        return make_figure([], *told)
    heads = {str(row["second"]): row for row in read_records(rows)}
    lines = math.ceil(len(panels) / COLUMNS)
    columns = min(COLUMNS, len(panels))
    body = lines * (PANEL + HEAD + FOOT) - HEAD
    figure = make_panels(
        [[_points(track_scores, across, name)] for name in panels],
        told,
        **{"rows": lines, "cols": columns, "horizontal_spacing": 0.12},
        vertical_spacing=(HEAD + FOOT) / (body - FOOT) if lines > 1 else 0,
        subplot_titles=[_head(name, heads[name]) for name in panels],
    )
    figure.update_annotations(font_size=14)
    figure.update_xaxes(title_text=f"{title(across)},<br>tuned − base", title_font_size=14, nticks=4, tickangle=0)
    figure.update_yaxes(title_text="rating (points), tuned − base", title_font_size=14, col=1)
    figure.update_xaxes(zeroline=True, zerolinecolor="#777777", zerolinewidth=1.5)
    figure.update_yaxes(zeroline=True, zerolinecolor="#777777", zerolinewidth=1.5)
    return fit(figure.update_layout(showlegend=False, margin_b=FOOT), body, HEAD)


def _points(tracks: TrackScores, across: str, metric: str) -> Any:
    import plotly.graph_objects as go

    mask = tracks.scored(across, metric)
    colour, symbol = STYLES[tracks.tracks[metric]]
    return go.Scatter(
        x=tracks.differences(across)[mask].tolist(),
        y=tracks.differences(metric)[mask].tolist(),
        name=title(metric),
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 9, "opacity": 0.7, "line": {"color": "#ffffff", "width": 1}},
        hovertemplate="%{x:.3f}, %{y:.2f}<extra>%{fullData.name}</extra>",
    )


def _head(metric: str, row: Mapping[str, Any]) -> str:
    """Name, n and correlation of a panel."""
    # rater and interval in lines of their own: beside axis and ρ they reach the next panel's head on a narrow page
    name = title(metric).replace(": ", ":<br>")
    return f"{name}<br>n = {row['n']}<br>{tell_correlation(row).replace(' [', '<br>[')}"


def _caption(rows: pd.DataFrame, across: str, doubts: Mapping[str, str], evaluation: EvaluationParams) -> str:
    doubted = [name_axis(metric) for metric in rows["second"] if metric in doubts]
    left_out = f"Scores of the judge on {', '.join(doubted)} are not believed and not counted." if doubted else ""
    believed = rows[~rows["second"].isin(list(doubts))]
    counted = _count_shown(believed, across, evaluation) if len(believed) or not doubted else ""
    if len(believed) and believed["spearman"].isna().all() and rows["spearman"].notna().any():
        counted = "No rating that is believed has a rank correlation."
    return " ".join(filter(None, [counted, left_out]))


def _count_shown(rows: pd.DataFrame, across: str, evaluation: EvaluationParams) -> str:
    known = rows[rows["spearman"].notna()]
    if known.empty:
        return "There are too few test pairs with scores of both tracks for a rank correlation."
    shown = is_shown(known, evaluation.significance_level)
    smallest = known["detectable"].min()
    power = f"the smallest that so many groups find with a chance of {percent(evaluation.power)} is {smallest:.2f}"
    if math.isinf(smallest):
        power = "so few groups find none"
    return (
        f"{int(shown.sum())} of {len(known)} rank correlations of {title(across)} with a rating are shown by interval "
        f"and Holm-adjusted p-value; {power}."
    )
