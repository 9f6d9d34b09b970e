"""Embedding similarity: the cosine of two texts' sentence embeddings (Reimers and Gurevych 2019, arXiv:1908.10084)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np

from med_lora.metrics.definition import Metric

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

NAME = "embedding_similarity"
PACKAGE = "sentence-transformers"


def embedding_metric(encoder: str, reading: str, missing: str = "") -> Metric:
    """The metric.

    Args:
        encoder: name and version of the sentence encoder.
        reading: how it pools, and how much text it reads; "" where it could not be loaded.
        missing: why there are no scores, or "".
    """
    try:
        package = f"{PACKAGE} {version(PACKAGE)}"
    except PackageNotFoundError:
        package = PACKAGE
    parts = ["cosine of sentence embeddings", encoder, *filter(None, [reading]), "fp32", package]
    return Metric(NAME, "meaning", "higher", True, "|".join(parts), missing)


def describe_reading(encoder: SentenceTransformer) -> str:
    """How the encoder turns tokens into one embedding, and the longest text it reads."""
    pooling = next((module.pooling_mode for module in encoder if hasattr(module, "pooling_mode")), "its own")
    return f"pooling:{pooling}|at most {encoder.max_seq_length} tokens"


def count_cut(encoder: SentenceTransformer, texts: Sequence[str]) -> int:
    """Different texts of which the encoder reads only the beginning."""
    limit = encoder.max_seq_length
    if limit is None:
        return 0
    return sum(len(encoder.tokenizer(text, verbose=False)["input_ids"]) > limit for text in set(texts))


def similarities(
    encoder: SentenceTransformer, answers: Sequence[str], references: Sequence[str], batch_size: int
) -> np.ndarray:
    """Cosine of each answer's and its reference's embedding [pairs], from -1 to 1; a pair with an empty text scores 0.

    Args:
        encoder: sorts texts by length, and cuts those beyond its limit.
        answers: generated texts.
        references: the text that each is compared with.
        batch_size: texts in one forward pass.
    """
    texts = sorted({*answers, *references})
    if not texts:
        return np.zeros(0)
    embeddings = encoder.encode(
        texts, batch_size=batch_size, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=None
    )
    places = {text: place for place, text in enumerate(texts)}
    left, right = ([places[text] for text in side] for side in (answers, references))
    cosines = np.einsum("ij,ij->i", embeddings[left], embeddings[right]).astype(np.float64)
    empty = [not answer.strip() or not reference.strip() for answer, reference in zip(answers, references, strict=True)]
    return np.where(empty, 0.0, np.clip(cosines, -1, 1))
