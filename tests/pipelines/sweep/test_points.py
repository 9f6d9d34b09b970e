"""The points of a grid: designs, names, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from med_lora.errors import InputError
from med_lora.parameters import SweepParams, parse_parameters
from med_lora.pipelines.sweep.points import make_points, points_of
from tests.experiments import base_parameters
from tests.trials.conftest import parameters

# study B's grid; the values in bold are those of its experiment
STUDY_B: dict[str, list[Any]] = {
    "training.max_length": [128, 256, 512, 1024, 2048, 4096],
    "training.lora.r": [4, 8, 16, 32],
    "training.lora.alpha": [8, 16, 32, 64],
    "training.lora.dropout": [0.0, 0.1, 0.25, 0.5],
}
BOLD = {
    "training__max_length": 2048,
    "training__lora__r": 16,
    "training__lora__alpha": 16,
    "training__lora__dropout": 0.25,
}


def sweep(grid: dict[str, list[Any]], design: str = "full", objective: str = "validation_loss") -> SweepParams:
    return SweepParams(grid=grid, design=design, objective=objective)


def test_full_design_is_the_product() -> None:
    points = make_points(sweep({"training.lora.r": [16, 32, 64], "training.lora.alpha": [8, 16]}), parameters())
    assert [point.name for point in points] == [f"r_{r}__alpha_{alpha}" for r in (16, 32, 64) for alpha in (8, 16)]
    assert points[1].settings == {"training.lora.r": 16, "training.lora.alpha": 16}
    assert len(make_points(sweep(STUDY_B), parameters())) == 6 * 4 * 4 * 4


def test_one_at_a_time_varies_one_key_and_has_the_experiment_itself_once() -> None:
    points = make_points(sweep(STUDY_B, "one_at_a_time"), parameters(**BOLD))
    assert len(points) == 1 + 5 + 3 + 3 + 3
    bold = {key.replace("__", "."): value for key, value in BOLD.items()}
    assert points[0] == ("unchanged", bold)
    for point in points[1:]:
        assert list(point.settings) == list(bold)
        assert sum(point.settings[key] != value for key, value in bold.items()) == 1
    assert {"max_length_128", "r_4", "alpha_64", "dropout_0_5"} <= {point.name for point in points}


def test_one_at_a_time_without_the_experiments_own_value() -> None:
    points = make_points(sweep({"training.lora.r": [8, 16]}, "one_at_a_time"), parameters(training__lora__r=4))
    assert [point.name for point in points] == ["r_8", "r_16"]


def test_precisions_of_the_base_model_are_one_sweep() -> None:
    points = make_points(sweep({"model.quantisation": ["none", "int8", "nf4"]}), parameters())
    assert [point.name for point in points] == ["quantisation_none", "quantisation_int8", "quantisation_nf4"]


def test_an_experiment_without_a_grid_has_no_points() -> None:
    assert make_points(sweep({}), parameters()) == ()


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ({"training.lora.rank": [4]}, r"no setting training\.lora\.rank"),
        ({"training.lora.r": [4, -1]}, "greater than 0"),
        ({"hardware.processes": [1, 2]}, "same pairs and machine"),
        ({"prompt.template": ["plain", "x"]}, "template"),
    ],
)
def test_wrong_grids_are_refused(grid: dict[str, list[Any]], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make_points(sweep(grid), parameters())


@pytest.mark.parametrize(
    ("values", "sentence"), [([], "has no value"), ([4, 4], "names a value twice"), (4, "valid list"), ([[4]], "valid")]
)
def test_wrong_lists_of_values_are_refused(values: Any, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        sweep({"training.lora.r": values})


def test_points_of_an_experiment_are_checked_as_an_experiment_is() -> None:
    tree = {**base_parameters(), "experiment": "e", "description": "a test"}
    tree["sweep"] = {"grid": {"training.method": ["lora", "full"]}, "design": "full", "objective": "bleu"}
    assert [point.name for point in points_of(parse_parameters(tree))] == ["method_lora", "method_full"]
    tree["model"] = {**tree["model"], "quantisation": "nf4"}
    with pytest.raises(InputError, match="quantised weights cannot be trained"):
        points_of(parse_parameters(tree))
