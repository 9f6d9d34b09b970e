"""Each study's table in its own shape, with the run's rows under the same names."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.reporting.studies.shapes import COLUMNS, tabulate_study


@pytest.fixture
def tabulate(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], forgetting: pd.DataFrame
) -> Any:
    def make(study: str, **more: Any) -> pd.DataFrame:
        table = tabulate_study(study, raw_studies, parameters, **tables, forgetting=forgetting, **more)
        assert list(table.columns) == COLUMNS[raw_studies[study]["shape"]]
        assert set(table["source"]) <= {"published", "ours"}
        return table

    return make


def split(table: pd.DataFrame) -> tuple[list[dict[Any, Any]], list[dict[Any, Any]]]:
    published, ours = (table[table["source"] == source].to_dict("records") for source in ("published", "ours"))
    return published, ours


def test_models_stand_with_their_maxima_and_ours_with_means_too(tabulate: Any, scores: pd.DataFrame) -> None:
    published, ours = split(tabulate("medlms", scores=scores))
    assert [row["system"] for row in published][:2] == ["Llama-2-7B", "Mistral-7B"]
    assert published[1]["rouge1_max"] == 1.0
    assert math.isnan(published[1]["rouge1"])
    assert published[2]["impossible"] == "exact_match, rouge1_max, token_f1_max"
    assert [row["arm"] for row in ours] == ["base", "tuned"]
    assert (ours[1]["bleu"], ours[1]["bleu_max"], ours[1]["n"]) == (2.5, 7.5, 60)


def test_models_of_one_system_leave_the_others_out(tabulate: Any) -> None:
    published, _ = split(tabulate("medlms", study_system="DistilGPT2"))
    assert [(row["system"], row["answer_seconds"]) for row in published] == [("DistilGPT2", 7.03)]


def test_rows_of_a_rehearsal_are_not_called_ours(
    raw_studies: dict[str, Any], parameters: dict[str, Any], tables: dict[str, Any], forgetting: pd.DataFrame
) -> None:
    rehearsed = parameters | {"rehearsal_of": "medidialogue"}
    table = tabulate_study("medidialogue", raw_studies, rehearsed, **tables, forgetting=forgetting)
    assert set(table["source"]) == {"published", "rehearsal"}


def test_tracks_put_both_tests_beside_each_metric(tabulate: Any, judge_comparison: pd.DataFrame) -> None:
    published, ours = split(tabulate("medidialogue", judge_comparison=judge_comparison))
    assert [row["metric"] for row in published][:5] == ["bleu", "rouge1", "rouge2", "rougeL", "meteor"]
    assert [row["track"] for row in published] == ["text"] * 5 + ["judge"] * 4
    assert (published[0]["gain"], published[0]["p_as_published"]) == (5.4899, 0.0040)
    assert published[5]["gain"] == pytest.approx(2.65 / 2.80 - 1)  # not printed, and follows from what is
    by_metric = {row["metric"]: row for row in ours}
    assert by_metric["bleu"]["p_as_published"] == 0.5
    assert by_metric["bleu"]["p_holm"] == 0.02
    assert by_metric["judge_accuracy"]["tuned"] == 3.0
    assert "meteor" not in by_metric  # the run has no such metric


def test_losses_stand_by_step_and_perplexities_before_and_after(tabulate: Any) -> None:
    published, ours = split(tabulate("gpt2_medical_terms"))
    assert [row["step"] for row in published if row["stage"] == "training"] == [1, 100, 200, 300]
    assert [(row["stage"], row["perplexity_padded"]) for row in published[4:]] == [("before", 27.81), ("after", 4.79)]
    steps = [(row["step"], row["train_loss"], row["validation_loss"]) for row in ours if row["stage"] == "training"]
    assert steps == [(60, 30.5, 4.4), (120, 90.5, 3.8)]
    assert [(row["perplexity"], row["perplexity_padded"]) for row in ours[2:]] == [(30.0, 9.0), (12.0, 4.0)]


def test_ranks_show_losses_scores_general_english_and_exams(tabulate: Any) -> None:
    exams = pd.DataFrame([{"benchmark": "medqa", "n": 50, "base": 0.3, "tuned": 0.25, "note": ""}])
    published, ours = split(tabulate("lund_heart", benchmark_comparison=exams))
    assert [row["rank"] for row in published] == [16, 32, 64]
    assert all(math.isnan(row["after"]) for row in published)
    assert {(row["rank"], row["adaptation"]) for row in ours} == {
        (16, "continued pre-training, then instruction tuning")
    }
    measured = {row["measure"]: (row["before"], row["after"]) for row in ours}
    assert measured["validation_loss"] == (5.0, 3.8)
    assert measured["rougeL"] == (0.15, 0.18)
    assert measured["general English: bits_per_byte"] == (2.1, 2.4)
    assert measured["exam: medqa"] == (0.3, 0.25)


def test_side_by_side_counts_words_and_passages_and_holds_no_text(tabulate: Any, scores: pd.DataFrame) -> None:
    secret = "seven words of nobody else's business here"
    examples = pd.DataFrame(
        {
            "id": ["a", "b"],
            "question": [secret, secret],
            "reference": [secret, secret],
            "sources": ["[1] Book, p. 3; [2] Book, p. 9", ""],
            "base": [secret, "no"],
            "base_finish": ["eos", "length"],
            "tuned_rag": [secret, secret],
            "tuned_rag_finish": ["eos", "eos"],
        }
    )
    table = tabulate("kim2024_msk", examples=examples, scores=scores)
    published, ours = split(table)
    assert len(published) == 12
    assert {row["question"] for row in published if row["refused"]} == {f"question {number}" for number in (2, 3, 4, 5)}
    assert [(row["question"], row["arm"]) for row in published if row["cut"]] == [("question 6", "base")]
    of = {(row["question"], row["arm"]): row for row in ours}
    first, second = "test question 1", "test question 2"
    assert set(of) == {(question, arm) for question in (first, second) for arm in ("base", "tuned_rag")}
    assert (of[first, "tuned_rag"]["words"], of[first, "tuned_rag"]["passages"]) == (7, 2)
    assert (of[first, "base"]["passages"], of[second, "base"]["cut"], of[second, "base"]["refused"]) == (0, 1, 1)
    written = table.to_csv(index=False)
    assert secret not in written
    assert not set(examples["id"]) & set(re.split(r"[,\n]", written))


def test_folder_of_a_local_model_is_nobody_elses_business(
    tabulate: Any, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(parameters, "model", {"id": "/home/jane/models/tiny"})
    _, ours = split(tabulate("medlms"))
    assert [row["system"] for row in ours] == ["tiny", "tiny"]
