"""Training, validation and test pairs that share no focus, question or answer."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import SplitParams
from med_lora.pipelines.data_engineering.grouping import group_pairs

logger = logging.getLogger(__name__)

# The test set is drawn first, so that it stays the same while the sizes of the others are tried out.
DRAWING_ORDER = ("test", "validation", "train")
# One pair has no spread, and no other pair's reference to be compared with.
FEWEST_TEST_PAIRS = 2


class Group(NamedTuple):
    """Pairs that stay together: the corpora they come from, joined by "+", and their rows in the table."""

    stratum: str
    rows: list[int]


def split_pairs(pairs: pd.DataFrame, split: SplitParams) -> tuple[Any, Any, Any]:
    """Draw the splits; pairs of one group (see :func:`group_pairs`) never straddle two of them.

    Groups are ordered by a hash of the seed and their first id, so the draw is the same on every machine and changes
    little when the data change. Each split takes its share of every corpus in that order and passes over groups that do
    not fit. A size given as a count is met exactly: where no group fits, the smallest one is taken and its surplus
    pairs are in no split. A fraction is met as nearly as whole groups allow from below, with one group at least.

    Similar pairs that the bound on the size of groups keeps apart do not straddle the test set either: those drawn for
    validation or training whose similar pair is in the test set are left out, and the split is drawn again without
    them. The log counts them, and names a count that can then no longer be met.

    Args:
        pairs: table of kept pairs.
        split: sizes in pairs, as a count or as a fraction of all of them, and the seed.

    Returns:
        train, validation and test, each a ``datasets.Dataset`` with the columns of ``pairs`` and ``group`` (integer),
        in the order of ``pairs``.

    Raises:
        InputError: if there are fewer pairs than asked for, fewer than 2 in the test set, or none left to train on.
    """
    sizes = _sizes(split, len(pairs))
    numbers, refused = group_pairs(pairs)
    free = _shuffled_groups(pairs, numbers, split.seed)
    largest = max(len(group.rows) for group in free)
    logger.info("%d pairs form %d groups; pairs in the largest: %d.", len(pairs), len(free), largest)
    if refused:
        logger.info("%d links between similar pairs were refused, lest groups grow too large.", len(refused))
    drawn = _draw_all(free, split, sizes, refused)
    if sizes["train"] != 0 and not drawn["train"]:
        raise InputError(
            f"No pair is left for training: the {len(pairs)} pairs form too few groups for the sizes of validation and "
            "test; lower data_engineering.split.validation and data_engineering.split.test."
        )
    table = pairs.assign(group=numbers)
    train, validation, test = (_dataset(table.iloc[drawn[name]], name) for name in ("train", "validation", "test"))
    return train, validation, test


def _sizes(split: SplitParams, total: int) -> dict[str, int | None]:
    """Pairs of each split; None for all that remain.

    Raises:
        InputError: if they add up to more than there are, or leave none for a training set of all that remain.
    """
    sizes = {name: _size(getattr(split, name), total) for name in DRAWING_ORDER}
    asked = " + ".join(f"{name} {size}" for name, size in sizes.items() if size is not None)
    needed = sum(size or 0 for size in sizes.values()) + (split.train is None)
    if needed > total:
        rest, remedy = (" and some to train on", "") if split.train is None else ("", ", or set train to null")
        raise InputError(
            f"data_engineering.split asks for {asked} pairs{rest}, but only {total} were kept; lower the sizes{remedy}."
        )
    return sizes


def _size(asked: int | float | None, total: int) -> int | None:
    if asked is None or isinstance(asked, int):
        return asked
    # Fraction of the decimal text: 0.29 of 100 is 29, not 28.999.
    return max(1, int(Fraction(str(asked)) * total))


def _shuffled_groups(pairs: pd.DataFrame, numbers: pd.Series, seed: int) -> list[Group]:
    rows: dict[int, list[int]] = {}
    for row, number in enumerate(numbers):
        rows.setdefault(number, []).append(row)
    ids, corpora = pairs["id"].tolist(), pairs["corpus"].tolist()

    def position(members: list[int]) -> tuple[bytes, str]:
        first = min(ids[row] for row in members)
        return hashlib.sha256(f"{seed}\n{first}".encode()).digest(), first

    ordered = sorted(rows.values(), key=position)
    return [Group("+".join(sorted({corpora[row] for row in members})), members) for members in ordered]


def _draw_all(
    free: list[Group], split: SplitParams, sizes: dict[str, int | None], refused: set[tuple[int, int]]
) -> dict[str, list[int]]:
    """Rows of each split, by name.

    Raises:
        InputError: if whole groups leave too few for a size, or the test set has fewer than 2 pairs.
    """
    drawn: dict[str, list[int]] = {}
    near_test: set[int] = set()
    left_out = 0
    for name in DRAWING_ORDER:
        size = sizes[name]
        # Those left out count as there: missing them is for the log to say, not an error.
        available = sum(len(group.rows) for group in free) + left_out
        if size is not None and size > available:
            raise InputError(
                f"data_engineering.split.{name} asks for {size} pairs, but whole groups leave {available}; lower the "
                "sizes, or set train to null."
            )
        is_count = isinstance(getattr(split, name), int)
        drawn[name], free, dropped = _draw_apart(free, size, is_count, name, near_test)
        left_out += dropped
        if name == "test":
            _require_test_pairs(len(drawn[name]))
            near_test = _linked(refused, drawn[name])
    return drawn


def _require_test_pairs(count: int) -> None:
    if count < FEWEST_TEST_PAIRS:
        raise InputError(
            f"The test set has {count} pairs, and the evaluation needs {FEWEST_TEST_PAIRS} at least; raise "
            "data_engineering.split.test."
        )


def _linked(links: set[tuple[int, int]], rows: list[int]) -> set[int]:
    """The rows at the other end of the links that start or end in the given ones."""
    ends = set(rows)
    return {one for link in links for one, other in (link, link[::-1]) if other in ends}


def _draw_apart(
    free: list[Group], size: int | None, is_count: bool, name: str, near_test: set[int]
) -> tuple[list[int], list[Group], int]:
    """Rows of a split without those near the test set, the groups that stay free, and how many rows were left out."""
    left_out = 0
    while True:
        rows, rest, surplus = _take_all(free) if size is None else _draw(free, size, is_count)
        near = near_test.intersection(rows)
        if not near:
            break
        left_out += len(near)
        trimmed = (Group(group.stratum, [row for row in group.rows if row not in near]) for group in free)
        free = [group for group in trimmed if group.rows]
    if surplus:
        logger.info("%s: %d pairs left out (split_surplus).", name, surplus)
    if left_out:
        logger.info("%d pairs left out of %s, too similar to a test pair.", left_out, name)
    if is_count and size is not None and len(rows) < size:
        logger.warning("%s: %d pairs of the %d asked for, since no more are left.", name, len(rows), size)
    return rows, rest, left_out


def _take_all(free: list[Group]) -> tuple[list[int], list[Group], int]:
    return sorted(row for group in free for row in group.rows), [], 0


def _draw(free: list[Group], size: int, is_count: bool) -> tuple[list[int], list[Group], int]:
    """Rows of a split, the groups that stay free, and the surplus pairs of a group that was cut."""
    chosen: set[int] = set()
    for stratum, share in _shares(free, size).items():
        members = [place for place, group in enumerate(free) if group.stratum == stratum]
        chosen.update(_fitting(free, members, share))
    rest = [place for place in range(len(free)) if place not in chosen]
    filled = sum(len(free[place].rows) for place in chosen)
    chosen.update(_fitting(free, rest, size - filled))
    rows = [row for place in sorted(chosen) for row in free[place].rows]
    rest = [place for place in rest if place not in chosen]
    surplus = 0
    if rest and (len(rows) < size if is_count else not rows):
        smallest = min(rest, key=lambda place: len(free[place].rows))
        last = free[smallest].rows[: size - len(rows)] if is_count else free[smallest].rows
        surplus = len(free[smallest].rows) - len(last)
        rows += last
        rest.remove(smallest)
    return sorted(rows), [free[place] for place in rest], surplus


def _shares(groups: Sequence[Group], size: int) -> dict[str, int]:
    """Pairs to draw from each stratum: in proportion to what it holds, by the largest remainders."""
    held: Counter[str] = Counter()
    for group in groups:
        held[group.stratum] += len(group.rows)
    total = max(1, sum(held.values()))
    shares = {stratum: size * held[stratum] // total for stratum in sorted(held)}
    by_remainder = sorted(shares, key=lambda stratum: (-(size * held[stratum] % total), stratum))
    for stratum in by_remainder[: size - sum(shares.values())]:
        shares[stratum] += 1
    return shares


def _fitting(groups: Sequence[Group], places: Sequence[int], room: int) -> list[int]:
    """The places, in order, of groups that fit into the room that those before them leave."""
    taken: list[int] = []
    for place in places:
        if len(groups[place].rows) <= room:
            room -= len(groups[place].rows)
            taken.append(place)
    return taken


def _dataset(rows: pd.DataFrame, name: str) -> Any:
    from datasets import Dataset, Features, Value

    counts = ", ".join(f"{count} of {corpus}" for corpus, count in sorted(Counter(rows["corpus"]).items()))
    logger.info("%s: %d pairs in %d groups (%s).", name, len(rows), rows["group"].nunique(), counts or "none")
    kinds = {column: Value("int64" if column == "group" else "string") for column in rows.columns}
    return Dataset.from_dict({column: rows[column].tolist() for column in rows.columns}, features=Features(kinds))
