"""The index of passages, and the search in it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd

from med_lora.datasets.encoder import Encoder
from med_lora.errors import InputError
from med_lora.hardware import prepare_device
from med_lora.metrics.embedding import count_cut, describe_reading
from med_lora.parameters import HardwareParams, RetrievalParams
from med_lora.passages import PASSAGE_COLUMNS
from med_lora.retrieval.encoding import Embeddings, LoadedEncoder, encode, load_encoder
from med_lora.retrieval.fusion import Ranking, fuse
from med_lora.retrieval.lexical import WordSearch
from med_lora.retrieval.stores import check_store, open_store

logger = logging.getLogger(__name__)

# How a reader calls what the record of an index holds of an encoder's files, and what decides about them.
_FILES = {
    "encoder.name": ("the encoder", "retrieval.encoder.id"),
    "encoder.reading": ("an encoder that reads", "retrieval.encoder.id"),
}


class OtherIndexError(InputError):
    """The index was built with other settings than those it is to be searched with."""


@dataclass(frozen=True)
class PassageIndex:
    """Passages, ready to be searched.

    Attributes:
        passages: ``PASSAGE_COLUMNS``, ordered by id, so that of equal scores the lower place is the lower id.
        embeddings: [passages, width] of unit length in the order of the passages; None for ``bm25``.
        described: what was indexed, and what the embeddings depend on, as JSON: method, sources (sorted),
            hold_out_answers, passages (their number), passages_sha256 (:func:`hash_passages`), cut (passages of which
            the encoder read only the beginning), encoder (None for ``bm25``; name, reading, query_prompt,
            passage_prompt, pool_prompt) and versions of packages.
    """

    passages: pd.DataFrame
    embeddings: Embeddings | None
    described: dict[str, Any]


@dataclass(frozen=True)
class Hit:
    """A passage found for a question.

    Attributes:
        passage: its id.
        rank: from 1, by ``retrieval.method``.
        score: reciprocal-rank fusion, cosine or BM25, by the method.
        dense_rank: rank by the encoder, if within its candidates.
        bm25_rank: rank by words, if within their candidates.
    """

    passage: str
    rank: int
    score: float
    dense_rank: int | None
    bm25_rank: int | None


def build_index(
    index_passages: pd.DataFrame,
    retrieval: RetrievalParams,
    hardware: HardwareParams,
    retrieval_encoder: Encoder | LoadedEncoder | None = None,
) -> PassageIndex:
    """The index of the passages.

    Args:
        index_passages: ``PASSAGE_COLUMNS`` in any order.
        retrieval: the method, the encoder's prompts, and the sources that the passages are of.
        hardware: where to encode, and how many passages at a time.
        retrieval_encoder: not needed for ``bm25``; one that is loaded is taken as it is.

    Raises:
        InputError: if there is no passage, an id occurs twice, the encoder cannot be had, or the machine lacks the
            device.
    """
    if index_passages.empty:
        raise InputError(
            "No passage is left to be indexed; add to retrieval.sources, or set retrieval.enabled to false."
        )
    passages = index_passages[PASSAGE_COLUMNS].sort_values("id", ignore_index=True)
    repeated = passages["id"][passages["id"].duplicated()]
    if len(repeated):
        raise InputError(
            f"Passage {repeated.iloc[0]!r} is given twice to the index ({len(repeated)} such rows); make ids unique."
        )
    check_store(retrieval.store)
    embeddings, cut = None, 0
    encoder = open_encoder(retrieval, hardware, retrieval_encoder)
    if encoder is not None:
        logger.info("Encoding %d passages.", len(passages))
        texts, prompt = list(passages["text"]), retrieval.encoder.passage_prompt
        embeddings = encode(encoder.model, texts, prompt, hardware.inference_batch_size)
        cut = count_cut(encoder.model, [prompt + text for text in texts])
        if cut:
            logger.warning("The encoder read only the beginning of %d of %d passages.", cut, len(passages))
    indexed = {"passages": len(passages), "passages_sha256": hash_passages(passages), "cut": cut}
    return PassageIndex(passages, embeddings, {**indexed, **_describe(retrieval, encoder)})


def hash_passages(passages: pd.DataFrame) -> str:
    """SHA-256 over ``PASSAGE_COLUMNS`` in order of id; no text can be read from it."""
    digest = hashlib.sha256()
    for row in sorted(zip(*(passages[column].tolist() for column in PASSAGE_COLUMNS), strict=True)):
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def open_encoder(
    retrieval: RetrievalParams, hardware: HardwareParams, encoder: Encoder | LoadedEncoder | None
) -> LoadedEncoder | None:
    """The encoder in memory; None where the method needs none.

    Raises:
        InputError: as :func:`~med_lora.retrieval.encoding.load_encoder`, or if none is given or the machine lacks the
            device.
    """
    if retrieval.method == "bm25":
        return None
    if encoder is None:
        raise InputError(f"retrieval.method {retrieval.method} needs an encoder; set retrieval.encoder.id.")
    if isinstance(encoder, LoadedEncoder):
        return encoder
    return load_encoder(encoder, retrieval.encoder, str(prepare_device(hardware)))


class Retriever:
    """Finds passages for questions."""

    def __init__(
        self,
        index: PassageIndex,
        retrieval: RetrievalParams,
        hardware: HardwareParams,
        retrieval_encoder: Encoder | LoadedEncoder | None = None,
    ) -> None:
        """Load the encoder, unless it is, and open the store, as far as the method needs them.

        Raises:
            OtherIndexError: if the index was built with another method, encoder or prompt, or of other sources.
            InputError: if the encoder or the store cannot be had, or the machine lacks the device.
        """
        self._retrieval = retrieval
        self._batch_size = hardware.inference_batch_size
        self._ids = list(index.passages["id"])
        self._encoder = open_encoder(retrieval, hardware, retrieval_encoder)
        _check_settings(index.described, _describe(retrieval, self._encoder))
        self._words = None if retrieval.method == "dense" else WordSearch(list(index.passages["text"]))
        self._store = None if index.embeddings is None else open_store(retrieval.store, index.embeddings)

    def search(self, questions: Sequence[str]) -> list[list[Hit]]:
        """Per question at most ``retrieval.candidates`` hits, best first; a blank question has none.

        ``bm25`` gives no passage that shares no word with the question. ``fused`` joins the candidates of both
        rankings by reciprocal-rank fusion. Of equal scores the lower id comes first.
        """
        return [hits[: self._retrieval.candidates] for hits in self.search_all(questions)]

    def search_all(self, questions: Sequence[str]) -> list[list[Hit]]:
        """As ``search``, but with every passage of either ranking, so that each can be measured to its end."""
        asked = sorted({question for question in questions if question.strip()})
        dense, words = self._search_dense(asked), self._search_words(asked)
        found = {text: self._join(*lists) for text, *lists in zip(asked, dense, words, strict=True)}
        return [list(found.get(question, [])) for question in questions]

    def _search_dense(self, questions: list[str]) -> list[Ranking]:
        if self._encoder is None or self._store is None:
            return [[] for _ in questions]
        prompt = self._retrieval.encoder.query_prompt
        embeddings = encode(self._encoder.model, questions, prompt, self._batch_size)
        return self._store.search(embeddings, self._retrieval.candidates)

    def _search_words(self, questions: list[str]) -> list[Ranking]:
        if self._words is None:
            return [[] for _ in questions]
        return self._words.search(questions, self._retrieval.candidates)

    def _join(self, dense: Ranking, words: Ranking) -> list[Hit]:
        """Hits from the candidates of both rankings."""
        dense_ranks, word_ranks = (
            {place: rank for rank, (place, _) in enumerate(found, 1)} for found in (dense, words)
        )
        ranked = fuse([list(dense_ranks), list(word_ranks)]) if self._retrieval.method == "fused" else dense or words
        return [
            Hit(self._ids[place], rank, score, dense_ranks.get(place), word_ranks.get(place))
            for rank, (place, score) in enumerate(ranked, 1)
        ]


def _describe(retrieval: RetrievalParams, encoder: LoadedEncoder | None) -> dict[str, Any]:
    """The settings behind an index, of ``PassageIndex.described``."""
    searched = {
        "method": retrieval.method,
        "sources": sorted(retrieval.sources),
        "hold_out_answers": retrieval.hold_out_answers,
    }
    if encoder is None:
        return {**searched, "encoder": None, "versions": {}}
    settings = retrieval.encoder.model_dump(include={"query_prompt", "passage_prompt", "pool_prompt"})
    packages = ("sentence-transformers", "transformers", "torch")
    return {
        **searched,
        "encoder": {"name": encoder.name, "reading": describe_reading(encoder.model), **settings},
        "versions": {package: version(package) for package in packages},
    }


def _check_settings(built: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse an index of other passages, or whose embeddings would not be comparable with the questions'.

    Versions may differ.
    """
    flat = [
        {
            "method": part.get("method"),
            "sources": part.get("sources"),
            "hold_out_answers": part.get("hold_out_answers"),
            **{f"encoder.{name}": value for name, value in (part.get("encoder") or {}).items()},
        }
        for part in (built, wanted)
    ]
    for name in dict.fromkeys([*flat[0], *flat[1]]):  # the method first: another one may need no encoder
        before, now = (part.get(name) for part in flat)
        if before != now:
            what, setting = _FILES.get(name, (f"retrieval.{name}", f"retrieval.{name}"))
            raise OtherIndexError(
                f"The passage index was built with {what} {before!r} and the settings give {now!r}; build it again, or "
                f"set {setting} back."
            )
