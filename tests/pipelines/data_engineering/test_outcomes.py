from __future__ import annotations

import logging

import pandas as pd
import pytest

from med_lora.errors import InputError
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


def test_every_row_is_counted_once_by_what_became_of_it() -> None:
    counts = count_outcomes(PAIRS, REJECTED)
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


def test_rows_read_are_rows_kept_and_rejected() -> None:
    counts = count_outcomes(PAIRS, REJECTED)
    ends = counts[counts["stage"] != "screen"]
    assert (ends.groupby("corpus")["rows"].sum() == ends.groupby("corpus")["rows_read"].first()).all()


def test_a_run_without_rejected_rows_is_all_kept() -> None:
    counts = count_outcomes(PAIRS, REJECTED[:0])
    assert set(counts.loc[counts["stage"] != "screen", "outcome"]) == {"kept"}


def test_a_row_with_two_outcomes_stops_the_run() -> None:
    twice = pd.concat([REJECTED, REJECTED.tail(1).assign(id="a:1")])
    with pytest.raises(InputError, match="1 rows are both kept and rejected, or counted twice, such as a:1"):
        count_outcomes(PAIRS, twice)


@pytest.mark.parametrize("column", ["stage", "reason"])
def test_a_rejected_row_without_a_reason_stops_the_run(column: str) -> None:
    with pytest.raises(InputError, match="4 rejected rows have no reason, or a stage other than"):
        count_outcomes(PAIRS, REJECTED.assign(**{column: ""}))


def test_the_log_says_what_became_of_each_corpus(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        count_outcomes(PAIRS, REJECTED)
    assert "a: 5 rows read; 2 kept, 2 empty_answer, 1 exact_duplicate, 1 screened_emails, 1 screened_phones." in (
        caplog.text
    )
