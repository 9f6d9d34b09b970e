"""The figures hold exactly the numbers of the tables."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.figures import (
    draw_epoch_scores,
    draw_forgetting,
    draw_learning_rate,
    draw_loss_curve,
    draw_perplexity,
    draw_scores,
)
from med_lora.report_page.figures import ARM_STYLES
from med_lora.report_page.wording import title
from tests import recipes


def axis_titles(figure: Any) -> tuple[str, str]:
    return figure.layout.xaxis.title.text, figure.layout.yaxis.title.text


def test_loss_curve_holds_every_loss(training_history: pd.DataFrame) -> None:
    figure = draw_loss_curve(training_history, recipes.training())
    assert len(figure.data) == 2
    for trace, metric in zip(figure.data, ("train_loss", "validation_loss"), strict=True):
        rows = training_history[training_history["metric"] == metric]
        assert list(trace.x) == list(rows["step"])
        assert list(trace.y) == list(rows["value"])
    assert figure.data[1].mode == "lines+markers"
    assert axis_titles(figure) == ("optimiser step (number)", "loss (nats per counted token)")
    assert figure.layout.title.subtitle.text == "n = 72 optimiser steps, 9 validations"
    assert "4.900 nats per counted token at step 0" in figure.layout.meta["caption"]


def test_loss_curve_without_validation_says_so(training_history: pd.DataFrame) -> None:
    figure = draw_loss_curve(training_history[training_history["metric"] == "train_loss"], recipes.training())
    assert [trace.name for trace in figure.data] == ["training, one batch"]
    assert figure.layout.meta["caption"] == "No validation loss was taken."


def test_losses_of_passages_are_named_so(training_history: pd.DataFrame) -> None:
    figure = draw_loss_curve(training_history, recipes.training(method="none"))
    assert figure.data[1].name == "validation, held-out passages"
    assert figure.layout.meta["caption"].startswith("Validation loss of held-out passages: 4.900")


def test_long_trainings_are_drawn_as_means_of_steps_in_a_row() -> None:
    steps = range(1, 5003)
    rows = [(step, metric, float(step)) for step in steps for metric in ("train_loss", "learning_rate")]
    history = pd.DataFrame(rows, columns=["step", "metric", "value"])
    loss, rate = draw_loss_curve(history, recipes.training()), draw_learning_rate(history)
    (curve,) = loss.data
    assert curve.name == "training, means of 3 batches"
    assert (curve.x[0], curve.y[0]) == (2.0, 2.0)
    assert curve.x[-1] == 5002  # the last block is shorter
    assert len(curve.x) == 1668
    assert loss.layout.title.subtitle.text == "n = 5,002 optimiser steps, 0 validations"
    assert "means of 3 steps" in rate.layout.title.subtitle.text.replace("<br>", " ")


def test_learning_rate_and_gradient_norm_stand_one_above_the_other(training_history: pd.DataFrame) -> None:
    norms = [(step, step / 18, "gradient_norm", 1.0 + (step == 40)) for step in range(1, 73)]
    history = pd.concat([training_history, pd.DataFrame(norms, columns=training_history.columns)])
    rate, norm = draw_learning_rate(history).data
    assert list(rate.y) == list(history[history["metric"] == "learning_rate"]["value"])
    assert (rate.yaxis, norm.yaxis, max(norm.y)) == ("y", "y2", 2.0)
    caption = draw_learning_rate(history).layout.meta["caption"]
    assert "has the median 1 and the maximum 2 at step 40." in caption
    (alone,) = draw_learning_rate(training_history).data
    assert alone.yaxis == "y"


def test_perplexity_bars_hold_values_and_interval_ends(comparison: pd.DataFrame, evaluation: EvaluationParams) -> None:
    figure = draw_perplexity(comparison, evaluation)
    row = comparison.set_index("metric").loc["perplexity"]
    for arm, bar in zip(("base", "tuned"), figure.data, strict=True):
        assert (bar.x[0], bar.marker.color) == (row[arm], ARM_STYLES[arm].colour)
        assert bar.x[0] + bar.error_x.array[0] == pytest.approx(row[f"{arm}_high"])
        assert bar.x[0] - bar.error_x.arrayminus[0] == pytest.approx(row[f"{arm}_low"])
        assert f"<b>{row[arm]:.1f}</b>" in bar.y[0]
    assert (
        figure.layout.title.subtitle.text.replace("<br>", " ")
        == "n = 60 test pairs; whiskers are 95 % intervals; lower is better"
    )


def test_score_bars_hold_the_arms_and_the_best_control_on_one_axis(
    comparison: pd.DataFrame, controls: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    figure = draw_scores(comparison, controls, evaluation)
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces) == ["Base model", "Tuned model", "Best null control"]
    labels = ["ROUGE-1 F", "ROUGE-2 F", "ROUGE-L F", "BLEU / 100", "Exact match", "Token F1"]
    assert all(list(trace.y) == labels for trace in figure.data)
    rows = comparison.set_index("metric")
    for metric, place, scale in (("rougeL", 2, 1), ("bleu", 3, 100)):
        assert traces["Tuned model"].x[place] == rows.loc[metric, "tuned"] / scale
        control = controls[controls["metric"] == metric].sort_values("mean").iloc[-1]
        bars = traces["Best null control"]
        assert bars.customdata[place] == title(control["arm"])
        assert bars.x[place] == control["mean"] / scale
        assert bars.x[place] + bars.error_x.array[place] == pytest.approx(control["high"] / scale)
        assert bars.x[place] - bars.error_x.arrayminus[place] == pytest.approx(control["low"] / scale)
    assert "n = 43 test pairs" in figure.layout.title.subtitle.text
    cut = "28 % of the base model's and 0 % of the tuned model's answers were cut at 128 tokens."
    assert figure.layout.meta["caption"].endswith(cut)
    assert figure.layout.xaxis.title.text == "score (0 to 1,<br>mean over pairs)"


def test_bars_side_by_side_differ_in_colour_and_pattern(
    comparison: pd.DataFrame, controls: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    styles = [trace.marker for trace in draw_scores(comparison, controls, evaluation).data]
    assert len({style.color for style in styles}) == 3
    assert len({style.pattern.shape for style in styles}) == 3


def test_scores_by_epoch_are_drawn_where_answers_were_scored(training_history: pd.DataFrame) -> None:
    figure = draw_epoch_scores(training_history)
    (curve,) = figure.data
    assert (curve.name, list(curve.x)) == ("ROUGE-L F", [0, 1, 2, 3, 4])
    assert figure.layout.title.subtitle.text == "n = 6 validation questions, answered greedily"
    assert figure.layout.meta["caption"] == "From before training to its end: ROUGE-L F 0.100 to 0.180."
    assert not draw_epoch_scores(training_history[training_history["metric"] == "train_loss"]).data


def test_metrics_without_a_value_are_not_drawn(
    comparison: pd.DataFrame, controls: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    missing = comparison["metric"] == "rouge2"
    comparison.loc[missing, ["base", "base_low", "base_high"]] = math.nan
    figure = draw_scores(comparison, controls, evaluation)
    assert all("ROUGE-2 F" not in trace.y and len(trace.y) == 5 for trace in figure.data)


def test_all_pairs_are_drawn_where_the_exclusions_leave_too_few(
    endless: tuple[pd.DataFrame, pd.DataFrame], evaluation: EvaluationParams
) -> None:
    figure = draw_scores(*endless, evaluation)
    traces = {trace.name: trace for trace in figure.data}
    assert list(traces["Base model"].x)[:3] == list(
        endless[0].set_index("metric")["base_all"][["rouge1", "rouge2", "rougeL"]]
    )
    assert traces["Base model"].error_x.visible is False  # plotly would draw whiskers of length 0
    control = endless[1].query("metric == 'rouge1'").sort_values("mean_all").iloc[-1]
    bars = traces["Best null control"]
    assert bars.x[0] == control["mean_all"]
    assert bars.error_x.array[0] == pytest.approx(control["mean_all_high"] - control["mean_all"])
    subtitle = figure.layout.title.subtitle.text.replace("<br>", " ")
    assert subtitle.startswith("n = 60 test pairs, cut answers included; ")
    assert figure.layout.meta["caption"].startswith("The exclusions leave too few pairs")


def test_a_figure_without_values_says_so(
    endless: tuple[pd.DataFrame, pd.DataFrame], evaluation: EvaluationParams
) -> None:
    comparison, controls = endless
    figure = draw_scores(comparison.assign(base_all=math.nan, tuned_all=math.nan), controls, evaluation)
    assert not figure.data
    assert figure.layout.annotations[0].text == "no values"
    assert figure.layout.meta["caption"].startswith("No pair was scored. 100 % of the base model's")


def test_forgetting_holds_both_arms_and_the_interval_of_their_difference(evaluation: EvaluationParams) -> None:
    row = {"measure": "bits_per_byte", "n": 14, "base": 2.1, "tuned": 2.4, "difference": 0.3, "low": 0.2, "high": 0.45}
    table = pd.DataFrame([row | {"note": "tuning made general English less predictable to the model"}])
    base, tuned, difference = draw_forgetting(table, evaluation).data
    assert [trace.x[0] for trace in (base, tuned, difference)] == [2.1, 2.4, 0.3]
    assert (difference.error_x.array[0], difference.error_x.arrayminus[0]) == pytest.approx((0.15, 0.1))
    figure = draw_forgetting(table, evaluation)
    assert figure.layout.meta["caption"].endswith(
        "difference 0.300 [0.200, 0.450] (95 % interval): tuning made general English less predictable to the model."
    )
    low, high = figure.layout.xaxis2.range
    assert low == -high < -0.45  # no change is in the middle


def test_forgetting_of_a_single_document_has_no_whisker(evaluation: EvaluationParams) -> None:
    row = {"measure": "bits_per_byte", "n": 1, "base": 2.1, "tuned": 2.4, "difference": 0.3}
    table = pd.DataFrame([row | {"low": math.nan, "high": math.nan, "note": "an interval needs two documents"}])
    *_, difference = draw_forgetting(table, evaluation).data
    assert difference.error_x.visible is False
