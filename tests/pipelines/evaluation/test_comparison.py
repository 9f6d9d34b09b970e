"""The comparison of the arms as a table."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare_arms

from .conftest import Table
from .tables import CONTROLS, OVERLAP, TESTED, UNTESTED, Tables


def test_comparison_has_its_columns_and_the_order_of_the_metrics(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    comparison, controls = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    assert list(comparison.columns) == [
        *["metric", "n", "groups", "excluded", "base", "base_low", "base_high", "tuned", "tuned_low", "tuned_high"],
        *["difference", "difference_low", "difference_high", "p_value", "p_holm", "better", "signature"],
        *["base_all", "tuned_all", "difference_all", "difference_all_low", "difference_all_high", "note"],
        *["family", "missing", "gold", "gold_low", "gold_high", "rank_biserial", "ratio", "ratio_low", "ratio_high"],
        *["detectable", "pairs_needed", "mann_whitney_p", "mean_of_ratios"],
        *["best_control", "best_control_mean", "best_control_low", "best_control_high", "unbeaten_controls"],
    ]
    assert list(comparison["metric"]) == list(metrics["name"])
    turned = compare_arms(scores, metrics.iloc[::-1], tables.base_losses, tables.tuned_losses, evaluation)[0]
    assert list(turned["metric"]) == list(metrics["name"])[::-1]
    assert list(controls.columns) == [
        *["arm", "metric", "n", "mean", "low", "high"],
        *["tuned_difference", "tuned_difference_low", "tuned_difference_high"],
        *["mean_all", "mean_all_low", "mean_all_high"],
        *["tuned_difference_all", "tuned_difference_all_low", "tuned_difference_all_high", "family", "excluded"],
    ]
    matched = [f"{name}_matched" for name in CONTROLS]
    assert set(controls["arm"]) == {*CONTROLS, *matched, "empty_answer"}
    assert len(controls) == 9 * (len(OVERLAP) + 1)


def test_holm_corrects_over_the_tested_metrics(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, _ = tables.compare(evaluation)
    tested = comparison[comparison["p_value"].notna()]
    assert list(tested.index) == TESTED
    assert (tested["p_holm"] >= tested["p_value"]).all()
    assert tested["p_holm"].min() == pytest.approx(min(1, len(TESTED) * tested["p_value"].min()))
    assert comparison.loc[UNTESTED, ["p_holm", "mann_whitney_p", "mean_of_ratios"]].isna().all(axis=None)


def test_the_order_of_rows_changes_nothing(tables: Tables, evaluation: EvaluationParams) -> None:
    def turn(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        return frame.sample(frac=1, random_state=seed)

    turned = Tables(
        Table(turn(tables.test.frame, 0)),
        Table(turn(tables.train.frame, 1)),
        turn(tables.base_answers, 2),
        turn(tables.tuned_answers, 3),
        turn(tables.base_losses, 4),
        turn(tables.tuned_losses, 5),
    )
    scores, metrics = tables.score(evaluation)
    pd.testing.assert_frame_equal(turned.score(evaluation)[0], scores, check_exact=True)
    expected = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    found = compare_arms(turn(scores, 6), metrics, turned.base_losses, turned.tuned_losses, evaluation)
    for left, right in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_tables_come_back_from_csv_files(tables: Tables, evaluation: EvaluationParams, tmp_path: Any) -> None:
    scores, metrics = tables.score(evaluation)
    metrics.to_csv(tmp_path / "metrics.csv", index=False)
    read = pd.read_csv(tmp_path / "metrics.csv")
    expected = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    found = compare_arms(scores, read, tables.base_losses, tables.tuned_losses, evaluation)
    for left, right in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(left, right)
