"""Differences between answers are marked without a change of the text."""

from __future__ import annotations

import pytest

from med_lora.pipelines.reporting.marking import COMPARED_WORDS, mark_differences
from tests.injections import INJECTIONS


def marked(answer: str, other: str) -> list[str]:
    return [text for text, own in mark_differences(answer, other).pieces if own]


def test_words_of_this_answer_alone_are_marked() -> None:
    answer = "Gout is a painful arthritis of the toe."
    assert marked(answer, "Gout is a form of arthritis of the toe.") == ["painful"]
    assert marked("Gout is a form of arthritis of the toe.", answer) == ["form of"]


def test_case_and_what_lies_between_words_make_no_difference() -> None:
    assert marked("THE toe -- hurts!", "the toe\nhurts.") == []


def test_neighbours_are_marked_as_one_with_what_lies_between_them() -> None:
    assert marked("rest, cold packs and time", "rest and time") == ["cold packs"]
    assert marked("iron-deficiency isn't rare at all", "anaemia is rare at all") == ["iron-deficiency isn't"]


def test_words_in_another_order_are_marked() -> None:
    assert marked("first the pain, fever later", "first the fever, pain later") in (["pain"], ["fever"])


@pytest.mark.parametrize(
    "answer",
    ["", " ", "\n\n  two  spaces \t", "…!?", "ÉTÉ İstanbul straße ﬁ", "一二三 αβγ", "x\u0301y 5² mg/dl", *INJECTIONS],
)
def test_the_pieces_together_are_the_text(answer: str) -> None:
    for other in ("", "Gout is a painful arthritis.", answer, answer[::-1], answer.upper()):
        for one, two in ((answer, other), (other, answer)):
            assert "".join(text for text, _ in mark_differences(one, two).pieces) == one
    assert not any(own for _, own in mark_differences(answer, answer).pieces)


def test_nothing_is_marked_where_it_would_be_most_of_the_words() -> None:
    answer = "one two three four five, six seven eight nine ten"
    at_most = mark_differences(answer, "five six seven eight, or one")
    assert [text for text, own in at_most.pieces if own] == ["one two three four", "nine ten"]  # six of ten words
    assert not at_most.unlike
    assert mark_differences(answer, "six seven eight") == ([(answer, False)], True)
    assert mark_differences(answer, "") == ([(answer, False)], True)
    assert mark_differences("", answer) == ([], False)


def test_frequent_words_of_long_answers_are_compared_like_all_others() -> None:
    """The heuristic of difflib would take a word that is frequent in more than 200 for noise."""
    shared = "the pain in the knee and the hip " * 35
    assert marked(shared + "burns", shared + "aches") == ["burns"]


def test_long_answers_are_compared_as_far_as_the_limit() -> None:
    long = " ".join(f"word{number}" for number in range(COMPARED_WORDS + 500))
    half = " ".join(long.split()[: COMPARED_WORDS // 2])
    assert marked(long, half) == [" ".join(long.split()[COMPARED_WORDS // 2 : COMPARED_WORDS])]
    assert marked("word5 something", long) == []  # it might stand in the part that is not compared
