"""What every model reaches, best first, with intervals and null controls."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.figures.panels import axes_of, fit, lay_out, shorten, whiskers
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page.figures import ARM_STYLES, INK, make_figure
from med_lora.report_page.wording import percent, title

PANELS = 3


def draw_leaderboard(
    leaderboard: pd.DataFrame, run_means: pd.DataFrame, comparison: ComparisonParams, evaluation: EvaluationParams
) -> Any:
    """Means with intervals of the first metrics, a row a model, a panel a metric, as a ``plotly`` figure."""
    leaderboard = restore_texts(leaderboard)
    better = dict(zip(run_means["metric"], run_means["better"], strict=True))
    metrics = [name for name in comparison.metrics if leaderboard[name].notna().any()][:PANELS]
    rows = leaderboard.assign(shown=_name_rows(leaderboard))
    traces = [trace for place, name in enumerate(metrics) for trace in _draw_panel(rows, name, place)]
    counts = ", ".join(
        f"{test_set}: n = {part['n'].max()} in {part['groups'].max()} groups"
        for test_set, part in leaderboard.groupby("test_set")
    )
    subtitle = f"test pairs {counts}; whiskers are {percent(evaluation.confidence)} intervals"
    figure = make_figure(traces, "What the models reach", subtitle, _caption(rows, metrics))
    if metrics:
        lay_out(figure, [title(name) for name in metrics])
    for place, name in enumerate(metrics):
        axis = figure.layout[f"xaxis{place + 1 if place else ''}"]
        axis.title.text = f"{_unit(name)}, {better[name]} is better"
        axis.nticks = 5
    figure.update_yaxes(showgrid=False, categoryorder="array", categoryarray=rows["shown"].tolist()[::-1])
    fit(figure, 230 + 26 * len(rows))
    return figure


def _name_rows(leaderboard: pd.DataFrame) -> list[str]:
    """Labels without repetition, before them the test set where there is more than one."""
    several = leaderboard["test_set"].nunique() > 1
    names: list[str] = []
    for test_set, label in zip(leaderboard["test_set"], leaderboard["label"], strict=True):
        name = shorten(f"[{test_set}] {label}" if several else label)
        names.append(name if name not in names else f"{name} ({names.count(name) + 1 + len(names)})")
    return names


def _draw_panel(rows: pd.DataFrame, metric: str, place: int) -> list[Any]:
    import plotly.graph_objects as go

    axes = axes_of(place)
    traces = []
    for arm in ("tuned", "base"):
        style = ARM_STYLES[arm]
        part = rows[(rows["arm"] == arm) & rows[metric].notna()]
        if part.empty:
            continue
        values = part[metric].tolist()
        bars = whiskers(values, part[f"{metric}_low"].tolist(), part[f"{metric}_high"].tolist())
        traces.append(
            go.Scatter(
                **{"x": values, "y": part["shown"].tolist(), "mode": "markers", "name": title(arm), "legendgroup": arm},
                **{"marker": {"color": style.colour, "size": 10, "symbol": style.symbol}},
                **{"error_x": bars | {"color": style.colour}},
                **{"showlegend": place == 0, "hovertemplate": "%{y}: %{x:.4g}<extra></extra>", **axes},
            )
        )
    controlled = rows[rows[f"{metric}_control"].notna()]
    if len(controlled):
        traces.append(
            go.Scatter(
                **{"x": controlled[f"{metric}_control"].tolist(), "y": controlled["shown"].tolist(), "mode": "markers"},
                **{"name": "Best null control", "legendgroup": "control", "showlegend": _first_control(rows, metric)},
                **{"marker": {"color": INK, "size": 12, "symbol": "line-ns", "line": {"width": 2, "color": INK}}},
                **{"hovertemplate": "best null control: %{x:.4g}<extra></extra>", **axes},
            )
        )
    return traces


def _first_control(rows: pd.DataFrame, metric: str) -> bool:
    """Whether this is the first metric with controls: the legend names them once."""
    with_controls = [name for name in rows.columns if name.endswith("_control") and rows[name].notna().any()]
    return with_controls[0] == f"{metric}_control"


def _unit(metric: str) -> str:
    return {"cross_entropy": "nats per answer token", "bits_per_byte": "bits", "perplexity": "no unit"}.get(
        metric, "score"
    )


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
