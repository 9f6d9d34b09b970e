from __future__ import annotations

import logging
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import SplitParams
from med_lora.pipelines.data_engineering.leakage import find_overlap, measure_leakage
from med_lora.pipelines.data_engineering.splitting import split_pairs
from tests.pipelines.data_engineering.conftest import make_pairs

ANSWER = "the joint is red and hot because crystals of urate have set off a fierce inflammation in its lining"
QUESTION = "why does my big toe hurt so much at night after a feast"


def dataset(pairs: pd.DataFrame) -> Any:
    from datasets import Dataset

    return Dataset.from_pandas(pairs, preserve_index=False)


def counts(leakage: pd.DataFrame, split: str) -> dict[str, int]:
    of_split = leakage[leakage["split"] == split]
    return {kind: pairs for kind, pairs in zip(of_split["kind"], of_split["pairs"], strict=True) if pairs}


def test_each_kind_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    train = make_pairs(
        [(QUESTION, ANSWER), ("What is gout?", "B")],
        focus=["Gout", "scurvy"],
        concepts=["C1;C2", ""],
        document=["NIH/1", ""],
        choice=["", "B"],
    )
    rows = [
        (QUESTION.upper(), ANSWER + "."),
        (QUESTION + "?", "rest"),
        ("another", ANSWER),
        ("third", "a"),
        ("fourth", "b"),
        ("fifth", "c"),
        ("sixth", ANSWER.replace("fierce", "strong")),
        (QUESTION.replace("feast", "party"), "B"),
        ("seventh", " ".join(ANSWER.split()[3:12])),
    ]
    test = make_pairs(
        rows,
        "t",
        focus=["", "", "", "gout!", "", "", "", "", ""],
        concepts=["", "", "", "", "C2;C1", "C1", "", "", ""],
        document=["", "", "", "", "", "nih/1", "", "", ""],
    )
    leakage = measure_leakage(dataset(train), dataset(test.iloc[:0]), dataset(test))
    assert list(leakage.columns) == ["split", "kind", "pairs", "of", "share"]
    assert counts(leakage, "validation") == {}
    assert (leakage.loc[leakage["split"] == "validation", "share"] == 0).all()
    assert counts(leakage, "test") == {
        "exact_pair": 1,
        "exact_question": 2,
        "exact_answer": 2,
        "same_focus": 1,
        "same_concept": 1,
        "same_document": 1,
        "near_pair": 1,
        "near_question": 3,
        "near_answer": 3,
        "contained_answer": 4,
    }
    assert leakage.set_index(["split", "kind"]).loc[("test", "exact_question"), "share"] == 2 / 9
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "of 9 test pairs 1 stand in the training part, question and answer; 2 have their question" in record.message
    assert "urate" not in caplog.text


def test_overlap_is_told_of_each_pair_in_the_order_of_its_split() -> None:
    train = make_pairs([(QUESTION, ANSWER), ("what is gout", "B")], focus=["gout", ""], choice=["", "B"])
    rows = [("one", "two"), (QUESTION, "rest"), ("three", ANSWER), ("what is gout", "B"), ("four", "five")]
    split = make_pairs(rows, focus=["", "", "", "", "Gout"], choice=["", "", "", "B", ""]).set_axis(list("abcde"))
    flags = find_overlap(train, {"test": split, "none": split.iloc[:0]})
    found = flags["test"]
    assert {kind: "".join(found.index[found[kind]]) for kind in found if found[kind].any()} == {
        "exact_pair": "d",
        "exact_question": "bd",
        "exact_answer": "c",
        "same_focus": "e",
        "near_pair": "d",
        "near_question": "bd",
        "near_answer": "c",
        "contained_answer": "c",
    }
    assert list(flags["none"].columns) == list(found.columns)
    assert flags["none"].empty


@pytest.mark.parametrize(
    ("answer", "choice", "count"),
    [
        (" ".join(ANSWER.split()[:8]), "", 1),
        (" ".join(ANSWER.split()[:7]), "", 0),
        (" ".join(ANSWER.split()[:8]), "B", 0),
        (" ".join([*ANSWER.split()[:10], "and", "so"]), "", 1),  # 8 of its 10 3-grams
        (" ".join([*ANSWER.split()[:9], "and", "so"]), "", 0),  # 7 of 9
        (" ".join([*ANSWER.split()[:6], *ANSWER.split()[12:]]), "", 1),  # 9 of 11
        (" ".join([*ANSWER.split()[:6], "then it heals within a week"]), "", 0),  # half of it in each of two
    ],
)
def test_an_answer_that_stands_in_a_longer_one_is_contained(answer: str, choice: str, count: int) -> None:
    train = make_pairs([("one", f"{ANSWER} {ANSWER[::-1]}"), ("two", "Rest, and then it heals within a week.")])
    leakage = measure_leakage(
        dataset(train), dataset(train.iloc[:0]), dataset(make_pairs([("q", answer)], choice=[choice]))
    )
    assert counts(leakage, "test") == ({"contained_answer": 1} if count else {})


def test_a_question_is_compared_where_one_of_the_two_is_free() -> None:
    question = "What are the best known treatments for gout and all of its many kin?"
    free = make_pairs([(question.replace("the best", "your best"), "ice")])
    typed = make_pairs([(question, "rest")], focus=["gout"], question_type=["treatment"])
    other = make_pairs([(question.replace("gout", "scurvy"), "lemons")], focus=["scurvy"], question_type=["treatment"])
    nothing = dataset(free.iloc[:0])
    for train, test, count in ((free, typed, 1), (typed, free, 1), (typed, other, 0), (free, free, 1)):
        leakage = measure_leakage(dataset(train), nothing, dataset(test)).set_index(["split", "kind"])
        assert leakage.loc[("test", "near_question"), "pairs"] == count


def test_a_split_without_leaks_is_said_to_have_none(caplog: pytest.LogCaptureFixture) -> None:
    train, test = make_pairs([("one", "two")]), make_pairs([("three", "four"), ("", "")], "t")
    with caplog.at_level(logging.INFO):
        leakage = measure_leakage(dataset(train), dataset(test), dataset(test))
    assert (leakage["pairs"] == 0).all()
    assert [record.levelname for record in caplog.records] == ["INFO"]


def split(mode: Any, validation: int, test: int) -> SplitParams:
    return SplitParams(mode=mode, train=None, validation=validation, test=test, seed=0)


def related(count: int) -> pd.DataFrame:
    """Four pairs a topic, of which two share the question."""
    rows = [(f"what of topic{row // 4} {row % 4 // 2}", f"answer {row} {row}") for row in range(count)]
    return make_pairs(rows, focus=[f"topic{row // 4}" for row in range(count)])


def test_a_split_by_group_leaks_nothing_and_a_random_one_does() -> None:
    pairs = related(200)
    by_group = measure_leakage(*split_pairs(pairs, split("group", 20, 40))[:3])
    assert (by_group["pairs"] == 0).all()
    at_random = counts(measure_leakage(*split_pairs(pairs, split("random", 20, 40))[:3]), "test")
    assert at_random["same_focus"] > 30
    assert at_random["exact_question"] > 15


def test_exchanges_of_genmedgpt_leak_at_random_and_not_by_group(genmedgpt_run: dict[str, Any]) -> None:
    by_group = genmedgpt_run["leakage"]
    assert set(by_group.loc[by_group["pairs"] > 0, "kind"]) <= {"contained_answer"}
    at_random = counts(measure_leakage(*split_pairs(genmedgpt_run["qa_pairs"], split("random", 120, 120))[:3]), "test")
    assert at_random["same_focus"] > 60
