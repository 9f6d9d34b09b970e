"""What became of every row read, counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

import pandas as pd

logger = logging.getLogger(__name__)

OUTCOME_COLUMNS = ["corpus", "rows_read", "stage", "outcome", "rows"]
STAGES = ("read", "parse", "clean", "deduplicate", "decontaminate")
ALL = "all"


def count_outcomes(pairs: pd.DataFrame, rejected: pd.DataFrame, *parsed: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Rows read = rows kept + rows rejected with a reason, for each corpus and for all.

    Args:
        pairs: the pairs kept; columns id, corpus and screened (classes found, joined by a space).
        rejected: the pairs left out; columns id, corpus, stage and reason.
        parsed: what was read of each corpus, in chunks with the columns id and corpus.

    Returns:
        Columns ``OUTCOME_COLUMNS``. For each corpus, and for the corpus ``all``: one row ``kept`` of stage ``keep``;
        one for each stage and reason, in the order of the stages; and, of stage ``screen``, one ``screened_<class>``
        for each class found in pairs that were kept, which are counted among ``kept`` as well.

    Raises:
        RuntimeError: if a row was lost, counted twice, or rejected without a reason. That is a fault of this program.
    """
    read: Counter[str] = Counter()
    for chunks in parsed:
        for chunk in chunks:
            read.update(chunk["corpus"].tolist())
    _check(pairs, rejected, read)
    counts = pd.concat(
        [_count(name, pairs[pairs["corpus"] == name], rejected[rejected["corpus"] == name]) for name in read]
        + [_count(ALL, pairs, rejected)],
        ignore_index=True,
    )
    for name, rows in counts.groupby("corpus", sort=False):
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in zip(rows["outcome"], rows["rows"], strict=True))
        logger.info("%s: %d rows read; %s.", name, rows["rows_read"].iat[0], outcomes)
    return counts


def _check(pairs: pd.DataFrame, rejected: pd.DataFrame, read: Counter[str]) -> None:
    """Every row read stands in one of the tables, once, and every rejected one says why."""
    ends = pd.concat([pairs[["id", "corpus"]], rejected[["id", "corpus"]]], ignore_index=True)
    if ends["corpus"].value_counts().to_dict() != +read:
        raise RuntimeError(f"{read.total()} rows were read, but {len(ends)} were kept or rejected.")
    twice = ends.loc[ends["id"].duplicated(), "id"]
    if len(twice):
        raise RuntimeError(f"{len(twice)} rows have two outcomes, such as {twice.iat[0]}.")
    unexplained = rejected.loc[(rejected["reason"] == "") | ~rejected["stage"].isin(STAGES), "id"]
    if len(unexplained):
        raise RuntimeError(f"{len(unexplained)} rejected rows have no reason or stage, such as {unexplained.iat[0]}.")


def _count(name: str, pairs: pd.DataFrame, rejected: pd.DataFrame) -> pd.DataFrame:
    read = len(pairs) + len(rejected)
    reasons = Counter(zip(rejected["stage"], rejected["reason"], strict=True))
    classes = Counter(found for screened in pairs["screened"] for found in screened.split())
    rows = [(name, read, "keep", "kept", len(pairs))]
    in_order = sorted(reasons, key=lambda outcome: (STAGES.index(outcome[0]), outcome[1]))
    rows += [(name, read, stage, reason, reasons[stage, reason]) for stage, reason in in_order]
    rows += [(name, read, "screen", f"screened_{found}", classes[found]) for found in sorted(classes)]
    return pd.DataFrame(rows, columns=OUTCOME_COLUMNS)
