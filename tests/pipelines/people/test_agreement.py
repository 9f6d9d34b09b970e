"""Agreement of raters: by hand, by the functions behind it, and where there is nothing to agree on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.pipelines.people.agreement import COLUMNS, measure_agreement
from med_lora.statistics.agreement import alpha_sums, icc_sums, kappa_sums
from tests.recipes import evaluation

RATED = ["id", "group", "arm", "rater", "axis", "score", "seconds"]
CHOSEN = ["id", "group", "rater", "reference", "arm", "choice"]
NOTHING = pd.DataFrame(columns=CHOSEN)


def rate(scores: dict[str, list[float]], axis: str = "accuracy", groups: list[int] | None = None) -> pd.DataFrame:
    """Ratings of base and tuned in turn, one list a rater; NaN for what a rater left out."""
    rows: list[dict[str, Any]] = []
    for rater, given in scores.items():
        for place, score in enumerate(given):
            pair = place // 2
            answer = {"id": f"test:{pair:02d}", "group": groups[pair] if groups else pair}
            answer["arm"] = "base" if place % 2 == 0 else "tuned"
            rows.append(answer | {"rater": rater, "axis": axis, "score": score, "seconds": 3.0})
    return pd.DataFrame(rows, columns=RATED).dropna(subset="score")


def choose(choices: dict[str, list[str]]) -> pd.DataFrame:
    rows = [
        (f"test:{pair:02d}", pair, rater, "base", "tuned", choice)
        for rater, given in choices.items()
        for pair, choice in enumerate(given)
    ]
    return pd.DataFrame(rows, columns=CHOSEN)


def find(agreement: pd.DataFrame, **wanted: str) -> pd.Series:
    rows = agreement
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


THREE = {
    "anna": [1, 3, 2, 2, 5, 4, 3, 3, 1, 2],
    "ben": [2, 3, 2, 1, 5, 5, 3, math.nan, 1, 2],
    "cleo": [1, 4, 3, 2, 4, 5, 2, 3, math.nan, math.nan],
}


def test_agreement_of_all_and_of_every_two_raters() -> None:
    found = measure_agreement(rate(THREE), NOTHING, evaluation())
    values = np.array(list(THREE.values())).T
    assert list(found.columns) == COLUMNS
    assert list(zip(found["measure"], found["raters"], strict=True)) == [
        ("krippendorff_alpha", "anna, ben, cleo"),
        ("ICC(2,1)", "anna, ben, cleo"),
        ("ICC(2,k)", "anna, ben, cleo"),
        ("quadratic_kappa", "anna, ben"),
        ("quadratic_kappa", "anna, cleo"),
        ("quadratic_kappa", "ben, cleo"),
    ]
    assert list(found["n"]) == [10, 7, 7, 9, 8, 7]
    expected = [alpha_sums(values).value, icc_sums(values, "2").value, icc_sums(values, "2", average=True).value]
    expected += [kappa_sums(values[:, first], values[:, second]).value for first, second in ((0, 1), (0, 2), (1, 2))]
    assert list(found["value"]) == pytest.approx(expected)
    assert (found["low"] < found["value"]).all()
    assert (found["value"] < found["high"]).all()
    assert (found["note"] == "").all()


def test_preferences_agree_by_their_order() -> None:
    chosen = choose({"anna": ["reference", "tie", "arm", "arm"], "ben": ["reference", "arm", "arm", "reference"]})
    found = measure_agreement(rate({}), chosen, evaluation())
    assert list(found["measure"]) == ["krippendorff_alpha", "quadratic_kappa"]
    assert set(found["axis"]) == {"preference"}
    alpha = alpha_sums([[0, 0], [0.5, 1], [1, 1], [1, 0]]).value
    kappa = kappa_sums([0, 0.5, 1, 1], [0, 1, 1, 0]).value
    assert list(found["value"]) == pytest.approx([alpha, kappa])
    assert list(found["n"]) == [4, 4]


def test_intervals_draw_whole_groups() -> None:
    ratings = {"anna": [1, 3, 2, 2, 5, 4, 3, 3], "ben": [2, 3, 2, 1, 5, 5, 3, 4]}
    alone = find(measure_agreement(rate(ratings), NOTHING, evaluation()), measure="krippendorff_alpha")
    grouped = measure_agreement(rate(ratings, groups=[0, 0, 1, 1]), NOTHING, evaluation())
    together = find(grouped, measure="krippendorff_alpha")
    assert together["value"] == alone["value"]
    assert (together["low"], together["high"]) != (alone["low"], alone["high"])
    one = measure_agreement(rate(ratings, groups=[0, 0, 0, 0]), NOTHING, evaluation())
    assert one["low"].isna().all()
    assert one["value"].notna().all()
    assert one["note"].str.contains("one group").all()


@pytest.mark.filterwarnings("error")
def test_one_rater_agrees_with_nobody() -> None:
    found = measure_agreement(rate({"anna": [1, 3, 2, 2]}), choose({"anna": ["tie", "arm"]}), evaluation())
    assert set(found["axis"]) == {"accuracy", "preference"}
    assert found["value"].isna().all()
    assert (found["note"] == "there is one rater, and agreement needs two").all()


@pytest.mark.filterwarnings("error")
def test_raters_who_never_differ_from_a_habit_do_not_agree() -> None:
    found = measure_agreement(rate({"anna": [3, 3, 3, 3], "ben": [3, 3, 3, 3]}), NOTHING, evaluation())
    assert found["value"].isna().all()
    assert found["note"].str.contains("do not vary").all()


@pytest.mark.filterwarnings("error")
def test_raters_of_different_answers_cannot_be_compared() -> None:
    nan = math.nan
    found = measure_agreement(rate({"anna": [3, 4, nan, nan], "ben": [nan, nan, 2, 5]}), NOTHING, evaluation())
    assert (found["n"] == 0).all()
    assert found["value"].isna().all()
    assert (found["note"] == "no answer was rated by as many raters").all()


def test_nothing_rated_is_an_empty_table() -> None:
    found = measure_agreement(rate({}), NOTHING, evaluation())
    assert list(found.columns) == COLUMNS
    assert found.empty


def test_controls_do_not_raise_the_agreement() -> None:
    ratings = rate(THREE)
    empty = ratings[ratings["arm"] == "base"].assign(arm="empty_answer", score=1.0)
    once = measure_agreement(ratings, NOTHING, evaluation())
    pd.testing.assert_frame_equal(measure_agreement(pd.concat([ratings, empty]), NOTHING, evaluation()), once)
    assert measure_agreement(empty, NOTHING, evaluation()).empty


def test_the_order_of_rows_does_not_matter() -> None:
    ratings = pd.concat([rate(THREE), rate(THREE, "safety")])
    chosen = choose({"anna": ["reference", "tie", "arm"], "ben": ["reference", "arm", "arm"]})
    once = measure_agreement(ratings, chosen, evaluation())
    turned = ratings.sample(frac=1, random_state=1), chosen.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(measure_agreement(*turned, evaluation()), once)
