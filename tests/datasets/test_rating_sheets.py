from __future__ import annotations

from pathlib import Path

import fsspec
import pytest
from kedro.io.core import DatasetError, Version

from med_lora.datasets import RatingSheetsDataset, ReturnedSheetsDataset
from med_lora.datasets import rating_sheets as module
from med_lora.errors import InputError

SHEETS = {"anna.html": b"<p>", "anna.xlsx": b"PK\x03\x04\x00\xff", "ben.xlsx": b"PK"}


@pytest.mark.parametrize("root", ["", "memory://"])
def test_sheets_come_back_as_they_went_out(
    root: str, tmp_path: Path, memory: fsspec.AbstractFileSystem, temporary_folder: Path
) -> None:
    filepath = f"{root}{tmp_path}/sheets"
    RatingSheetsDataset(filepath=filepath, version=Version(None, "v1")).save(SHEETS)
    dataset = RatingSheetsDataset(filepath=filepath, version=Version(None, None))
    assert dataset.load() == SHEETS
    dataset.release()


def test_sheets_that_went_out_are_never_overwritten(tmp_path: Path) -> None:
    filepath = str(tmp_path / "sheets")
    for version, sheets in (("v1", SHEETS), ("v2", {"anna.xlsx": b"new"})):
        RatingSheetsDataset(filepath=filepath, version=Version(None, version)).save(sheets)
    assert RatingSheetsDataset(filepath=filepath, version=Version("v1", None)).load() == SHEETS
    assert RatingSheetsDataset(filepath=filepath, version=Version(None, None)).load() == {"anna.xlsx": b"new"}
    with pytest.raises(DatasetError):
        RatingSheetsDataset(filepath=filepath, version=Version(None, "v1")).save(SHEETS)
    unversioned = tmp_path / "other"
    with pytest.raises(InputError, match="set versioned: true"):
        RatingSheetsDataset(filepath=str(unversioned)).save(SHEETS)
    assert not unversioned.exists()


def test_a_folder_to_which_nobody_returned_anything(tmp_path: Path) -> None:
    assert ReturnedSheetsDataset(filepath=str(tmp_path / "nowhere")).load() == {}
    for name in (".gitkeep", "~$anna.xlsx", ".~lock.anna.xlsx#", ".DS_Store"):
        (tmp_path / name).write_bytes(b"x")
    dataset = ReturnedSheetsDataset(filepath=str(tmp_path))
    assert dataset.exists()
    assert dataset.load() == {}


def test_returned_sheets_by_name(tmp_path: Path, memory: fsspec.AbstractFileSystem) -> None:
    files = {"b.csv": b"1", "Anna (2).XLSX": b"2", "a.csv": b"3"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        memory.pipe_file(f"/returned/{name}", content)
    for place in (str(tmp_path), "memory:///returned"):
        assert list(ReturnedSheetsDataset(filepath=place).load().items()) == [
            ("Anna (2).XLSX", b"2"),
            ("a.csv", b"3"),
            ("b.csv", b"1"),
        ]


def test_what_is_no_returned_sheet_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = ReturnedSheetsDataset(filepath=str(tmp_path))
    for name, message in (
        ("anna.html", "form, which holds no ratings"),
        ("anna.ods", r"no rating sheet \(\.xlsx or \.csv\)"),
        ("anna.xls", "no rating sheet"),
    ):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError, match=rf"^{tmp_path}/{name} is .*{message}"):
            dataset.load()
        (tmp_path / name).unlink()
    (tmp_path / "more.csv").mkdir()
    with pytest.raises(InputError, match="no rating sheet"):
        dataset.load()
    (tmp_path / "more.csv").rmdir()
    (tmp_path / "a.csv").write_bytes(b"x" * 11)
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 10)
    with pytest.raises(InputError, match="more than 10 bytes"):
        dataset.load()
    with pytest.raises(InputError, match="must be a folder"):
        ReturnedSheetsDataset(filepath=str(tmp_path / "a.csv")).load()


def test_returned_sheets_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="only reads"):
        ReturnedSheetsDataset(filepath=str(tmp_path)).save({})  # type: ignore[arg-type]
