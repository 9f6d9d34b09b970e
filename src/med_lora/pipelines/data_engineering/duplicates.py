"""Near duplicates: MinHash finds candidates, the exact Jaccard similarity of word-3-gram sets decides."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.text import words

Item = TypeVar("Item")
SHINGLE_WORDS = 3
PERMUTATIONS = 128
# Probability at which a pair at the threshold itself may be no candidate.
MISSED = 0.005
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
_SIGNATURES_PER_BLOCK = 4096
_QUERIES_PER_BLOCK = 256

Hashes = NDArray[np.uint64]
Positions = NDArray[np.int64]


class _WordHashes(dict[str, int]):
    """64-bit hash of each word met so far; of BLAKE2b, so that it is the same on every machine."""

    def __missing__(self, word: str) -> int:
        number = self[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        return number


def word_hashes(texts: Iterable[str]) -> Iterator[Hashes]:
    """For each text the 64-bit hashes of its words (see :func:`~.text.words`), in their order."""
    hashes = _WordHashes()
    for text in texts:
        found = words(text)
        yield np.fromiter(map(hashes.__getitem__, found), dtype=np.uint64, count=len(found))


def word_grams(hashes: Hashes, width: int) -> Hashes:
    """Hashes of the sequences of ``width`` words of a text, in their order; none where the text has fewer words.

    Two different sequences share a hash with probability 2^-64.
    """
    count = max(0, len(hashes) - width + 1)
    return _mix([hashes[offset : offset + count] for offset in range(width)])


def shingles(hashes: Hashes) -> Hashes:
    """The sorted, distinct hashes of a text's word 3-grams (of all its words where it has fewer)."""
    width = min(SHINGLE_WORDS, len(hashes))
    return np.unique(word_grams(hashes, width)) if width else hashes


def shingle_sets(texts: Iterable[str]) -> list[Hashes]:
    """:func:`shingles` of each text."""
    return [shingles(hashes) for hashes in word_hashes(texts)]


