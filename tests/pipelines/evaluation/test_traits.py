"""What test pairs are like: every dimension, every level."""

from __future__ import annotations

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.evaluation.comparison.traits import DIMENSIONS, RARE_PAIRS, describe_pairs, sort_levels
from tests.pipelines.data_engineering.conftest import make_pairs

from .conftest import Table

ANSWER = "the joint is red and hot because crystals of urate have set off a fierce inflammation in its lining"
QUESTION = "why does my big toe hurt so much at night after a feast"


def levels(test: pd.DataFrame, train: pd.DataFrame, dimension: str) -> list[str]:
    """In the order of the test pairs."""
    traits = describe_pairs(Table(test), Table(train))
    of_dimension = traits[traits["dimension"] == dimension].set_index("id")["level"]
    return of_dimension.loc[list(test["id"])].tolist()


def test_every_pair_has_one_level_in_every_dimension_whatever_the_order() -> None:
    train = make_pairs([(QUESTION, ANSWER), ("What is gout?", "pain")])
    test = make_pairs([(f"question {number}", f"{number} " * number) for number in range(1, 8)], "t")
    traits = describe_pairs(Table(test), Table(train))
    assert list(traits.columns) == ["id", "dimension", "level"]
    assert traits.groupby("dimension", sort=False).size().to_dict() == dict.fromkeys(DIMENSIONS, 7)
    shuffled = Table(test.sample(frac=1, random_state=1)), Table(train.iloc[::-1])
    assert describe_pairs(*shuffled).reset_index(drop=True).equals(traits.reset_index(drop=True))


def test_a_source_is_the_corpus_with_its_publisher() -> None:
    test = make_pairs([("a", "b"), ("c", "d")], "medquad", source=["", "NINDS"])
    assert levels(test, make_pairs([("x", "y")]), "source") == ["medquad", "medquad/NINDS"]


def test_an_unknown_question_type_is_called_none() -> None:
    test = make_pairs([("a", "b"), ("c", "d")], question_type=["treatment", ""])
    assert levels(test, make_pairs([("x", "y")]), "question_type") == ["treatment", "none"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (
            [1, 31, 32, 40, 80, 81],
            ["short (to 31 words)"] * 2 + ["medium (to 40 words)"] * 2 + ["long (over 40 words)"] * 2,
        ),
        ([5, 5, 5, 5, 9], ["short (to 5 words)"] * 4 + ["long (over 5 words)"]),
        ([1, 1, 1], ["short (to 1 words)"] * 3),
    ],
)
def test_thirds_of_the_references_by_their_words(words: list[int], names: list[str]) -> None:
    test = make_pairs([(f"q{place}", "word " * count) for place, count in enumerate(words)])
    assert levels(test, make_pairs([("x", "y")]), "answer_length") == names


def test_a_focus_is_rare_or_common_by_the_training_pairs_that_name_it() -> None:
    common = [(f"is gout number {number} bad", "yes") for number in range(RARE_PAIRS)]
    train = make_pairs(
        [
            *common,
            ("what of it", "GOUT, and gout again"),
            ("what is a heart", "an attack of the heart"),
            ("what", "a heart attack's end"),
            ("why", "a heart and an attack"),
            ("how", "lemons"),
        ],
        focus=[""] * (RARE_PAIRS + 4) + ["Scurvy"],
    )
    focuses = ["Gout", "heart attack", "scurvy", "attack", "rickets", "", "gout bad"]
    test = make_pairs([(f"q{place}", "a") for place in range(7)], "t", focus=focuses)
    rare, common_level, absent = "rare (in 1 to 9)", "common (in over 9)", "in no training pair"
    assert levels(test, train, "focus") == [common_level, rare, rare, rare, absent, "none", absent]


def test_words_of_two_texts_in_a_row_name_no_focus() -> None:
    train = make_pairs([("all about heart", "attack it"), ("attack", "of the heart")], focus=["", "heart"])
    test = make_pairs([("q", "a")], "t", focus=["heart attack"])
    assert levels(test, train, "focus") == ["in no training pair"]


def test_overlap_is_the_closest_of_a_pair() -> None:
    train = make_pairs(
        [(QUESTION, ANSWER), ("What is gout?", "B")],
        focus=["Gout", "scurvy"],
        concepts=["C1;C2", ""],
        document=["NIH/1", ""],
        choice=["", "B"],
    )
    rows = [
        (QUESTION.upper() + "?", "rest"),
        ("one", ANSWER + "."),
        (QUESTION.replace("feast", "party"), "ice"),
        ("two", ANSWER.replace("fierce", "strong")),
        ("three", " ".join(ANSWER.split()[3:12])),
        ("four", "a"),
        ("five", "b"),
        ("six", "c"),
        ("seven", "B"),
        ("eight", "d"),
    ]
    test = make_pairs(
        rows,
        "t",
        focus=["gout", "", "gout", "", "", "gout!", "", "", "", "rickets"],
        concepts=["", "", "", "", "", "", "C2;C1", "", "", "C1"],
        document=["", "", "", "", "", "", "", "nih/1", "", ""],
        choice=["", "", "", "", "", "", "", "", "B", ""],
    )
    expected = ["exact"] * 2 + ["near"] * 3 + ["same_focus"] * 3 + ["clean"] * 2
    assert levels(test, train, "overlap") == expected


def test_a_split_of_questions_and_answers_alone_is_described(test_split: Table, train_split: Table) -> None:
    traits = describe_pairs(test_split, train_split).set_index(["dimension", "id"])["level"]
    assert set(traits["focus"]) == set(traits["source"]) == {"none"}
    assert traits["overlap"].to_dict()["corpus:03"] == "exact"  # the question of a training pair
    assert traits["overlap"].value_counts().to_dict() == {"clean": 6, "exact": 1}


def test_an_empty_split_is_refused(train_split: Table) -> None:
    with pytest.raises(InputError, match="test split is empty"):
        describe_pairs(Table(train_split.frame.iloc[:0]), train_split)


def test_levels_stand_in_the_order_of_their_meaning() -> None:
    assert sort_levels("overlap", {"clean", "near", "exact"}) == ["exact", "near", "clean"]
    lengths = ["long (over 9 words)", "short (to 3 words)", "medium (to 9 words)"]
    assert sort_levels("answer_length", lengths) == [lengths[1], lengths[2], lengths[0]]
    assert sort_levels("focus", ["none", "common (in over 9)", "in no training pair", "rare (in 1 to 9)"]) == [
        "in no training pair",
        "rare (in 1 to 9)",
        "common (in over 9)",
        "none",
    ]
    assert sort_levels("source", {"none", "wikidoc", "medquad/CDC"}) == ["medquad/CDC", "wikidoc", "none"]
