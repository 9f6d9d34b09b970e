"""What became of every row read, counted."""

from __future__ import annotations

import logging
from collections import Counter

import pandas as pd

from med_lora.errors import InputError

logger = logging.getLogger(__name__)

OUTCOME_COLUMNS = ["corpus", "rows_read", "stage", "outcome", "rows"]
STAGES = ("read", "parse", "clean", "deduplicate", "decontaminate")
ALL = "all"


def count_outcomes(pairs: pd.DataFrame, rejected: pd.DataFrame) -> pd.DataFrame:
    """Rows read = rows kept + rows rejected with a reason, for each corpus and for all.

    Args:
        pairs: the pairs kept; columns id, corpus and screened (classes found, joined by a space).
        rejected: the pairs left out; columns id, corpus, stage and reason.

    Returns:
        Columns ``OUTCOME_COLUMNS``. For each corpus, and for the corpus ``all``: one row ``kept`` of stage ``keep``;
        one for each stage and reason, in the order of the stages; and, of stage ``screen``, one ``screened_<class>``
        for each class found in pairs that were kept, which are counted among ``kept`` as well.

    Raises:
        InputError: if a row has two outcomes or a rejected one no reason, so that the rows would not add up.
    """
    _check(pairs, rejected)
    corpora = list(dict.fromkeys([*pairs["corpus"], *rejected["corpus"]]))
    counts = pd.concat(
        [_count(name, pairs[pairs["corpus"] == name], rejected[rejected["corpus"] == name]) for name in corpora]
        + [_count(ALL, pairs, rejected)],
        ignore_index=True,
    )
    for name, rows in counts.groupby("corpus", sort=False):
        outcomes = ", ".join(f"{count} {outcome}" for outcome, count in zip(rows["outcome"], rows["rows"], strict=True))
        logger.info("%s: %d rows read; %s.", name, rows["rows_read"].iat[0], outcomes)
    return counts


def _check(pairs: pd.DataFrame, rejected: pd.DataFrame) -> None:
    """Rows add up only if each stands in one table, once, and every rejected one says why."""
    ids = pd.concat([pairs["id"], rejected["id"]], ignore_index=True)
    twice = ids[ids.duplicated()]
    if len(twice):
        raise InputError(
            f"{len(twice)} rows are both kept and rejected, or counted twice, such as {twice.iat[0]}, so rows read are "
            "not rows kept and rejected; run the pipeline from its raw data again."
        )
    unexplained = rejected[(rejected["reason"] == "") | ~rejected["stage"].isin(STAGES)]
    if len(unexplained):
        raise InputError(
            f"{len(unexplained)} rejected rows have no reason, or a stage other than {', '.join(STAGES)}, such as "
            f"{unexplained['id'].iat[0]}; run the pipeline from its raw data again."
        )


def _count(name: str, pairs: pd.DataFrame, rejected: pd.DataFrame) -> pd.DataFrame:
    read = len(pairs) + len(rejected)
    reasons = Counter(zip(rejected["stage"], rejected["reason"], strict=True))
    classes = Counter(found for screened in pairs["screened"] for found in screened.split())
    rows = [(name, read, "keep", "kept", len(pairs))]
    in_order = sorted(reasons, key=lambda outcome: (STAGES.index(outcome[0]), outcome[1]))
    rows += [(name, read, stage, reason, reasons[stage, reason]) for stage, reason in in_order]
    rows += [(name, read, "screen", f"screened_{found}", classes[found]) for found in sorted(classes)]
    return pd.DataFrame(rows, columns=OUTCOME_COLUMNS)
