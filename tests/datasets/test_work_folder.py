"""Folders that fill while a node runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io.core import DatasetError

from med_lora.datasets import SavedFolder, WorkFolderDataset
from med_lora.errors import InputError


def test_loading_makes_the_folder_and_keeps_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = WorkFolderDataset(filepath="models/checkpoints")
    assert not dataset.exists()
    handle = dataset.load()
    assert handle.path == tmp_path / "models/checkpoints"
    (handle.path / "checkpoint-1").mkdir()
    assert dataset.exists()
    assert (dataset.load().path / "checkpoint-1").is_dir()


def test_it_is_not_saved_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not saved as a whole"):
        WorkFolderDataset(filepath=str(tmp_path)).save("anything")  # type: ignore[arg-type]


def test_a_folder_that_is_not_local_is_refused() -> None:
    with pytest.raises(InputError, match="must be local, not s3://bucket/checkpoints"):
        WorkFolderDataset(filepath="s3://bucket/checkpoints")


def test_a_file_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").touch()
    with pytest.raises(InputError, match=r"checkpoints cannot be made \(File exists\)"):
        WorkFolderDataset(filepath=str(tmp_path / "checkpoints")).load()


def test_a_saved_folder_is_copied_and_goes_with_its_handle(tmp_path: Path) -> None:
    output = SavedFolder.below(tmp_path)
    (output.path / "deep").mkdir(parents=True)
    (output.path / "deep" / "weights").write_bytes(b"12")
    target = tmp_path / "target"
    target.mkdir()
    output.save_pretrained(str(target))
    assert (target / "deep" / "weights").read_bytes() == b"12"
    path = output.path
    del output
    assert not path.exists()
