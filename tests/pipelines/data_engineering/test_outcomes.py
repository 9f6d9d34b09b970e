from __future__ import annotations

import logging

import pandas as pd
import pytest

from med_lora.pipelines.data_engineering.outcomes import OUTCOME_COLUMNS, count_outcomes

PAIRS = pd.DataFrame(
    [("a:1", "a", "emails phones"), ("a:2", "a", ""), ("b:1", "b", "phones")],
    columns=["id", "corpus", "screened"],
    dtype="str",
)
REJECTED = pd.DataFrame(
    [
        ("a:4", "a", "deduplicate", "exact_duplicate"),
        ("a:3", "a", "clean", "empty_answer"),
        ("a:5", "a", "clean", "empty_answer"),
        ("c:1", "c", "read", "not_utf8"),
    ],
    columns=["id", "corpus", "stage", "reason"],
    dtype="str",
)

PARSED = [pd.concat([PAIRS, REJECTED])[["id", "corpus"]].query("corpus == @name") for name in ("a", "b", "c")]


def counted(pairs: pd.DataFrame = PAIRS, rejected: pd.DataFrame = REJECTED) -> pd.DataFrame:
    """The outcomes, of rows read in chunks of two."""
    chunks = [[table[start : start + 2] for start in range(0, len(table), 2)] for table in PARSED]
    return count_outcomes(pairs, rejected, *chunks)


def test_every_row_is_counted_once_by_what_became_of_it() -> None:
    counts = counted()
    assert list(counts.columns) == OUTCOME_COLUMNS
    assert counts.to_numpy().tolist() == [
        ["a", 5, "keep", "kept", 2],
        ["a", 5, "clean", "empty_answer", 2],
        ["a", 5, "deduplicate", "exact_duplicate", 1],
        ["a", 5, "screen", "screened_emails", 1],
        ["a", 5, "screen", "screened_phones", 1],
        ["b", 1, "keep", "kept", 1],
        ["b", 1, "screen", "screened_phones", 1],
        ["c", 1, "keep", "kept", 0],
        ["c", 1, "read", "not_utf8", 1],
        ["all", 7, "keep", "kept", 3],
        ["all", 7, "read", "not_utf8", 1],
        ["all", 7, "clean", "empty_answer", 2],
        ["all", 7, "deduplicate", "exact_duplicate", 1],
        ["all", 7, "screen", "screened_emails", 1],
        ["all", 7, "screen", "screened_phones", 2],
    ]


@pytest.mark.parametrize(
    ("pairs", "rejected"),
    [
        (PAIRS[1:], REJECTED),
        (PAIRS, REJECTED[:-1]),
        (PAIRS, pd.concat([REJECTED, REJECTED.tail(1).assign(id="c:2")])),
        (PAIRS, REJECTED.replace({"corpus": {"c": "b"}})),
    ],
)
def test_a_lost_or_invented_row_stops_the_run(pairs: pd.DataFrame, rejected: pd.DataFrame) -> None:
    with pytest.raises(RuntimeError, match=r"7 rows were read, but \d were kept or rejected"):
        counted(pairs, rejected)


def test_a_row_with_two_outcomes_stops_the_run() -> None:
    with pytest.raises(RuntimeError, match="1 rows have two outcomes, such as a:1"):
        counted(PAIRS, REJECTED.replace({"id": {"a:3": "a:1"}}))


@pytest.mark.parametrize("column", ["stage", "reason"])
def test_a_rejected_row_without_a_reason_stops_the_run(column: str) -> None:
    with pytest.raises(RuntimeError, match="4 rejected rows have no reason or stage"):
        counted(rejected=REJECTED.assign(**{column: ""}))


def test_the_log_says_what_became_of_each_corpus(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        counted()
    assert "a: 5 rows read; 2 kept, 2 empty_answer, 1 exact_duplicate, 1 screened_emails, 1 screened_phones." in (
        caplog.text
    )