def _mix(columns: Sequence[Hashes]) -> Hashes:
    """One hash for each row of the columns; their order counts."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for place, column in enumerate(columns):
        mixed = (mixed ^ column) * np.uint64(_MULTIPLIERS[place % len(_MULTIPLIERS)])
        mixed ^= mixed >> np.uint64(29)
    return mixed


def progress(items: Collection[Item], description: str) -> Iterator[Item]:
    """The items, with a progress bar where a terminal shows it."""
    from tqdm import tqdm

    yield from tqdm(items, desc=description, disable=None, leave=False)


def _bands(threshold: float, permutations: int) -> tuple[int, int]:
    """Bands and rows for which a pair at the threshold becomes a candidate with probability above 0.995.

    The probability is 1 - (1 - J^rows)^bands (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, eq. 3.4).

    Raises:
        InputError: if no choice reaches it with so few permutations.
    """
    fewest = math.floor(math.log(MISSED) / math.log(1 - threshold)) + 1
    if permutations < fewest:
        raise InputError(
            f"data_engineering.deduplication.permutations is {permutations}, too few to find pairs of similarity "
            f"{threshold}; set it to {fewest} or more."
        )
    rows = 1
    while (1 - threshold ** (rows + 1)) ** (permutations // (rows + 1)) < MISSED:
        rows += 1
    return permutations // rows, rows


class SimilarSets:
    """Shingle sets of which some are added to an index, and which of those are similar to another set.

    A key is a set's position. Empty sets are similar to nothing.
    """

    def __init__(self, sets: Sequence[Hashes], threshold: float, permutations: int = PERMUTATIONS):
        """Prepare the sets; ``threshold`` is the Jaccard similarity from which two of them are similar."""
        self._threshold = threshold
        self._lengths, self._ids, _ = _numbered(sets)
        self._ends = np.cumsum(self._lengths)
        self._is_in = np.zeros(int(self._ids.max(initial=0)) + 1, dtype=np.bool_)
        self._buckets_of = _shared_buckets(_band_keys(sets, threshold, permutations))
        self._members: dict[int, list[int]] = {}

    def add(self, key: int) -> None:
        """Add a set to the index, unless it is empty."""
        if not self._lengths[key]:
            return
        for bucket in self._buckets_of[key]:
            self._members.setdefault(bucket, []).append(key)

    def similar(self, key: int) -> list[int]:
        """Keys of the sets in the index that are similar to the set, in ascending order."""
        found: set[int] = set()
        found.update(*(self._members.get(bucket, ()) for bucket in self._buckets_of[key]))
        candidates = np.array(sorted(found), dtype=np.int64)
        # No similarity exceeds the ratio of the sizes.
        sizes, own = self._lengths[candidates], self._lengths[key]
        candidates = candidates[np.minimum(sizes, own) / np.maximum(sizes, own) >= self._threshold]
        if not len(candidates):
            return []
        sizes = self._lengths[candidates]
        shared = self._shared(key, candidates, np.cumsum(sizes) - sizes)
        matches: list[int] = candidates[shared / (sizes + own - shared) >= self._threshold].tolist()
        return matches

    def _shared(self, key: int, candidates: Positions, starts: Positions) -> Positions:
        """How many shingles each candidate shares with the set."""
        own = self._of(key)
        self._is_in[own] = True
        ids = np.concatenate([self._of(candidate) for candidate in candidates.tolist()])
        shared: Positions = np.add.reduceat(self._is_in[ids], starts, dtype=np.int64)
        self._is_in[own] = False
        return shared

    def _of(self, key: int) -> NDArray[np.uint32]:
        end = self._ends[key]
        return self._ids[end - self._lengths[key] : end]


def _numbered(sets: Sequence[Hashes]) -> tuple[Positions, NDArray[np.uint32], Hashes]:
    """Lengths of the sets, their elements one set after another, as numbers from 0, and the hash of each number."""
    lengths = np.fromiter(map(len, sets), dtype=np.int64, count=len(sets))
    flat = np.concatenate([np.zeros(0, dtype=np.uint64), *sets])
    hashes, numbers = np.unique(flat, return_inverse=True)
    return lengths, numbers.astype(np.uint32), hashes


def _band_keys(sets: Sequence[Hashes], threshold: float, permutations: int) -> Hashes:
    """A hash for each set and band of its MinHash signature, (sets, bands)."""
    from datasketch import MinHash

    bands, rows = _bands(threshold, permutations)
    # The shingles are 64-bit hashes already: the identity spares hashing each of them again.
    empty = MinHash(num_perm=permutations, hashfunc=int, scheme="affine64")
    keys = np.empty((len(sets), bands), dtype=np.uint64)
    block = np.empty((min(len(sets), _SIGNATURES_PER_BLOCK), permutations), dtype=np.uint64)
    for key, elements in enumerate(progress(sets, "MinHash signatures")):
        signature = empty.copy()
        signature.update_batch(elements.tolist())
        place = key % _SIGNATURES_PER_BLOCK
        block[place] = signature.hashvalues
        if place + 1 == len(block) or key + 1 == len(sets):
            filled = block[: place + 1, : bands * rows].reshape(place + 1, bands, rows)
            for band in range(bands):
                keys[key - place : key + 1, band] = _mix([filled[:, band, row] for row in range(rows)])
    return keys


def _shared_buckets(keys: Hashes) -> list[list[int]]:
    """For each set the numbers of its buckets; the many buckets of one set alone are left out."""
    buckets_of: list[list[int]] = [[] for _ in range(len(keys))]
    number = 0
    for band in range(keys.shape[1]):
        order = np.argsort(keys[:, band], kind="stable")
        ordered = keys[order, band]
        is_equal = np.concatenate([ordered[1:] == ordered[:-1], [False]])
        for place in np.flatnonzero(is_equal | np.roll(is_equal, 1)).tolist():
            buckets_of[order[place]].append(number)
            number += not is_equal[place]
    return buckets_of


def repeats(
    sets: Sequence[Hashes],
    threshold: float,
    permutations: int = PERMUTATIONS,
    differ: Callable[[int, int], bool] = lambda first, second: False,
) -> list[bool]:
    """Which sets nearly repeat an earlier one that is no repeat itself.

    They do with at least the Jaccard similarity ``threshold``, unless ``differ`` says of the two positions that they do
    not mean the same.
    """
    index = SimilarSets(sets, threshold, permutations)
    found: list[bool] = []
    for key in progress(range(len(sets)), "near duplicates"):
        found.append(any(not differ(other, key) for other in index.similar(key)))
        if not found[key]:
            index.add(key)
    return found


def similar_pairs(sets: Sequence[Hashes], threshold: float, compared: int | None = None) -> Iterator[tuple[int, int]]:
    """Pairs of positions, the earlier one first, whose sets have at least the Jaccard similarity ``threshold``.

    The first ``compared`` sets (None: all) are compared with all, the others with those alone.
    """
    index = SimilarSets(sets, threshold)
    for key in progress(range(len(sets)), "similar pairs"):
        for other in index.similar(key):
            yield other, key
        if compared is None or key < compared:
            index.add(key)


def nearest(queries: Sequence[Hashes], references: Sequence[Hashes], threshold: float) -> list[int]:
    """For each query the position of the most similar reference, -1 where none has the Jaccard similarity.

    Every query is compared with every reference that shares an element with it: nothing is left to chance.
    """
    lengths = np.fromiter(map(len, references), dtype=np.int64, count=len(references))
    found: list[int] = []
    for query, (places, shared) in zip(queries, _sharing(queries, references), strict=True):
        similarity = shared / (len(query) + lengths[places] - shared)
        best = int(np.argmax(similarity)) if len(places) else -1
        found.append(int(places[best]) if best >= 0 and similarity[best] >= threshold else -1)
    return found


def contained(queries: Sequence[Hashes], references: Sequence[Hashes], share: float) -> list[bool]:
    """For each query whether one reference holds at least this share of its elements; an empty query is in none."""
    return [
        bool(len(query)) and int(shared.max(initial=0)) / len(query) >= share
        for query, (_, shared) in zip(queries, _sharing(queries, references), strict=True)
    ]


def _sharing(queries: Sequence[Hashes], references: Sequence[Hashes]) -> Iterator[tuple[Positions, Positions]]:
    """For each query the positions of the references that share elements with it, in order, and how many they share."""
    from scipy.sparse import csr_array

    lengths, ids, hashes = _numbered([*references, *queries])
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    held = csr_array((np.ones(len(ids), dtype=np.int32), ids, bounds), shape=(len(lengths), len(hashes)))
    transposed = held[: len(references)].T.tocsr()
    for start in range(len(references), len(lengths), _QUERIES_PER_BLOCK):
        shared = held[start : min(start + _QUERIES_PER_BLOCK, len(lengths))] @ transposed
        shared.sort_indices()
        for first, end in pairwise(shared.indptr.tolist()):
            yield shared.indices[first:end], shared.data[first:end]
