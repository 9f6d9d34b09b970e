"""What an answer rests on: counted by hand."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest

from med_lora.metrics.content_words import content_words
from med_lora.metrics.grounding import attribute, grounding_metrics, read_basis, read_claims, score_claims


class Shown(NamedTuple):
    place: int
    text: str
    citation: str = ""


PASSAGES = [
    Shown(1, "Crystals of uric acid in a joint cause gout. Take 500 mg.", "Joints, p. 12"),
    Shown(2, "Asthma narrows the airways of 3 in 40 children.", "Lungs"),
]


def scores(answer: str, question: str = "Why?", passages: list[Shown] = PASSAGES) -> dict[str, float]:
    return score_claims(read_claims(answer), read_basis(question, passages))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The patient\u2019s joints aren't HOT, or are they?", ["patient", "joints", "hot"]),
        ("38.5 degrees, 1,000 mg and 2-3 weeks", ["38.5", "degrees", "1,000", "mg", "2", "3", "weeks"]),
        ("Straße na\u00efve vitamin C", ["strasse", "na\u00efve", "vitamin", "c"]),
        ("It is what it is.", []),
    ],
)
def test_content_words_are_what_function_words_leave(text: str, words: list[str]) -> None:
    assert content_words(text) == words


def test_words_count_once_and_may_stand_in_any_passage_or_its_citation() -> None:
    # gout, crystals, asthma, lungs of these and "steroids"
    assert scores("Gout, gout: crystals. Asthma of the lungs. Steroids.")["grounded_words"] == 4 / 5


def test_words_of_the_question_prove_no_reading() -> None:
    found = scores("Crystals cause gout [1]. Gout is gout [1].", "What is gout, and what causes it?")
    # crystals and cause of the first sentence; nothing is left of the second
    assert (found["grounded_words"], found["grounded_sentences"], found["citation_supported"]) == (1, 1, 1)
    echo = scores("Does uric acid cause gout?", "Does uric acid cause gout?")
    assert all(math.isnan(echo[name]) for name in ("grounded_words", "grounded_sentences", "citation_supported"))


def test_a_sentence_rests_on_one_passage_that_holds_most_of_its_words() -> None:
    answer = "Crystals cause pain. Crystals hurt children. Asthma narrows airways. It is so."
    # 2 of 3; 1 of 3 in either passage; 3 of 3; no content word, so not counted
    assert scores(answer)["grounded_sentences"] == 2 / 3
    assert scores("Crystals hurt.")["grounded_sentences"] == 0  # half is not most


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Take 500 mg [1].", 0),
        ("Take 500mg in three weeks.", 0),  # 3 stands in the second passage
        ("Take 600 mg.", 1),
        ("Take it for 7 days.", 0),  # of the question
        ("On page 12.", 1),  # a page number says nothing of the matter
        ("As in [1] and [9].", 0),
        ("", 0),
    ],
)
def test_numbers_need_a_passage_or_the_question(answer: str, expected: float) -> None:
    assert scores(answer, "For 7 days?")["ungrounded_numbers"] == expected


@pytest.mark.parametrize(
    ("answer", "cites", "wrong"),
    [
        ("Gout [1].", 1, 0),
        ("Gout. [1]", 1, 0),
        ("Gout [1, 2].", 1, 0),
        ("Gout [1-3].", 1, 1),
        ("Gout [3].", 0, 1),
        ("Gout [1][7].", 1, 1),
        ("Gout (1).", 0, 0),
        ("Gout [see below] [1234].", 0, 0),
    ],
)
def test_citations_are_numbers_in_square_brackets(answer: str, cites: float, wrong: float) -> None:
    found = scores(answer)
    assert (found["cites_passage"], found["wrong_citation"]) == (cites, wrong)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Uric acid causes gout [1].", 1),
        ("Uric acid causes gout. [1] Asthma narrows airways. [1]", 1 / 2),
        ("Uric acid causes gout [2].", 0),
        ("Uric acid narrows airways [1, 2].", 1),
        ("Uric acid causes gout.\n[2] Asthma narrows airways.", 1),  # a mark at the beginning of a line is of that line
        ("Uric acid causes gout.", math.nan),
        ("Uric acid causes gout [5].", math.nan),
    ],
)
def test_a_citation_is_supported_by_the_passages_it_names(answer: str, expected: float) -> None:
    assert scores(answer)["citation_supported"] == pytest.approx(expected, nan_ok=True)


def test_an_empty_answer_has_no_words_to_ground() -> None:
    found = scores("  ")
    assert [name for name, score in found.items() if math.isnan(score)] == [
        "grounded_words",
        "grounded_sentences",
        "citation_supported",
    ]
    assert found["cites_passage"] == found["wrong_citation"] == found["ungrounded_numbers"] == 0


def test_without_passages_nothing_is_defined() -> None:
    assert all(math.isnan(score) for score in scores("Gout [1].", passages=[]).values())


def test_every_metric_has_a_score_and_one_is_tested() -> None:
    metrics = grounding_metrics()
    assert set(scores("Gout.")) == {metric.name for metric in metrics}
    assert [metric.name for metric in metrics if metric.tested] == ["grounded_words"]
    assert {metric.family for metric in metrics} == {"grounding"}


def test_each_sentence_gets_the_passage_it_rests_on_most() -> None:
    answer = "Uric acid causes gout, i.e. pain. [2]\n- Asthma narrows airways\nSee a doctor! Why?"
    found = attribute("Why?", answer, PASSAGES)
    assert [(line.sentence, line.place, line.citation) for line in found] == [
        ("Uric acid causes gout, i.e. pain [2].", 0, ""),
        ("- Asthma narrows airways", 2, "Lungs"),
        ("See a doctor!", 0, ""),
        ("Why?", 0, ""),
    ]
    assert attribute("Why?", "Uric acid: gout.", PASSAGES)[0].place == 1


def test_words_of_the_question_attribute_nothing() -> None:
    echo = "Uric acid causes gout."
    assert attribute("Does uric acid cause it?", echo, PASSAGES)[0].place == 0  # gout alone is half of what is left
    assert attribute("Is gout of uric acid?", f"{echo} Crystals of uric acid.", PASSAGES)[1].place == 1
    assert attribute(echo, echo, PASSAGES)[0].place == 0


def test_of_equal_passages_the_first_is_named_and_without_any_none() -> None:
    twice = [Shown(2, "Gout."), Shown(1, "Gout.")]
    assert attribute("Why?", "Gout.", twice)[0].place == 1
    assert attribute("Why?", "Gout.", [])[0].place == 0
    assert attribute("Why?", "", twice) == []


@pytest.mark.parametrize("sign", ["[1 ", "[1,", ". ", "1,"])
def test_an_answer_of_the_same_over_and_over_costs_no_time(sign: str) -> None:
    assert scores(f"Crystals {sign * 20_000}")["cites_passage"] == 0


@pytest.mark.parametrize("sign", [" ", "\n", ".", "[", "'", "1", "a", "-"])
def test_a_million_equal_signs_cost_no_time(sign: str) -> None:
    run = sign * 1_000_000
    assert scores(f"Gout.{run}")["cites_passage"] == 0
    assert scores(f"Crystals cause gout [1]. {run}")["cites_passage"] == 1


def test_citations_behind_a_million_points_are_read() -> None:
    assert scores("." * 1_000_000 + "[1]" * 5_000)["cites_passage"] == 1
