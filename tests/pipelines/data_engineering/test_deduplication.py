from __future__ import annotations

import string

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.errors import InputError
from med_lora.parameters import DeduplicationParams
from med_lora.pipelines.data_engineering import duplicates
from med_lora.pipelines.data_engineering.deduplication import deduplicate
from med_lora.pipelines.data_engineering.duplicates import (
    Hashes,
    contained,
    nearest,
    repeats,
    shingle_sets,
    similar_pairs,
)
from tests.pipelines.data_engineering.conftest import DEDUPLICATION, make_cleaned

LONG = "the joint is red and hot because crystals of urate have set off a fierce inflammation in its lining"
ROWS = [
    ("What is gout?", LONG),
    ("", ""),
    ("what is GOUT", LONG.upper() + "."),
    ("What is gout?", LONG.replace("fierce", "strong")),
    ("What is asthma?", "Narrow airways"),
]


def jaccard(left: Hashes, right: Hashes) -> float:
    """Jaccard similarity as it is defined, 0 where a set is empty."""
    first, second = set(left.tolist()), set(right.tolist())
    return len(first & second) / len(first | second) if first and second else 0.0


def test_duplicates_and_what_arrives_rejected_are_listed_with_reasons() -> None:
    table = make_cleaned(ROWS, reason=["", "empty_answer", "", "", ""])
    kept, rejected = deduplicate(DEDUPLICATION, table)
    assert list(rejected.columns) == ["id", "corpus", "stage", "reason"]
    assert rejected["id"].tolist() == ["c:00000001", "c:00000002", "c:00000003"]
    assert rejected["stage"].tolist() == ["clean", "deduplicate", "deduplicate"]
    assert rejected["reason"].tolist() == ["empty_answer", "exact_duplicate", "near_duplicate"]
    assert kept["question"].tolist() == ["What is gout?", "What is asthma?"]
    assert list(kept.columns) == [column for column in table.columns if column not in ("reason", "stage")]


def test_a_stage_that_arrives_is_kept() -> None:
    table = make_cleaned(ROWS, reason=["", "malformed_json", "", "", ""]).assign(stage="read")
    kept, rejected = deduplicate(DEDUPLICATION, table)
    assert rejected["stage"].tolist() == ["read", "deduplicate", "deduplicate"]
    assert "stage" not in kept.columns


def test_the_first_pair_in_the_order_of_corpora_and_ids_stays() -> None:
    one = make_cleaned([("q one", LONG), ("q two", "three other words")], "b")
    two = make_cleaned([("q one", LONG)], "a")
    assert deduplicate(DEDUPLICATION, one, two)[0]["id"].tolist() == ["b:00000000", "b:00000001"]
    assert deduplicate(DEDUPLICATION, two, one.iloc[::-1])[0]["id"].tolist() == ["a:00000000", "b:00000001"]


DOSE = "Adults take 500 mg of vancotril by mouth twice a day for one week and drink a glass of water with each tablet"
OPTIONS = (
    "Which nerve is injured when the wrist drops after a fracture of the shaft? A: median B: ulnar C: radial D: axial"
)


@pytest.mark.parametrize(
    ("first", "second", "columns", "count"),
    [
        (("dose?", DOSE), ("dose?", DOSE.replace("500", "50").replace("vancotril", "wintapen")), {}, 2),
        (("dose?", DOSE), ("dose?", DOSE.replace("one week", "3 weeks")), {}, 2),
        (("dose?", DOSE), ("the dose?", DOSE), {}, 1),
        (("2,000 steps?", DOSE), ("2000 paces?", DOSE.replace("500", "500.0")), {}, 1),
        ((OPTIONS, "C"), (OPTIONS + " now", "B"), {"choice": ["C", "B"]}, 2),
        ((OPTIONS, "C"), (OPTIONS + " now", "C"), {"choice": ["C", "C"]}, 1),
        (("What is gout?", LONG), ("What is pseudogout?", LONG), {"focus": ["gout", "pseudogout"]}, 2),
        (("What is gout?", LONG), ("What is a gout?", LONG), {"focus": ["gout", "Gout!"]}, 1),
        (("What is gout?", LONG), ("What is a gout?", LONG), {"focus": ["gout", ""]}, 1),
        (("How is it?", LONG), ("What is gout?", LONG), {"focus": ["", "gout"]}, 2),
        (("What is gout?", LONG), ("What is a gout?", LONG), {"focus": ["Oedema of a tumour", "edema of a tumor"]}, 1),
    ],
)
def test_similar_pairs_of_different_facts_are_all_kept(
    first: tuple[str, str], second: tuple[str, str], columns: dict[str, list[str]], count: int
) -> None:
    (one, two) = shingle_sets(f"{question}\n{answer}" for question, answer in (first, second))
    assert jaccard(one, two) >= DEDUPLICATION.near_jaccard
    assert len(deduplicate(DEDUPLICATION, make_cleaned([first, second], **columns))[0]) == count


def test_a_pair_is_compared_with_every_similar_one_that_is_kept() -> None:
    rows = [("dose?", DOSE), ("dose?", DOSE.replace("500", "50")), ("the dose?", DOSE.replace("500", "50"))]
    kept, rejected = deduplicate(DEDUPLICATION, make_cleaned(rows))
    assert kept["id"].tolist() == ["c:00000000", "c:00000001"]
    assert rejected["reason"].tolist() == ["near_duplicate"]


