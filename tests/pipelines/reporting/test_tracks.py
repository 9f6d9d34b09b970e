"""The second track in the report: every number stands where its heading says, and text stays text."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams, ReportingParams
from med_lora.pipelines.evaluation.comparison.arms import CONTRAST_COLUMNS
from med_lora.pipelines.evaluation.comparison.contrasts import RETRIEVAL
from med_lora.pipelines.reporting.cells import FIGURE_SPACE
from med_lora.pipelines.reporting.sections import choose_examples
from med_lora.pipelines.reporting.tracks import (
    describe_divergence,
    describe_judge,
    describe_people,
    describe_retrieval,
    list_contrasts,
    list_four_arms,
)

from .conftest import Table, make_answers

MEANS = {"base": 0.10, "tuned": 0.20, "base_rag": 0.13, "tuned_rag": 0.27}


def contrast(reference: str, arm: str, metric: str = "rougeL", **changes: Any) -> dict[str, Any]:
    difference = MEANS[arm] - MEANS[reference]
    numbers = dict.fromkeys(CONTRAST_COLUMNS, math.nan)
    texts = {"missing": "", "signature": "version 1", "note": "", "best_control": "retrieved_passage"}
    texts |= {"unbeaten_controls": "", "better": "higher", "family": "overlap"}
    given = {"reference": reference, "arm": arm, "metric": metric, "n": 60, "groups": 28, "excluded": 0}
    given |= {"reference_mean": MEANS[reference], "arm_mean": MEANS[arm], "difference": difference}
    given |= {"difference_low": difference - 0.01, "difference_high": difference + 0.01, "best_control_mean": 0.25}
    return numbers | texts | given | {"p_holm": 0.02, "mann_whitney_p": 0.004, "detectable": 0.03} | changes


@pytest.fixture
def comparison() -> pd.DataFrame:
    rows = [contrast(*pair) for pair in RETRIEVAL]
    rows += [contrast(*pair, metric="bits_per_byte", family="loss") for pair in RETRIEVAL]
    rows += [contrast(*pair, metric="refusal", family="conduct") for pair in RETRIEVAL]
    return pd.DataFrame(rows, columns=CONTRAST_COLUMNS)


def bare(cell: str) -> str:
    return cell.strip(FIGURE_SPACE)


def test_four_arms_stand_under_their_own_names(comparison: pd.DataFrame) -> None:
    (row,) = list_four_arms(comparison)  # neither conduct nor a loss that repeats perplexity
    assert {arm: bare(row[arm]) for arm in MEANS} == {arm: f"{mean:.3f}" for arm, mean in MEANS.items()}
    assert bare(row["base_change"]) == "0.030"
    assert row["base_change_interval"] == "[0.020, 0.040]"
    assert bare(row["tuned_change"]) == "0.070"
    assert (bare(row["best_control"]), row["control"]) == ("0.250", "Retrieved passage")


def test_a_contrast_names_both_arms_and_what_is_left_out(comparison: pd.DataFrame) -> None:
    row = list_contrasts(comparison.assign(excluded=7))[1]
    assert row["contrast"] == "Tuned model → tuned model with passages"
    assert (bare(row["reference_mean"]), bare(row["arm_mean"]), row["excluded"]) == ("0.200", "0.270", "7")
    assert (row["published_p"], row["p_holm"]) == ("0.004", "0.020")


def test_rankings_stand_side_by_side_and_what_was_not_measured_is_named(comparison: pd.DataFrame) -> None:
    found = [
        {"ranking": ranking, "metric": "mrr", "relevance": "words", "k": 20, "n": 9, "groups": 5, "value": value}
        for ranking, value in (("fused", 0.5), ("dense", 0.75))
    ]
    unknown = [row | {"relevance": "known", "n": 0, "value": math.nan} for row in found]
    table = pd.DataFrame(found + unknown).assign(low=0.1, high=0.9, note="")
    counts = [("passages", 318, 18, "holds_test_answer", 300, 0), ("passages", 318, 0, "duplicate", 300, 0)]
    counts += [("training_answers", 40, 0, "holds_test_answer", 40, 7)]
    index = pd.DataFrame(counts, columns=["source", "given", "left_out", "reason", "indexed", "with_answer"])
    section = describe_retrieval(index, table, comparison)
    (row,) = section["found"]
    assert section["rankings"] == ["fused", "dense"]
    assert [cells["value"] for cells in row["values"]] == ["0.500", "0.750"]
    assert section["unfound"] == ["known"]
    assert section["index"] == [
        {"source": "passages", "left_out": "18 holds test answer", "given": "318", "indexed": "300", "with_answer": ""},
        {"source": "training_answers", "left_out": "none", "given": "40", "indexed": "40", "with_answer": "7"},
    ]


def test_judge_is_shown_with_its_checks_and_arms_with_passages_apart() -> None:
    judged = [contrast(*pair, metric="judge_accuracy", family="judge") for pair in (("base", "tuned"), *RETRIEVAL)]
    checks = pd.DataFrame(
        [["gold above empty", "judge_accuracy", 16, -0.0625, -1.2, 1.1, 0.99, "above 0", "unclear", None]],
        columns=["check", "subject", "n", "value", "low", "high", "level", "expected", "verdict", "note"],
    )
    section = describe_judge({"sentences": ["It fails."]}, pd.DataFrame(judged, columns=CONTRAST_COLUMNS), checks)
    assert [row["contrast"] for row in section["contrasts"]] == ["Base model → tuned model"]
    assert section["contrasts"][0]["metric"] == "Judge: accuracy"
    assert bare(section["contrasts"][0]["arm_mean"]) == "0.20"
    assert len(section["others"]) == len(RETRIEVAL)
    (check,) = section["checks"]
    assert (check["subject"], check["value"], check["verdict"]) == ("Judge: accuracy", "−0.062", "unclear")


def test_people_are_shown_with_what_they_left_empty() -> None:
    report = {"sheets_expected": 2, "sheets_returned": 1, "not_returned": ["ben"]}
    report |= {"raters": {"anna": {"ratings_missing": 3}}}
    agreement = pd.DataFrame(
        [["accuracy", "krippendorff_alpha", "all", 20, 0.5, 0.2, 0.7, ""]],
        columns=["axis", "measure", "raters", "n", "value", "low", "high", "note"],
    )
    empty = pd.DataFrame(columns=CONTRAST_COLUMNS)
    section = describe_people(report, agreement, empty)
    assert section["missing"] == [("anna", 3)]
    assert section["agreement"][0]["measure"] == "krippendorff alpha"
    assert section["agreement"][0]["value_interval"] == "[0.200, 0.700]"
    assert section["contrasts"] == []


def test_a_correlation_that_could_not_be_found_says_so() -> None:
    row = {"first": "rougeL", "second": "judge_accuracy", "basis": "difference", "n": 4, "groups": 4, "note": ""}
    row |= {"spearman": -0.4, "low": -1.0, "high": 0.9, "kendall": -0.3, "p_holm": 1.0, "detectable": math.inf}
    disagreements = pd.DataFrame(
        [["corpus:1", "lexical", "judge", 2.5, 9.0, 6.5]],
        columns=["id", "first", "second", "first_rank", "second_rank", "gap"],
    )
    section = describe_divergence("No verdict.", pd.DataFrame([row]), disagreements)
    (cells,) = section["correlations"]
    assert (bare(cells["spearman"]), cells["spearman_interval"]) == ("−0.400", "[−1.000, 0.900]")
    assert bare(cells["detectable"]) == "none"
    assert section["disagreements"][0]["first"] == "Text metrics"
    assert section["agreement"] == []


def test_an_example_names_the_passages_of_its_own_question(test_split: Table, evaluation: EvaluationParams) -> None:
    ids = list(test_split.frame["id"])
    contexts = pd.DataFrame(
        [(pair, place, f"book of {pair}, p. {place}") for pair in ids for place in (2, 1)],
        columns=["id", "place", "citation"],
    )
    answers = {arm: make_answers("An answer.", "eos") for arm in ("base", "tuned", "base_rag")}
    examples = choose_examples(test_split, ReportingParams(examples=3), evaluation, contexts=contexts, **answers)
    for pair, sources in zip(examples["id"], examples["sources"], strict=True):
        assert sources == f"[1] book of {pair}, p. 1; [2] book of {pair}, p. 2"
    assert {"base_rag", "base_rag_finish"} <= set(examples)
