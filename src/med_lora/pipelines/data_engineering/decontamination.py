"""Pairs that hold a question of a benchmark."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np
import pandas as pd

from med_lora.pipelines.data_engineering.deduplication import REJECTED_COLUMNS
from med_lora.pipelines.data_engineering.duplicates import (
    Hashes,
    nearest,
    shingle_sets,
    shingles,
    word_grams,
    word_hashes,
)
from med_lora.pipelines.data_engineering.grouping import SIMILARITY
from med_lora.pipelines.data_engineering.text import clean_text, comparison_key, has_words

logger = logging.getLogger(__name__)

Policy = Literal["remove", "report"]
OVERLAP_COLUMNS = ["id", "corpus", "benchmark", "benchmark_id", "kind"]
KINDS = ("exact_question", "shared_words", "near_question")
GRAM_WORDS = 13
# A shorter question in full, such as "What is gout?", stands in many texts by chance.
FEWEST_WORDS = 6
_BELOW_THE_STEM = re.compile(r"(?:\n\s*A[.):] |\n\nContext:).*", re.DOTALL)


def remove_benchmark_overlap(
    pairs: pd.DataFrame, rejected: pd.DataFrame, policy: Policy, *benchmarks: Iterable[pd.DataFrame]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """:func:`find_benchmark_overlap`, with the pairs it rejects after those rejected before.

    Args:
        pairs: table of distinct pairs.
        rejected: rows (id, corpus, stage, reason).
        policy: what happens to pairs that overlap.
        benchmarks: parsed pairs, each in chunks.

    Returns:
        The kept pairs, all rejected rows, and the overlap table.
    """
    tables = [pd.concat(chunks, ignore_index=True) for chunks in benchmarks]
    kept, overlap, found = find_benchmark_overlap(pairs, policy, *tables)
    return kept, pd.concat([rejected, found], ignore_index=True), overlap


def find_benchmark_overlap(
    pairs: pd.DataFrame, policy: Policy, *benchmarks: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Pairs that overlap with a question of a benchmark, removed or only reported.

    A question is its text without the options or the abstract below it. A pair overlaps if its question has the same
    words (``exact_question``), if its question and answer share a sequence of 13 words with it, or hold all of it where
    it has 6 to 12 (``shared_words``; after Brown et al. 2020, arXiv:2005.14165, appendix C), or if its question's
    word-3-gram set has a Jaccard similarity of at least 0.7 (``near_question``).

    Args:
        pairs: table of distinct pairs.
        policy: ``remove`` rejects what overlaps, ``report`` keeps it.
        benchmarks: parsed pairs, a table each; rows without a question are passed over and counted in the log.

    Returns:
        The kept pairs; the overlap (id, corpus, benchmark, benchmark_id, kind), one row for each pair, benchmark and
        kind with the first such question; the rejected rows (id, corpus, stage, reason), the reason that of the
        first benchmark.
    """
    stems_of_pairs = [_stem(question) for question in pairs["question"]]
    questions = [comparison_key(stem) for stem in stems_of_pairs]
    sets = shingle_sets(stems_of_pairs)
    # With what stands below the stem: an abstract or an option may hold a question of a benchmark, too.
    both = zip(word_hashes(pairs["question"]), word_hashes(pairs["answer"]), strict=True)
    texts = [np.concatenate(hashes) for hashes in both]
    rows: list[tuple[int, str, str, str]] = []
    for benchmark in benchmarks:
        items, stems = _questions(benchmark)
        of_stems = list(word_hashes(stems))
        found = (
            _equal(questions, [comparison_key(stem) for stem in stems]),
            _sharing_words(texts, of_stems),
            nearest(sets, [shingles(words) for words in of_stems], SIMILARITY),
        )
        names, ids = items["corpus"].tolist(), items["id"].tolist()
        for kind, places in zip(KINDS, found, strict=True):
            rows += [(row, names[place], ids[place], kind) for row, place in enumerate(places) if place >= 0]
        _log(benchmark, rows, len(items))
    return _result(pairs, rows, policy)


def _questions(benchmark: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of a benchmark that have a question, and the stem of each."""
    # Pairs are clean by now, a benchmark is as it was read.
    stems = [_stem(clean_text(question)) for question in benchmark["question"]]
    is_compared = np.array([has_words(stem) for stem in stems], dtype=bool)
    return benchmark[is_compared], [stem for stem in stems if has_words(stem)]


def _stem(question: str) -> str:
    """A question without its options and without the abstract that it is asked about."""
    return _BELOW_THE_STEM.sub("", question)


def _equal(keys: Iterable[str], references: list[str]) -> list[int]:
    """For each key the position of the first equal reference, -1 where there is none."""
    first: dict[str, int] = {}
    for place, reference in enumerate(references):
        if reference:
            first.setdefault(reference, place)
    return [first.get(key, -1) for key in keys]


def _sharing_words(texts: Iterable[Hashes], references: list[Hashes]) -> list[int]:
    """For each text the position of the first reference of which it has a sequence of 13 words, -1 where none is.

    A reference of 6 to 12 words is one sequence, unless several are the same: a stem such as "Which of the following is
    true?" marks no question.
    """
    times = Counter(reference.tobytes() for reference in references)
    first: dict[int, int] = {}
    # Short references by their first words, so that a text is looked up twice and not once for each length.
    short: dict[int, list[int]] = {}
    for place, reference in enumerate(references):
        for gram in word_grams(reference, GRAM_WORDS).tolist():
            first.setdefault(gram, place)
        if FEWEST_WORDS <= len(reference) < GRAM_WORDS and times[reference.tobytes()] == 1:
            short.setdefault(int(word_grams(reference[:FEWEST_WORDS], FEWEST_WORDS)[0]), []).append(place)
    found = []
    for text in texts:
        places = [first[gram] for gram in word_grams(text, GRAM_WORDS).tolist() if gram in first]
        for start, gram in enumerate(word_grams(text, FEWEST_WORDS).tolist()):
            for place in short.get(gram, ()):
                reference = references[place]
                if np.array_equal(text[start : start + len(reference)], reference):
                    places.append(place)
        found.append(min(places, default=-1))
    return found


def _result(
    pairs: pd.DataFrame, rows: list[tuple[int, str, str, str]], policy: Policy
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    ids, corpora = pairs["id"].tolist(), pairs["corpus"].tolist()
    overlap = pd.DataFrame(
        [(ids[row], corpora[row], *match) for row, *match in rows], columns=OVERLAP_COLUMNS, dtype="str"
    )
    reasons: dict[int, str] = {}
    if policy == "remove":
        for row, benchmark, _, _ in rows:
            reasons.setdefault(row, f"in_benchmark_{benchmark}")
    rejected = pd.DataFrame(
        [(ids[row], corpora[row], "decontaminate", reasons[row]) for row in sorted(reasons)],
        columns=REJECTED_COLUMNS,
        dtype="str",
    )
    is_kept = [row not in reasons for row in range(len(pairs))]
    return pairs[is_kept].reset_index(drop=True), overlap, rejected


def _log(benchmark: pd.DataFrame, rows: list[tuple[int, str, str, str]], questions: int) -> None:
    name = benchmark["corpus"].iat[0] if len(benchmark) else "benchmark without rows"
    kinds = {kind: sum(row[1] == name and row[3] == kind for row in rows) for kind in KINDS}
    pairs = len({row[0] for row in rows if row[1] == name})
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    logger.info("%s: %d pairs overlap with its %d questions (%s).", name, pairs, questions, counts)
    if questions < len(benchmark):
        logger.warning("%s: %d rows have no question and could not be compared.", name, len(benchmark) - questions)