def test_near_duplicates_do_not_chain() -> None:
    words = list(string.ascii_lowercase)
    first, second, third = shingle_sets(" ".join(words[start : start + 14]) for start in (0, 3, 6))
    assert jaccard(first, second) > 0.55 > 0.5 > jaccard(first, third)
    assert repeats([first, second, third], 0.55) == [False, True, False]


def test_similarity_is_the_exact_jaccard_of_word_3_grams() -> None:
    left, right = shingle_sets(["a b c d e", "A, b; c d (f)"])
    assert jaccard(left, right) == 2 / 4
    short, same, empty = shingle_sets(["two words", "Two words!", ""])
    assert jaccard(short, same) == 1
    assert jaccard(short, empty) == jaccard(empty, empty) == 0
    assert repeats([empty, empty], 0.5) == [False, False]
    assert repeats([], 0.5) == []
    assert nearest([short, empty], [], 0.5) == [-1, -1]


@pytest.mark.parametrize(("threshold", "permutations"), [(0.3, 20), (0.5, 8), (0.5, 127), (0.55, 128), (0.95, 200)])
def test_a_pair_at_the_threshold_is_found_almost_surely(threshold: float, permutations: int) -> None:
    bands, rows = duplicates._bands(threshold, permutations)
    assert bands * rows <= permutations
    assert 1 - (1 - threshold**rows) ** bands > 0.995
    assert 1 - (1 - threshold ** (rows + 1)) ** (permutations // (rows + 1)) <= 0.995


def test_too_few_permutations_are_refused() -> None:
    few = DeduplicationParams(near_jaccard=0.5, permutations=7)
    with pytest.raises(InputError, match=r"permutations is 7, too few to find pairs of similarity 0\.5; set it to 8"):
        deduplicate(few, make_cleaned(ROWS[:1]))


# Few words and long texts, so that many similarities lie near the threshold.
TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=14).map(" ".join), max_size=12)


@settings(max_examples=30, deadline=None)
@given(TEXTS, st.sampled_from([0.5, 0.55, 0.7, 0.8]))
def test_decisions_equal_those_of_comparing_everything(texts: list[str], threshold: float) -> None:
    sets = shingle_sets(texts)
    plain = [(i, j) for j in range(len(sets)) for i in range(j) if jaccard(sets[i], sets[j]) >= threshold]
    # Many permutations: this is to test the decisions, not the small probability of a miss.
    index = duplicates.SimilarSets(sets, threshold, 1024)
    found = []
    for key in range(len(sets)):
        found += [(other, key) for other in index.similar(key)]
        index.add(key)
    assert found == plain
    kept: list[int] = []
    for key in range(len(sets)):
        if not any((other, key) in plain for other in kept):
            kept.append(key)
    assert [key for key, is_repeat in enumerate(repeats(sets, threshold, 1024)) if not is_repeat] == kept
    half = len(sets) // 2
    for place, query in zip(nearest(sets[half:], sets[:half], threshold), sets[half:], strict=True):
        similarities = [jaccard(query, reference) for reference in sets[:half]]
        best = max(similarities, default=0.0)
        assert place == (similarities.index(best) if best >= threshold else -1)
    plain_halves = [link for link in plain if link[0] < half]
    assert sorted(similar_pairs(sets, threshold, half)) == sorted(plain_halves)
    held = [max((len(set(one) & set(two)) / len(one) for two in sets[:half] if len(one)), default=0.0) for one in sets]
    assert contained(sets, sets[:half], threshold) == [share >= threshold for share in held]


def test_decisions_do_not_depend_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{LONG} {' '.join('xyz'[: row % 4])} {row // 3}" for row in range(50)]
    sets = shingle_sets(texts)
    whole = list(similar_pairs(sets, 0.8)), nearest(sets, sets[:7], 0.8)
    monkeypatch.setattr(duplicates, "_SIGNATURES_PER_BLOCK", 7)
    monkeypatch.setattr(duplicates, "_QUERIES_PER_BLOCK", 3)
    assert (list(similar_pairs(sets, 0.8)), nearest(sets, sets[:7], 0.8)) == whole
    assert len(whole[0]) > 10


def test_nothing_kept_is_an_error() -> None:
    with pytest.raises(InputError, match=r"None of the 1 pairs read was kept \(1 empty_answer\)"):
        deduplicate(DEDUPLICATION, make_cleaned([("", "")], reason=["empty_answer"]))


QUESTIONS = st.sampled_from([LONG, LONG + " too", LONG.upper(), "a b c", "a b c d"])
REASONS = st.sampled_from(["", "", "", "empty_answer", "malformed_json"])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(QUESTIONS, QUESTIONS, REASONS), max_size=10), st.lists(st.tuples(QUESTIONS, QUESTIONS, REASONS))
)
def test_rows_in_are_rows_kept_and_rejected(one: list[tuple[str, ...]], two: list[tuple[str, ...]]) -> None:
    tables = []
    for corpus, rows in (("one", [("anchor", "that stays", ""), *one]), ("two", two)):
        texts = [("", "") if reason else (question, answer) for question, answer, reason in rows]
        tables.append(make_cleaned(texts, corpus, reason=[reason for *_, reason in rows]))
    before = [table.copy() for table in tables]
    kept, rejected = deduplicate(DEDUPLICATION, *tables)
    for table in tables:
        ids = pd.concat([part.loc[part["id"].isin(table["id"]), "id"] for part in (kept, rejected)])
        assert sorted(ids) == table["id"].tolist()
    assert all(table.equals(copy) for table, copy in zip(tables, before, strict=True))
    assert (rejected["reason"] != "").all()
