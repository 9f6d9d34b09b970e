"""Rankings: the best of many scores, and several rankings joined into one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

K = 60  # of Cormack, Clarke and Buettcher (2009)

Floats = npt.NDArray[np.float64]
# The best items, best first: the place of each, and its score.
Ranking = list[tuple[int, float]]


def rank_scores(places: npt.NDArray[np.int64], scores: Floats, count: int) -> Ranking:
    """The ``count`` highest scores, or all if they are fewer; of equal scores the lower place comes first.

    Args:
        places: of the scored items [items].
        scores: finite [items].
        count: at least 1.
    """
    if len(scores) > count:
        # All that tie with the last one stay until places decide between them.
        lowest = np.partition(scores, len(scores) - count)[len(scores) - count]
        kept = scores >= lowest
        places, scores = places[kept], scores[kept]
    order = np.lexsort((places, -scores))[:count]
    return list(zip(places[order].tolist(), scores[order].tolist(), strict=True))


def fuse(rankings: Sequence[Sequence[int]], k: int = K) -> Ranking:
    """Reciprocal-rank fusion: an item scores the sum of 1 / (k + rank) over the rankings that hold it.

    Cormack, Clarke and Buettcher (2009), "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning
    methods", SIGIR, p. 758. Scores of the rankings are not used, so that they need not share a scale.

    Args:
        rankings: places, best first, none twice in a ranking.
        k: damps the weight of the first ranks.

    Returns:
        Every item of any ranking; of equal scores the lower place comes first.
    """
    parts: dict[int, list[float]] = {}
    for ranking in rankings:
        for rank, place in enumerate(ranking, start=1):
            parts.setdefault(place, []).append(1 / (k + rank))
    scores = {place: math.fsum(shares) for place, shares in parts.items()}
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))
