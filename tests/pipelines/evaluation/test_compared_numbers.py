"""The numbers of a comparison: what each arm reaches, how far they differ, what could have been found."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare_arms
from med_lora.pipelines.evaluation.comparison.contrasts import even_out

from .tables import TESTED, Tables, make_answers, widen


def test_perplexity_is_that_of_all_tokens_together(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, _ = tables.compare(evaluation)
    row = comparison.loc["perplexity"]
    nll, tokens = tables.base_losses["nll"].sum(), tables.base_losses["tokens"].sum()
    assert row["base"] == row["base_all"] == pytest.approx(math.exp(nll / tokens))
    assert row["base_low"] < row["base"] < row["base_high"]
    assert row["difference"] == pytest.approx(row["tuned"] - row["base"])
    assert row["difference_high"] < 0
    assert (row["n"], row["excluded"], row["better"], row["family"]) == (7, 0, "lower", "loss")
    assert row["p_value"] == pytest.approx(2 / 2**7)  # all seven differences have one sign
    assert row["rank_biserial"] == -1
    bits = comparison.loc["bits_per_byte"]
    assert bits["base"] == pytest.approx(nll / (4 * tokens) / math.log(2))
    assert math.isnan(bits["p_holm"])


def test_two_tokens_of_probability_one_half_have_perplexity_two(tables: Tables, evaluation: EvaluationParams) -> None:
    certain = tables.base_losses.assign(nll=tables.base_losses["tokens"] * math.log(2))
    row = replace(tables, base_losses=certain).compare(evaluation)[0].loc["perplexity"]
    assert (row["base"], row["base_low"], row["base_high"]) == pytest.approx((2, 2, 2))


@pytest.mark.filterwarnings("error")
def test_an_infinite_perplexity_is_said_to_be_one(tables: Tables, evaluation: EvaluationParams) -> None:
    extreme = tables.base_losses.assign(nll=tables.base_losses["tokens"] * 1e3)
    comparison, _ = replace(tables, base_losses=extreme).compare(evaluation)
    row = comparison.loc["perplexity"]
    assert row["base"] == math.inf
    assert "too large for a finite perplexity" in row["note"]
    assert row["p_value"] == pytest.approx(2 / 2**7)  # of the nats a token
    assert math.isfinite(comparison.loc["bits_per_byte", "difference_low"])


def test_cross_entropy_is_the_logarithm_of_perplexity(tables: Tables, evaluation: EvaluationParams) -> None:
    rows, _ = tables.compare(evaluation)
    for arm in ("base", "base_low", "tuned_high"):
        assert rows.loc["cross_entropy", arm] == pytest.approx(math.log(rows.loc["perplexity", arm]), rel=1e-4)


def test_equal_arms_do_not_differ(tables: Tables, evaluation: EvaluationParams) -> None:
    same = replace(tables, tuned_answers=tables.base_answers, tuned_losses=tables.base_losses)
    comparison, _ = same.compare(evaluation)
    assert comparison[["difference", "difference_low", "difference_high"]].abs().max(axis=None) < 1e-12
    assert (comparison.loc[TESTED, ["p_value", "mann_whitney_p"]] == 1).all(axis=None)
    assert comparison[["rank_biserial", "detectable", "pairs_needed"]].isna().all(axis=None)
    assert comparison.loc["perplexity", ["ratio", "ratio_low", "ratio_high"]].abs().max() < 1e-12
    assert comparison.loc[TESTED, "note"].str.contains("the arms score alike in every group").all()


@pytest.mark.filterwarnings("error")
def test_empty_answers_of_both_arms_give_no_relative_change(tables: Tables, evaluation: EvaluationParams) -> None:
    silent = make_answers(tables.test.frame["id"], [""] * 7)
    everything = evaluation.model_copy(update={"exclude": []})
    comparison, _ = replace(tables, base_answers=silent, tuned_answers=silent).compare(everything)
    row = comparison.loc["rougeL"]
    assert (row["base"], row["tuned"], row["difference"], row["p_value"]) == (0, 0, 0, 1)
    assert row[["ratio", "ratio_low", "mean_of_ratios", "detectable", "rank_biserial"]].isna().all()
    assert "the mean of base is not above 0, so there is no relative change" in row["note"]
    assert "base scores 0 on 7 of 7 pairs" in row["note"]


def test_relative_change_is_that_of_the_means(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    comparison, _ = tables.compare(evaluation)
    wide, row = widen(scores, "rouge1"), comparison.loc["rouge1"]
    assert row["ratio"] == pytest.approx(wide["tuned"].mean() / wide["base"].mean() - 1)
    assert row["ratio_low"] < row["ratio"] < row["ratio_high"]
    assert row["mean_of_ratios"] == pytest.approx((wide["tuned"] / wide["base"] - 1).mean())
    tiny = scores["score"].where(
        ~((scores["metric"] == "rouge1") & (scores["arm"] == "base") & (scores["id"] == "corpus:01")), 1e-7
    )
    found = compare_arms(scores.assign(score=tiny), metrics, tables.base_losses, tables.tuned_losses, evaluation)[0]
    row = found.set_index("metric").loc["rouge1"]
    assert row["mean_of_ratios"] > 1e5  # one pair alone
    assert row["ratio"] < 10
    perplexity = comparison.loc["perplexity"]
    assert perplexity["ratio"] == pytest.approx(perplexity["tuned"] / perplexity["base"] - 1)


@pytest.mark.filterwarnings("error")
def test_a_base_that_is_sometimes_zero_has_a_ratio_without_an_interval(
    tables: Tables, evaluation: EvaluationParams
) -> None:
    pairs = tables.test.frame
    answers = make_answers(pairs["id"], [*pairs["answer"].head(1), *["Nobody."] * 6])
    row = replace(tables, base_answers=answers).compare(evaluation)[0].loc["exact_match"]
    assert row["base"] == pytest.approx(1 / 7)
    assert row["ratio"] == -1
    assert math.isnan(row["ratio_low"])
    assert "not above 0 in some resamples" in row["note"]
    assert math.isnan(row["mean_of_ratios"])  # 0 / 0 for six pairs


def test_detectable_differences_follow_from_the_spread_of_the_groups(
    tables: Tables, evaluation: EvaluationParams
) -> None:
    from med_lora.statistics.power import detectable, pairs_needed

    scores, _ = tables.score(evaluation)
    comparison, _ = tables.compare(evaluation)
    wide = widen(scores, "rouge2")
    differences = wide["tuned"] - wide["base"]
    row = comparison.loc["rouge2"]
    assert row["detectable"] == pytest.approx(detectable(7, 0.8, 0.05) * differences.std(ddof=1))
    assert row["pairs_needed"] == pairs_needed(differences.mean() / differences.std(ddof=1), 0.8, 0.05)
    nats = (tables.tuned_losses["nll"] - tables.base_losses["nll"]) / tables.base_losses["tokens"]
    fall = 1 - math.exp(-detectable(7, 0.8, 0.05) * nats.std(ddof=1))
    assert comparison.loc["perplexity", "detectable"] == pytest.approx(comparison.loc["perplexity", "base"] * fall)
    bits = nats / 4 / math.log(2)
    expected = detectable(7, 0.8, 0.05) * bits.std(ddof=1)
    assert comparison.loc["bits_per_byte", "detectable"] == pytest.approx(expected)
    strict = evaluation.model_copy(update={"power": 0.95})
    assert tables.compare(strict)[0].loc["rouge2", "detectable"] > row["detectable"]


def test_the_confidence_widens_intervals(tables: Tables, evaluation: EvaluationParams) -> None:
    narrow, _ = tables.compare(evaluation.model_copy(update={"confidence": 0.5}))
    wide, _ = tables.compare(evaluation)
    assert (wide.loc["rouge1", "tuned_high"] - wide.loc["rouge1", "tuned_low"]) > (
        narrow.loc["rouge1", "tuned_high"] - narrow.loc["rouge1", "tuned_low"]
    )


def test_differences_that_are_equal_on_paper_tie() -> None:
    fifths = [3 / 5 - 2 / 5, 1 / 5, 2 / 5 - 3 / 5, 1e-12]
    assert list(even_out(fifths)) == [0.2, 0.2, -0.2, 0.0]
    assert fifths[0] != fifths[1]
