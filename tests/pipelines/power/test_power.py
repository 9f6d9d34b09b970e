"""What a comparison could find, from parameters alone."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import PowerParams, SplitParams
from med_lora.pipelines.power import create_pipeline
from med_lora.pipelines.power.nodes import describe_power, tabulate_power
from tests import recipes


def split(test: Any = 60) -> SplitParams:
    return SplitParams(mode="group", train=None, validation=40, test=test, seed=1)


def power(**changes: Any) -> PowerParams:
    return PowerParams(**({"pairs": [84, 20, 5], "differences": [0.8, 0.35], "tests": 10} | changes))


def test_the_table_judges_numbers_of_pairs_and_differences() -> None:
    table = tabulate_power(power(), recipes.evaluation(), split())
    assert list(table.columns) == ["given", "pairs", "difference", "tests", "alpha", "power", "own_split"]
    pairs = table[table["given"] == "pairs"].set_index(["tests", "pairs"])
    assert list(pairs.index) == [(tests, number) for tests in (1, 10) for number in (5, 20, 60, 84)]
    assert pairs.loc[(1, 20), "difference"] == pytest.approx(0.678, abs=0.001)
    assert pairs.loc[(1, 84), "difference"] == pytest.approx(0.317, abs=0.001)
    assert pairs.loc[(10, 20), "difference"] == pytest.approx(0.938, abs=0.001)
    assert pairs.loc[(1, 5), "difference"] == math.inf
    assert pairs.loc[(10, 20), "alpha"] == 0.005
    assert list(pairs.index[pairs["own_split"]]) == [(1, 60), (10, 60)]
    differences = table[table["given"] == "difference"].set_index(["tests", "difference"])
    assert differences["pairs"].to_dict() == {(1, 0.35): 70, (1, 0.8): 15, (10, 0.35): 118, (10, 0.8): 26}
    assert not differences["own_split"].any()
    assert (table["power"] == 0.8).all()


def test_a_split_of_listed_size_is_judged_once_and_a_fraction_not() -> None:
    listed = tabulate_power(power(), recipes.evaluation(), split(84)).query("given == 'pairs' and tests == 1")
    assert list(listed["pairs"]) == [5, 20, 84]
    assert list(listed["own_split"]) == [False, False, True]
    assert not tabulate_power(power(), recipes.evaluation(), split(0.1))["own_split"].any()


def test_a_stricter_level_and_more_power_need_more_pairs() -> None:
    def needed(**changes: Any) -> pd.Series:
        table = tabulate_power(power(), recipes.evaluation(**changes), split())
        return table[table["given"] == "difference"]["pairs"]

    assert (needed(confidence=0.99) > needed()).all()
    assert (needed(power=0.95) > needed()).all()


def test_a_single_test_needs_no_correction() -> None:
    table = tabulate_power(power(tests=1), recipes.evaluation(), split())
    assert set(table["tests"]) == {1}
    assert "Holm" not in describe_power(table, power(tests=1), recipes.evaluation())


def test_the_summary_states_every_number_in_words() -> None:
    table = tabulate_power(power(), recipes.evaluation(), split())
    lines = describe_power(table, power(), recipes.evaluation()).splitlines()
    assert lines[0] == "Two arms on the same pairs, signed-rank test at 0.05, power 0.8."
    told = [line.split() for line in lines]
    assert ["5", "none", "none"] in told
    assert ["20", "0.68", "0.94"] in told
    assert ["60", "0.38", "0.50", "(the", "test", "split", "of", "this", "experiment)"] in told
    assert ["0.35", "70", "118"] in told


def test_the_pipeline_needs_parameters_alone() -> None:
    pipeline = create_pipeline()
    assert pipeline.inputs() == {"params:power", "params:evaluation", "params:data_engineering.split"}
    assert pipeline.outputs() == {"power_summary"}
    assert not any("device" in node.tags for node in pipeline.nodes)
