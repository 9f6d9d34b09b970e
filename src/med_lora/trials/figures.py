"""Figures of a sweep or a search: the objective by each setting, and the validation losses of the trials by step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.report_page.figures import BLUE, GREY, make_figure, make_panels, pick_series
from med_lora.trials.artifacts import describe_choice
from med_lora.trials.result import TrialResult

TITLES = {
    "validation_loss": "validation loss (nats per answer token)",
    "rouge_l": "ROUGE-L F1 (0 to 1, mean)",
    "bleu": "sentence BLEU (0 to 100, mean)",
    "token_f1": "token F1 (0 to 1, mean)",
}
_COLUMNS = 2  # the names of settings in three would touch on a narrow page
_PANEL, _GAP = 260, 130  # pixels
_MOST_CATEGORIES = 8
_WIDE = 50  # greatest over least value from which an axis is logarithmic


def draw_slices(ranked: Sequence[TrialResult], what: str) -> Any:
    """The objective of every finished trial by each setting, a panel a setting, as a ``plotly`` figure.

    Args:
        ranked: trials in the order of ``rank_results``.
        what: what a trial is called: "point" or "trial".
    """
    finished = [result for result in ranked if result.value is not None]
    best = finished[0]
    keys = list(best.settings)
    subtitle = f"n = {len(finished)} {what}s, {best.pairs} validation pairs each; {best.direction} is better"
    caption = f"Best {what}: {best.name}. {' '.join(describe_choice(ranked))}"
    columns, rows = min(len(keys), _COLUMNS), math.ceil(len(keys) / _COLUMNS)
    height = rows * _PANEL + (rows - 1) * _GAP
    figure = make_panels(
        [_slice(finished, key, what, first=not place) for place, key in enumerate(keys)],
        ("Objective by setting", subtitle, caption),
        **{"rows": rows, "cols": columns, "horizontal_spacing": 0.1, "vertical_spacing": _GAP / height},
    )
    for place, key in enumerate(keys):
        row, column = divmod(place, columns)
        where = {"row": row + 1, "col": column + 1}
        figure.update_xaxes(title_text=key.replace(".", ".<br>"), **_scale(finished, key), **where)
    # in two lines: one is longer than a panel is high
    figure.update_yaxes(title_text=TITLES[best.objective].replace(" (", "<br>("), col=1)
    figure.update_yaxes(matches="y")
    return figure.update_layout(height=height + 260, margin_t=150, margin_b=110)


def draw_losses(histories: pd.DataFrame) -> Any:
    """Validation loss of every trial by step, as a ``plotly`` figure.

    Args:
        histories: columns name, step, metric, value.
    """
    import plotly.graph_objects as go

    losses = histories[histories["metric"] == "validation_loss"]
    traces, last = [], {}
    for place, (name, rows) in enumerate(losses.groupby("name", sort=False)):
        ordered = rows.sort_values("step")
        last[str(name)] = float(ordered["value"].iloc[-1])
        look = pick_series(place)
        line, marker = {"color": look.colour, "dash": look.dash}, {"symbol": look.symbol, "size": 8}
        steps, values = ordered["step"].tolist(), ordered["value"].tolist()
        traces.append(go.Scatter(x=steps, y=values, name=str(name), mode="lines+markers", line=line, marker=marker))
    caption = "No validation loss was taken."
    if last:
        least = min(last, key=lambda name: (last[name], name))
        caption = f"At its last step {least} has the lowest validation loss, {last[least]:.3f} nats per answer token."
    figure = make_figure(traces, "Validation loss during training", f"n = {len(last)} trainings", caption)
    figure.update_xaxes(title_text="optimiser step (number)", tickformat=",")
    figure.update_yaxes(title_text="loss (nats per answer token)")
    # beside the plot: the names of many trials would cover a legend's place above it
    figure.update_layout(
        legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"}, height=max(420, 25 * len(last))
    )
    return figure


def _slice(finished: Sequence[TrialResult], key: str, what: str, first: bool) -> list[Any]:
    import plotly.graph_objects as go

    as_category = _scale(finished, key)["type"] == "category"
    parts = (
        (f"other {what}s", finished[1:], {"color": GREY, "size": 9}),
        (f"best {what}", finished[:1], {"color": BLUE, "size": 13, "symbol": "star"}),
    )
    return [
        go.Scatter(
            x=[str(result.settings[key]) if as_category else result.settings[key] for result in part],
            y=[result.value for result in part],
            text=[result.name for result in part],
            mode="markers",
            marker=marker,
            name=name,
            legendgroup=name,
            showlegend=first,
            hovertemplate="%{text}: %{y:.4g}<extra></extra>",
        )
        for name, part, marker in parts
    ]


def _scale(finished: Sequence[TrialResult], key: str) -> dict[str, Any]:
    """The x axis of a setting: few values or words side by side, else numbers, as logarithms if they span much."""
    values = list({(str(value), value) for value in (result.settings[key] for result in finished)})
    numbers = [value for _, value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) > _MOST_CATEGORIES:
        is_wide = min(numbers) > 0 and max(numbers) / min(numbers) >= _WIDE
        return {"type": "log", "dtick": 1, "exponentformat": "power"} if is_wide else {"type": "linear"}
    are_numbers = len(numbers) == len(values)
    ordered = [str(value) for value in sorted(numbers)] if are_numbers else sorted(text for text, _ in values)
    shown = [f"{value:.3g}" for value in sorted(numbers)] if are_numbers else ordered
    places = {"tickvals": ordered, "ticktext": shown}
    return {"type": "category", "categoryorder": "array", "categoryarray": ordered, **places}
