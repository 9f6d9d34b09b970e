"""Scores and their comparison: what is counted, what is left out, what is said about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison import compare_arms
from med_lora.pipelines.evaluation.metrics import TextScorer
from med_lora.pipelines.evaluation.scoring import score_answers

from .conftest import Table

TESTED = ["perplexity", "rouge1", "rouge2", "rougeL", "bleu", "exact_match", "token_f1"]


@dataclass(frozen=True)
class Tables:
    """The inputs of the two nodes."""

    test: Table
    train: Table
    base_answers: pd.DataFrame
    tuned_answers: pd.DataFrame
    base_losses: pd.DataFrame
    tuned_losses: pd.DataFrame

    def score(self, evaluation: EvaluationParams) -> pd.DataFrame:
        return score_answers(*vars(self).values(), evaluation)

    def losses(self) -> dict[str, pd.DataFrame]:
        return {"base": self.base_losses, "tuned": self.tuned_losses}

    def compare(self, evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
        comparison, controls = compare_arms(self.score(evaluation), self.base_losses, self.tuned_losses, evaluation)
        return comparison.set_index("metric"), controls.set_index(["arm", "metric"])


def make_answers(ids: pd.Series, texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": list(ids),
            "answer": texts,
            "prompt_tokens": 5,
            "new_tokens": 9,
            "finish_reason": "eos",
            "prompt_truncated": False,
            "empty": [not text for text in texts],
        }
    )


@pytest.fixture
def tables(test_split: Table, train_split: Table) -> Tables:
    """The tuned arm answers with the reference but for its first word, the base arm with its last two words."""
    pairs = test_split.frame
    tokens = np.arange(5, 12)
    losses = {"id": list(pairs["id"]), "tokens": tokens, "answer_bytes": 4 * tokens}
    return Tables(
        test_split,
        train_split,
        make_answers(pairs["id"], [" ".join(answer.split()[-2:]) for answer in pairs["answer"]]),
        make_answers(pairs["id"], [" ".join(["Well,", *answer.split()[1:]]) for answer in pairs["answer"]]),
        pd.DataFrame({**losses, "nll": tokens * np.linspace(2, 5, 7)}),
        pd.DataFrame({**losses, "nll": tokens * np.linspace(1, 2, 7)}),
    )


def flag(answers: pd.DataFrame, pair: str, **values: Any) -> pd.DataFrame:
    changed = answers.copy()
    for column, value in values.items():
        changed.loc[changed["id"] == pair, column] = value
    return changed


def test_scores_hold_every_pair_arm_and_metric(tables: Tables, evaluation: EvaluationParams) -> None:
    scores = tables.score(evaluation)
    assert list(scores.columns) == ["id", "group", "arm", "metric", "score"]
    assert not scores.duplicated(["id", "arm", "metric"]).any()
    assert scores["score"].notna().all()
    arms = (
        "base",
        "tuned",
        "shuffled_reference",
        "echoed_question",
        "nearest_training_answer",
        "constant_training_answer",
    )
    assert set(scores["arm"]) == set(arms)
    assert len(scores) == 7 * (6 * 7 + 2 * 3)
    wide = scores.pivot(index="id", columns=["arm", "metric"], values="score")
    pair = tables.test.frame.iloc[1]
    expected = TextScorer().score(tables.base_answers["answer"][1], pair["answer"])
    assert wide.loc[pair["id"], "base"][list(expected)].to_dict() == expected
    echoed = TextScorer().score(pair["question"], pair["answer"])
    assert wide.loc[pair["id"], "echoed_question"][list(echoed)].to_dict() == echoed
    assert wide["base", "cross_entropy"].sort_values().to_numpy() == pytest.approx(np.linspace(2, 5, 7))


def test_perplexity_is_that_of_all_tokens_together(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, _ = tables.compare(evaluation)
    row = comparison.loc["perplexity"]
    nll, tokens = tables.base_losses["nll"].sum(), tables.base_losses["tokens"].sum()
    assert row["base"] == row["base_all"] == pytest.approx(math.exp(nll / tokens))
    assert row["base_low"] < row["base"] < row["base_high"]
    assert row["difference"] == pytest.approx(row["tuned"] - row["base"])
    assert row["difference_high"] < 0
    assert (row["n"], row["excluded"], row["better"]) == (7, 0, "lower")
    assert row["p_value"] == pytest.approx(2 / 2**7)  # all seven differences have one sign
    bits = comparison.loc["bits_per_byte"]
    assert bits["base"] == pytest.approx(nll / (4 * tokens) / math.log(2))
    assert math.isnan(bits["p_holm"])


def test_two_tokens_of_probability_one_half_have_perplexity_two(tables: Tables, evaluation: EvaluationParams) -> None:
    certain = tables.base_losses.assign(nll=tables.base_losses["tokens"] * math.log(2))
    row = replace(tables, base_losses=certain).compare(evaluation)[0].loc["perplexity"]
    assert (row["base"], row["base_low"], row["base_high"]) == pytest.approx((2, 2, 2))


def test_comparison_has_its_columns_and_order(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = compare_arms(tables.score(evaluation), tables.base_losses, tables.tuned_losses, evaluation)
    assert list(comparison.columns) == [
        *["metric", "n", "groups", "excluded", "base", "base_low", "base_high", "tuned", "tuned_low", "tuned_high"],
        *["difference", "difference_low", "difference_high", "p_value", "p_holm", "better", "signature"],
        *["base_all", "tuned_all", "difference_all", "difference_all_low", "difference_all_high", "note"],
    ]
    assert list(comparison["metric"]) == [
        *["perplexity", "bits_per_byte", "rouge1", "rouge2", "rougeL", "bleu", "exact_match", "token_f1"],
        *["length_ratio", "answer_cut", "answer_empty"],
    ]
    tested = comparison[comparison["p_value"].notna()]
    assert list(tested["metric"]) == TESTED
    assert (tested["p_holm"] >= tested["p_value"]).all()
    smallest = tested["p_value"].min()
    assert tested["p_holm"].min() == pytest.approx(min(1, len(TESTED) * smallest))
    assert (comparison["signature"] != "").all()
    assert list(controls.columns) == [
        *["arm", "metric", "n", "mean", "low", "high"],
        *["tuned_difference", "tuned_difference_low", "tuned_difference_high"],
        *["mean_all", "mean_all_low", "mean_all_high"],
        *["tuned_difference_all", "tuned_difference_all_low", "tuned_difference_all_high"],
    ]


def test_pairs_that_an_arm_did_not_finish_are_left_out_for_both(tables: Tables, evaluation: EvaluationParams) -> None:
    tables = replace(
        tables,
        base_answers=flag(tables.base_answers, "corpus:03", finish_reason="length"),
        tuned_answers=flag(
            flag(tables.tuned_answers, "corpus:03", finish_reason="length"), "corpus:05", answer="", empty=True
        ),
    )
    scores = tables.score(evaluation)
    comparison, controls = tables.compare(evaluation)
    row = comparison.loc["rouge1"]
    assert (row["n"], row["excluded"]) == (5, 2)
    wide = scores[scores["metric"] == "rouge1"].pivot(index="id", columns="arm", values="score")
    kept = wide.drop(index=["corpus:03", "corpus:05"])
    assert (row["base"], row["tuned"]) == pytest.approx((kept["base"].mean(), kept["tuned"].mean()))
    assert (row["base_all"], row["tuned_all"]) == pytest.approx((wide["base"].mean(), wide["tuned"].mean()))
    assert row["difference_all"] == pytest.approx(wide["tuned"].mean() - wide["base"].mean())
    assert row["difference_all_low"] < row["difference_all"] < row["difference_all_high"]
    echoed = controls.loc["echoed_question", "rouge1"]
    assert (echoed["n"], echoed["mean"]) == (5, pytest.approx(kept["echoed_question"].mean()))
    assert echoed["mean_all"] == pytest.approx(wide["echoed_question"].mean())
    assert echoed["tuned_difference"] == pytest.approx((kept["tuned"] - kept["echoed_question"]).mean())
    assert echoed["tuned_difference_all"] == pytest.approx((wide["tuned"] - wide["echoed_question"]).mean())
    assert echoed["tuned_difference_all_low"] < echoed["tuned_difference_all"] < echoed["tuned_difference_all_high"]
    assert echoed["mean_all_low"] < echoed["mean_all"] < echoed["mean_all_high"]
    assert (comparison.loc["perplexity", "n"], comparison.loc["perplexity", "excluded"]) == (7, 0)
    for name, base, tuned in (("answer_cut", 1 / 7, 1 / 7), ("answer_empty", 0, 1 / 7)):
        assert (comparison.loc[name, "base"], comparison.loc[name, "tuned"]) == pytest.approx((base, tuned))
        assert comparison.loc[name, "n"] == 7


def group(tables: Tables, groups: list[int]) -> Tables:
    return replace(tables, test=Table(tables.test.frame.assign(group=groups)))


def test_each_pair_carries_its_group(tables: Tables, evaluation: EvaluationParams) -> None:
    groups = [5, 5, 5, 2, 2, 9, 1]
    scores = group(tables, groups).score(evaluation)
    assert scores["group"].dtype == "int64"
    expected = dict(zip(tables.test.frame["id"], groups, strict=True))
    assert (scores["group"] == scores["id"].map(expected)).all()
    assert tables.score(evaluation).groupby("id")["group"].first().is_unique


def test_groups_of_one_pair_change_nothing(tables: Tables, evaluation: EvaluationParams) -> None:
    labelled = group(tables, [70, 3, 12, 5, 40, 1, 2])
    for found, expected in zip(labelled.compare(evaluation), tables.compare(evaluation), strict=True):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_arms_are_tested_and_resampled_by_group(tables: Tables, evaluation: EvaluationParams) -> None:
    from scipy.stats import wilcoxon

    groups = [5, 5, 5, 2, 2, 9, 1]
    tables = group(tables, groups)
    nll = tables.base_losses["nll"] + [3, -2, 1, -4, 2, 1, -2]
    tables = replace(tables, tuned_losses=tables.base_losses.assign(nll=nll))
    comparison, _ = tables.compare(evaluation)
    assert set(comparison["groups"]) == {4}
    sums = {arm: losses.groupby(groups)[["nll", "tokens"]].sum() for arm, losses in tables.losses().items()}
    nats = {arm: losses["nll"] / losses["tokens"] for arm, losses in sums.items()}
    assert comparison.loc["perplexity", "p_value"] == wilcoxon(nats["tuned"] - nats["base"]).pvalue
    scores = tables.score(evaluation).query("metric == 'rougeL'").set_index("id")
    arms = {arm: scores[scores["arm"] == arm] for arm in ("base", "tuned")}
    differences = (arms["tuned"]["score"] - arms["base"]["score"]).groupby(arms["base"]["group"]).mean()
    assert comparison.loc["rougeL", "p_value"] == wilcoxon(differences).pvalue
    assert comparison.loc["rougeL", "base"] == pytest.approx(arms["base"]["score"].mean())


@pytest.mark.filterwarnings("error")
def test_pairs_of_one_group_cannot_be_compared(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = group(tables, [4] * 7).compare(evaluation)
    assert comparison[["base", "tuned_low", "difference", "p_value", "p_holm"]].isna().all(axis=None)
    assert (comparison["n"] == 7).all()
    assert (comparison["groups"] == 1).all()
    assert set(comparison["note"]) == {"all 7 pairs are of one group, and an interval needs two groups"}
    assert controls["mean_all"].isna().all()


@pytest.mark.filterwarnings("error")
def test_one_group_left_is_too_few(tables: Tables, evaluation: EvaluationParams) -> None:
    tables = group(tables, [4, 4, 4, 1, 2, 3, 3])
    cut = tables.base_answers.assign(finish_reason=["eos"] * 3 + ["length"] * 4)
    comparison, _ = replace(tables, base_answers=cut).compare(evaluation)
    row = comparison.loc["rougeL"]
    assert (row["n"], row["groups"], row["excluded"]) == (3, 1, 4)
    assert math.isnan(row["base"])
    assert not math.isnan(row["difference_all_low"])
    assert row["note"].startswith("only 3 of 7 pairs, all of one group, are left by evaluation.exclude")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("left", [0, 1])
def test_where_nothing_is_left_values_are_missing_and_the_reason_is_given(
    left: int, tables: Tables, evaluation: EvaluationParams
) -> None:
    never_stops = tables.base_answers.assign(finish_reason=["eos"] * left + ["length"] * (7 - left))
    comparison, controls = replace(tables, base_answers=never_stops).compare(evaluation)
    text = comparison.loc["rouge1":"length_ratio"]
    assert (text["n"] == left).all()
    assert (text["excluded"] == 7 - left).all()
    measured = ["base", "base_low", "tuned", "tuned_high", "difference", "difference_low", "p_value", "p_holm"]
    assert text[measured].isna().all(axis=None)
    assert text[["base_all", "tuned_all", "difference_all_low"]].notna().all(axis=None)
    assert text["note"].str.startswith(f"only {left} of 7 pairs").all()
    assert comparison.loc["answer_cut", "base"] == pytest.approx((7 - left) / 7)
    assert comparison.loc["perplexity", "p_holm"] == comparison.loc["perplexity", "p_value"]
    assert controls["mean"].isna().all()
    assert controls[["mean_all", "tuned_difference_all_low"]].notna().all(axis=None)
    assert "over all pairs tuned does not beat" in text.loc["exact_match", "note"]
    assert "beat" not in text.loc["rouge1", "note"]


def test_an_arm_that_only_copies_is_told_so(tables: Tables, evaluation: EvaluationParams) -> None:
    from med_lora.pipelines.evaluation.controls import copy_nearest

    pairs = tables.test.frame
    copied = make_answers(pairs["id"], copy_nearest(list(pairs["question"]), tables.train.frame))
    comparison, controls = replace(tables, tuned_answers=copied).compare(evaluation)
    for metric in TESTED[1:]:
        assert "nearest_training_answer" in comparison.loc[metric, "note"]
        assert controls.loc[("nearest_training_answer", metric), "tuned_difference_low"] == pytest.approx(0, abs=1e-9)
    assert comparison.loc["perplexity", "note"] == ""


def test_an_arm_that_beats_every_control_is_not_told_otherwise(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = tables.compare(evaluation)
    assert comparison.loc["rouge1", "note"] == ""
    assert (controls["tuned_difference_low"].xs("rouge1", level="metric") > 0).all()
    assert comparison.loc["exact_match", "note"] != ""  # its first word is always wrong


def test_equal_arms_do_not_differ(tables: Tables, evaluation: EvaluationParams) -> None:
    same = replace(tables, tuned_answers=tables.base_answers, tuned_losses=tables.base_losses)
    comparison, _ = same.compare(evaluation)
    assert comparison[["difference", "difference_low", "difference_high"]].abs().max(axis=None) < 1e-12
    assert (comparison.loc[TESTED, "p_value"] == 1).all()


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
    scores = tables.score(evaluation)
    pd.testing.assert_frame_equal(turned.score(evaluation), scores, check_exact=True)
    expected = compare_arms(scores, tables.base_losses, tables.tuned_losses, evaluation)
    found = compare_arms(turn(scores, 6), turned.base_losses, turned.tuned_losses, evaluation)
    for left, right in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_the_confidence_widens_intervals(tables: Tables, evaluation: EvaluationParams) -> None:
    narrow, _ = tables.compare(evaluation.model_copy(update={"confidence": 0.5}))
    wide, _ = tables.compare(evaluation)
    assert (wide.loc["rouge1", "tuned_high"] - wide.loc["rouge1", "tuned_low"]) > (
        narrow.loc["rouge1", "tuned_high"] - narrow.loc["rouge1", "tuned_low"]
    )


@pytest.mark.parametrize("name", ["base_answers", "tuned_answers", "base_losses", "tuned_losses"])
def test_tables_of_other_pairs_are_refused(name: str, tables: Tables, evaluation: EvaluationParams) -> None:
    table = vars(tables)[name]
    for wrong in (table.iloc[1:], pd.concat([table, table.head(1)]), table.assign(id=table["id"] + "x")):
        with pytest.raises(InputError, match=rf"{name.replace('_', '.')} is not about the 7 pairs"):
            replace(tables, **{name: wrong}).score(evaluation)


def test_losses_of_other_pairs_are_refused(tables: Tables, evaluation: EvaluationParams) -> None:
    with pytest.raises(InputError, match=r"tuned_losses is not about the 7 pairs"):
        compare_arms(tables.score(evaluation), tables.base_losses, tables.tuned_losses.iloc[1:], evaluation)


def test_a_reference_without_words_is_refused(tables: Tables, evaluation: EvaluationParams) -> None:
    blank = Table(flag(tables.test.frame, "corpus:05", answer="  "))
    with pytest.raises(InputError, match="corpus:05 has no reference answer"):
        replace(tables, test=blank).score(evaluation)
