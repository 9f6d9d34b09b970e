"""The constant control: the one text that, given to every question, is most like the training answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.metrics.overlap import common_subsequence
from med_lora.pipelines.evaluation.controls.nearest import count_words

SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
SOURCES = 5000  # training answers that candidates are taken from
REFERENCES = 300  # training answers that candidates are compared with
SHORTLIST = 100  # candidates compared word by word in order, the best of all by the words they share

Floats = npt.NDArray[np.float64]


def rank_constants(train: pd.DataFrame, count: int, seed: int) -> list[str]:
    """The best constant answer first, then up to ``count`` - 1 more to continue it where it must be longer.

    Candidates are the sentences and the whole answers of ``SOURCES`` training answers. The best has the highest mean
    ROUGE-L F1 (Lin 2004) against ``REFERENCES`` of them, the answer that it comes from left out; only the
    ``SHORTLIST`` candidates with the highest mean F1 of distinct words are compared so. Each further text is the best
    that shares less than half of its words with those before it. Both samples are drawn by ``seed`` from the answers in
    the order of their ids; the first in alphabetical order wins a tie.
    """
    answers = list(train.sort_values("id")["answer"])
    places = np.random.Generator(np.random.PCG64(seed)).permutation(len(answers))
    sources = _split_answers(answers, sorted(places[:SOURCES].tolist()))
    texts = sorted(sources)
    references = sorted(places[:REFERENCES].tolist())
    words = [_tokenise(text) for text in texts]
    wanted = [_tokenise(answers[place]) for place in references]
    others = np.array([[sources[text] != place for place in references] for text in texts], dtype=bool)
    shortlist = _best(_mean(_share_words(words, wanted), others), SHORTLIST)
    ordered = np.array(
        [[_f1(common_subsequence(words[place], given), words[place], given) for given in wanted] for place in shortlist]
    )
    ranked = [shortlist[place] for place in _best(_mean(ordered, others[shortlist]), SHORTLIST)]
    return [texts[place] for place in _drop_alike(ranked, words, count)]


def _split_answers(answers: Sequence[str], places: Sequence[int]) -> dict[str, int]:
    """Every candidate with the place of the first answer that holds it."""
    sources: dict[str, int] = {}
    for place in places:
        whole = answers[place].strip()
        for text in (whole, *SENTENCE_END.split(whole)):
            if text:
                sources.setdefault(text, place)
    return sources


def _tokenise(text: str) -> list[str]:
    from rouge_score.tokenizers import DefaultTokenizer

    tokens: list[str] = DefaultTokenizer(use_stemmer=False).tokenize(text)
    return tokens


def _share_words(texts: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> Floats:
    """F1 of the distinct words of every text and reference, [texts, references]."""
    vocabulary = {word: place for place, word in enumerate(sorted({word for words in texts for word in words}))}
    left, right = (count_words([set(words) for words in side], vocabulary) for side in (texts, references))
    sizes = np.array([len(set(words)) for words in texts])[:, None] + [len(set(words)) for words in references]
    shared: Floats = 2 * (left @ right.T).toarray() / np.maximum(1, sizes)
    return shared


def _f1(common: int, left: Sequence[str], right: Sequence[str]) -> float:
    return 2 * common / max(1, len(left) + len(right))


def _mean(scores: Floats, others: npt.NDArray[np.bool_]) -> Floats:
    """Mean over the references that a text is not taken from; rounded, so that equal texts tie."""
    means: Floats = np.round((scores * others).sum(axis=1) / np.maximum(1, others.sum(axis=1)), 12)
    return means


def _best(scores: Floats, count: int) -> list[int]:
    """Places of the highest scores, the first of equals first."""
    places: list[int] = np.argsort(-scores, kind="stable")[:count].tolist()
    return places


def _drop_alike(ranked: Sequence[int], words: Sequence[Sequence[str]], count: int) -> list[int]:
    """The first of ``ranked``, and up to ``count`` that share less than half of their words with those kept before."""
    kept: list[int] = []
    said: set[str] = set()
    for place in ranked:
        distinct = set(words[place])
        if not kept or (len(kept) < count and 2 * len(distinct & said) < len(distinct)):
            kept.append(place)
            said |= distinct
    return kept
