"""The nodes of BERTScore and of embedding similarity: rows, reasons, and what stops a run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.encoder import Encoder, EncoderDataset
from med_lora.errors import InputError
from med_lora.metrics.bert_score import NAMES
from med_lora.metrics.definition import SCORE_COLUMNS
from med_lora.parameters import EvaluationParams, HardwareParams
from med_lora.parameters.evaluation import BertScoreParams
from med_lora.pipelines.evaluation.scores.meaning import score_bert, score_embedding
from tests import recipes
from tests.encoders import LAYERS, write_encoder
from tests.pipelines.evaluation.conftest import Table

NODES = [score_bert, score_embedding]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return EncoderDataset(id=str(write_encoder(tmp_path_factory.mktemp("encoder")))).load()


@pytest.fixture
def absent(tmp_path: Path) -> Encoder:
    return EncoderDataset(id=str(tmp_path / "absent")).load()


@pytest.fixture
def split() -> Table:
    answers = ["gout is painful", "see a doctor", "drink water with food"]
    return Table(pd.DataFrame({"id": ["b", "a", "c"], "question": ["what is gout?"] * 3, "answer": answers}))


@pytest.fixture
def arm_texts() -> pd.DataFrame:
    rows = [
        ("c", "base", "model", "drink water with food"),
        ("a", "base", "model", "gout"),
        ("b", "base", "model", ""),
        ("a", "constant", "control", "see a doctor"),
        ("b", "constant", "control", "see a doctor"),
        ("c", "constant", "control", "see a doctor"),
        ("a", "gold", "gold", "see a doctor"),
    ]
    return pd.DataFrame(rows, columns=["id", "arm", "kind", "answer"])


def with_layer(layer: int | None) -> EvaluationParams:
    return recipes.evaluation(bert_score=BertScoreParams(id="encoder", revision=None, layer=layer))


def score_of(scores: pd.DataFrame, pair: str, arm: str, metric: str) -> float:
    rows = scores[(scores["id"] == pair) & (scores["arm"] == arm) & (scores["metric"] == metric)]
    return float(rows["score"].item())


@pytest.mark.parametrize("node", NODES)
def test_each_answer_is_scored_against_the_reference_of_its_own_pair(
    node: Any, encoder: Encoder, split: Table, arm_texts: pd.DataFrame, hardware: HardwareParams
) -> None:
    scores, metrics = node(arm_texts, split, encoder, with_layer(None), hardware)
    name = metrics["name"].iloc[-1]
    assert list(scores.columns) == SCORE_COLUMNS
    assert score_of(scores, "c", "base", name) == pytest.approx(1, abs=1e-5)
    assert score_of(scores, "a", "constant", name) == pytest.approx(1, abs=1e-5)
    assert score_of(scores, "a", "base", name) < 0.99
    assert score_of(scores, "b", "base", name) == 0
    assert set(scores["arm"]) == {"base", "constant"}
    assert len(scores) == 6 * len(metrics)
    assert set(metrics["missing"]) == {""}


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("ids", [["a", "b", "z"], ["a", "b"], ["a", "b", "c", "c"]])
def test_an_arm_about_other_pairs_is_refused(
    ids: list[str], node: Any, encoder: Encoder, split: Table, hardware: HardwareParams
) -> None:
    texts = pd.DataFrame({"id": ids, "arm": "tuned", "kind": "model", "answer": "gout"})
    with pytest.raises(InputError, match="arm_texts of tuned is not about the 3 pairs"):
        node(texts, split, encoder, with_layer(None), hardware)


@pytest.mark.parametrize("node", NODES)
def test_an_absent_encoder_is_named_and_nothing_is_scored(
    node: Any,
    absent: Encoder,
    split: Table,
    arm_texts: pd.DataFrame,
    hardware: HardwareParams,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        scores, metrics = node(arm_texts, split, absent, with_layer(None), hardware)
    assert scores.empty
    assert list(scores.columns) == SCORE_COLUMNS
    assert scores["score"].dtype == "float64"
    assert metrics["missing"].str.contains("absent is not a folder with a config.json").all()
    assert not metrics["missing"].str.endswith(".").any()
    assert "is not a folder" in caplog.text


def test_an_encoder_of_the_hub_that_cannot_be_reached_is_named(
    split: Table, arm_texts: pd.DataFrame, hardware: HardwareParams
) -> None:
    encoder = EncoderDataset(id="nobody/nothing", revision="0" * 40).load()
    scores, metrics = score_bert(arm_texts, split, encoder, with_layer(2), hardware)
    assert scores.empty
    assert list(metrics["name"]) == list(NAMES)
    assert metrics["missing"].str.contains("hub").all()
    assert metrics["signature"].str.contains("nobody/nothing@000000000000|layer:2", regex=False).all()


def test_a_missing_package_is_named(
    encoder: Encoder,
    split: Table,
    arm_texts: pd.DataFrame,
    hardware: HardwareParams,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    scores, metrics = score_embedding(arm_texts, split, encoder, with_layer(None), hardware)
    assert scores.empty
    assert metrics["missing"].item() == "The package sentence-transformers is not installed"


def test_a_layer_that_the_encoder_lacks_stops_the_run(
    encoder: Encoder, split: Table, arm_texts: pd.DataFrame, hardware: HardwareParams
) -> None:
    with pytest.raises(InputError, match=r"evaluation\.bert_score\.layer is 9"):
        score_bert(arm_texts, split, encoder, with_layer(9), hardware)


def test_the_layer_set_is_the_one_compared(
    encoder: Encoder, split: Table, arm_texts: pd.DataFrame, hardware: HardwareParams
) -> None:
    first, metrics = score_bert(arm_texts, split, encoder, with_layer(1), hardware)
    last, _ = score_bert(arm_texts, split, encoder, with_layer(None), hardware)
    assert f"layer:1 of {LAYERS}" in metrics["signature"].iloc[0]
    assert score_of(first, "a", "base", NAMES[0]) != pytest.approx(score_of(last, "a", "base", NAMES[0]), abs=1e-3)


@pytest.mark.parametrize("node", NODES)
def test_cut_texts_are_counted_in_the_log_without_their_words(
    node: Any,
    encoder: Encoder,
    split: Table,
    arm_texts: pd.DataFrame,
    hardware: HardwareParams,
    caplog: pytest.LogCaptureFixture,
) -> None:
    long = arm_texts.assign(answer=arm_texts["answer"].where(arm_texts["id"] != "c", "zebra " * 50))
    with caplog.at_level(logging.WARNING):
        node(long, split, encoder, with_layer(None), hardware)
    assert "beginning of 1 text" in caplog.text
    assert "zebra" not in caplog.text
