"""The table of trials, the best experiment, and the figures."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.parameters import parse_parameters
from med_lora.trials.artifacts import rank_results, tabulate, write_experiment
from med_lora.trials.figures import draw_losses, draw_slices
from med_lora.trials.result import TrialResult
from med_lora.trials.settings import TrialParams, apply_settings
from tests.conftest import ROOT


def result(r: int, value: float | None, **changes: Any) -> TrialResult:
    settings = {"training.lora.r": r, "training.optimisation.learning_rate": 3e-05, "model.quantisation": "none"}
    made = TrialResult(
        name=f"r_{r}",
        settings=settings,
        state="failed" if value is None else "finished",
        objective="validation_loss",
        direction="lower",
        value=value,
        figures={} if value is None else {"validation_loss": value, "step": 40.0},
        pairs=120,
        seconds=None if value is None else 2.0,
        tokens=None if value is None else 3000,
        reason="Out of memory." if value is None else "",
    )
    return replace(made, **changes)


RESULTS = [result(4, 2.5), result(8, None), result(32, 2.0), result(16, 2.0), result(64, None)]


def test_trials_are_ranked_ties_by_name_and_those_without_a_figure_last() -> None:
    assert [one.name for one in rank_results(RESULTS)] == ["r_16", "r_32", "r_4", "r_64", "r_8"]
    higher = [replace(one, direction="higher") for one in RESULTS]
    assert rank_results(higher)[0].name == "r_4"


def test_a_table_has_a_row_a_trial_and_no_number_for_a_failed_one() -> None:
    table = tabulate(rank_results(RESULTS)).set_index("name")
    assert list(table["rank"].fillna(0)) == [1, 2, 3, 0, 0]
    assert table.loc["r_4", "tokens_per_second"] == 1500
    assert table.loc["r_16", "training.lora.r"] == 16
    assert set(table["validation_pairs"]) == {120}
    failed = table.loc["r_8"]
    assert (failed["state"], failed["reason"]) == ("failed", "Out of memory.")
    assert "40" in table.to_csv()
    assert "40.0" not in table.to_csv()
    for column in ("rank", "value", "validation_loss", "step", "seconds", "tokens"):
        assert pd.isna(failed[column])


def test_a_sweep_in_which_nothing_finished_says_why() -> None:
    with pytest.raises(InputError, match=r"None of 2 trials finished; r_8: Out of memory\."):
        rank_results([result(8, None), result(4, None)])


def load(conf: Path, **given: Any) -> ExperimentConfigLoader:
    return ExperimentConfigLoader(conf, "cpu", given, base_env="base", default_run_env="cpu")


def test_the_best_experiment_loads_and_has_the_trials_parameters(tmp_path: Path) -> None:
    """What the command line set for the sweep is kept as well."""
    conf = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", conf)
    swept = {"description": "a test – of ours", "training": {"lora": {"r": 2, "alpha": 4}}}
    swept["sweep"] = {"grid": {"training.lora.r": [4, 16]}}
    (conf / "experiments/mine.yml").write_text(yaml.safe_dump(swept))
    ran = load(conf, experiment="mine", training={"optimisation": {"epochs": 5}})
    ranked = rank_results(RESULTS)
    text = write_experiment(ran.runtime_params, ranked, "mine")
    (conf / "experiments/mine_best.yml").write_text(text, encoding="utf-8")
    best = parse_parameters(load(conf, experiment="mine_best")["parameters"])
    point = apply_settings(TrialParams.of(parse_parameters(ran["parameters"])), ranked[0].settings)
    assert TrialParams.of(best) == point
    assert (best.training.lora.r, best.training.lora.alpha, best.training.optimisation.epochs) == (16, 4, 5)
    assert best.training.optimisation.learning_rate == 3e-05
    assert best.description == "a test – of ours"
    assert best.sweep.grid == {}
    assert "# Chosen among 3 by validation_loss on 120 validation pairs (2; lower is better).\n" in text
    assert "judge it by the test pairs" in text


def test_slices_show_every_finished_trial_by_every_setting() -> None:
    figure = draw_slices(rank_results(RESULTS), "point")
    axes = (figure.layout.xaxis, figure.layout.xaxis2, figure.layout.xaxis3)
    assert [axis.title.text.replace("<br>", "") for axis in axes] == list(RESULTS[0].settings)
    by_rank = [trace for trace in figure.data if trace.xaxis in ("x", None)]
    assert sorted(value for trace in by_rank for value in trace.x) == ["16", "32", "4"]
    assert list(figure.layout.xaxis.categoryarray) == ["4", "16", "32"]
    (best,) = [trace for trace in by_rank if trace.name == "best point"]
    assert (list(best.x), list(best.y)) == (["16"], [2.0])
    subtitle = figure.layout.title.subtitle.text.replace("<br>", " ")
    assert subtitle == "n = 3 points, 120 validation pairs each; lower is better"
    assert figure.layout.yaxis.title.text == "validation loss<br>(nats per answer token)"
    assert "in part the luckiest" in figure.layout.meta["caption"]


def test_many_numbers_are_drawn_as_numbers() -> None:
    rates = [10.0**-power for power in range(1, 11)]
    many = [
        replace(result(4, 2.0 + rate), name=f"t_{rate}", settings={"rate": rate, "half": index / 2})
        for index, rate in enumerate(rates)
    ]
    figure = draw_slices(rank_results(many), "trial")
    assert (figure.layout.xaxis.type, figure.layout.xaxis2.type) == ("log", "linear")
    assert sorted(value for trace in figure.data if trace.xaxis != "x2" for value in trace.x) == sorted(rates)


def test_losses_of_every_trial_are_drawn_by_step() -> None:
    rows = [(f"r_{r}", step, "validation_loss", value) for r in (4, 8) for step, value in ((5, 2.0 - r / 8), (0, 3.0))]
    histories = pd.DataFrame([*rows, ("r_4", 1, "train_loss", 9.0)], columns=["name", "step", "metric", "value"])
    figure = draw_losses(histories)
    assert [(trace.name, list(trace.x), list(trace.y)) for trace in figure.data] == [
        ("r_4", [0, 5], [3.0, 1.5]),
        ("r_8", [0, 5], [3.0, 1.0]),
    ]
    assert "r_8 has the lowest validation loss, 1.000" in figure.layout.meta["caption"]
