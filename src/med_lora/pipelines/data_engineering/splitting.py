"""Training, validation and test pairs, by group or at random."""

from __future__ import annotations

import logging
from collections import Counter
from fractions import Fraction
from typing import Any

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import SplitParams
from med_lora.pipelines.data_engineering.drawing import DRAWING_ORDER, Size, draw_splits, shuffled
from med_lora.pipelines.data_engineering.grouping import group_pairs

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation", "test")


def split_pairs(pairs: pd.DataFrame, split: SplitParams) -> tuple[Any, Any, Any, pd.DataFrame]:
    """Draw the splits; by group, pairs of one group (see :func:`group_pairs`) never straddle two of them.

    Groups are ordered by a hash of the seed and their first id, so the draw is the same on every machine and changes
    little when the data change. Each split takes its share of every source in that order and passes over groups that do
    not fit; a source is a publisher within a corpus, or a corpus that names none. A size given as a count is met
    exactly: where no group fits, the smallest one is taken and its surplus pairs are in no split. A fraction is met as
    nearly as whole groups allow from below, with one group at least.

    Similar pairs that the bound on the size of groups keeps apart do not straddle splits either: those drawn for
    validation or training whose similar pair is in the test set, and those drawn for training whose similar pair is
    for validation, are left out, and the split is drawn again without them. The log counts them, and names a count that
    can then no longer be met.

    At random, every pair is a group of its own in the draw, sizes are met exactly and related pairs straddle the
    splits; the column ``group`` is the same.

    Args:
        pairs: table of kept pairs.
        split: mode, sizes in pairs, as a count or as a fraction of all of them, and the seed.

    Returns:
        train, validation and test, each a ``datasets.Dataset`` with the columns of ``pairs`` and ``group`` (integer),
        in the order of ``pairs``; and the pairs in none of them (id, corpus, reason): ``split_surplus`` of a group that
        was cut, ``near_test`` and ``near_validation`` similar to a pair there, or ``not_needed``.

    Raises:
        InputError: if there are fewer pairs than asked for, fewer than 2 in the test set, or none left to train on.
    """
    sizes = _sizes(split, len(pairs))
    numbers, refused = group_pairs(pairs)
    _log_groups(numbers, refused)
    rows: dict[int, list[int]] = {}
    for row, number in enumerate(numbers):
        rows.setdefault(row if split.mode == "random" else number, []).append(row)
    sources = [f"{corpus}/{source}" for corpus, source in zip(pairs["corpus"], pairs["source"], strict=True)]
    free = shuffled(list(rows.values()), pairs["id"].tolist(), sources, split.seed)
    drawn, unused = draw_splits(free, sizes, set() if split.mode == "random" else refused)
    if sizes["train"].pairs != 0 and not drawn["train"]:
        raise InputError(
            f"No pair is left for training: the {len(pairs)} pairs form too few groups for the sizes of validation and "
            "test; lower data_engineering.split.validation and data_engineering.split.test."
        )
    table = pairs.assign(group=numbers)
    train, validation, test = (_dataset(table.iloc[drawn[name]], name) for name in SPLITS)
    return train, validation, test, _unused(pairs, unused)


def _sizes(split: SplitParams, total: int) -> dict[str, Size]:
    """Size of each split, by its name.

    Raises:
        InputError: if they add up to more than there are, or leave none for a training set of all that remain.
    """
    sizes = {name: _size(getattr(split, name), total) for name in DRAWING_ORDER}
    asked = " + ".join(f"{name} {size.pairs}" for name, size in sizes.items() if size.pairs is not None)
    needed = sum(size.pairs or 0 for size in sizes.values()) + (split.train is None)
    if needed > total:
        rest, remedy = (" and some to train on", "") if split.train is None else ("", ", or set train to null")
        raise InputError(
            f"data_engineering.split asks for {asked} pairs{rest}, but only {total} were kept; lower the sizes{remedy}."
        )
    return sizes


def _size(asked: int | float | None, total: int) -> Size:
    if asked is None or isinstance(asked, int):
        return Size(asked, is_count=asked is not None)
    # Fraction of the decimal text: 0.29 of 100 is 29, not 28.999.
    return Size(max(1, int(Fraction(str(asked)) * total)), is_count=False)


def _log_groups(numbers: pd.Series, refused: set[tuple[int, int]]) -> None:
    largest = max(Counter(numbers).values())
    logger.info("%d pairs form %d groups; pairs in the largest: %d.", len(numbers), numbers.nunique(), largest)
    if refused:
        logger.info("%d links between similar pairs were refused, lest groups grow too large.", len(refused))


def _unused(pairs: pd.DataFrame, reasons: dict[int, str]) -> pd.DataFrame:
    rows = sorted(reasons)
    table = pairs[["id", "corpus"]].iloc[rows].assign(reason=[reasons[row] for row in rows])
    return table.astype("str").reset_index(drop=True)


def _dataset(rows: pd.DataFrame, name: str) -> Any:
    from datasets import Dataset, Features, Value

    counts = ", ".join(f"{count} of {corpus}" for corpus, count in sorted(Counter(rows["corpus"]).items()))
    logger.info("%s: %d pairs in %d groups (%s).", name, len(rows), rows["group"].nunique(), counts or "none")
    kinds = {column: Value("int64" if column == "group" else "string") for column in rows.columns}
    return Dataset.from_dict({column: rows[column].tolist() for column in rows.columns}, features=Features(kinds))
