"""Scores of many pairs, shared out among processes where that pays."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np

from med_lora.errors import InputError
from med_lora.metrics.definition import Metric
from med_lora.metrics.lexical import LexicalScorer, lexical_metrics
from med_lora.metrics.meteor import Meteor
from med_lora.metrics.ngrams import Counts, Floats
from med_lora.metrics.wordnet import WordNet, WordNetFiles, find_wordnet

logger = logging.getLogger(__name__)

Pairs = Sequence[tuple[str, str]]  # answer, reference
Part = tuple[Floats, Counts]  # scores and statistics of a chunk
CHUNK = 100  # pairs between two steps of the progress bar
PAYS_FROM = 2000  # pairs a process: one takes some seconds to start and to read WordNet
MOST = 8  # processes, of some hundred MiB each


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LexicalScores(NamedTuple):
    """Scores of pairs.

    Attributes:
        names: of the scores.
        scores: [pairs, names].
        statistics: [pairs, those of ``lexical.STATISTICS``].
        metrics: those of the names, and METEOR as missing where WordNet is there and cannot be read.
    """

    names: tuple[str, ...]
    scores: Floats
    statistics: Counts
    metrics: list[Metric]


def score_many(pairs: Pairs, rouge_beta: float, processes: int) -> LexicalScores:
    """Lexical scores of (answer, reference) pairs, the same whatever the number of processes.

    Equal pairs are scored once, and those of one reference after each other, so that it need be read only once.

    Args:
        pairs: at least one.
        rouge_beta: of :class:`LexicalScorer`.
        processes: at most so many besides this one, where there are pairs enough for several.
    """
    from tqdm import tqdm

    distinct = sorted(set(pairs), key=lambda pair: (pair[1], pair[0]))
    chunks = [distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK)]
    workers = min(processes, MOST, len(distinct) // PAYS_FROM)
    with find_wordnet() as files:
        meteor, missing = _open_meteor(files)
        scorer = LexicalScorer(rouge_beta, meteor)
        elsewhere = partial(_score, rouge_beta, None if missing else files)
        measured = _share_out(elsewhere, chunks, workers) if workers > 1 else map(scorer.score, chunks)
        parts = []
        with tqdm(total=len(distinct), desc="lexical scores", unit="pair", disable=None) as bar:
            for part in measured:
                parts.append(part)
                bar.update(len(part[0]))
    places = {pair: place for place, pair in enumerate(distinct)}
    order = [places[pair] for pair in pairs]
    scores, statistics = (np.concatenate(tables)[order] for tables in zip(*parts, strict=True))
    return LexicalScores(scorer.names, scores, statistics, [*lexical_metrics(rouge_beta, meteor), *missing])


def _share_out(elsewhere: Callable[[Pairs], Part], chunks: Sequence[Pairs], workers: int) -> Iterator[Part]:
    # spawned: a fork would copy the locks of torch's threads as they are
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(elsewhere, chunks)


def _open_meteor(files: WordNetFiles | None) -> tuple[Meteor, list[Metric]]:
    """METEOR with WordNet; without, where it is absent; and the metric that is missing, where it cannot be read."""
    if files is None:
        return Meteor(None), []
    try:
        return Meteor(WordNet(files)), []
    except InputError as error:
        meteor = Meteor(None)
        logger.warning("METEOR is computed without synonyms: %s", error)
        reason = f"{type(error.__cause__).__name__} while WordNet was read"
        signature = meteor.signature.replace("synonyms:no", "synonyms:WordNet")
        return meteor, [Metric("meteor", "overlap", "higher", True, signature, missing=reason)]


def _score(rouge_beta: float, files: WordNetFiles | None, chunk: Pairs) -> Part:
    return _scorer(rouge_beta, files).score(chunk)


@cache
def _scorer(rouge_beta: float, files: WordNetFiles | None) -> LexicalScorer:
    """The one scorer of a process that scores nothing else."""
    return LexicalScorer(rouge_beta, Meteor(WordNet(files) if files else None))
