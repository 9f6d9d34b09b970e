"""What every model reaches, best first, with intervals and null controls."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.figures.panels import HEAD, fold, name_unit
from med_lora.report_page.figures import ARM_STYLES, INK, empty_figure, error_bars, fit, make_panels
from med_lora.report_page.wording import percent, title

PANELS, COLUMNS = 3, 2  # three beside each other would be too narrow on a narrow page
_ROW, _FOOT = 44, 100  # pixels


def draw_leaderboard(
    leaderboard: pd.DataFrame, run_means: pd.DataFrame, comparison: ComparisonParams, evaluation: EvaluationParams
) -> Any:
    """Means with intervals of the first metrics, a row a model, a panel a metric, as a ``plotly`` figure."""
    better = dict(zip(run_means["metric"], run_means["better"], strict=True))
    metrics = [name for name in comparison.metrics if leaderboard[name].notna().any()][:PANELS]
    rows = leaderboard.assign(shown=_name_rows(leaderboard))
    counts = ", ".join(
        f"{test_set}: n = {part['n'].max()} in {part['groups'].max()} groups"
        for test_set, part in leaderboard.groupby("test_set")
    )
    subtitle = f"test pairs {counts}; whiskers are {percent(evaluation.confidence)} intervals"
    texts = ("What the models reach", subtitle, _caption(rows, metrics))
    if not metrics:
        return empty_figure(*texts)
    named: set[str] = set()
    lines = math.ceil(len(metrics) / COLUMNS)
    body = lines * (_ROW * len(rows) + _FOOT + HEAD) - HEAD
    figure = make_panels(
        [_draw_panel(rows, name, named) for name in metrics],
        texts,
        **{"rows": lines, "cols": min(COLUMNS, len(metrics)), "shared_yaxes": True, "horizontal_spacing": 0.1},
        vertical_spacing=(_FOOT + HEAD) / (body - _FOOT) if lines > 1 else 0,
        subplot_titles=[f"<b>{fold(title(name))}</b>" for name in metrics],
    )
    for place, name in enumerate(metrics):
        row, column = divmod(place, COLUMNS)
        titled = f"{name_unit(name)},<br>{better[name]} is better".replace("nats per ", "nats per<br>")
        style = {"nticks": 3, "tickangle": 0, "title_font_size": 13}
        figure.update_xaxes(title_text=titled, **style, row=row + 1, col=column + 1)
    figure.update_annotations(font_size=14)
    figure.update_yaxes(showgrid=False, categoryorder="array", categoryarray=rows["shown"].tolist()[::-1])
    return fit(figure, body, HEAD).update_layout(margin_b=_FOOT)


def _name_rows(leaderboard: pd.DataFrame) -> list[str]:
    """Labels without repetition, before them the test set where there is more than one."""
    several = leaderboard["test_set"].nunique() > 1
    stems = [
        fold(f"[{test_set}] {label}" if several else label)
        for test_set, label in zip(leaderboard["test_set"], leaderboard["label"], strict=True)
    ]
    before = [stems[:place].count(stem) for place, stem in enumerate(stems)]
    return [f"{stem} ({count + 1})" if count else stem for stem, count in zip(stems, before, strict=True)]


def _draw_panel(rows: pd.DataFrame, metric: str, named: set[str]) -> list[Any]:
    """Points of one metric; what is in ``named`` stands in the legend already, and what is drawn is added."""
    import plotly.graph_objects as go

    traces = []
    for arm in ("tuned", "base", "control"):
        style, column = ARM_STYLES[arm], f"{metric}_control" if arm == "control" else metric
        part = rows[rows[column].notna()] if arm == "control" else rows[(rows["arm"] == arm) & rows[column].notna()]
        if part.empty:
            continue
        values = part[column].tolist()
        marker: dict[str, Any] = {"color": style.colour, "size": 10, "symbol": style.symbol}
        bars = {}
        if arm == "control":
            marker = {"color": INK, "size": 12, "symbol": "line-ns", "line": {"width": 2, "color": INK}}
        else:
            points = list(zip(values, part[f"{metric}_low"], part[f"{metric}_high"], strict=True))
            bars = {"error_x": error_bars(points) | {"color": style.colour}}
        name = "Best null control" if arm == "control" else title(arm)
        traces.append(
            go.Scatter(
                **{"x": values, "y": part["shown"].tolist(), "mode": "markers", "name": name, "legendgroup": arm},
                **{"marker": marker, "showlegend": arm not in named, **bars},
                hovertemplate="%{y}: %{x:.4g}<extra>%{fullData.name}</extra>",
            )
        )
        named.add(arm)
    return traces


def _caption(rows: pd.DataFrame, metrics: list[str]) -> str:
    if not metrics:
        return "No compared metric has a value."
    firsts = rows.drop_duplicates("test_set")
    said = [
        f"{row['label']} is first in {title(metrics[0])} ({row[metrics[0]]:.3f}) on the test pairs {row['test_set']}"
        for row in firsts.to_dict("records")
        if pd.notna(row[metrics[0]])
    ]
    return f"{'; '.join(said)}. The contrasts say which differences the data support."
