"""Accuracy on the benchmarks, drawn."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from med_lora.pipelines.benchmarks.figures import draw_benchmarks
from tests import recipes

ROW = {"benchmark": "studies", "n": 1273, "chance": 0.25, "majority": 0.28, "difference": 0.06, "p_holm": 0.01}
ROW |= {"base": 0.3, "base_low": 0.27, "base_high": 0.33, "tuned": 0.36, "tuned_low": 0.34, "tuned_high": 0.39}


def test_a_benchmark_without_an_interval_has_no_whisker() -> None:
    alone = ROW | {"benchmark": "single", "n": 1} | dict.fromkeys(("tuned_low", "tuned_high"), math.nan)
    tuned = draw_benchmarks(pd.DataFrame([ROW, alone]), recipes.evaluation()).data[1]
    assert (tuned.error_x.array[0], tuned.error_x.array[1]) == (pytest.approx(0.03), "none")


def test_long_names_are_labels_in_lines() -> None:
    figure = draw_benchmarks(pd.DataFrame([ROW | {"benchmark": "an exam in one country"}]), recipes.evaluation())
    assert figure.data[0].y == ("an exam in one<br>country<br>n = 1,273",)


def test_no_benchmark_is_said() -> None:
    figure = draw_benchmarks(pd.DataFrame(columns=list(ROW)), recipes.evaluation())
    assert not figure.data
    assert figure.layout.meta["caption"] == "No benchmark was asked."
