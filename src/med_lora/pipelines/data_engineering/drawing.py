"""Which groups of pairs go to which split."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from med_lora.errors import InputError

logger = logging.getLogger(__name__)

# The test set is drawn first, so that it stays the same while the sizes of the others are tried out.
DRAWING_ORDER = ("test", "validation", "train")
# One pair has no spread, and no other pair's reference to be compared with.
FEWEST_TEST_PAIRS = 2


class Group(NamedTuple):
    """Pairs that stay together: the strata they come from, joined by "+", and their rows in the table."""

    stratum: str
    rows: list[int]


class Size(NamedTuple):
    """Pairs asked for: None for all that remain; a count is met exactly, a fraction as nearly as groups allow."""

    pairs: int | None
    is_count: bool


class Draw(NamedTuple):
    """Rows of each split by its name, and the reason of each row that is in none."""

    rows: dict[str, list[int]]
    unused: dict[int, str]


def shuffled(groups: Sequence[Sequence[int]], ids: Sequence[str], strata: Sequence[str], seed: int) -> list[Group]:
    """The groups of rows in the order of a hash of the seed and their first id; ids and strata are those of rows."""

    def position(rows: Sequence[int]) -> tuple[bytes, str]:
        first = min(ids[row] for row in rows)
        return hashlib.sha256(f"{seed}\n{first}".encode()).digest(), first

    ordered = sorted(groups, key=position)
    return [Group("+".join(sorted({strata[row] for row in rows})), list(rows)) for rows in ordered]


def draw_splits(free: list[Group], sizes: Mapping[str, Size], links: set[tuple[int, int]]) -> Draw:
    """Draw the splits from groups in the order given.

    Args:
        free: all groups.
        sizes: size of each split, by its name.
        links: pairs of rows that must not be in two different splits; of those drawn later, rows are left out.

    Raises:
        InputError: if whole groups leave too few for a size, or the test set has fewer than 2 pairs.
    """
    drawn: dict[str, list[int]] = {}
    unused: dict[int, str] = {}
    near: dict[int, str] = {}
    for name in DRAWING_ORDER:
        # Those left out count as there: missing them is for the log to say, not an error.
        available = sum(len(group.rows) for group in free) + sum(
            reason.startswith("near_") for reason in unused.values()
        )
        asked = sizes[name].pairs
        if asked is not None and asked > available:
            raise InputError(
                f"data_engineering.split.{name} asks for {asked} pairs, but whole groups leave {available}; lower the "
                "sizes, or set train to null."
            )
        drawn[name], free, left_out = _draw_apart(free, sizes[name], name, near)
        unused |= left_out
        if name == "test":
            _require_test_pairs(len(drawn[name]))
        near = dict.fromkeys(_linked(links, drawn[name]), f"near_{name}") | near
    unused |= dict.fromkeys((row for group in free for row in group.rows), "not_needed")
    return Draw(drawn, unused)


def _require_test_pairs(count: int) -> None:
    if count < FEWEST_TEST_PAIRS:
        raise InputError(
            f"The size of the test set is {count}, and the evaluation needs {FEWEST_TEST_PAIRS} pairs at least; raise "
            "data_engineering.split.test."
        )


def _linked(links: set[tuple[int, int]], rows: list[int]) -> set[int]:
    """The rows at the other end of the links that start or end in the given ones."""
    ends = set(rows)
    return {one for link in links for one, other in (link, link[::-1]) if other in ends}


def _draw_apart(
    free: list[Group], size: Size, name: str, near: Mapping[int, str]
) -> tuple[list[int], list[Group], dict[int, str]]:
    """Rows of a split without those near an earlier one, the groups that stay free, and the rows left out, with why."""
    left_out: dict[int, str] = {}
    while True:
        rows, rest, surplus = _take_all(free) if size.pairs is None else _draw(free, size.pairs, size.is_count)
        too_near = {row: near[row] for row in rows if row in near}
        if not too_near:
            break
        left_out |= too_near
        trimmed = (Group(group.stratum, [row for row in group.rows if row not in too_near]) for group in free)
        free = [group for group in trimmed if group.rows]
    if surplus:
        logger.info("%s: %d pairs left out (split_surplus).", name, len(surplus))
    for reason, count in sorted(Counter(left_out.values()).items()):
        logger.info("%d pairs left out of %s, too similar to a %s pair.", count, name, reason.removeprefix("near_"))
    if size.is_count and size.pairs is not None and len(rows) < size.pairs:
        logger.warning("%s: %d pairs of the %d asked for, since no more are left.", name, len(rows), size.pairs)
    return rows, rest, left_out | dict.fromkeys(surplus, "split_surplus")


def _take_all(free: list[Group]) -> tuple[list[int], list[Group], list[int]]:
    return sorted(row for group in free for row in group.rows), [], []


def _draw(free: list[Group], size: int, is_count: bool) -> tuple[list[int], list[Group], list[int]]:
    """Rows of a split, the groups that stay free, and the surplus rows of a group that was cut."""
    chosen: set[int] = set()
    for stratum, share in _shares(free, size).items():
        members = [place for place, group in enumerate(free) if group.stratum == stratum]
        chosen.update(_fitting(free, members, share))
    rest = [place for place in range(len(free)) if place not in chosen]
    filled = sum(len(free[place].rows) for place in chosen)
    chosen.update(_fitting(free, rest, size - filled))
    rows = [row for place in sorted(chosen) for row in free[place].rows]
    rest = [place for place in rest if place not in chosen]
    surplus: list[int] = []
    if rest and (len(rows) < size if is_count else not rows):
        smallest = min(rest, key=lambda place: len(free[place].rows))
        taken = size - len(rows) if is_count else len(free[smallest].rows)
        surplus = free[smallest].rows[taken:]
        rows += free[smallest].rows[:taken]
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
