"""Scores of many pairs, shared out among processes where that pays."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context

import numpy as np

from med_lora.errors import InputError
from med_lora.metrics.definition import Metric
from med_lora.metrics.lexical import LexicalScorer, lexical_metrics
from med_lora.metrics.meteor import Meteor
from med_lora.metrics.ngrams import Floats
from med_lora.metrics.wordnet import WordNet, WordNetFiles, find_wordnet

Pairs = Sequence[tuple[str, str]]  # answer, reference
CHUNK = 100  # pairs between two steps of the progress bar
PAYS_FROM = 2000  # pairs a process: one takes some seconds to start and to read WordNet
MOST = 8  # processes, of some hundred MiB each


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def score_many(pairs: Pairs, rouge_beta: float, processes: int) -> tuple[tuple[str, ...], Floats, list[Metric]]:
    """Lexical scores of (answer, reference) pairs.

    Returns:
        names; scores [pairs, names]; metrics: those of the names, and METEOR as missing where WordNet is there and
            cannot be read.
    """
    with find_wordnet() as files:
        meteor, missing = _open_meteor(files)
        scorer = LexicalScorer(rouge_beta, meteor)
        elsewhere = partial(_score, rouge_beta, None if missing else files)
        scores = map_pairs(scorer.score, elsewhere, pairs, processes, "lexical scores")
    return scorer.names, scores, [*lexical_metrics(rouge_beta, meteor), *missing]


def map_pairs(
    here: Callable[[Pairs], Floats],
    elsewhere: Callable[[Pairs], Floats],
    pairs: Pairs,
    processes: int,
    description: str,
) -> Floats:
    """A row of numbers for every pair, the same whatever the number of processes.

    Equal pairs are measured once, and those of one reference after each other, so that it need be read only once.

    Args:
        here: rows of a chunk of pairs, [chunk, width], in this process.
        elsewhere: the same, importable by another process.
        pairs: at least one.
        processes: at most so many besides this one, where there are pairs enough for several.
        description: of the progress bar.
    """
    from tqdm import tqdm

    distinct = sorted(set(pairs), key=lambda pair: (pair[1], pair[0]))
    chunks = [distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK)]
    workers = min(processes, MOST, len(distinct) // PAYS_FROM)
    measured: Iterable[Floats] = _share_out(elsewhere, chunks, workers) if workers > 1 else map(here, chunks)
    parts = []
    with tqdm(total=len(distinct), desc=description, unit="pair", disable=None) as bar:
        for part in measured:
            parts.append(part)
            bar.update(len(part))
    places = {pair: place for place, pair in enumerate(distinct)}
    return np.concatenate(parts)[[places[pair] for pair in pairs]]


def _share_out(elsewhere: Callable[[Pairs], Floats], chunks: Sequence[Pairs], workers: int) -> Iterator[Floats]:
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
        reason = f"{type(error.__cause__).__name__} while WordNet was read"
        return meteor, [Metric("meteor", "overlap", "higher", True, meteor.signature, missing=reason)]


def _score(rouge_beta: float, files: WordNetFiles | None, chunk: Pairs) -> Floats:
    return _scorer(rouge_beta, files).score(chunk)


@cache
def _scorer(rouge_beta: float, files: WordNetFiles | None) -> LexicalScorer:
    """The one scorer of a process that scores nothing else."""
    return LexicalScorer(rouge_beta, Meteor(WordNet(files) if files else None))
