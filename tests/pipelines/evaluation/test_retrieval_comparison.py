"""Both models with passages and without: what they change, and that they change nothing of the other comparison."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd
import pytest

from med_lora.arms import ARMS
from med_lora.errors import InputError
from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare, compare_arms
from med_lora.pipelines.evaluation.comparison.contrasts import RETRIEVAL
from med_lora.pipelines.evaluation.comparison.retrieval import GAIN, compare_retrieval
from med_lora.pipelines.evaluation.comparison.subgroups import compare_subgroups
from med_lora.pipelines.evaluation.comparison.traits import describe_pairs
from med_lora.pipelines.evaluation.controls.texts import collect_texts
from med_lora.pipelines.evaluation.scores.scoring import collect_scores, read_facts

from .tables import OVERLAP, TESTED, Tables, flag, make_answers, score_texts, widen


class Given(NamedTuple):
    """Four arms of the same pairs."""

    tables: Tables
    answers: dict[str, pd.DataFrame]
    losses: dict[str, pd.DataFrame]

    def score(self, evaluation: EvaluationParams) -> tuple[pd.DataFrame, pd.DataFrame]:
        texts = collect_texts(self.tables.test, self.tables.train, evaluation, self.contexts(), **self.answers)
        facts = read_facts(**{f"{arm}_answers": table for arm, table in self.answers.items()}, **self.named())
        grounded = texts[["id", "arm"]].assign(metric="supported", score=texts["answer"].str.len() / 100)
        described = tabulate_metrics([Metric("supported", "grounding", "higher", True, "made for a test")])
        return collect_scores(self.tables.test, *facts, *score_texts(texts, self.tables.test), grounded, described)

    def named(self) -> dict[str, pd.DataFrame]:
        return {f"{arm}_losses": table for arm, table in self.losses.items()}

    def contexts(self) -> pd.DataFrame:
        pairs = self.tables.test.frame
        return pd.DataFrame({"id": list(pairs["id"]), "place": 1, "text": list(pairs["answer"])[::-1]})

    def compare(self, evaluation: EvaluationParams) -> pd.DataFrame:
        found = compare_retrieval(*self.score(evaluation), evaluation, **self.named())
        return found.set_index(["reference", "arm", "metric"])


@pytest.fixture
def given(tables: Tables) -> Given:
    """Passages help the base model a lot and the tuned model a little."""
    ids, references = tables.test.frame["id"], list(tables.test.frame["answer"])
    grounded = {
        "base_rag": [" ".join(answer.split()[-5:]) for answer in references],
        "tuned_rag": [*references[:3], *tables.tuned_answers["answer"][3:]],
    }
    answers = {arm: make_answers(ids, texts) for arm, texts in grounded.items()}
    factors = {"base_rag": [0.5, 0.6, 0.7, 0.4, 0.9, 1.1, 0.5], "tuned_rag": [0.9, 1, 0.8, 0.7, 1.2, 1, 0.9]}
    losses = tables.losses()
    for arm, factor in factors.items():
        losses[arm] = losses[arm.removesuffix("_rag")].assign(nll=losses[arm.removesuffix("_rag")]["nll"] * factor)
    return Given(tables, {"base": tables.base_answers, "tuned": tables.tuned_answers, **answers}, losses)


def test_four_contrasts_and_the_gain_are_corrected_together(given: Given, evaluation: EvaluationParams) -> None:
    scores, metrics = given.score(evaluation)
    found = compare_retrieval(scores, metrics, evaluation, **given.named())
    expected = compare(scores, metrics, RETRIEVAL, evaluation, given.losses)
    assert list(found.columns) == list(expected.columns)
    pd.testing.assert_frame_equal(
        found.head(len(expected)).drop(columns="p_holm"), expected.drop(columns="p_holm"), check_exact=True
    )
    gain = found.iloc[len(expected) :]
    assert set(zip(gain["reference"], gain["arm"], strict=True)) == {GAIN}
    assert list(gain["metric"]) == [*TESTED, "supported"]
    tests = int(found["p_value"].notna().sum())
    assert tests == 5 * (len(TESTED) + 1)
    assert found["p_holm"].min() == pytest.approx(min(1, tests * found["p_value"].min()))


def test_perplexity_with_passages_is_of_the_same_tokens(given: Given, evaluation: EvaluationParams) -> None:
    row = given.compare(evaluation).loc[("base", "base_rag", "perplexity")]
    nll, tokens = given.losses["base_rag"]["nll"].sum(), given.losses["base"]["tokens"].sum()
    assert row["arm_mean"] == pytest.approx(math.exp(nll / tokens))
    assert row["n"] == 7


def test_the_gain_is_the_difference_of_the_differences(given: Given, evaluation: EvaluationParams) -> None:
    from scipy.stats import wilcoxon

    rows = given.compare(evaluation)
    scores, _ = given.score(evaluation)
    for metric in (*OVERLAP, "supported"):
        gain = rows.loc[(*GAIN, metric)]
        of_base, of_tuned = rows.loc[("base", "base_rag", metric)], rows.loc[("tuned", "tuned_rag", metric)]
        assert gain["reference_mean"] == pytest.approx(of_base["difference"])
        assert (gain["arm_low"], gain["arm_high"]) == pytest.approx(
            (of_tuned["difference_low"], of_tuned["difference_high"])
        )
        assert gain["difference"] == pytest.approx(of_tuned["difference"] - of_base["difference"])
        assert gain["difference_low"] <= gain["difference"] <= gain["difference_high"]
    wide = widen(scores, "rouge1")
    added = (wide["tuned_rag"] - wide["tuned"]) - (wide["base_rag"] - wide["base"])
    assert rows.loc[(*GAIN, "rouge1"), "p_value"] == wilcoxon(added.round(9)).pvalue
    assert rows.loc[(*GAIN, "rouge1"), "difference"] < 0  # they help the tuned model less
    meaningless = ["ratio", "mean_of_ratios", "mann_whitney_p", "gold", "best_control_mean"]
    assert rows.sort_index().loc[GAIN, meaningless].isna().all(axis=None)


def test_the_gain_of_perplexity_is_a_factor(given: Given, evaluation: EvaluationParams) -> None:
    from scipy.stats import wilcoxon

    rows = given.compare(evaluation)
    gain = rows.loc[(*GAIN, "perplexity")]
    for part, model in (("reference_mean", "base"), ("arm_mean", "tuned")):
        row = rows.loc[(model, f"{model}_rag", "perplexity")]
        assert gain[part] == pytest.approx(row["arm_mean"] / row["reference_mean"])
    nats = {arm: losses["nll"] / losses["tokens"] for arm, losses in given.losses.items()}
    added = (nats["tuned_rag"] - nats["tuned"]) - (nats["base_rag"] - nats["base"])
    assert gain["p_value"] == wilcoxon(added).pvalue
    assert "factors by which passages multiply the perplexity" in gain["note"]


def test_passages_that_help_both_models_alike_show_no_gain(given: Given, evaluation: EvaluationParams) -> None:
    same = {"base_rag": given.answers["tuned"], "tuned_rag": given.answers["tuned"], "base": given.answers["tuned"]}
    losses = given.losses | {
        f"{arm}_rag": given.losses[arm].assign(nll=given.losses[arm]["nll"] - 0.5) for arm in ("base", "tuned")
    }
    rows = given._replace(answers=given.answers | same, losses=losses).compare(evaluation)
    rows = rows.sort_index().loc[GAIN]
    assert (rows["p_value"] == 1).all()
    assert rows.drop("perplexity")["difference"].abs().max() < 1e-12
    assert rows["note"].str.contains("the arms score alike in every group").all()


def test_the_gain_leaves_out_what_any_arm_did_not_finish(given: Given, evaluation: EvaluationParams) -> None:
    changes = {
        arm: flag(given.answers[arm], f"corpus:0{place}", finish_reason="length")
        for place, arm in enumerate(ARMS, start=1)
    }
    rows = given._replace(answers=changes).compare(evaluation)
    assert rows.loc[(*GAIN, "rouge1"), ["n", "excluded"]].to_list() == [3, 4]
    assert rows.loc[("base", "base_rag", "rouge1"), ["n", "excluded"]].to_list() == [5, 2]
    assert rows.loc[("base", "base_rag", "supported"), "n"] == 5
    assert rows.loc[(*GAIN, "perplexity"), "n"] == 7


def test_arms_with_passages_change_no_number_of_the_others(given: Given, evaluation: EvaluationParams) -> None:
    cut = given._replace(
        answers=given.answers | {"base_rag": flag(given.answers["base_rag"], "corpus:03", finish_reason="length")}
    )
    losses = (given.losses["base"], given.losses["tuned"])
    alone, beside = given.tables.score(evaluation), cut.score(evaluation)
    expected, controls = compare_arms(*alone, *losses, evaluation)
    found, further = compare_arms(*beside, *losses, evaluation)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    pd.testing.assert_frame_equal(further, controls, check_exact=True)
    traits = describe_pairs(given.tables.test, given.tables.train)
    before, after = (compare_subgroups(*scored, traits, evaluation) for scored in (alone, beside))
    pd.testing.assert_frame_equal(after, before, check_exact=True)


def test_prompts_that_did_not_fit_are_told_of(given: Given, evaluation: EvaluationParams) -> None:
    cut = flag(given.answers["tuned_rag"], "corpus:03", prompt_truncated=True)
    rows = given._replace(answers=given.answers | {"tuned_rag": cut}).compare(evaluation)
    told = rows.index[rows["note"].str.contains("1 of 7 prompts of tuned_rag did not fit")]
    assert {(reference, arm) for reference, arm, _ in told} == {
        (contrast.reference, contrast.arm) for contrast in RETRIEVAL if contrast.arm == "tuned_rag"
    }
    assert {metric for *_, metric in told} == {"perplexity", "cross_entropy", "bits_per_byte"}


@pytest.mark.parametrize("column", ["tokens", "answer_bytes"])
def test_losses_of_other_tokens_are_refused(column: str, given: Given, evaluation: EvaluationParams) -> None:
    other = given.losses["tuned_rag"].assign(**{column: given.losses["tuned_rag"][column] + 1})
    with pytest.raises(InputError, match="tuned_rag_losses and tuned_losses are not about the same answer tokens"):
        given._replace(losses=given.losses | {"tuned_rag": other}).compare(evaluation)


def test_the_order_of_rows_changes_nothing(given: Given, evaluation: EvaluationParams) -> None:
    def turn(frame: pd.DataFrame) -> Any:
        return frame.sample(frac=1, random_state=3)

    scores, metrics = given.score(evaluation)
    losses = {name: turn(table) for name, table in given.named().items()}
    pd.testing.assert_frame_equal(
        compare_retrieval(turn(scores), metrics, evaluation, **losses),
        compare_retrieval(scores, metrics, evaluation, **given.named()),
        check_exact=True,
    )
