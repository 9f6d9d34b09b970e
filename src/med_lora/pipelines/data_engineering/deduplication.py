"""The cleaned pairs of all corpora to one table in which no pair repeats another."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import DeduplicationParams
from med_lora.pipelines.data_engineering.duplicates import repeats, shingle_sets
from med_lora.pipelines.data_engineering.text import comparison_key
from med_lora.stated_numbers import numbers

REJECTED_COLUMNS = ["id", "corpus", "stage", "reason"]
# What British spelling adds to American: haemophilia, oedema, tumour.
_BRITISH = re.compile("[ao](?=e)|(?<=o)u(?=r)")


def deduplicate(params: DeduplicationParams, *cleaned: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep each question-answer pair once, and list all rows that are not kept.

    Corpora keep their order, and pairs are ordered by id within each; of equal or similar pairs the first one stays.
    Equal pairs have the same words (case and punctuation aside); similar ones have word-3-gram sets of question and
    answer with at least the Jaccard similarity asked for, the same choice, the same numbers, and no two different
    focuses (British and American spelling are one; where only one pair has a focus, the other must name it): "50 mg of
    W" does not repeat "500 mg of W", nor one disease another that a publisher describes in the same words. Rows in =
    kept + rejected, for each corpus.

    Args:
        params: similarity of near duplicates, and the length of the MinHash signatures that find them.
        cleaned: tables of pairs, one a corpus; rows with a ``reason`` arrive rejected, at their ``stage``.

    Returns:
        The kept pairs, without the columns reason and stage; the rejected rows (id, corpus, stage, reason; no text).

    Raises:
        InputError: if no pair is kept, or there are too few permutations.
    """
    rows = pd.concat([table.sort_values("id", kind="stable") for table in cleaned], ignore_index=True)
    is_usable = rows["reason"] == ""
    duplicates = _duplicates(rows[is_usable], params)
    rows.loc[duplicates.index, "reason"] = duplicates
    rows.loc[duplicates.index, "stage"] = "deduplicate"
    is_kept = rows["reason"] == ""
    if not is_kept.any():
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(rows["reason"].value_counts().items()))
        raise InputError(
            f"None of the {len(rows)} pairs read was kept ({counts}); change the settings of data_engineering that "
            "reject them, or the corpora."
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
    is_near = repeats(shingle_sets(texts), params.near_jaccard, params.permutations, _Differences(distinct))
    reasons = dict.fromkeys(usable.index[is_exact], "exact_duplicate")
    reasons |= dict.fromkeys(distinct.index[is_near], "near_duplicate")
    return pd.Series(reasons, dtype="str")


def _topic_key(text: str) -> str:
    return _BRITISH.sub("", comparison_key(text))


class _Differences:
    """Whether two pairs of a table, by their positions, differ in what they are about or state."""

    def __init__(self, pairs: pd.DataFrame):
        self._focuses = [_topic_key(focus) for focus in pairs["focus"]]
        self._choices = pairs["choice"].tolist()
        self._questions, self._answers = pairs["question"].tolist(), pairs["answer"].tolist()
        # Few pairs are similar to another: the others need no numbers.
        self._numbers = cache(self._find_numbers)

    def __call__(self, first: int, second: int) -> bool:
        return (
            self._differ_in_focus(first, second)
            or self._choices[first] != self._choices[second]
            or self._numbers(first) != self._numbers(second)
        )

    def _differ_in_focus(self, first: int, second: int) -> bool:
        one, other = self._focuses[first], self._focuses[second]
        if bool(one) == bool(other):
            return one != other
        # A text on no known topic would else stand for the boilerplate of every disease.
        unnamed = second if one else first
        text = _topic_key(f"{self._questions[unnamed]} {self._answers[unnamed]}")
        return f" {one or other} " not in f" {text} "

    def _find_numbers(self, position: int) -> set[Decimal]:
        return numbers(f"{self._questions[position]}\n{self._answers[position]}")
