"""Corpora in numbers: reasons, words, groups, and topics too rare to be named."""

from __future__ import annotations

import pandas as pd
import pytest

from med_lora.inspection.corpora import count_groups, count_reasons, count_topics, count_words, describe_words
from tests.pipelines.reporting.conftest import Table


@pytest.fixture
def splits() -> dict[str, Table]:
    train = {
        "corpus": ["m", "m", "m", "w"],
        "focus": ["Gout", "Gout", "Lupus", ""],
        "question": ["What is gout?", "Why?", "How so?", "Is it?"],
        "answer": ["one", "one two", "one two three", "one  two\nthree four"],
        "group": [1, 1, 2, 3],
    }
    test = {"corpus": ["m"], "focus": ["Gout"], "question": ["Why not?"], "answer": ["no"], "group": [3]}
    return {"train": Table(pd.DataFrame(train)), "test": Table(pd.DataFrame(test))}


def test_reasons_are_counted_by_corpus_without_what_screening_found() -> None:
    rows = [
        ("m", "keep", "kept", 5),
        ("m", "clean", "empty_answer", 2),
        ("m", "screen", "screened_phones", 3),
        ("w", "keep", "kept", 4),
        ("all", "keep", "kept", 9),
    ]
    outcomes = pd.DataFrame(rows, columns=["corpus", "stage", "outcome", "rows"]).assign(rows_read=7)
    assert count_reasons(outcomes).to_dict("index") == {
        ("keep", "kept"): {"m": 5, "w": 4},
        ("clean", "empty answer"): {"m": 2, "w": 0},
    }


def test_words_are_split_at_white_space(splits: dict[str, Table]) -> None:
    words = count_words(splits)
    assert words["answer"].tolist() == [1, 2, 3, 4, 1]
    assert words["split"].tolist() == ["train"] * 4 + ["test"]
    described = describe_words(words).set_index(["corpus", "part"])
    assert described.loc[("m", "answer")].to_dict() == {"pairs": 4, "median": 1, "p95": 3, "max": 3}


def test_a_group_in_two_splits_is_counted(splits: dict[str, Table]) -> None:
    train, test = count_groups(splits).to_dict("records")
    assert train == {
        **{"split": "train", "pairs": 4, "groups": 3, "median_pairs": 1.0, "largest": 2},
        **{"largest_share": "50 %", "shared": 1},
    }
    assert (test["groups"], test["shared"]) == (1, 1)


def test_topics_below_the_least_number_are_counted_together(splits: dict[str, Table]) -> None:
    assert count_topics(splits, fewest=3).to_dict("records") == [
        {"topic": "Gout", "pairs": 3, "train": 2, "test": 1},
        {"topic": "1 topic with fewer than 3 pairs", "pairs": 1, "train": 1, "test": 0},
        {"topic": "no topic given", "pairs": 1, "train": 1, "test": 0},
    ]
