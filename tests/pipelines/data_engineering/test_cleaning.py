from __future__ import annotations

import logging
import string

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.errors import InputError
from med_lora.parameters import CleaningParams
from med_lora.pipelines.data_engineering.cleaning import REPORT_COLUMNS, merge_and_clean
from med_lora.pipelines.data_engineering.duplicates import jaccard, repeats, shingle_sets
from tests.pipelines.data_engineering.conftest import make_pairs

LONG = "the joint is red and hot because crystals of urate have set off a fierce inflammation in its lining"
CLEANING = CleaningParams(min_answer_words=3, max_answer_words=40, near_duplicate_jaccard=0.5)


def reasons(rejected: pd.DataFrame) -> dict[str, str]:
    return dict(zip(rejected["id"], rejected["reason"], strict=True))


def test_each_fault_has_its_reason() -> None:
    rows = [
        ("What is gout ?", LONG),
        ("<p></p>", LONG + " indeed"),
        ("q", " &nbsp; - "),
        ("q", "two words"),
        ("q", "many " * 41),
        ("what is GOUT?", LONG.upper() + "."),
        ("What is gout?", LONG.replace("fierce", "strong")),
        ("What is <i>asthma</i>?", "Narrow airways. Call 555-0101 or write to a@example.org"),
    ]
    kept, rejected, report = merge_and_clean(CLEANING, make_pairs(rows))
    assert reasons(rejected) == {
        "c:00001": "empty_question",
        "c:00002": "empty_answer",
        "c:00003": "answer_too_short",
        "c:00004": "answer_too_long",
        "c:00005": "exact_duplicate",
        "c:00006": "near_duplicate",
    }
    assert list(rejected.columns) == ["id", "corpus", "stage", "reason"]
    assert rejected["stage"].tolist() == ["clean"] * 4 + ["deduplicate"] * 2
    assert kept["question"].tolist() == ["What is gout?", "What is asthma?"]
    assert kept["answer"].iat[1] == "Narrow airways. Call [PHONE] or write to [EMAIL]"
    outcomes = dict(zip(report["outcome"], report["rows"], strict=True))
    assert list(report.columns) == REPORT_COLUMNS
    assert set(report["rows_read"]) == {8}
    assert (outcomes["kept"], outcomes["masked_phone"], outcomes["masked_email"]) == (2, 1, 1)


def test_the_first_pair_in_the_order_of_corpora_and_ids_stays() -> None:
    one, two = make_pairs([("q one", LONG), ("q two", "three other words")], "b"), make_pairs([("q one", LONG)], "a")
    assert merge_and_clean(CLEANING, one, two)[0]["id"].tolist() == ["b:00000", "b:00001"]
    assert merge_and_clean(CLEANING, two, one.iloc[::-1])[0]["id"].tolist() == ["a:00000", "b:00001"]


def test_near_duplicates_do_not_chain() -> None:
    words = list(string.ascii_lowercase)
    texts = [" ".join(words[start : start + 14]) for start in (0, 3, 6)]
    first, second, third = shingle_sets(texts)
    assert jaccard(first, second) > 0.55 > 0.5 > jaccard(first, third)
    assert repeats([first, second, third], 0.55) == [False, True, False]


def test_similarity_is_the_exact_jaccard_of_word_3_grams() -> None:
    left, right = shingle_sets(["a b c d e", "A, b; c d (f)"])
    assert jaccard(left, right) == 2 / 4
    short, same, empty = shingle_sets(["two words", "Two words!", ""])
    assert jaccard(short, same) == 1
    assert jaccard(short, empty) == jaccard(empty, empty) == 0
    assert repeats([empty, empty], 0.5) == [False, False]


def test_nothing_kept_is_an_error() -> None:
    with pytest.raises(InputError, match="None of the 1 pairs read was kept"):
        merge_and_clean(CLEANING, make_pairs([("q", "")]))


def test_a_corpus_named_twice_is_an_error() -> None:
    pairs = make_pairs([("q", LONG)])
    with pytest.raises(InputError, match="named twice"):
        merge_and_clean(CLEANING, pairs, pairs)


def test_logs_hold_counts_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        merge_and_clean(CLEANING, make_pairs([("What is gout?", LONG), ("q", "")]))
    assert "c: 2 rows read; 1 kept, 1 empty_answer" in caplog.text
    assert "gout" not in caplog.text
    assert "urate" not in caplog.text


TEXTS = st.sampled_from(["", " ", "<br>", LONG, LONG + " too", LONG.upper(), "a b c", "a b c d", "x " * 50]) | st.text(
    max_size=30
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=12), st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
def test_rows_read_are_rows_kept_and_rejected(one: list[tuple[str, str]], two: list[tuple[str, str]]) -> None:
    good = ("anchor question", "an anchor answer that always stays")
    tables = [make_pairs([good, *one], "one"), make_pairs([("other", "quite another answer is here"), *two], "two")]
    before = [table.copy() for table in tables]
    kept, rejected, report = merge_and_clean(CLEANING, *tables)
    assert len(kept) + len(rejected) == len(one) + len(two) + 2
    assert set(kept["id"]) | set(rejected["id"]) == {identifier for table in tables for identifier in table["id"]}
    counted = report[report["stage"] != "mask"]
    for table in tables:
        of_corpus = counted[counted["corpus"] == table["corpus"].iat[0]]
        assert of_corpus["rows"].sum() == len(table) == of_corpus["rows_read"].iat[0]
    assert all(table.equals(copy) for table, copy in zip(tables, before, strict=True))


def test_cleaning_clean_pairs_changes_nothing() -> None:
    rows = [("<b>What</b> is gout ?", LONG), ("q", ""), ("Who?", "Ring&nbsp;555-0100 in the morning")]
    kept, _, _ = merge_and_clean(CLEANING, make_pairs(rows))
    again, rejected, _ = merge_and_clean(CLEANING, kept)
    pd.testing.assert_frame_equal(again, kept)
    assert rejected.empty
