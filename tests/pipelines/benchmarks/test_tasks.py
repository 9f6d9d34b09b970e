"""Every item becomes a prompt with its choices, none by a prefix."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.errors import InputError
from med_lora.pipelines.benchmarks import harness
from med_lora.pipelines.benchmarks.tasks import collect_questions
from tests.pipelines.benchmarks.conftest import DECISIONS, EXAM, parse

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra bench)")


def test_an_exam_is_asked_for_the_letter_of_an_option(exam: Chunks) -> None:
    first = collect_questions(exam).iloc[0]
    assert first["prompt"] == ("Question: Which vitamin do scurvy patients lack?\nA. A\nB. B12\nC. C\nD. D\nAnswer:")
    assert first[["benchmark", "id", "choices", "gold", "fault"]].tolist() == ["exam", "exam:000", "A B C D", "C", ""]


def test_choices_are_the_options_and_no_line_of_the_stem(exam: Chunks) -> None:
    choices = collect_questions(exam)["choices"].tolist()
    assert choices == ["A B C D", "A B", "A B", "A B C D E", "A B C", ""]


def test_options_that_are_empty_are_no_choice() -> None:
    record = {"question": "Which?", "opa": "one", "opb": "", "opc": "three", "opd": "four", "cop": "D"}
    (choices,) = collect_questions(parse("gaps", "choices", [record]))["choices"]
    assert choices == "A C D"


def test_pubmedqa_is_asked_below_its_abstract(studies: Chunks) -> None:
    first = collect_questions(studies).iloc[0]
    assert first["prompt"] == (
        "Abstract: We asked 3 people to rest.\nOthers walked.\n\nQuestion: Does rest help patient group 0?\n"
        "Answer with yes, no or maybe.\nAnswer:"
    )
    assert first[["id", "choices", "gold"]].tolist() == ["studies:000", "yes no maybe", "yes"]


def test_all_items_of_a_part_sorted_by_label_are_used(studies: Chunks) -> None:
    assert collect_questions(studies)["gold"].tolist() == DECISIONS


def test_benchmarks_stand_below_each_other(exam: Chunks, studies: Chunks) -> None:
    questions = collect_questions(studies, exam)
    assert questions["benchmark"].tolist() == ["studies"] * len(DECISIONS) + ["exam"] * len(EXAM)


def test_items_that_cannot_be_asked_are_counted_without_their_text(
    exam: Chunks, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        questions = collect_questions(exam)
    assert questions["fault"].tolist() == [""] * 5 + ["no_answer"]
    assert caplog.messages == ["exam: 1 of 6 items cannot be asked (1 no_answer)."]
    assert questions["prompt"].iat[5] == ""


def test_items_without_question_or_abstract_are_not_asked() -> None:
    study = {"QUESTION": "Does it help?", "CONTEXTS": [], "LONG_ANSWER": "Yes.", "final_decision": "yes"}
    assert collect_questions(
        parse("studies", "pubmedqa", [study, study | {"CONTEXTS": ["We asked."]}, study | {"QUESTION": ""}]),
        parse("exam", "choices", [EXAM[0], EXAM[0] | {"question": ""}]),
    )["fault"].tolist() == ["no_abstract", "", "no_question", "", "no_question"]


def test_a_right_choice_that_is_no_option_is_not_asked_and_the_rest_is() -> None:
    questions = ["Which?\nA. one\nB. two", "Which?\nA. one\nB. two", "Which of those above?", "Only one?\nA. this"]
    pairs = pd.DataFrame(
        {"corpus": "exam", "id": list("abcd"), "question": questions, "choice": list("BCAA"), "fault": ""}
    )
    asked = collect_questions(Chunks(lambda: iter([pairs])))
    assert asked["fault"].tolist() == ["", *["answer_not_among_options"] * 3]
    assert asked["choices"].tolist() == ["A B", "", "", ""]


def test_a_benchmark_without_choices_is_left_out_and_named(exam: Chunks, caplog: pytest.LogCaptureFixture) -> None:
    pairs = parse("pairs", "pairs", [{"question": "Why?", "answer": "Nobody knows."}])
    with caplog.at_level(logging.WARNING):
        assert set(collect_questions(pairs, exam)["benchmark"]) == {"exam"}
    assert "pairs: 1 of 1 items cannot be asked (1 no_choice)." in caplog.messages
    with pytest.raises(InputError, match=r"None of the benchmarks in data_engineering.benchmarks \(pairs\) has"):
        collect_questions(pairs)


def test_a_missing_harness_ends_the_pipeline_with_one_sentence(exam: Chunks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"run `pip install -e \.\[bench\]`\.$"):
        collect_questions(exam)
