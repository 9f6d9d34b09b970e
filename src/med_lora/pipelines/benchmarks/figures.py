"""Accuracy on the benchmarks as a figure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.report_page.figures import BLUE, INK, ORANGE, VERMILION, make_figure

ARMS = {"base": ("Base model", ORANGE), "tuned": ("Tuned model", BLUE)}
LINES = {"chance": ("Chance", INK), "majority": ("Most frequent choice", VERMILION)}


def draw_benchmarks(benchmark_comparison: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """Accuracy of both arms on each benchmark with its interval, beside chance and majority, as a ``plotly`` figure."""
    import plotly.graph_objects as go

    labels = [
        f"{name}<br>n = {n:,}"
        for name, n in zip(benchmark_comparison["benchmark"], benchmark_comparison["n"], strict=True)
    ]
    traces: list[Any] = [
        go.Bar(
            y=labels,
            x=benchmark_comparison[arm].tolist(),
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (benchmark_comparison[f"{arm}_high"] - benchmark_comparison[arm]).tolist(),
                "arrayminus": (benchmark_comparison[arm] - benchmark_comparison[f"{arm}_low"]).tolist(),
            },
            name=title,
            marker_color=colour,
            orientation="h",
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
        )
        for arm, (title, colour) in ARMS.items()
    ]
    traces += [
        go.Scatter(
            y=labels,
            x=benchmark_comparison[line].tolist(),
            name=title,
            mode="markers",
            marker={"symbol": "line-ns", "size": 48, "line": {"color": colour, "width": 3}},
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
        )
        for line, (title, colour) in LINES.items()
    ]
    subtitle = f"all items; whiskers are {100 * evaluation.confidence:g} % intervals; higher is better"
    figure = make_figure(traces, "General medical benchmarks", subtitle, _caption(benchmark_comparison))
    figure.update_layout(height=230 + 80 * len(labels), margin_t=150, bargap=0.3)
    figure.update_xaxes(title_text="accuracy (share of items)", range=[0, 1])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _caption(comparison: pd.DataFrame) -> str:
    reached = comparison[comparison["tuned_low"] > comparison["majority"]]
    sentences = [
        f"{row.benchmark}: base {row.base:.3f}, tuned {row.tuned:.3f} (difference {row.difference:+.3f}, Holm's p "
        f"{row.p_holm:.3g}), chance {row.chance:.3f}, most frequent choice {row.majority:.3f}."
        for row in comparison.itertuples()
    ]
    above = f"The tuned model is above the most frequent choice in {len(reached)} of {len(comparison)}."
    return " ".join([*sentences, above])
