"""The figures hold exactly the numbers of the tables, and survive the catalog."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro_datasets.plotly import JSONDataset

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.figures import (
    COLOURS,
    draw_epoch_scores,
    draw_loss_curve,
    draw_perplexity,
    draw_scores,
)
from med_lora.report_page.wording import title


def axis_titles(figure: Any) -> tuple[str, str]:
    return figure.layout.xaxis.title.text, figure.layout.yaxis.title.text


def test_loss_curve_holds_every_loss(training_history: pd.DataFrame) -> None:
    figure = draw_loss_curve(training_history)
    assert len(figure.data) == 2
    for trace, metric in zip(figure.data, ("train_loss", "validation_loss"), strict=True):
        rows = training_history[training_history["metric"] == metric]
        assert list(trace.x) == list(rows["step"])
        assert list(trace.y) == list(rows["value"])
    assert figure.data[1].mode == "lines+markers"
    assert axis_titles(figure) == ("optimiser step", "loss (nats per answer token)")
    assert figure.layout.title.subtitle.text == "n = 72 optimiser steps, 9 validations"
    assert "4.900 nats per answer token at step 0" in figure.layout.meta["caption"]


def test_loss_curve_without_validation_says_so(training_history: pd.DataFrame) -> None:
    figure = draw_loss_curve(training_history[training_history["metric"] == "train_loss"])
    assert [trace.name for trace in figure.data] == ["training, one batch"]
    assert figure.layout.meta["caption"] == "No validation loss was taken."


def test_perplexity_bars_hold_values_and_interval_ends(comparison: pd.DataFrame, evaluation: EvaluationParams) -> None:
    figure = draw_perplexity(comparison, evaluation)
    row = comparison.set_index("metric").loc["perplexity"]
    (bars,) = figure.data
    assert list(bars.x) == [row["base"], row["tuned"]]
    assert [value + up for value, up in zip(bars.x, bars.error_x.array, strict=True)] == pytest.approx(
        [row["base_high"], row["tuned_high"]]
    )
    assert [value - down for value, down in zip(bars.x, bars.error_x.arrayminus, strict=True)] == pytest.approx(
        [row["base_low"], row["tuned_low"]]
    )
    assert f"<b>{row['base']:.1f}</b>" in bars.y[0]
    assert figure.layout.title.subtitle.text == "n = 60 test pairs; whiskers are 95 % intervals; lower is better"
    assert list(bars.marker.color) == [COLOURS["base"], COLOURS["tuned"]]


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
    assert figure.layout.xaxis.title.text == "score (0 to 1, mean over pairs)"


def test_controls_differ_from_the_arms_in_colour_and_pattern(
    comparison: pd.DataFrame, controls: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    styles = [trace.marker for trace in draw_scores(comparison, controls, evaluation).data]
    assert len({style.color for style in styles}) == 3
    assert [style.pattern.shape is None for style in styles] == [True, True, False]


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
    assert figure.layout.title.subtitle.text.startswith("n = 60 test pairs, cut answers included; ")
    assert figure.layout.meta["caption"].startswith("The exclusions leave too few pairs")


def test_a_figure_without_values_says_so(
    endless: tuple[pd.DataFrame, pd.DataFrame], evaluation: EvaluationParams
) -> None:
    comparison, controls = endless
    figure = draw_scores(comparison.assign(base_all=math.nan, tuned_all=math.nan), controls, evaluation)
    assert not figure.data
    assert figure.layout.annotations[0].text == "no values"
    assert figure.layout.meta["caption"].startswith("No pair was scored. 100 % of the base model's")


def test_figures_survive_the_catalog(
    training_history: pd.DataFrame,
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    evaluation: EvaluationParams,
    tmp_path: Path,
) -> None:
    figures = [
        draw_loss_curve(training_history),
        draw_perplexity(comparison, evaluation),
        draw_scores(comparison, controls, evaluation),
    ]
    for place, figure in enumerate(figures):
        dataset = JSONDataset(filepath=str(tmp_path / f"{place}.json"))
        dataset.save(figure)
        assert dataset.load() == figure
        assert json.loads(figure.to_json())["layout"]["template"]["layout"]["plot_bgcolor"] == "#ffffff"
