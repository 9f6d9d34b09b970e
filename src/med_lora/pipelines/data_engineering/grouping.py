"""Groups of pairs that must not be torn apart between training and test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from med_lora.pipelines.data_engineering.duplicates import shingle_sets, similar_pairs
from med_lora.pipelines.data_engineering.text import comparison_key

SIMILARITY = 0.7
# Free questions are short: one changed word of twenty takes three of eighteen 3-grams away.
QUESTION_SIMILARITY = 0.5
# Boilerplate chains: without a bound, links between similar answers joined 2,462 of 18,845 pairs of MedQuAD and WikiDoc
# (near duplicates from a similarity of 0.8 on removed before).
LARGEST_SHARE = 0.01
SMALLEST_BOUND = 20


class Components:
    """Disjoint sets of the numbers 0 to size - 1 (union-find with path halving)."""

    def __init__(self, size: int):
        self._parent = list(range(size))
        self._size = [1] * size

    def root(self, key: int) -> int:
        """The smallest number in the set of ``key``."""
        parent = self._parent
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    def join(self, left: int, right: int) -> None:
        """Make one set of two."""
        low, high = sorted((self.root(left), self.root(right)))
        if low != high:
            self._parent[high] = low
            self._size[low] += self._size[high]

    def joint_size(self, left: int, right: int) -> int:
        """Size of the set that joining the two would make."""
        low, high = self.root(left), self.root(right)
        return self._size[low] if low == high else self._size[low] + self._size[high]


class Grouping(NamedTuple):
    """Number of the group of each pair, from 0, and the links refused: row positions of similar pairs kept apart."""

    numbers: pd.Series
    refused: set[tuple[int, int]]


def group_pairs(pairs: pd.DataFrame) -> Grouping:
    """Number of the group of each pair, counted from 0 in the order of the table, and the links refused.

    Pairs are in one group if they share the focus, the question or the answer (case and punctuation aside), or if
    the Jaccard similarity of their word-3-gram sets is high: at least 0.7 for question and answer together or for the
    answer alone, at least 0.5 for the question of pairs without a focus (with one, questions follow templates).
    A link by similarity that would grow a group beyond 1 % of the pairs and beyond 20 is refused and returned, the
    earlier row first; links by equality always hold.

    Args:
        pairs: table of pairs with unique ids.
    """
    components = Components(len(pairs))
    focus, question, answer = (pairs[name].tolist() for name in ("focus", "question", "answer"))
    for texts in (focus, question, answer):
        _join_equal(components, [comparison_key(text) for text in texts])
    both = [f"{left}\n{right}" for left, right in zip(question, answer, strict=True)]
    bound = max(SMALLEST_BOUND, int(LARGEST_SHARE * len(pairs)))
    everywhere = list(range(len(pairs)))
    without_focus = [row for row in everywhere if not focus[row]]
    refused = _join_similar(components, both, everywhere, SIMILARITY, bound)
    refused |= _join_similar(components, answer, everywhere, SIMILARITY, bound)
    refused |= _join_similar(components, question, without_focus, QUESTION_SIMILARITY, bound)
    numbers: dict[int, int] = {}
    groups = [numbers.setdefault(components.root(row), len(numbers)) for row in range(len(pairs))]
    return Grouping(pd.Series(groups, index=pairs.index, name="group", dtype="int64"), refused)


def _join_equal(components: Components, keys: Sequence[str]) -> None:
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key:
            components.join(first.setdefault(key, row), row)


def _join_similar(
    components: Components, texts: Sequence[str], rows: Sequence[int], similarity: float, bound: int
) -> set[tuple[int, int]]:
    """Join similar rows as far as the bound allows, and return the links it refuses."""

    def joined(left: int, right: int) -> bool:
        return components.root(left) == components.root(right)

    refused: set[tuple[int, int]] = set()
    sets = dict(zip(rows, shingle_sets([texts[row] for row in rows]), strict=True))
    for left, right in similar_pairs(sets, similarity, skip=joined):
        if components.joint_size(left, right) > bound:
            refused.add((left, right))
        else:
            components.join(left, right)
    return refused
