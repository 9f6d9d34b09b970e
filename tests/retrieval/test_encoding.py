"""Embeddings of texts: unit length, any order, prompts, and pooling with or without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from med_lora.datasets.encoder import Encoder, EncoderDataset, MissingEncoderError
from med_lora.errors import InputError
from med_lora.parameters.retrieval import RetrievalEncoderParams
from med_lora.retrieval.encoding import encode, load_encoder
from tests.encoders import write_encoder

TEXTS = ["gout is a painful arthritis", "rest", "drink water with food and rest the toe", "see a doctor"]
PROMPT = "take the toe: "


def settings(pool_prompt: bool = True, **prompts: str) -> RetrievalEncoderParams:
    given: dict[str, Any] = {"query_prompt": "", "passage_prompt": "", **prompts, "pool_prompt": pool_prompt}
    return RetrievalEncoderParams(id="tiny", revision=None, sha256=None, **given)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return EncoderDataset(id=str(write_encoder(tmp_path_factory.mktemp("encoder")))).load()


def test_embeddings_are_float32_of_unit_length_and_equal_for_equal_texts(encoder: Encoder) -> None:
    embeddings = encode(load_encoder(encoder, settings(), "cpu").model, [*TEXTS, TEXTS[0]], "", 2)
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (5, 16)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(embeddings[0], embeddings[4])
    assert not np.allclose(embeddings[0], embeddings[1], atol=0.01)


def test_the_order_of_texts_does_not_matter(encoder: Encoder) -> None:
    model = load_encoder(encoder, settings(), "cpu").model
    forward, backward = encode(model, TEXTS, "", 2), encode(model, TEXTS[::-1], "", 2)
    np.testing.assert_array_equal(forward, backward[::-1])


def test_a_text_alone_is_the_text_in_a_batch_but_for_the_last_bits(encoder: Encoder) -> None:
    model = load_encoder(encoder, settings(), "cpu").model
    together = encode(model, TEXTS, PROMPT, 4)
    alone = np.concatenate([encode(model, [text], PROMPT, 4) for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_no_text_gives_no_embedding_of_the_full_width(encoder: Encoder) -> None:
    assert encode(load_encoder(encoder, settings(), "cpu").model, [], PROMPT, 2).shape == (0, 16)


def _pooled_by_hand(encoder: Encoder, text: str, skipped: int) -> np.ndarray:
    import torch

    tokens: Any = encoder.tokenizer()(PROMPT + text, return_tensors="pt")
    with torch.no_grad():
        hidden = encoder.text_encoder().eval()(**tokens).last_hidden_state[0].numpy()
    mean = hidden[skipped:].mean(axis=0)
    return mean / np.linalg.norm(mean)


def test_pooling_leaves_out_the_prompt_when_asked_to(encoder: Encoder) -> None:
    prompt_tokens = len(encoder.tokenizer()(PROMPT)["input_ids"]) - 1  # its [CLS], and not its [SEP]
    pooled = {
        pool: encode(load_encoder(encoder, settings(pool), "cpu").model, TEXTS, PROMPT, 2)[2] for pool in (True, False)
    }
    np.testing.assert_allclose(pooled[True], _pooled_by_hand(encoder, TEXTS[2], 0), atol=1e-6)
    np.testing.assert_allclose(pooled[False], _pooled_by_hand(encoder, TEXTS[2], prompt_tokens), atol=1e-6)
    assert np.abs(pooled[True] - pooled[False]).max() > 0.01


def test_a_prompt_changes_the_embedding(encoder: Encoder) -> None:
    model = load_encoder(encoder, settings(), "cpu").model
    assert np.abs(encode(model, TEXTS, PROMPT, 2) - encode(model, TEXTS, "", 2)).max() > 0.01


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_embedding_without_a_direction_is_refused(encoder: Encoder, monkeypatch: Any, value: float) -> None:
    model = load_encoder(encoder, settings(), "cpu").model
    broken = np.eye(4, 16, dtype=np.float32)
    broken[2] = value
    monkeypatch.setattr(model, "encode", lambda texts, **options: broken)
    with pytest.raises(InputError, match="gives 1 of 4 texts an embedding that is zero or not finite"):
        encode(model, TEXTS, "", 2)


def test_pooling_that_knows_no_prompt_cannot_leave_it_out(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "sentence_encoder", lambda self, device: [object()])
    with pytest.raises(InputError, match=r"cannot leave out a prompt; set retrieval\.encoder\.pool_prompt"):
        load_encoder(encoder, settings(pool_prompt=False), "cpu")


@pytest.mark.parametrize("pool_prompt", [True, False])
@pytest.mark.parametrize("name", ["query_prompt", "passage_prompt"])
def test_a_prompt_that_leaves_no_room_for_a_text_is_refused(encoder: Encoder, name: str, pool_prompt: bool) -> None:
    """The tiny encoder reads 32 tokens, of which two are its own."""
    fitting = load_encoder(encoder, settings(pool_prompt, **{name: "toe " * 29}), "cpu").model
    one, other = encode(fitting, ["gout", "water"], "toe " * 29, 2)
    assert np.abs(one - other).max() > 0.001
    with pytest.raises(InputError, match=rf"encoder\.{name} takes 32 of the 32 tokens .* shorten it\.$"):
        load_encoder(encoder, settings(pool_prompt, **{name: "toe " * 30}), "cpu")


def test_a_missing_encoder_names_the_way_out(tmp_path: Path) -> None:
    encoder = EncoderDataset(id="package:no_such_package_here/model").load()
    with pytest.raises(MissingEncoderError, match=r"install the package that has it; or set retrieval\.method to bm25"):
        load_encoder(encoder, settings(), "cpu")
