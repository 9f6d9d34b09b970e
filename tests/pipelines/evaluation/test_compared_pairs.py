"""Which pairs a comparison counts, and what it says where too few are left."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare_arms

from .conftest import Table
from .tables import OVERLAP, Tables, flag, group, widen


def test_pairs_that_an_arm_did_not_finish_are_left_out_for_both(tables: Tables, evaluation: EvaluationParams) -> None:
    tables = replace(
        tables,
        base_answers=flag(tables.base_answers, "corpus:03", finish_reason="length"),
        tuned_answers=flag(
            flag(tables.tuned_answers, "corpus:03", finish_reason="length"), "corpus:05", answer="", empty=True
        ),
    )
    scores, _ = tables.score(evaluation)
    comparison, controls = tables.compare(evaluation)
    row = comparison.loc["rouge1"]
    assert (row["n"], row["excluded"]) == (5, 2)
    wide = widen(scores, "rouge1")
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
    assert (comparison.loc["length_ratio", "n"], comparison.loc["length_ratio", "excluded"]) == (5, 2)
    for name, base, tuned in (("answer_cut", 1 / 7, 1 / 7), ("answer_empty", 0, 1 / 7)):
        assert (comparison.loc[name, "base"], comparison.loc[name, "tuned"]) == pytest.approx((base, tuned))
        assert comparison.loc[name, "n"] == 7


def test_questions_that_did_not_fit_are_left_out_where_asked_for(tables: Tables, evaluation: EvaluationParams) -> None:
    tables = replace(tables, base_answers=flag(tables.base_answers, "corpus:03", prompt_truncated=True))
    assert tables.compare(evaluation)[0].loc["rouge1", "n"] == 7
    strict = evaluation.model_copy(update={"exclude": ["prompt_truncated"]})
    assert tables.compare(strict)[0].loc["rouge1", "n"] == 6
    nothing = evaluation.model_copy(update={"exclude": []})
    assert tables.compare(nothing)[0].loc["rouge1", "n"] == 7


def test_groups_of_one_pair_change_nothing(tables: Tables, evaluation: EvaluationParams) -> None:
    labelled = group(tables, [70, 3, 12, 5, 40, 1, 2])
    for found, expected in zip(labelled.compare(evaluation), tables.compare(evaluation), strict=True):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_arms_are_tested_and_resampled_by_group(tables: Tables, evaluation: EvaluationParams) -> None:
    from scipy.stats import mannwhitneyu, wilcoxon

    groups = [5, 5, 5, 2, 2, 9, 1]
    tables = group(tables, groups)
    nll = tables.base_losses["nll"] + [3, -2, 1, -4, 2, 1, -2]
    tables = replace(tables, tuned_losses=tables.base_losses.assign(nll=nll))
    comparison, _ = tables.compare(evaluation)
    assert set(comparison["groups"]) == {4}
    sums = {arm: losses.groupby(groups)[["nll", "tokens"]].sum() for arm, losses in tables.losses().items()}
    nats = {arm: losses["nll"] / losses["tokens"] for arm, losses in sums.items()}
    assert comparison.loc["perplexity", "p_value"] == wilcoxon(nats["tuned"] - nats["base"]).pvalue
    pairs = {arm: losses["nll"] / losses["tokens"] for arm, losses in tables.losses().items()}
    unpaired = mannwhitneyu(pairs["base"], pairs["tuned"], alternative="two-sided").pvalue
    assert comparison.loc["perplexity", "mann_whitney_p"] == pytest.approx(unpaired)
    wide = widen(tables.score(evaluation)[0], "rougeL").loc[list(tables.test.frame["id"])]
    differences = (wide["tuned"] - wide["base"]).groupby(groups).mean()
    assert comparison.loc["rougeL", "p_value"] == wilcoxon(differences).pvalue
    assert comparison.loc["rougeL", "base"] == pytest.approx(wide["base"].mean())
    assert "4 groups cannot give p < 0.05 whatever the difference" in comparison.loc["rougeL", "note"]
    assert (comparison.loc[["perplexity", "bits_per_byte", "rougeL"], "detectable"] == math.inf).all()


@pytest.mark.filterwarnings("error")
def test_pairs_of_one_group_cannot_be_compared(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = group(tables, [4] * 7).compare(evaluation)
    numbers = comparison.drop(columns=["n", "groups", "excluded"]).select_dtypes("number")
    assert {"base", "difference_low", "p_holm", "ratio", "detectable", "mean_of_ratios", "gold"} < set(numbers)
    assert numbers.isna().all(axis=None)
    assert (comparison["n"] == 7).all()
    assert (comparison["groups"] == 1).all()
    assert set(comparison["note"]) == {"all 7 pairs are of one group, and an interval needs two groups"}
    assert controls["mean_all"].isna().all()


@pytest.mark.filterwarnings("error")
def test_a_single_pair_gives_no_number(tables: Tables, evaluation: EvaluationParams) -> None:
    one = replace(tables, test=Table(tables.test.frame.head(1)))
    names = ("base_answers", "tuned_answers", "base_losses", "tuned_losses")
    comparison, controls = replace(one, **{name: vars(tables)[name].head(1) for name in names}).compare(evaluation)
    assert comparison[["base", "tuned_all", "p_value", "ratio", "rank_biserial", "pairs_needed"]].isna().all(axis=None)
    assert set(comparison["note"]) == {"there is one pair, and an interval needs two groups"}
    assert "shuffled_reference" not in set(controls.index.unique(0))


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
    text = comparison.loc[[*OVERLAP, "length_ratio"]]
    assert (text["n"] == left).all()
    assert (text["excluded"] == 7 - left).all()
    measured = ["base", "base_low", "tuned", "tuned_high", "difference", "difference_low", "p_value", "p_holm"]
    powers = ["ratio", "ratio_high", "rank_biserial", "detectable", "pairs_needed", "mann_whitney_p", "gold"]
    assert text[[*measured, *powers]].isna().all(axis=None)
    assert text[["base_all", "tuned_all", "difference_all_low"]].notna().all(axis=None)
    assert text["note"].str.startswith(f"only {left} of 7 pairs").all()
    assert comparison.loc["answer_cut", "base"] == pytest.approx((7 - left) / 7)
    assert comparison.loc["perplexity", "p_holm"] == comparison.loc["perplexity", "p_value"]
    assert controls["mean"].isna().all()
    assert controls[["mean_all", "tuned_difference_all_low"]].notna().all(axis=None)
    assert text.loc["exact_match", "unbeaten_controls"]  # over all pairs
    assert text.loc["rouge1", "unbeaten_controls"] == ""


def test_a_metric_of_some_pairs_is_compared_on_these(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    part = scores[(scores["metric"] == "rouge1") & scores["id"].isin([f"corpus:{n:02d}" for n in (1, 2, 3, 4)])]
    part = part[~((part["arm"] == "base") & (part["id"] == "corpus:04"))].assign(metric="final_choice")
    part = part[~((part["arm"] == "empty_answer") & (part["id"] == "corpus:01"))]
    choice = tabulate_metrics([Metric("final_choice", "choice", "higher", True, "letters")])
    comparison, controls = compare_arms(
        pd.concat([scores, part]), pd.concat([metrics, choice]), tables.base_losses, tables.tuned_losses, evaluation
    )
    row = comparison.set_index("metric").loc["final_choice"]
    wide = widen(scores, "rouge1").loc[["corpus:01", "corpus:02", "corpus:03"]]
    assert (row["n"], row["groups"], row["excluded"]) == (3, 3, 0)
    assert (row["base"], row["tuned"]) == pytest.approx((wide["base"].mean(), wide["tuned"].mean()))
    assert row["note"].startswith("3 of 7 pairs have a score; ")
    controls = controls.set_index(["arm", "metric"])
    assert controls.loc[("echoed_question", "final_choice"), "mean"] == pytest.approx(wide["echoed_question"].mean())
    assert math.isnan(controls.loc[("empty_answer", "final_choice"), "mean"])


def test_metrics_without_a_score_say_so(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    choice = tabulate_metrics([Metric("final_choice", "choice", "higher", True, "letters")])
    metrics = pd.concat([metrics, choice])
    comparison, _ = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    row = comparison.set_index("metric").loc["final_choice"]
    assert (row["n"], row["note"]) == (0, "no pair has a score of both arms")
    assert math.isnan(row["base"])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rows", ["none", "NaN"])
def test_a_missing_metric_keeps_its_row_and_no_number(rows: str, tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    absent = Metric("bert_score", "meaning", "higher", True, "encoder", "the encoder's folder is not there")
    if rows == "NaN":
        blank = scores[scores["metric"] == "rouge1"].assign(metric="bert_score", score=math.nan)
        scores = pd.concat([scores, blank])
    metrics = pd.concat([tabulate_metrics([absent]), metrics])
    comparison, controls = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    row = comparison.set_index("metric").loc["bert_score"]
    assert row["missing"] == "the encoder's folder is not there"
    assert (row["n"], row["groups"], row["excluded"], row["note"]) == (0, 0, 0, "")
    numbers = comparison.drop(columns=["n", "groups", "excluded"]).select_dtypes("number").columns
    assert row[numbers].isna().all()
    assert comparison["n"].dtype == "int64"
    assert "bert_score" not in set(controls["metric"])
    expected, _ = tables.compare(evaluation)
    rest = comparison.set_index("metric").drop(index="bert_score")
    pd.testing.assert_frame_equal(rest, expected, check_dtype=False)


def test_losses_of_other_pairs_are_refused(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    with pytest.raises(InputError, match=r"tuned_losses is not about the 7 pairs"):
        compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses.iloc[1:], evaluation)
