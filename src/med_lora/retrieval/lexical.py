"""Passages by words: BM25."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from med_lora.retrieval.fusion import Ranking, rank_scores

K1, B = 1.2, 0.75  # Lucene's, within the ranges that Robertson and Zaragoza (2009, section 3.4) find good
DECIMALS = 9  # logarithms differ in the last bits between machines, ranks must not
_WORD = re.compile(r"\w+")


def read_words(text: str) -> list[str]:
    """Runs of Unicode letters, digits and underscores in lower case, in reading order.

    There is no stemmer and no list of stop words: both are of one language, and the inverse document frequency makes
    frequent words count little. On MedQuAD, Porter's stemmer adds 0.014 to a recall@5 of 0.794.
    """
    return _WORD.findall(text.lower())


class WordSearch:
    """BM25 over passages (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond").

    A passage scores the sum, over the words of the question, of idf * tf / (tf + K1 * (1 - B + B * length / mean
    length)), with idf = ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative (Lucene's form; Kamphuis et al.
    2020); a word that the question repeats counts each time. The weights of all words in all passages are computed
    once, as bm25s does (Lu 2024, arXiv:2407.03618), in float64.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        """Count the words of the passages; the place of a passage is that in ``texts``."""
        from scipy.sparse import csc_array

        found = [read_words(text) for text in texts]
        vocabulary: dict[str, int] = {}
        columns = [vocabulary.setdefault(word, len(vocabulary)) for words in found for word in words]
        lengths = np.array([len(words) for words in found], dtype=np.int64)
        rows = np.repeat(np.arange(len(texts)), lengths)
        counts = csc_array((np.ones(len(columns)), (rows, columns)), shape=(len(texts), len(vocabulary)))
        counts.sum_duplicates()
        holding = np.diff(counts.indptr)
        idf = np.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        damping = K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-9)) if columns else lengths.astype(np.float64)
        self._passages = len(texts)
        self._vocabulary = vocabulary
        self._starts, self._places = counts.indptr, counts.indices.astype(np.int64)
        self._weights = np.repeat(idf, holding) * counts.data / (counts.data + damping[counts.indices])

    def search(self, questions: Sequence[str], count: int) -> list[Ranking]:
        """Per question the ``count`` best passages that share a word with it, which may be fewer, or none.

        Of equal scores, rounded to ``DECIMALS``, the lower place comes first.
        """
        return [self._search(question, count) for question in questions]

    def _search(self, question: str, count: int) -> Ranking:
        scores = np.zeros(self._passages)
        # sorted, since the last bits of a sum depend on its order
        for word in sorted(read_words(question)):
            column = self._vocabulary.get(word)
            if column is not None:
                part = slice(self._starts[column], self._starts[column + 1])
                scores[self._places[part]] += self._weights[part]
        hits = np.flatnonzero(scores)
        return rank_scores(hits, scores[hits].round(DECIMALS), count)
