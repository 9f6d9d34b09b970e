"""The cleaned pairs of all corpora to one table in which no pair repeats another."""

from __future__ import annotations

import logging

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import DeduplicationParams
from med_lora.pipelines.data_engineering.duplicates import repeats, shingle_sets
from med_lora.pipelines.data_engineering.text import comparison_key

logger = logging.getLogger(__name__)

REJECTED_COLUMNS = ["id", "corpus", "stage", "reason"]


def deduplicate(params: DeduplicationParams, *cleaned: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep each question-answer pair once, and list all rows that are not kept.

    Corpora keep their order, and pairs are ordered by id within each; of equal or similar pairs the first one stays.
    Equal pairs have the same words (case and punctuation aside); similar ones have word-3-gram sets of question and
    answer with at least the Jaccard similarity asked for. Rows in = kept + rejected, for each corpus.

    Args:
        params: similarity of near duplicates, and the length of the MinHash signatures that find them.
        cleaned: tables of pairs, one a corpus. Rows with a ``reason`` arrive rejected, at the stage that the column
            ``stage`` names, or at ``clean`` where there is no such column.

    Returns:
        The kept pairs, without the columns reason and stage; the rejected rows (id, corpus, stage, reason; no text).

    Raises:
        InputError: if two usable rows have one id, no pair is kept, or there are too few permutations.
    """
    rows = pd.concat([table.sort_values("id", kind="stable") for table in cleaned], ignore_index=True)
    if "stage" not in rows.columns:
        rows["stage"] = "clean"
    is_usable = rows["reason"] == ""
    if not rows.loc[is_usable, "id"].is_unique:
        raise InputError("A corpus is named twice in data_engineering.corpora; name each once.")
    duplicates = _duplicates(rows[is_usable], params)
    rows.loc[duplicates.index, "reason"] = duplicates
    rows.loc[duplicates.index, "stage"] = "deduplicate"
    is_kept = rows["reason"] == ""
    _log(rows)
    if not is_kept.any():
        raise InputError(
            f"None of the {len(rows)} pairs read was kept; compare data_engineering.cleaning with the corpora."
        )
    kept = rows[is_kept].drop(columns=["reason", "stage"]).reset_index(drop=True)
    return kept, rows.loc[~is_kept, REJECTED_COLUMNS].astype("str").reset_index(drop=True)


def _duplicates(usable: pd.DataFrame, params: DeduplicationParams) -> pd.Series:
    """The reason of each pair that repeats an earlier one, by its label in the table."""
    keys = usable["question"].map(comparison_key) + "\n" + usable["answer"].map(comparison_key)
    is_exact = keys.duplicated()
    del keys
    distinct = usable[~is_exact]
    texts = (f"{question}\n{answer}" for question, answer in zip(distinct["question"], distinct["answer"], strict=True))
    is_near = repeats(shingle_sets(texts), params.near_jaccard, params.permutations)
    reasons = dict.fromkeys(usable.index[is_exact], "exact_duplicate")
    reasons |= dict.fromkeys(distinct.index[is_near], "near_duplicate")
    return pd.Series(reasons, dtype="str")


def _log(rows: pd.DataFrame) -> None:
    for corpus, of_corpus in rows.groupby("corpus", sort=False):
        counts = of_corpus["reason"].value_counts()
        kept = int(counts.get("", 0))
        rejected = "".join(f", {counts[reason]} {reason}" for reason in sorted(counts.index) if reason)
        logger.info("%s: %d rows read; %d kept%s.", corpus, len(of_corpus), kept, rejected)
