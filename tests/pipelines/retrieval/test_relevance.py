"""Which passages count as relevant to a test pair."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from med_lora.pipelines.retrieval import relevance
from med_lora.pipelines.retrieval.relevance import FEWEST_CONTENT_WORDS, known_passages, passages_with_words


def indexed(**texts: str) -> pd.DataFrame:
    return pd.DataFrame({"id": list(texts), "chapter": "", "text": list(texts.values())})


PASSAGES = pd.DataFrame(
    [
        ("wiki:wiki/Gout#0001", "Gout"),
        ("wiki:wiki/Gout#0002", "Gout"),
        ("books:joints/003-hip#0001", "003-hip"),
        ("training:medquad:7", "Gout"),
        ("wiki:wiki/#0001", ""),
    ],
    columns=["id", "chapter"],
)
GOUT = {"wiki:wiki/Gout#0001": 1.0, "wiki:wiki/Gout#0002": 1.0}


def known(**pair: object) -> dict[str, float]:
    return known_passages(pd.DataFrame([pair]), PASSAGES)[str(pair["id"])]


def test_a_generated_pair_names_its_passage_alone() -> None:
    assert known(id="generated:books:joints/003-hip#0001/long-2", focus="Gout") == {"books:joints/003-hip#0001": 1.0}


def test_a_generated_pair_whose_passage_is_not_indexed_has_none() -> None:
    assert known(id="generated:books:joints/004-knee#0001/short-1", document="Gout", focus="Gout") == {}


@pytest.mark.parametrize("columns", [{"focus": "GOUT"}, {"document": "gout."}, {"focus": "", "document": "Gout"}])
def test_a_pair_belongs_to_the_page_of_its_focus_or_document(columns: dict[str, str]) -> None:
    assert known(id="medquad:1", **columns) == GOUT


@pytest.mark.parametrize("columns", [{}, {"focus": ""}, {"focus": math.nan}, {"focus": None}, {"focus": "Gouty"}])
def test_a_pair_without_such_a_page_has_none(columns: dict[str, object]) -> None:
    assert known(id="medquad:1", **columns) == {}


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of three content words count."""
    monkeypatch.setattr(relevance, "FEWEST_CONTENT_WORDS", 3)


@pytest.mark.usefixtures("short")
def test_words_grade_the_passages_that_hold_enough_of_the_answer() -> None:
    pairs = pd.DataFrame({"id": ["a"], "answer": ["Gout is caused by uric acid in the joints."]})
    passages = indexed(
        all="In gout, crystals of uric acid have caused harm to joints.",
        three="Uric acid: caused by food.",
        two="The acid caused pain.",
        none="Asthma.",
    )
    assert passages_with_words(pairs, passages, 0.6) == {"a": {"all": 1.0, "three": 0.6}}
    assert passages_with_words(pairs, passages, 0.61) == {"a": {"all": 1.0}}


@pytest.mark.usefixtures("short")
def test_words_that_repeat_count_once_and_function_words_never() -> None:
    pairs = pd.DataFrame({"id": ["a"], "answer": ["Rest and rest, and the ice and a splint"]})
    assert passages_with_words(pairs, indexed(p="ice ice", q="and the a and"), 0.3) == {
        "a": {"p": pytest.approx(1 / 3)}
    }


def test_to_an_answer_of_few_content_words_nothing_is_relevant() -> None:
    words = [f"word{number}" for number in range(FEWEST_CONTENT_WORDS)]
    pairs = pd.DataFrame({"id": ["a", "b", "c"], "answer": [" ".join(words), " ".join(words[1:]), "The."]})
    assert passages_with_words(pairs, indexed(p=" ".join(words)), 0.5) == {"a": {"p": 1.0}, "b": {}, "c": {}}


@pytest.mark.usefixtures("short")
def test_many_pairs_are_graded_as_one() -> None:
    answers = [f"word{number} word{number + 1} word{number + 2}" for number in range(150)]
    pairs = pd.DataFrame({"id": [f"p{number}" for number in range(150)], "answer": answers})
    passages = indexed(**{f"t{number}": answer for number, answer in enumerate(answers)})
    whole = passages_with_words(pairs, passages, 0.5)
    for place in (0, 63, 64, 149):
        assert passages_with_words(pairs.iloc[[place]], passages, 0.5)[f"p{place}"] == whole[f"p{place}"]
    assert set(whole["p64"]) == {"t63", "t64", "t65"}
