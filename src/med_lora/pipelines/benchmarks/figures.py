"""Accuracy on the benchmarks as a figure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.parameters import EvaluationParams
from med_lora.report_page.figures import ARM_STYLES, INK, VERMILION, break_label, empty_figure, error_bars, make_figure
from med_lora.report_page.wording import percent, title

LINES = {"chance": ("Chance", INK, "line-ns", 48), "majority": ("Most frequent choice", VERMILION, "x-thin", 16)}


def draw_benchmarks(benchmark_comparison: pd.DataFrame, evaluation: EvaluationParams) -> Any:
    """Accuracy of both arms on each benchmark with its interval, beside chance and majority, as a ``plotly`` figure."""
    import plotly.graph_objects as go

    heading = "General medical benchmarks"
    subtitle = f"n beside each name; whiskers are {percent(evaluation.confidence)} intervals; higher is better"
    if benchmark_comparison.empty:
        return empty_figure(heading, subtitle, "No benchmark was asked.")
    named = zip(benchmark_comparison["benchmark"], benchmark_comparison["n"], strict=True)
    labels = [f"{break_label(name)}<br>n = {n:,}" for name, n in named]
    traces: list[Any] = [
        go.Bar(
            y=labels,
            x=benchmark_comparison[arm].tolist(),
            error_x=error_bars(benchmark_comparison[[arm, f"{arm}_low", f"{arm}_high"]].to_numpy().tolist()),
            name=title(arm),
            marker=ARM_STYLES[arm].bars(),
            orientation="h",
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
        )
        for arm in BARE_ARMS
    ]
    traces += [
        go.Scatter(
            y=labels,
            x=benchmark_comparison[line].tolist(),
            name=name,
            mode="markers",
            marker={"symbol": symbol, "size": size, "line": {"color": colour, "width": 3}},
            hovertemplate="%{y}: %{x:.3f}<extra>%{fullData.name}</extra>",
        )
        for line, (name, colour, symbol, size) in LINES.items()
    ]
    figure = make_figure(traces, heading, subtitle, _caption(benchmark_comparison))
    figure.update_layout(height=270 + 80 * len(labels), margin_t=190, bargap=0.3)
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
