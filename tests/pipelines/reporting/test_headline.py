"""The headline says what the numbers allow, and no more."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.verdicts import decide
from med_lora.pipelines.reporting.headline import judge_control, write_headline
from tests import recipes

from .conftest import compare, make_scores

PERPLEXITY = {
    **{"metric": "perplexity", "n": 43, "groups": 29, "excluded": 0, "better": "lower", "signature": "", "note": ""},
    **{"base": 112.3, "base_low": 105.0, "base_high": 121.0, "tuned": 38.1, "tuned_low": 35.0, "tuned_high": 41.0},
    **{"difference": -74.2, "difference_low": -83.0, "difference_high": -66.0, "p_value": 1e-8, "p_holm": 7e-8},
    **{"difference_all": -74.2, "difference_all_low": -83.0, "difference_all_high": -66.0},
}
ROUGE = {
    **{"metric": "rougeL", "n": 43, "groups": 29, "excluded": 0, "better": "higher", "signature": "", "note": ""},
    **{"base": 0.1, "base_low": 0.08, "base_high": 0.12, "tuned": 0.2, "tuned_low": 0.18, "tuned_high": 0.22},
    **{"difference": 0.1, "difference_low": 0.07, "difference_high": 0.13, "p_value": 0.002, "p_holm": 0.012},
    **{
        "base_all": 0.1,
        "tuned_all": 0.2,
        "difference_all": 0.1,
        "difference_all_low": 0.07,
        "difference_all_high": 0.13,
    },
}
CUT = PERPLEXITY | {"metric": "answer_cut", "base": 0.0, "tuned": 0.0, "p_value": math.nan, "p_holm": math.nan}
CONTROL = {
    **{"arm": "shuffled_reference", "metric": "rougeL", "n": 43, "mean": 0.15, "low": 0.14, "high": 0.16},
    **{"tuned_difference": 0.05, "tuned_difference_low": 0.03, "tuned_difference_high": 0.07},
    **{"mean_all": 0.14, "mean_all_low": 0.13, "mean_all_high": 0.15, "tuned_difference_all": 0.04},
    **{"tuned_difference_all_low": -0.01, "tuned_difference_all_high": 0.09},
}


@pytest.fixture
def state(evaluation: EvaluationParams) -> Any:
    """The headline of rows changed by keywords."""

    def write(
        perplexity: dict[str, Any] | None = None,
        rouge: dict[str, Any] | None = None,
        control: dict[str, Any] | None = None,
        others: list[dict[str, Any]] | None = None,
        cut: dict[str, Any] | None = None,
        metrics: list[dict[str, Any]] | None = None,
        audited: bool = False,
    ) -> dict[str, Any]:
        rows = [PERPLEXITY | (perplexity or {}), ROUGE | (rouge or {}), CUT | (cut or {}), *(metrics or [])]
        comparison = pd.DataFrame(rows)
        controls = pd.DataFrame([CONTROL | (control or {}), *(others or [])])
        return write_headline(comparison, controls, "trial", evaluation, recipes.canaries(enabled=audited))

    return write


def test_an_improvement_is_told_with_its_uncertainty(state: Any) -> None:
    headline = state()
    assert headline["sentence"] == (
        "Held-out perplexity fell from 112.3 [105.0, 121.0] to 38.1 [35.0, 41.0] (n = 43 pairs in 29 groups, "
        "Holm-adjusted p < 0.001). ROUGE-L F rose from 0.100 [0.080, 0.120] to 0.200 [0.180, 0.220] (n = 43 pairs in "
        "29 groups, Holm-adjusted p = 0.012). The tuned model beats the best null control (shuffled reference, ROUGE-L "
        "0.150 [0.140, 0.160]): difference 0.050 [0.030, 0.070] (uncorrected interval). Brackets are 95 % intervals."
    )
    assert headline["experiment"] == "trial"
    assert headline["confidence"] == 0.95
    assert headline["perplexity"]["tuned"] == 38.1
    assert headline["perplexity"]["verdict"] == headline["rougeL"]["verdict"] == "improved"
    assert headline["best_control"]["verdict"] == "beaten"


@pytest.mark.parametrize(
    "unsure",
    [
        {"p_holm": 0.21},
        {"p_holm": 0.05},
        {"difference_low": -83.0, "difference_high": 0.4},
        {"difference_low": -83.0, "difference_high": 0.0},
    ],
)
def test_no_change_is_claimed_unless_interval_and_corrected_p_agree(state: Any, unsure: dict[str, float]) -> None:
    headline = state(perplexity=unsure)
    assert headline["sentence"].startswith(
        "No clear change in held-out perplexity, 112.3 [105.0, 121.0] before and 38.1"
    )
    assert "fell" not in headline["sentence"]
    assert headline["perplexity"]["verdict"] == "unclear"


def test_a_small_raw_p_does_not_stand_in_for_the_corrected_one(state: Any) -> None:
    headline = state(rouge={"p_value": 0.01, "p_holm": 0.07})
    assert "No clear change in ROUGE-L F" in headline["sentence"]
    assert "Holm-adjusted p = 0.070" in headline["sentence"]


def test_a_change_for_the_worse_is_called_one(state: Any) -> None:
    worse = {"tuned": 150.0, "tuned_low": 140.0, "tuned_high": 160.0}
    worse |= {"difference": 37.7, "difference_low": 30.0, "difference_high": 45.0}
    headline = state(perplexity=worse)
    assert "rose from 112.3 [105.0, 121.0] to 150.0 [140.0, 160.0], a change for the worse" in headline["sentence"]
    assert headline["perplexity"]["verdict"] == "worsened"


@pytest.mark.parametrize(
    ("low", "high", "words", "verdict"),
    [
        (-0.07, -0.03, "scores below the best null control", "not beaten"),
        (-0.02, 0.03, "does not clearly beat the best null control", "unclear"),
        (0.0, 0.03, "does not clearly beat the best null control", "unclear"),
    ],
)
def test_a_control_that_is_not_beaten_is_said(state: Any, low: float, high: float, words: str, verdict: str) -> None:
    headline = state(control={"tuned_difference_low": low, "tuned_difference_high": high})
    assert words in headline["sentence"]
    assert "model beats" not in headline["sentence"]
    assert headline["best_control"]["verdict"] == verdict


def test_the_best_control_is_the_one_with_the_highest_score(state: Any) -> None:
    higher = CONTROL | {"arm": "nearest_training_answer", "mean": 0.19, "tuned_difference_low": -0.01}
    other_metric = CONTROL | {"arm": "echoed_question", "metric": "bleu", "mean": 9.0}
    headline = state(others=[higher, other_metric])
    assert headline["best_control"]["arm"] == "nearest_training_answer"
    assert "does not clearly beat the best null control (nearest training answer" in headline["sentence"]


def test_every_metric_whose_best_control_is_not_beaten_is_named(state: Any) -> None:
    bleu = ROUGE | {"metric": "bleu", "base": 1.0, "tuned": 2.0}
    rival = CONTROL | {"metric": "bleu", "arm": "constant_best_answer", "mean": 3.0, "tuned_difference_low": -0.1}
    headline = state(others=[rival], metrics=[bleu])
    unbeaten = "In 1 of 2 text metrics the tuned model does not clearly beat that metric's best null control: BLEU."
    assert unbeaten in headline["sentence"]
    assert headline["best_controls"]["bleu"] == {"arm": "constant_best_answer", "verdict": "unclear"}
    beaten = state(others=[rival | {"tuned_difference_low": 0.1}], metrics=[bleu])
    assert "In each of 2 text metrics the tuned model beats that metric's best null control." in beaten["sentence"]


ZERO = {"base": 0.0, "tuned": 0.0, "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0, "p_holm": 1.0}


def test_a_metric_that_is_zero_throughout_is_named_as_such(state: Any) -> None:
    exact = ROUGE | ZERO | {"metric": "exact_match"}
    nothing = CONTROL | dict.fromkeys(
        ("mean", "tuned_difference", "tuned_difference_low", "tuned_difference_high"), 0.0
    )
    rivals = [nothing | {"metric": "exact_match", "arm": "empty_answer"}]
    bleu = ROUGE | {"metric": "bleu", "base": 1.0, "tuned": 2.0}
    beaten = state(others=[*rivals, CONTROL | {"metric": "bleu"}], metrics=[exact, bleu])
    assert "In each of 2 text metrics the tuned model beats" in beaten["sentence"]
    assert beaten["lead"].startswith(
        "Tuned beats base on 3 of 4 tested metrics (perplexity, ROUGE-L F and BLEU); exact match is 0 throughout. It"
    )
    assert beaten["best_controls"]["exact_match"] == {"arm": "empty_answer", "verdict": "unclear"}
    scored = [rivals[0] | {"mean": 0.1, "tuned_difference": -0.1, "tuned_difference_low": -0.2}]
    unbeaten = state(others=scored, metrics=[exact])
    assert "1 of 2 text metrics" in unbeaten["sentence"]
    assert "throughout" not in unbeaten["lead"]


def test_secrets_among_the_training_pairs_are_told(state: Any) -> None:
    assert "Made-up secrets were among the training pairs" in state(audited=True)["sentence"]
    assert "secrets" not in state()["sentence"]


def without_values(row: dict[str, Any]) -> dict[str, Any]:
    return row | {key: math.nan for key, value in row.items() if isinstance(value, float) and "_all" not in key}


def test_values_that_do_not_exist_are_reported_as_such(state: Any) -> None:
    headline = state(
        rouge=without_values(ROUGE) | {"n": 1, "groups": 1, "excluded": 59}, control=without_values(CONTROL)
    )
    assert (
        "ROUGE-L F could not be compared (n = 1 of 60 pairs in 1 group, the others excluded). Over all 60 "
        "pairs, the excluded ones included, it is 0.100 for the base and 0.200 for the tuned model, difference "
        "0.100 [0.070, 0.130]. Over all pairs, the tuned model does not clearly beat the best null control (shuffled "
        "reference, ROUGE-L 0.140 [0.130, 0.150]): difference 0.040 [-0.010, 0.090] (uncorrected interval)."
    ) in headline["sentence"]
    assert "nan" not in headline["sentence"]
    assert headline["rougeL"]["verdict"] == "not compared"
    assert headline["rougeL"]["tuned"] is None
    assert (headline["best_control"]["pairs"], headline["best_control"]["mean"]) == ("all", 0.14)


def test_missing_controls_are_reported_as_such(state: Any) -> None:
    headline = state(control=without_values(CONTROL) | {"mean_all": math.nan})
    assert headline["best_control"] is None
    assert "No null control could be scored" in headline["sentence"]


def test_a_claim_that_holds_only_without_the_excluded_pairs_is_qualified(state: Any) -> None:
    all_pairs = {"difference_all": 0.01, "difference_all_low": -0.02, "difference_all_high": 0.04}
    headline = state(rouge={"n": 20, "excluded": 40, **all_pairs})
    assert "n = 20 of 60 pairs in 29 groups, the others excluded" in headline["sentence"]
    assert (
        "Over all pairs the difference is 0.010 [-0.020, 0.040], which does not confirm this." in headline["sentence"]
    )


@pytest.mark.parametrize(
    ("base", "tuned", "words"),
    [
        (0.883, 0.117, "88 % of the base model's and 12 % of the tuned model's answers were cut at 128 tokens."),
        (1.0, 0.0, "100 % of the base model's and 0 % of the tuned model's answers were cut at 128 tokens."),
        (0.998, 0.002, "Over 99 % of the base model's and under 1 % of the tuned model's answers were cut at"),
        (0.0, 0.002, "0 % of the base model's and under 1 % of the tuned model's answers were cut at 128 tokens."),
    ],
)
def test_answers_that_were_cut_are_told(state: Any, base: float, tuned: float, words: str) -> None:
    assert words in state(cut={"base": base, "tuned": tuned})["sentence"]


def test_the_headline_is_plain_json(
    comparison: pd.DataFrame, controls: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    headline = write_headline(comparison, controls, "trial", evaluation, recipes.canaries())
    assert json.loads(json.dumps(headline, allow_nan=False)) == headline
    row = comparison.set_index("metric").loc["rougeL"]
    assert headline["rougeL"]["difference_low"] == row["difference_low"]


def test_a_note_lost_in_a_csv_file_does_no_harm(
    comparison: pd.DataFrame, controls: pd.DataFrame, evaluation: EvaluationParams
) -> None:
    lost = comparison.assign(note=comparison["note"].replace("", math.nan))
    assert write_headline(lost, controls, "trial", evaluation, recipes.canaries()) == write_headline(
        comparison, controls, "trial", evaluation, recipes.canaries()
    )


def test_equal_arms_are_not_called_different(evaluation: EvaluationParams) -> None:
    scores, losses, _ = make_scores(1.0, cut=0)
    base = scores[scores["arm"] == "base"]
    same = pd.concat([scores[scores["arm"] != "tuned"], base.assign(arm="tuned")])
    headline = write_headline(*compare((same, losses, losses), evaluation), "trial", evaluation, recipes.canaries())
    assert headline["perplexity"]["verdict"] == headline["rougeL"]["verdict"] == "unclear"
    assert headline["best_control"]["verdict"] == "not beaten"


def test_the_level_of_significance_is_exact() -> None:
    for confidence, alpha in ((0.95, 0.05), (0.9, 0.1), (0.99, 0.01)):
        evaluation = recipes.evaluation(confidence=confidence)
        assert evaluation.significance_level == alpha


def test_a_description_is_never_judged() -> None:
    assert decide(ROUGE | {"better": "neither"}, 0.05) == "not compared"
    assert decide(ROUGE, 0.012) == "unclear"
    assert judge_control(CONTROL) == "beaten"
