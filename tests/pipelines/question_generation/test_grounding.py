"""What counts as resting on the passage."""

from __future__ import annotations

from decimal import Decimal

import pytest

from med_lora.pipelines.question_generation.grounding import find_fault, is_quoted, refers_to_passage
from med_lora.stated_numbers import numbers
from tests.pipelines.question_generation.conftest import TEXTS

PASSAGE = TEXTS[0]
EVIDENCE = "The big toe is affected first"


@pytest.mark.parametrize(
    "evidence",
    [
        "caused by crystals of urate",
        "Caused  by\ncrystals of URATE.",
        "“caused by crystals of urate”",
        "- caused by crystals, of 'urate'!",
        "0.5 mg is given",
    ],
)
def test_white_space_case_quotes_and_punctuation_do_not_matter(evidence: str) -> None:
    assert is_quoted(evidence, PASSAGE, 4)


@pytest.mark.parametrize(
    "evidence",
    [
        "caused by crystals of uric acid",
        "caused by crystals of ura",
        "used by crystals of urate",
        "Gout is an arthritis ... two to four times a day",
        "arthritis an is Gout",
        "0.5 mg is not given",
        "5 mg is given two",
        "crystals of urate",
        "",
        "...!",
    ],
)
def test_changed_gapped_and_short_quotations_do_not_count(evidence: str) -> None:
    assert not is_quoted(evidence, PASSAGE, 4)


def test_a_sign_that_turns_a_value_round_counts() -> None:
    assert is_quoted("below pH <7 it is", "It dissolves; below pH < 7 it is stable.", 4)
    assert not is_quoted("below pH >7 it is", "It dissolves; below pH < 7 it is stable.", 4)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,000 mg or 1000 mg", ["1000"]),
        ("0.50 g and 0,5 g", ["0.5"]),
        ("Two of twelve, and one more", ["2", "12"]),
        ("vitamin B12, L4-L5", ["12", "4", "5"]),
        ("1. Rest.\n2) Ice.\n(3) Wait 48 h.", ["48"]),
        ("version 1.2.3", ["1", "2", "3"]),
        ("1,234,567.8", ["1234567.8"]),
        ("no number", []),
    ],
)
def test_numbers_are_compared_by_value(text: str, values: list[str]) -> None:
    assert numbers(text) == {Decimal(value) for value in values}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ("Crystals of urate.", ""),
        ("2 to 4 times a day, 0.5 mg each.", ""),
        ("0,5 mg", ""),
        ("5 mg", "ungrounded_number"),
        ("Three times a day.", "ungrounded_number"),
        ("According to the passage, crystals.", "refers_to_passage"),
    ],
)
def test_numbers_that_the_passage_lacks(answer: str, fault: str) -> None:
    assert find_fault("What helps in gout?", answer, EVIDENCE, PASSAGE, 4) == fault


def test_evidence_comes_first() -> None:
    assert find_fault("What does the text say?", "5 mg", "It is given by mouth", PASSAGE, 4) == "ungrounded"


@pytest.mark.parametrize(
    "question",
    [
        "According to the passage, what is gout?",
        "What does the text say about gout?",
        "Which drug is mentioned above?",
        "In this chapter, which joint comes first?",
        "What do the authors advise?",
        "What does Figure 2 show?",
        "Based on the given context, what is gout?",
        "Which symptoms are listed in the excerpt?",
        "What is described in the above text?",
    ],
)
def test_questions_that_need_the_passage(question: str) -> None:
    assert refers_to_passage(question)


@pytest.mark.parametrize(
    "question",
    [
        "What hinders the passage of urine?",
        "What eases pain from the passage of a kidney stone?",
        "What is gout in the context of diabetes?",
        "Which air passages does asthma narrow?",
        "What is a figure-of-eight bandage?",
        "How is text-message support used in diabetes?",
        "Is the pressure above 140 mmHg?",
    ],
)
def test_medicine_that_only_sounds_so(question: str) -> None:
    assert not refers_to_passage(question)
