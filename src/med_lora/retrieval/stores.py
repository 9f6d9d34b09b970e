"""Stores of embeddings: what finds the passages whose embeddings are closest to a question's."""

from __future__ import annotations

import weakref
from importlib.util import find_spec
from typing import Any, Literal, Protocol
from uuid import uuid4

import numpy as np

from med_lora.errors import InputError
from med_lora.retrieval.encoding import Embeddings
from med_lora.retrieval.fusion import Floats, Ranking, rank_scores

# Products of multiples of 2^-26 are multiples of 2^-52, and float64 holds sums of those exactly up to 2.
_STEP = 2.0**-26
DECIMALS = 5  # of a cosine: what batches change in an embedding is smaller
_CELLS = 2**22  # similarities at a time
_EF_SEARCH = 400  # candidates that HNSW keeps while it searches; Chroma's 100 finds less


class Store(Protocol):
    """Embeddings of passages, searched by cosine."""

    def search(self, questions: Embeddings, count: int) -> list[Ranking]:
        """Per question [questions, width] the ``count`` closest passages, or all if they are fewer, with the cosine.

        Cosines are rounded to ``DECIMALS``; of equal ones the lower place comes first.
        """
        ...


def check_store(kind: Literal["exact", "chroma"]) -> None:
    """Raise an InputError if the package of the store is not installed: before anything is encoded for it."""
    if kind == "chroma" and find_spec("chromadb") is None:
        raise InputError(
            "retrieval.store is chroma and the package chromadb is not installed; run `pip install -e .[chroma]` in "
            "the project, or set retrieval.store to exact."
        )


def open_store(kind: Literal["exact", "chroma"], embeddings: Embeddings) -> Store:
    """The store of the settings with the embeddings in it, [passages, width] of unit length.

    Raises:
        InputError: if Chroma is asked for and not installed.
    """
    return ExactStore(embeddings) if kind == "exact" else ChromaStore(embeddings)


class ExactStore:
    """A matrix product with every passage.

    Embeddings are rounded to multiples of 2^-26, by less than their own last bits matter, so that every cosine is exact
    whatever the order in which BLAS adds: it depends neither on threads nor on the questions beside it.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        """Take the embeddings [passages, width] as float64."""
        self._embeddings = _coarsen(embeddings)
        self._places = np.arange(len(embeddings))

    def search(self, questions: Embeddings, count: int) -> list[Ranking]:
        """See :class:`Store`."""
        rankings: list[Ranking] = []
        block = max(1, _CELLS // max(len(self._embeddings), 1))
        for start in range(0, len(questions), block):
            cosines = (_coarsen(questions[start : start + block]) @ self._embeddings.T).round(DECIMALS)
            rankings += [rank_scores(self._places, row, count) for row in cosines]
        return rankings


class ChromaStore:
    """Chroma's index (HNSW; Malkov and Yashunin 2020, arXiv:1603.09320), in the memory of this process.

    It proposes passages, and their order is that of the exact cosines. What it proposes is approximate, and not the
    same each time the index is built, since Chroma inserts with several threads.
    """

    def __init__(self, embeddings: Embeddings) -> None:
        """Index the embeddings [passages, width].

        Raises:
            InputError: if chromadb is not installed.
        """
        check_store("chroma")
        import chromadb

        client: Any = chromadb.EphemeralClient(settings=chromadb.Settings(anonymized_telemetry=False))
        name = uuid4().hex  # all clients of a process share their collections
        # Without an embedding function of its own, which would download a model.
        self._collection = client.create_collection(
            name, embedding_function=None, configuration={"hnsw": {"space": "ip", "ef_search": _EF_SEARCH}}
        )
        weakref.finalize(self, client.delete_collection, name)
        size = client.get_max_batch_size()
        for start in range(0, len(embeddings), size):
            part = embeddings[start : start + size]
            self._collection.add(ids=[str(start + place) for place in range(len(part))], embeddings=part)
        self._embeddings = _coarsen(embeddings)

    def search(self, questions: Embeddings, count: int) -> list[Ranking]:
        """See :class:`Store`; passages may be missing, since the index is approximate."""
        if not len(questions):
            return []
        # twice as many, so that those that tie with the last one are among them
        asked = min(2 * count, len(self._embeddings))
        found = self._collection.query(query_embeddings=questions, n_results=asked, include=[])["ids"]
        rankings: list[Ranking] = []
        for question, ids in zip(_coarsen(questions), found, strict=True):
            places = np.array([int(name) for name in ids], dtype=np.int64)
            cosines = (self._embeddings[places] @ question).round(DECIMALS)
            rankings.append(rank_scores(places, cosines, count))
        return rankings


def _coarsen(embeddings: Embeddings) -> Floats:
    return np.asarray(np.round(embeddings.astype(np.float64) / _STEP) * _STEP)
