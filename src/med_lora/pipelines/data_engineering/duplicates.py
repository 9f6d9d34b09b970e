"""Near duplicates: MinHash finds candidates, the exact Jaccard similarity of word-3-gram sets decides."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from med_lora.pipelines.data_engineering.text import words

if TYPE_CHECKING:
    from datasketch import MinHash

Item = TypeVar("Item")
SHINGLE_WORDS = 3
PERMUTATIONS = 128
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)

Shingles = NDArray[np.uint64]


def shingle_sets(texts: Sequence[str]) -> list[Shingles]:
    """For each text the sorted, distinct 64-bit hashes of its word 3-grams (of all its words where it has fewer).

    The hashes come from BLAKE2b, so they are the same on every machine; two 3-grams share one with probability 2^-64.
    """
    hashes: dict[str, int] = {}

    def number(word: str) -> int:
        if word not in hashes:
            hashes[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        return hashes[word]

    return [_shingles(np.array([number(word) for word in words(text)], dtype=np.uint64)) for text in texts]


def _shingles(numbers: NDArray[np.uint64]) -> Shingles:
    width = min(SHINGLE_WORDS, len(numbers))
    if not width:
        return numbers
    count = len(numbers) - width + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for offset in range(width):
        mixed = (mixed ^ numbers[offset : offset + count]) * np.uint64(_MULTIPLIERS[offset])
        mixed ^= mixed >> np.uint64(29)
    return np.unique(mixed)


def progress(items: Collection[Item], description: str) -> Iterator[Item]:
    """The items, with a progress bar where a terminal shows it."""
    from tqdm import tqdm

    yield from tqdm(items, desc=description, disable=None, leave=False)


def jaccard(left: Shingles, right: Shingles) -> float:
    """Exact Jaccard similarity of two shingle sets; 0 where one is empty."""
    if not len(left) or not len(right):
        return 0.0
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


def _bands(threshold: float) -> tuple[int, int]:
    """Bands and rows for which a pair at the threshold becomes a candidate with probability above 0.995.

    The probability is 1 - (1 - J^rows)^bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, eq. 3.4).
    """
    rows = 1
    while (1 - threshold ** (rows + 1)) ** (PERMUTATIONS // (rows + 1)) < 0.005:
        rows += 1
    return PERMUTATIONS // rows, rows


class _Index:
    """Shingle sets by their MinHash signature, and which of them are similar to another set."""

    def __init__(self, threshold: float):
        from datasketch import MinHash, MinHashLSH

        self._threshold = threshold
        # The shingles are 64-bit hashes already: the identity spares hashing each of them again.
        self._empty = MinHash(num_perm=PERMUTATIONS, hashfunc=int, scheme="affine64")
        self._buckets = MinHashLSH(num_perm=PERMUTATIONS, params=_bands(threshold))
        self._sets: dict[int, Shingles] = {}

    def signature(self, shingles: Shingles) -> MinHash:
        signature = self._empty.copy()
        signature.update_batch(shingles.tolist())
        return signature

    def add(self, key: int, shingles: Shingles, signature: MinHash) -> None:
        self._sets[key] = shingles
        self._buckets.insert(key, signature, check_duplication=False)

    def candidates(self, signature: MinHash) -> list[int]:
        return sorted(self._buckets.query(signature))

    def similar(self, key: int, shingles: Shingles) -> bool:
        return jaccard(self._sets[key], shingles) >= self._threshold


def repeats(sets: Sequence[Shingles], threshold: float) -> list[bool]:
    """Which sets nearly repeat an earlier one that is no repeat itself (Jaccard similarity >= threshold).

    Empty sets repeat nothing.
    """
    index = _Index(threshold)
    found = [False] * len(sets)
    for key, shingles in enumerate(progress(sets, "near duplicates")):
        if not len(shingles):
            continue
        signature = index.signature(shingles)
        found[key] = any(index.similar(other, shingles) for other in index.candidates(signature))
        if not found[key]:
            index.add(key, shingles, signature)
    return found


def similar_pairs(
    sets: Mapping[int, Shingles], threshold: float, skip: Callable[[int, int], bool]
) -> Iterator[tuple[int, int]]:
    """Pairs of keys, the earlier one first, whose sets have at least the Jaccard similarity ``threshold``.

    Pairs for which ``skip`` holds when their turn comes are left out, which spares comparing them.
    """
    index = _Index(threshold)
    for key, shingles in progress(sets.items(), "similar pairs"):
        if not len(shingles):
            continue
        signature = index.signature(shingles)
        for other in index.candidates(signature):
            if not skip(other, key) and index.similar(other, shingles):
                yield other, key
        index.add(key, shingles, signature)
