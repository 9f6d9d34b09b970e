"""BM25: values by hand and of the package bm25s, words of any script, and questions that nothing answers."""

from __future__ import annotations

import math

import pytest

from med_lora.retrieval.lexical import K1, B, WordSearch, read_words

TEXTS = [
    "Gout is a painful arthritis of the toe.",
    "Rest the joint, and drink water: water helps.",
    "Asthma narrows the airways; see a doctor.",
    "Gout, gout and more gout.",
    "See a doctor about the joint",
]


def test_words_are_unicode_in_lower_case() -> None:
    words = read_words("Crohn's ÉTUDE, β-blocker 2.5 mg\n糖尿病")
    assert words == ["crohn", "s", "étude", "β", "blocker", "2", "5", "mg", "糖尿病"]


def test_scores_are_those_of_the_formula_by_hand() -> None:
    texts = ["gout gout rest", "rest", "water and rest now"]
    (ranking,) = WordSearch(texts).search(["gout rest"], 3)
    mean = (3 + 1 + 4) / 3

    def weight(holding: int, frequency: int, length: int) -> float:
        idf = math.log(1 + (3 - holding + 0.5) / (holding + 0.5))
        return idf * frequency / (frequency + K1 * (1 - B + B * length / mean))

    expected = {0: weight(1, 2, 3) + weight(3, 1, 3), 1: weight(3, 1, 1), 2: weight(3, 1, 4)}
    assert [place for place, _ in ranking] == [0, 1, 2]
    assert dict(ranking) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("question", "scores"),
    [
        ("What is gout?", [0.9588521863853976, 0.0, 0.0, 0.6629384648114164, 0.0]),
        ("water water joint", [0.0, 2.0220748336038836, 0.0, 0.0, 0.4180609139049522]),
        ("see the doctor", [0.12195998083990711, 0.12195998083990711, 0.9156283302962448, 0.0, 0.973498098362721]),
    ],
)
def test_scores_are_those_of_bm25s(question: str, scores: list[float]) -> None:
    # bm25s 0.3.16: BM25(k1=1.2, b=0.75, method="lucene", dtype="float64") over the same words
    (ranking,) = WordSearch(TEXTS).search([question], 5)
    assert dict(ranking) == pytest.approx({place: score for place, score in enumerate(scores) if score}, abs=1e-9)
    assert [score for _, score in ranking] == sorted((score for _, score in ranking), reverse=True)


@pytest.mark.parametrize("question", ["", "  ", "?!", "hepatitis", "gou"])
def test_a_question_without_a_known_word_finds_nothing(question: str) -> None:
    assert WordSearch(TEXTS).search([question], 5) == [[]]


def test_ties_go_to_the_lower_place_and_the_count_holds() -> None:
    search = WordSearch(["rest well", "rest more", "water", "rest well"])
    assert [place for place, _ in search.search(["rest"], 9)[0]] == [0, 1, 3]
    assert [place for place, _ in search.search(["rest"], 2)[0]] == [0, 1]


def test_the_order_of_words_does_not_matter() -> None:
    search = WordSearch(TEXTS)
    words = ["see", "the", "doctor", "about", "gout", "and", "the", "painful", "joint"]
    assert search.search([" ".join(words)], 5) == search.search([" ".join(reversed(words))], 5)


def test_passages_without_a_word_are_searched_and_never_found() -> None:
    assert WordSearch(["", "..."]).search(["gout"], 2) == [[]]
    assert [place for place, _ in WordSearch(["", "gout"]).search(["gout"], 2)[0]] == [1]
    assert WordSearch([]).search(["gout"], 2) == [[]]
