"""The longest run of words that a text shares with any one of many others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
BLOCK_WORDS = 1_000_000  # words of texts that are sorted at once together with those of the sources

Numbers = NDArray[np.int64]


def normalised_words(text: str) -> list[str]:
    """The words of a text without case and punctuation."""
    return WORD.findall(text.casefold())


def longest_runs(texts: Iterable[Sequence[str]], sources: Iterable[Sequence[str]]) -> list[int]:
    """For each text the length of its longest run of consecutive words that stands in a single source.

    Exact: the longest common substring (Gusfield 1997, section 7.4) of the text with each source, in words, the
    greatest of all sources. Found from a suffix array by prefix doubling (Manber and Myers 1993), in which only groups
    that hold words of both sides are sorted further.

    Args:
        texts: words of each text, taken one text after another.
        sources: words of each source, likewise.
    """
    vocabulary: dict[str, int] = {}
    known = [_number(source, vocabulary) for source in sources]
    asked = [_number(text, vocabulary) for text in texts]
    runs: list[int] = []
    for block in _split(asked):
        runs += _longest_runs(block, known, len(vocabulary))
    return runs


def _number(words: Sequence[str], vocabulary: dict[str, int]) -> Numbers:
    """Words as numbers in the order in which the vocabulary met them."""
    numbers = (vocabulary.setdefault(word, len(vocabulary)) for word in words)
    return np.fromiter(numbers, dtype=np.int64, count=len(words))


def _split(texts: Sequence[Numbers]) -> Iterator[list[Numbers]]:
    """Consecutive texts of at most ``BLOCK_WORDS`` words, or a single longer one."""
    block: list[Numbers] = []
    size = 0
    for text in texts:
        if block and size + len(text) > BLOCK_WORDS:
            yield block
            block, size = [], 0
        block.append(text)
        size += len(text)
    if block:
        yield block


def _longest_runs(texts: list[Numbers], sources: list[Numbers], words: int) -> list[int]:
    flat, starts = _join([*sources, *texts], words)
    first_asked = int(starts[len(sources)])
    snapshots, order = _sort_suffixes(flat, first_asked)
    shared = np.zeros(len(flat), dtype=np.int64)
    for neighbours in (_last_source(order, first_asked), _last_source(order[::-1], first_asked)):
        suffixes, partners = neighbours
        shared[suffixes] = np.maximum(shared[suffixes], _common_prefix(suffixes, partners, snapshots))
    longest: list[int] = np.maximum.reduceat(shared, starts[len(sources) :]).tolist()
    return longest


def _join(texts: list[Numbers], words: int) -> tuple[Numbers, Numbers]:
    """All texts one after another, each behind by a number of its own, and where each begins."""
    parts = [part for place, text in enumerate(texts) for part in (text, np.array([words + place]))]
    lengths = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts))
    return np.concatenate(parts), np.cumsum(lengths) - lengths


def _sort_suffixes(flat: Numbers, first_asked: int) -> tuple[list[NDArray[np.int32]], Numbers]:
    """Names of the runs of 1, 2, 4, ... words that begin at each place, and all places in the order of their suffixes.

    A name is the place of the first suffix that begins with its run, in that order. Of a place before ``first_asked``
    and one behind it the names of a length are equal if and only if the runs are: a group of one side alone keeps the
    order and the name it had, since nothing is asked within it.
    """
    order = np.argsort(flat, kind="stable")
    names = np.empty(len(flat), dtype=np.int32)
    names[order] = _first_of_group(np.concatenate([[True], np.diff(flat[order]) != 0]))
    snapshots, width = [names], 1
    while len(active := _in_mixed_groups(order, names, first_asked)):
        places = order[active]
        # the number at the end of each text is in no mixed group, so no run reaches beyond the last place
        behind = names[places + width]
        by_both = np.lexsort((behind, names[places]))
        places, behind = places[by_both], behind[by_both]
        order[active] = places
        is_new = np.concatenate([[True], (np.diff(names[places]) != 0) | (np.diff(behind) != 0)])
        renamed = names.copy()
        renamed[places] = active[_first_of_group(is_new)]
        names, width = renamed, 2 * width
        snapshots.append(names)
    return snapshots, order


def _first_of_group(is_new: NDArray[np.bool_]) -> Numbers:
    """For each place the last one up to it at which a group begins."""
    return np.maximum.accumulate(np.where(is_new, np.arange(len(is_new)), 0))


def _in_mixed_groups(order: Numbers, names: NDArray[np.int32], first_asked: int) -> Numbers:
    """Positions in ``order`` whose group, by name, holds places of both sides."""
    named = names[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(named) != 0]))
    sizes = np.diff(np.append(starts, len(order)))
    sources = np.add.reduceat(order < first_asked, starts, dtype=np.int64)
    return np.flatnonzero(np.repeat((sources > 0) & (sources < sizes), sizes))


def _last_source(order: Numbers, first_asked: int) -> tuple[Numbers, Numbers]:
    """Each place of a text that has a place of a source before it in ``order``, and the last such place."""
    is_source = order < first_asked
    last = np.maximum.accumulate(np.where(is_source, np.arange(len(order)), -1))
    chosen = ~is_source & (last >= 0)
    return order[chosen], order[last[chosen]]


def _common_prefix(left: Numbers, right: Numbers, snapshots: list[NDArray[np.int32]]) -> Numbers:
    """Words that the suffixes at two places, one of a text and one of a source, begin with alike."""
    length = np.zeros(len(left), dtype=np.int64)
    for power in reversed(range(len(snapshots))):
        names = snapshots[power]
        # a prefix ends at the latest at the number that ends a text, so both places stay inside
        length += (names[left + length] == names[right + length]) * (1 << power)
    return length
