"""The handle of an encoder: lazy, pinned, and tolerant of a folder that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from med_lora.datasets.encoder import EncoderDataset, MissingEncoderError
from med_lora.errors import InputError
from tests.encoders import write_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("tiny"))


def test_a_folder_loads_as_an_encoder_named_by_its_hash(folder: Path) -> None:
    encoder = EncoderDataset(id=str(folder)).load()
    assert type(encoder.text_encoder()).__name__ == "BertModel"
    assert encoder.sha256 is not None
    assert encoder.name == f"{folder.name}@{encoder.sha256[:12]}"
    assert encoder.tokenizer().tokenize("gout is") == ["gout", "is"]


def test_an_absent_folder_is_found_out_only_when_it_is_read(tmp_path: Path) -> None:
    encoder = EncoderDataset(id=str(tmp_path / "none")).load()
    assert encoder.name == "none@absent"
    for read in (encoder.tokenizer, encoder.config, lambda: encoder.text_encoder()):
        with pytest.raises(MissingEncoderError, match=r"none is not a folder with a config\.json"):
            read()


def test_a_hub_encoder_is_named_by_its_commit_and_missing_out_of_reach() -> None:
    encoder = EncoderDataset(id="nobody/nothing", revision="abcdef0123" * 4).load()
    assert encoder.name == "nobody/nothing@abcdef0123ab"
    with pytest.raises(MissingEncoderError, match="hub"):
        encoder.text_encoder()


def test_broken_weights_are_a_missing_encoder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(MissingEncoderError, match="cannot be loaded"):
        EncoderDataset(id=str(tmp_path)).load().text_encoder()


@pytest.mark.parametrize(
    ("revision", "message"), [(None, "needs a pinned commit"), ("main", "needs a pinned commit"), ("v1", "commit")]
)
def test_a_hub_encoder_without_its_commit_is_refused(revision: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        EncoderDataset(id="nobody/nothing", revision=revision).load()


def test_a_folder_with_a_commit_or_without_safetensors_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no revision"):
        EncoderDataset(id=str(folder), revision="0" * 40).load()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="safetensors"):
        EncoderDataset(id=str(tmp_path)).load()


def test_without_a_name_there_is_nothing_to_load() -> None:
    dataset = EncoderDataset(id=None)
    assert not dataset.exists()
    with pytest.raises(InputError, match="No encoder is named"):
        dataset.load()
