"""Accuracy, intervals, McNemar's test and the lines that need no understanding."""

from __future__ import annotations

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.benchmarks.comparison import compare_benchmarks, macro_f1, mcnemar_p
from tests import recipes

GOLD = ["yes", "yes", "yes", "no", "no", "maybe", "yes", "no", "yes", "maybe"]
CHOSEN = ["yes", "no", "yes", "no", "yes", "yes", "yes", "no", "yes", "no"]


def questions(name: str, gold: list[str], choices: str) -> pd.DataFrame:
    ids = [f"{name}:{place:02d}" for place in range(len(gold))]
    return pd.DataFrame({"benchmark": name, "id": ids, "choices": choices, "gold": gold, "fault": ""})


def items(asked: pd.DataFrame, chosen: list[str]) -> pd.DataFrame:
    return asked[["benchmark", "id"]].assign(
        choice=chosen, correct=asked["gold"] == pd.Series(chosen), prompt_truncated=False, signature="lm_eval, float32"
    )


@pytest.fixture
def asked() -> pd.DataFrame:
    return questions("studies", GOLD, "yes no maybe")


@pytest.fixture
def base(asked: pd.DataFrame) -> pd.DataFrame:
    return items(asked, CHOSEN)


@pytest.fixture
def tuned(asked: pd.DataFrame) -> pd.DataFrame:
    return items(asked, ["yes"] * 10)


def compare(asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame) -> pd.DataFrame:
    return compare_benchmarks(asked, base, tuned, recipes.evaluation(bootstrap_samples=2000))


@pytest.mark.parametrize(
    ("base_only", "tuned_only", "p"),
    [(2, 8, 0.109375), (5, 1, 0.21875), (0, 0, 1.0), (0, 7, 0.015625), (12, 25, 0.04703102743951604)],
)
def test_mcnemar_equals_statsmodels(base_only: int, tuned_only: int, p: float) -> None:
    """statsmodels 0.15.0, mcnemar(exact=True)."""
    assert mcnemar_p(base_only, tuned_only) == pytest.approx(p)


@pytest.mark.parametrize(
    ("gold", "chosen", "value"),
    [(GOLD, CHOSEN, 0.4329004329004329), (list("AABBC"), list("ABBBD"), 0.3666666666666667), (["A"], ["A"], 1.0)],
)
def test_macro_f1_equals_scikit_learn(gold: list[str], chosen: list[str], value: float) -> None:
    """scikit-learn 1.9.1, f1_score(average="macro")."""
    assert macro_f1(chosen, gold) == pytest.approx(value)


def test_a_benchmark_is_one_row_with_its_lines(asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame) -> None:
    (row,) = compare(asked, base, tuned).to_dict("records")
    assert (row["benchmark"], row["n"], row["excluded"], row["truncated"]) == ("studies", 10, 0, 0)
    assert row["chance"] == pytest.approx(1 / 3)
    assert row["majority"] == 0.5
    assert (row["base"], row["tuned"]) == (0.6, 0.5)
    assert row["difference"] == pytest.approx(-0.1)
    assert (row["base_only"], row["tuned_only"], row["p_value"], row["p_holm"]) == (2, 1, 1.0, 1.0)
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    assert row["base_macro_f1"] == pytest.approx(0.4329004329004329)
    assert row["tuned_macro_f1"] == pytest.approx(2 / 9)
    assert row["signature"] == "lm_eval, float32, prompts 1"
    assert row["note"] == "base and tuned not above the majority line"


def test_accuracy_has_wilsons_interval(asked: pd.DataFrame, base: pd.DataFrame) -> None:
    """statsmodels 0.15.0, proportion_confint(method="wilson"), of 7 in 10."""
    right_in_seven = items(asked, [*GOLD[:7], "yes", "no", "yes"])
    (row,) = compare(asked, base, right_in_seven).to_dict("records")
    assert (row["tuned"], row["tuned_low"], row["tuned_high"]) == pytest.approx(
        (0.7, 0.39677814746114537, 0.8922087325936989)
    )


def test_a_model_above_the_majority_line_has_no_note(asked: pd.DataFrame) -> None:
    right = items(asked, GOLD)
    (row,) = compare(asked, right, right).to_dict("records")
    assert (row["base"], row["difference"], row["p_value"], row["note"]) == (1.0, 0.0, 1.0, "")


def test_chance_is_the_mean_over_items(asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame) -> None:
    fewer = asked.assign(choices=["yes no"] * 5 + ["yes no maybe"] * 5)
    assert compare(fewer, base, tuned)["chance"].iat[0] == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_p_values_are_corrected_over_the_benchmarks() -> None:
    first, second = questions("a", ["A"] * 7, "A B"), questions("b", ["A"] * 10, "A B")
    asked = pd.concat([first, second], ignore_index=True)
    base = pd.concat([items(first, ["B"] * 7), items(second, ["A"] * 2 + ["B"] * 8)])
    tuned = pd.concat([items(first, ["A"] * 7), items(second, ["B"] * 2 + ["A"] * 8)])
    rows = compare(asked, base, tuned)
    assert rows["benchmark"].tolist() == ["a", "b"]
    assert rows["p_value"].tolist() == pytest.approx([0.015625, 0.109375])
    assert rows["p_holm"].tolist() == pytest.approx([0.03125, 0.109375])


def test_order_of_rows_changes_nothing(asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame) -> None:
    shuffled = [table.sample(frac=1, random_state=seed) for seed, table in enumerate((asked, base, tuned))]
    pd.testing.assert_frame_equal(compare(*shuffled), compare(asked, base, tuned))


def test_items_that_could_not_be_asked_are_counted(
    asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame
) -> None:
    faulty = asked.assign(fault=[""] * 8 + ["no_answer"] * 2)
    (row,) = compare(faulty, base[:8], tuned[:8]).to_dict("records")
    assert (row["n"], row["excluded"]) == (8, 2)


def test_prompts_that_were_cut_are_noted(asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame) -> None:
    (row,) = compare(asked, base.assign(prompt_truncated=[True] * 3 + [False] * 7), tuned).to_dict("records")
    assert row["truncated"] == 3
    assert row["note"].endswith("; 3 of 10 prompts lost their beginning to the model's context")


def test_one_item_has_no_interval_of_a_difference(asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame) -> None:
    (row,) = compare(asked[:1], base[:1], tuned[:1]).to_dict("records")
    assert (row["n"], row["difference"]) == (1, 0.0)
    assert pd.isna(row["difference_low"])
    assert "one item has no spread" in row["note"]


def test_arms_that_answered_other_items_are_refused(
    asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match="tuned_benchmark_items does not hold the items"):
        compare(asked, base, tuned[:9])
    with pytest.raises(InputError, match="base_benchmark_items does not hold the items"):
        compare(asked, pd.concat([base, base[:1]]), tuned)


def test_arms_that_answered_in_different_ways_are_refused(
    asked: pd.DataFrame, base: pd.DataFrame, tuned: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match=r"different ways \(lm_eval, bfloat16; lm_eval, float32\)"):
        compare(asked, base, tuned.assign(signature="lm_eval, bfloat16"))
