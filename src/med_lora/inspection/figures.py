"""Figures of single pairs: where the gains lie, and the losses under both models. They name no pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from med_lora.pipelines.reporting.shown_pairs import CROSS_ENTROPY
from med_lora.report_page.figures import (
    ARM_STYLES,
    BLUE,
    GREY,
    INK,
    VERMILION,
    break_label,
    empty_figure,
    fit,
    make_figure,
)
from med_lora.report_page.wording import share, title

MOST_POINTS = 2000  # more would make the notebook slow, and hide each other


def draw_gains(pairs: pd.DataFrame, metric: str) -> Any:
    """The gain of every pair in a metric over its place among all, the worst first, as a ``plotly`` figure.

    Args:
        pairs: of :func:`~med_lora.inspection.pairs.compare_pairs`.
        metric: one of its metrics.
    """
    import plotly.graph_objects as go

    gains = np.sort(pairs.loc[pairs["metric"] == metric, "gain"].to_numpy(dtype=np.float64))
    places = 100 * (np.arange(len(gains)) + 0.5) / max(1, len(gains))
    drawn = _spread(len(gains))
    traces = []
    for name, colour, symbol, holds in (
        ("worse than base", VERMILION, "x", gains < 0),
        ("as good", GREY, "circle-open", gains == 0),
        ("better", BLUE, "circle", gains > 0),
    ):
        of_kind = drawn[holds[drawn]]
        marker = {"color": colour, "symbol": symbol, "size": 7}
        hover = "gain %{y:.3g} at %{x:.0f} %<extra></extra>"
        points = {"x": places[of_kind].round(2).tolist(), "y": gains[of_kind].round(6).tolist()}
        traces.append(go.Scatter(name=name, mode="markers", marker=marker, hovertemplate=hover, **points))
    worse = int((gains < 0).sum())
    caption = f"On {worse:,} of {len(gains):,} pairs ({share(worse / max(1, len(gains)))}) the tuned model did worse."
    figure = make_figure(traces, f"Gain by {title(metric)}", f"n = {len(gains):,} test pairs, the worst first", caption)
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_xaxes(title_text="place among the pairs (%)", range=[-2, 102])
    figure.update_yaxes(title_text=f"gain over base<br>({'nats' if metric == CROSS_ENTROPY else 'score'})")
    return fit(figure, 340)


def draw_pair_losses(losses: pd.DataFrame) -> Any:
    """Nats a token of every reference under the base and the tuned model, as a ``plotly`` figure.

    Args:
        losses: of :func:`~med_lora.inspection.pairs.list_losses`.
    """
    import plotly.graph_objects as go

    some = losses.iloc[_spread(len(losses))]
    low, high = float(losses[["base", "tuned"]].min().min()), float(losses[["base", "tuned"]].max().max())
    points = go.Scatter(
        x=some["base"].round(4).tolist(),
        y=some["tuned"].round(4).tolist(),
        name="a pair",
        mode="markers",
        marker={"color": ARM_STYLES["tuned"].colour, "symbol": ARM_STYLES["tuned"].symbol, "size": 7},
        hovertemplate="base %{x:.3g}, tuned %{y:.3g}<extra></extra>",
    )
    line = {"color": GREY, "dash": "dash"}
    equal = go.Scatter(x=[low, high], y=[low, high], mode="lines", line=line, name="no change", hoverinfo="skip")
    worse = int((losses["tuned"] > losses["base"]).sum())
    caption = f"The tuned model finds {worse:,} of {len(losses):,} references less likely than the base model does."
    figure = make_figure([points, equal], "Loss of single pairs", f"n = {len(losses):,} test pairs", caption)
    figure.update_xaxes(title_text="base model, nats a token")
    figure.update_yaxes(title_text="tuned model, nats a token")
    return fit(figure, 400)


def draw_answer_flags(counts: pd.DataFrame) -> Any:
    """Answers that were cut, empty, repeated, refused or unsupported, by arm, as a ``plotly`` figure.

    Args:
        counts: of :func:`~med_lora.inspection.pairs.count_answers`.
    """
    import plotly.graph_objects as go

    heading = "What is wrong with answers"
    if counts.empty:
        return empty_figure(heading, "no flag was scored", "No answer was checked for what is wrong with it.")
    names = [break_label(title(flag)) for flag in counts["flag"]]
    traces = []
    for arm, judged in (("base", "pairs"), ("tuned", "pairs"), ("gold", "gold_pairs")):
        if arm in counts:
            answers = list(zip(counts[arm], counts[judged], strict=True))
            shares = [round(100 * flagged / of, 2) if of else None for flagged, of in answers]
            words = [f"{flagged:,} of {of:,}" for flagged, of in answers]
            marker = ARM_STYLES["control" if arm == "gold" else arm].bars()
            hover = "%{customdata} (%{x:.1f} %)<extra>%{fullData.name}</extra>"
            bars = {"x": shares, "y": names, "customdata": words, "orientation": "h"}
            traces.append(go.Bar(**bars, name=title(arm), marker=marker, hovertemplate=hover))
    most = counts.iloc[int((counts["tuned"] / counts["pairs"]).argmax())]
    found = f"{title(most['flag'])} ({most['tuned']:,} of {most['pairs']:,})"
    caption = f"Most frequent in what the tuned model wrote: {found}."
    figure = make_figure(traces, heading, f"n = {int(counts['pairs'].max()):,} pairs", caption)
    figure.update_xaxes(title_text="answers (%)", range=[0, 100])
    figure.update_yaxes(autorange="reversed")
    return fit(figure, 70 * len(names) + 60)


def _spread(length: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Places of at most ``MOST_POINTS`` of so many points, equally spaced, both ends among them."""
    return np.unique(np.linspace(0, max(0, length - 1), min(length, MOST_POINTS)).round().astype(np.int64))
