"""Texts to embeddings by a sentence encoder (Reimers and Gurevych 2019, arXiv:1908.10084)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from med_lora.datasets.encoder import Encoder, MissingEncoderError
from med_lora.errors import InputError
from med_lora.parameters import RetrievalEncoderParams

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Embeddings = npt.NDArray[np.float32]


@dataclass(frozen=True)
class LoadedEncoder:
    """An encoder in memory.

    Attributes:
        name: of its files, as :attr:`Encoder.name`.
        model: pools with or without the tokens of a prompt, as the settings say.
    """

    name: str
    model: SentenceTransformer


def load_encoder(encoder: Encoder, settings: RetrievalEncoderParams, device: str) -> LoadedEncoder:
    """Load the encoder, and let the tokens of a prompt count in its pooling or not, as the settings say.

    Raises:
        MissingEncoderError: if its files or package cannot be had; the sentence names the way out.
        InputError: if its weights are not the expected ones, it pools in a way that cannot leave out a prompt, or a
            prompt leaves no room for a text.
    """
    try:
        model = encoder.sentence_encoder(device)
    except MissingEncoderError as error:
        reason = str(error).rstrip(".")
        raise MissingEncoderError(f"{reason}; or set retrieval.method to bm25, which needs no encoder.") from error
    if not settings.pool_prompt and not any(hasattr(module, "include_prompt") for module in model):
        raise InputError(
            f"Encoder {encoder.name} pools in a way that cannot leave out a prompt; set retrieval.encoder.pool_prompt "
            "to true."
        )
    model.set_pooling_include_prompt(settings.pool_prompt)
    for name in ("query_prompt", "passage_prompt"):
        _check_room(model, f"retrieval.encoder.{name}", getattr(settings, name))
    return LoadedEncoder(encoder.name, model)


def _check_room(model: SentenceTransformer, setting: str, prompt: str) -> None:
    """Refuse a prompt behind which the encoder would read nothing: all texts would have one embedding."""
    limit = model.max_seq_length
    if limit is None or not prompt:
        return
    taken = len(model.tokenizer(prompt, verbose=False)["input_ids"])  # the tokens at both ends included
    if taken >= limit:
        raise InputError(
            f"{setting} takes {taken} of the {limit} tokens that the encoder of retrieval reads, so that none is left "
            "for a text; shorten it."
        )


def encode(encoder: SentenceTransformer, texts: Sequence[str], prompt: str, batch_size: int) -> Embeddings:
    """Embeddings of unit length [texts, width]; equal texts have equal ones.

    The same for texts in any order. The last bits depend on which texts share a batch, thus on the set of texts and the
    batch size, and on the machine and its threads: less than 2e-7 of a value with MiniLM on a CPU.

    Args:
        encoder: cuts texts beyond its limit.
        texts: in any order.
        prompt: put in front of each; "" for none.
        batch_size: texts in one forward pass.

    Raises:
        InputError: if the encoder gives a text no direction, which nothing could be compared with.
    """
    distinct = sorted(set(texts))
    if not distinct:
        return np.zeros((0, encoder.get_embedding_dimension() or 0), dtype=np.float32)
    embeddings = encoder.encode(
        distinct,
        prompt=prompt,
        batch_size=batch_size,
        normalize_embeddings=True,
        convert_to_numpy=True,
        show_progress_bar=False,
    )
    lost = int((~(np.abs(np.linalg.norm(embeddings, axis=1) - 1) < 0.01)).sum())  # of NaN as well
    if lost:
        raise InputError(
            f"The encoder of retrieval gives {lost} of {len(distinct)} texts an embedding that is zero or not finite; "
            "check its files, or choose another for retrieval.encoder.id."
        )
    places = {text: place for place, text in enumerate(distinct)}
    return np.asarray(embeddings[[places[text] for text in texts]], dtype=np.float32)
