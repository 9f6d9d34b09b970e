"""The comparison of the arms: what is counted, what is left out, what is said about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.metrics.definition import SCORE_COLUMNS, Metric, tabulate_metrics
from med_lora.metrics.lexical import score_pair
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare_arms
from med_lora.pipelines.evaluation.comparison.contrasts import even_out
from med_lora.pipelines.evaluation.controls.nearest import copy_nearest
from med_lora.pipelines.evaluation.controls.texts import collect_texts
from med_lora.pipelines.evaluation.scores.scoring import collect_scores, read_facts

from .conftest import Table

OVERLAP = ["rouge1", "rouge2", "rougeL", "bleu", "exact_match", "token_f1"]
TESTED = ["perplexity", *OVERLAP]
UNTESTED = ["bits_per_byte", "length_ratio", "answer_cut", "answer_empty", "prompt_truncated"]
CONTROLS = ["shuffled_reference", "echoed_question", "nearest_training_answer", "constant_best_answer"]


@dataclass(frozen=True)
class Tables:
    """What the comparison rests on."""

    test: Table
    train: Table
    base_answers: pd.DataFrame
    tuned_answers: pd.DataFrame
    base_losses: pd.DataFrame
    tuned_losses: pd.DataFrame

    def score(self, evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
        texts = collect_texts(self.test, self.train, self.base_answers, self.tuned_answers, evaluation)
        facts = read_facts(self.base_answers, self.tuned_answers, self.base_losses, self.tuned_losses)
        return collect_scores(self.test, *facts, *score_texts(texts, self.test))

    def losses(self) -> dict[str, pd.DataFrame]:
        return {"base": self.base_losses, "tuned": self.tuned_losses}

    def compare(self, evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
        found = compare_arms(*self.score(evaluation), self.base_losses, self.tuned_losses, evaluation)
        return found[0].set_index("metric"), found[1].set_index(["arm", "metric"])


def score_texts(texts: pd.DataFrame, test: Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Some overlap scores of models and controls, and the length of all of them and of the references themselves."""
    references = dict(zip(test.frame["id"], test.frame["answer"], strict=True))
    rows: list[tuple[str, str, str, float]] = []
    for pair, arm, kind, answer in texts.itertuples(index=False):
        overlap = score_pair(answer, references[pair]) if kind != "gold" else {}
        rows += [(pair, arm, name, overlap[name]) for name in OVERLAP if overlap]
        rows.append((pair, arm, "length_ratio", len(answer.split()) / len(references[pair].split())))
    metrics = [Metric(name, "overlap", "higher", True, "made for a test") for name in OVERLAP]
    metrics.append(Metric("length_ratio", "conduct", "neither", False, "made for a test"))
    return pd.DataFrame(rows, columns=SCORE_COLUMNS), tabulate_metrics(metrics)


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


def group(tables: Tables, groups: list[int]) -> Tables:
    return replace(tables, test=Table(tables.test.frame.assign(group=groups)))


def widen(scores: pd.DataFrame, metric: str) -> pd.DataFrame:
    return scores[scores["metric"] == metric].pivot(index="id", columns="arm", values="score")


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


def test_an_arm_that_only_copies_is_told_so(tables: Tables, evaluation: EvaluationParams) -> None:
    pairs = tables.test.frame
    copied = [texts[0] for texts in copy_nearest(list(pairs["question"]), tables.train.frame, 1)]
    comparison, controls = replace(tables, tuned_answers=make_answers(pairs["id"], copied)).compare(evaluation)
    for metric in OVERLAP:
        assert "nearest_training_answer" in comparison.loc[metric, "unbeaten_controls"].split(", ")
        assert controls.loc[("nearest_training_answer", metric), "tuned_difference_low"] == pytest.approx(0, abs=1e-9)
    assert pd.isna(comparison.loc["perplexity", "unbeaten_controls"])


def test_an_arm_that_beats_every_control_is_not_told_otherwise(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = tables.compare(evaluation)
    rivals = controls.xs("rouge1", level="metric")
    row = comparison.loc["rouge1"]
    best = rivals.loc[row["best_control"]]
    assert best["mean"] == rivals["mean"].max() == row["best_control_mean"]
    assert (best["low"], best["high"]) == (row["best_control_low"], row["best_control_high"])
    assert row["unbeaten_controls"] == ""
    assert (rivals["tuned_difference_low"] > 0).all()
    assert comparison.loc["exact_match", "unbeaten_controls"]  # its first word is always wrong


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


def test_references_scored_as_answers_are_the_floor(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = tables.compare(evaluation)
    assert comparison.loc["length_ratio", ["gold", "gold_low", "gold_high"]].to_list() == pytest.approx([1, 1, 1])
    assert comparison.loc[TESTED, ["gold", "gold_low", "gold_high"]].isna().all(axis=None)
    assert "gold" not in set(controls.index.unique(0))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scored", [0, 4])
def test_the_floor_is_that_of_the_references_that_have_a_score(
    scored: int, tables: Tables, evaluation: EvaluationParams
) -> None:
    scores, metrics = tables.score(evaluation)
    ids = sorted(tables.test.frame["id"])
    gold = (scores["arm"] == "gold") & (scores["metric"] == "length_ratio")
    values = scores["id"].map({pair: place if place < scored else math.nan for place, pair in enumerate(ids)})
    scores = scores.assign(score=scores["score"].where(~gold, values))
    found, _ = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    row = found.set_index("metric").loc["length_ratio"]
    assert row["n"] == 7
    assert row["gold"] == pytest.approx(1.5 if scored else math.nan, nan_ok=True)
    assert row["note"] == ("4 of 7 references have a score of their own" if scored else "")
    expected = tables.compare(evaluation)[0].loc["length_ratio"]
    assert (row["tuned"], row["tuned_low"]) == (expected["tuned"], expected["tuned_low"])


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


def test_the_confidence_widens_intervals(tables: Tables, evaluation: EvaluationParams) -> None:
    narrow, _ = tables.compare(evaluation.model_copy(update={"confidence": 0.5}))
    wide, _ = tables.compare(evaluation)
    assert (wide.loc["rouge1", "tuned_high"] - wide.loc["rouge1", "tuned_low"]) > (
        narrow.loc["rouge1", "tuned_high"] - narrow.loc["rouge1", "tuned_low"]
    )


def test_tables_come_back_from_csv_files(tables: Tables, evaluation: EvaluationParams, tmp_path: Any) -> None:
    scores, metrics = tables.score(evaluation)
    metrics.to_csv(tmp_path / "metrics.csv", index=False)
    read = pd.read_csv(tmp_path / "metrics.csv")
    expected = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    found = compare_arms(scores, read, tables.base_losses, tables.tuned_losses, evaluation)
    for left, right in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(left, right)


def test_losses_of_other_pairs_are_refused(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    with pytest.raises(InputError, match=r"tuned_losses is not about the 7 pairs"):
        compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses.iloc[1:], evaluation)


def test_differences_that_are_equal_on_paper_tie() -> None:
    fifths = [3 / 5 - 2 / 5, 1 / 5, 2 / 5 - 3 / 5, 1e-12]
    assert list(even_out(fifths)) == [0.2, 0.2, -0.2, 0.0]
    assert fifths[0] != fifths[1]
