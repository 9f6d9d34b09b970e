"""Recall, reciprocal rank and nDCG of rankings, and their intervals."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from med_lora.passages import PASSAGE_COLUMNS
from med_lora.pipelines.retrieval.measures import MEASURE_COLUMNS, measure_retrieval, read_rankings, score_ranking
from med_lora.retrieval.index import PassageIndex
from tests import recipes
from tests.pipelines.evaluation.conftest import Table

# The index holds a to l; graded ones that are not ranked still count in the best ranking.
GRADES = {"a": 0.9, "b": 0.5, "c": 0.75, "k": 0.6}


# sklearn.metrics.ndcg_score of scikit-learn 1.9.1; a ranking of four was padded with passages of grade 0
@pytest.mark.parametrize(
    ("ranked", "candidates", "expected"),
    [
        ("dacbefghij", 10, 0.6132662052007785),
        ("dacbefghij", 3, 0.5634940778719068),
        ("defghijlbk", 10, 0.1715370865209082),
        ("acbk", 10, 0.9963292488561534),
        ("acbk", 3, 0.9701170928578359),
        ("efgh", 10, 0.0),
    ],
)
def test_ndcg_equals_the_reference(ranked: str, candidates: int, expected: float) -> None:
    k = min(10, candidates)
    assert score_ranking(ranked, GRADES, candidates)[f"ndcg@{k}", k] == pytest.approx(expected, abs=1e-12)


def test_recall_and_reciprocal_rank_by_hand() -> None:
    scores = score_ranking("dacbefghij", GRADES, 5)
    assert scores == {
        ("recall@1", 1): 0.0,
        ("recall@3", 3): 2 / 4,
        ("recall@5", 5): 3 / 4,
        ("mrr", 5): 1 / 2,
        ("ndcg@5", 5): pytest.approx(0.6132662052007785, abs=1e-12),
    }


def test_what_stands_behind_the_candidates_does_not_count() -> None:
    assert score_ranking("defgha", GRADES, 5)["mrr", 5] == 0.0
    assert score_ranking("defga", GRADES, 5)["mrr", 5] == 1 / 5


def test_a_perfect_ranking_scores_one_whatever_the_grades() -> None:
    grades = {name: 0.1 * (place % 3 + 5) for place, name in enumerate("abcdefghij")}
    best = sorted(grades, key=lambda name: -grades[name])
    scores = score_ranking(best, grades, 10)
    assert scores["ndcg@10", 10] == scores["recall@10", 10] == scores["mrr", 10] == 1.0


def index(*names: str) -> PassageIndex:
    columns = {"corpus": "c", "book": "", "chapter": [*names], "page": 0, "licence": "", "text": [*names]}
    return PassageIndex(pd.DataFrame({"id": [f"c:{name}" for name in names], **columns})[PASSAGE_COLUMNS], None, {})


def retrieved(*rows: tuple[str, int, str, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["id", "rank", "passage", "dense_rank", "bm25_rank"])
    return table.assign(score=1.0)


PAIRS = pd.DataFrame(
    {
        "id": ["q1", "q2", "q3", "q4"],
        "question": "Why?",
        "answer": "Crystals hurt the swollen toe.",
        "focus": ["x", "y", "x", "nowhere"],
        "group": [0, 1, 1, 2],
    }
)
NAN = math.nan
FOUND = retrieved(
    ("q1", 1, "c:x", 1, 2),
    ("q1", 2, "c:y", 2, NAN),
    ("q1", 3, "c:z", NAN, 1),
    ("q2", 1, "c:x", 1, 1),
    ("q2", 2, "c:y", NAN, 2),
    ("q2", 3, "c:z", 2, NAN),
    ("q3", 1, "c:y", 2, NAN),
    ("q3", 2, "c:z", NAN, 2),
    ("q3", 3, "c:x", 1, NAN),
    ("q4", 1, "c:x", 1, 1),
)


def measured(pairs: pd.DataFrame = PAIRS, found: pd.DataFrame = FOUND) -> pd.DataFrame:
    retrieval = recipes.retrieval(method="fused", candidates=2)
    table = measure_retrieval(Table(pairs), found, index("x", "y", "z"), retrieval, recipes.evaluation())
    assert list(table.columns) == MEASURE_COLUMNS
    return table


def test_both_lists_are_measured_beside_what_they_make_together() -> None:
    assert read_rankings(FOUND, recipes.retrieval(method="fused", candidates=2)) == {
        "fused": {"q1": ["c:x", "c:y"], "q2": ["c:x", "c:y"], "q3": ["c:y", "c:z"], "q4": ["c:x"]},
        "dense": {"q1": ["c:x", "c:y"], "q2": ["c:x", "c:z"], "q3": ["c:x", "c:y"], "q4": ["c:x"]},
        "bm25": {"q1": ["c:z", "c:x"], "q2": ["c:x", "c:y"], "q3": ["c:z"], "q4": ["c:x"]},
    }
    assert set(read_rankings(FOUND, recipes.retrieval(method="dense"))) == {"dense"}


def test_means_are_over_the_pairs_with_a_relevant_passage() -> None:
    table = measured()
    known = table[table["relevance"] == "known"].set_index(["ranking", "metric"])
    assert known["n"].unique().tolist() == [3]
    assert known["groups"].unique().tolist() == [2]
    assert known["note"].unique().tolist() == ["1 of 4 pairs have no relevant passage in the index"]
    assert known["k"].xs("fused").to_dict() == {"recall@1": 1, "mrr": 2, "ndcg@2": 2}
    # ranks of the relevant passage: fused 1, 2, none; dense 1, none, 1; bm25 2, 2, none
    assert known["value"].xs("mrr", level="metric").to_dict() == {"fused": 0.5, "dense": 2 / 3, "bm25": 1 / 3}
    assert known["value"].xs("recall@1", level="metric").to_dict() == pytest.approx(
        {"fused": 1 / 3, "dense": 2 / 3, "bm25": 0.0}
    )
    second = 1 / math.log2(3)
    assert known.loc[("bm25", "ndcg@2"), "value"] == pytest.approx(2 * second / 3)
    assert ((known["low"] <= known["value"]) & (known["value"] <= known["high"])).all()


def test_intervals_are_of_groups() -> None:
    # of two groups, every resample is of the first alone (1), the second alone (mean of 1/2 and 0) or both (1/2)
    row = measured().set_index(["relevance", "ranking", "metric"]).loc[("known", "fused", "mrr")]
    assert (row["low"], row["high"]) == (0.25, 1.0)


def test_without_a_relevant_passage_there_is_no_number() -> None:
    table = measured(PAIRS.assign(focus=""))
    assert (table["n"] == 0).all()
    assert table[["value", "low", "high"]].isna().all(axis=None)
    assert set(table["note"]) == {"4 of 4 pairs have no relevant passage in the index"}


def test_one_group_has_a_value_and_no_interval() -> None:
    table = measured(PAIRS.assign(group=5))
    known = table[table["relevance"] == "known"]
    assert known["value"].notna().all()
    assert known[["low", "high"]].isna().all(axis=None)


def test_neither_the_order_of_rows_nor_that_of_pairs_counts() -> None:
    again = measured(PAIRS[::-1], FOUND.iloc[::-1])
    pd.testing.assert_frame_equal(again, measured())


def test_a_pair_that_nothing_was_found_for_counts_as_missed() -> None:
    table = measured(found=FOUND[FOUND["id"] != "q1"]).set_index(["relevance", "ranking", "metric"])
    assert table.loc[("known", "fused", "mrr"), ["n", "value"]].tolist() == [3, np.mean([0, 0.5, 0])]
