"""What a search found out, in the style of the report: its course, and how much each setting matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from med_lora.parameters import SearchParams
from med_lora.pipelines.search.space import make_distributions
from med_lora.report_page.figures import BLUE, GREY, VERMILION, make_figure
from med_lora.trials.figures import TITLES
from med_lora.trials.result import TrialResult

# PED-ANOVA compares the best tenth with all: below, that tenth is a single trial.
LEAST_TRIALS = 10


def draw_history(results: Sequence[TrialResult]) -> Any:
    """The objective of every trial and the best one so far, as a ``plotly`` figure.

    Args:
        results: of all trials, in the order in which they began, at least one of them finished.
    """
    found = [(number, result.value) for number, result in enumerate(results) if result.value is not None]
    numbers, values = [number for number, _ in found], [value for _, value in found]
    objective, direction = results[0].objective, results[0].direction
    best = list(accumulate(values, min if direction == "lower" else max))
    # the best stays the best until a trial beats it, and to the end
    traces = _course_traces(values, numbers, [*best, best[-1]], [*numbers, len(results) - 1])
    if objective == "validation_loss":
        traces += _pruned_trace(results)
    states = {state: sum(result.state == state for result in results) for state in ("finished", "pruned", "failed")}
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    first = numbers[values.index(best[-1])]
    caption = f"The best {objective} is {best[-1]:.4g}, of trial {first} of {len(results)} ({counts})."
    figure = make_figure(traces, "Course of the search", f"n = {len(results)} trials; {direction} is better", caption)
    ticks = max(1, math.ceil(len(results) / 10))
    figure.update_xaxes(title_text="trial (number, in order of its start)", dtick=ticks)
    figure.update_yaxes(title_text=TITLES[objective])
    return figure


def draw_importance(results: Sequence[TrialResult], search: SearchParams) -> Any:
    """How much of what sets the best trials apart is due to each setting, as a ``plotly`` figure.

    Args:
        results: of all trials.
        search: whose space the settings were drawn from.
    """
    import plotly.graph_objects as go

    finished = [result for result in results if result.value is not None]
    heading, subtitle = "Importance of the settings", f"n = {len(finished)} finished trials; PED-ANOVA, best tenth"
    if len(finished) < LEAST_TRIALS:
        caption = (
            f"{len(finished)} finished trials are too few to tell which settings matter; {LEAST_TRIALS} are needed."
        )
        figure = make_figure([], heading, subtitle, caption)
        figure.layout.annotations[0].text = caption
        return figure
    shares = measure_importance(finished, search)
    ordered = sorted(shares, key=lambda key: (shares[key], key))
    bars = go.Bar(
        y=ordered,
        x=[shares[key] for key in ordered],
        orientation="h",
        marker_color=BLUE,
        hovertemplate="%{y}: %{x:.2f}<extra></extra>",
    )
    caption = (
        f"{ordered[-1]} matters most, with {shares[ordered[-1]]:.0%} of the importance. This says what sets the best "
        f"tenth of {len(finished)} trials apart, not what an experiment has shown."
    )
    figure = make_figure([bars], heading, subtitle, caption)
    figure.update_layout(height=220 + 60 * len(ordered), showlegend=False)
    figure.update_xaxes(title_text="share of the importance (0 to 1)", range=[0, 1])
    # in lines: a narrow page leaves little beside a long name
    figure.update_yaxes(showgrid=False, tickvals=ordered, ticktext=[key.replace(".", ".<br>") for key in ordered])
    return figure


def measure_importance(finished: Sequence[TrialResult], search: SearchParams) -> dict[str, float]:
    """Shares, which sum to 1, by PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255), of each setting.

    Args:
        finished: trials with a value.
        search: whose space the settings were drawn from.
    """
    import optuna

    sign = 1.0 if finished[0].direction == "lower" else -1.0
    study = optuna.create_study()
    distributions = make_distributions(search.space)
    for result in finished:
        value = sign * (result.value or 0.0)
        study.add_trial(optuna.trial.create_trial(params=result.settings, distributions=distributions, value=value))
    shares: dict[str, float] = optuna.importance.get_param_importances(study)
    return {key: float(share) for key, share in shares.items()}


def _course_traces(
    values: Sequence[float], numbers: Sequence[int], best: Sequence[float], best_numbers: Sequence[int]
) -> list[Any]:
    import plotly.graph_objects as go

    line = {"color": BLUE, "width": 2, "shape": "hv"}
    return [
        go.Scatter(x=numbers, y=values, mode="markers", name="finished", marker={"color": GREY, "size": 9}),
        go.Scatter(x=best_numbers, y=best, mode="lines", name="best so far", line=line),
    ]


def _pruned_trace(results: Sequence[TrialResult]) -> list[Any]:
    """The last loss of each pruned trial; no trace if none was pruned."""
    import plotly.graph_objects as go

    found = [
        (number, result.figures["last_validation_loss"])
        for number, result in enumerate(results)
        if "last_validation_loss" in result.figures
    ]
    if not found:
        return []
    x, y = [number for number, _ in found], [loss for _, loss in found]
    marker = {"color": VERMILION, "size": 9, "symbol": "x"}
    return [go.Scatter(x=x, y=y, mode="markers", name="pruned (last loss)", marker=marker)]
