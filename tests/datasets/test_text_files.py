from __future__ import annotations

from pathlib import Path

import fsspec
import pandas as pd
import pytest
from kedro.io.core import DatasetError

from med_lora.datasets import TextFilesDataset
from med_lora.errors import InputError


def rows(filepath: Path | str) -> list[list[str]]:
    table = TextFilesDataset(filepath=str(filepath)).load()
    assert list(table.columns) == ["file", "text"]
    return [list(row) for row in table.to_numpy()]


def test_text_files_by_name(tmp_path: Path) -> None:
    for name, content in {"b.md": "second", "a.txt": "\ufefffirst", "c.json": "ignored"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert rows(tmp_path) == [["a.txt", "first"], ["b.md", "second"]]


def test_text_files_of_any_file_system(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe_file("/general/a.md", b"first")
    assert rows("memory:///general") == [["a.md", "first"]]
    with pytest.raises(InputError, match=r"^memory:///nowhere does not exist"):
        rows("memory:///nowhere")


def test_a_missing_folder_is_named_with_the_variable(tmp_path: Path) -> None:
    dataset = TextFilesDataset(filepath=str(tmp_path / "nowhere"))
    assert not dataset.exists()
    with pytest.raises(InputError, match=rf"^{tmp_path}/nowhere does not exist.*MED_LORA_RAW"):
        dataset.load()


def test_faulty_text_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.md or \.txt file"):
        rows(tmp_path)
    (tmp_path / "a.md").write_bytes(b"\xef\xbb\xbfcaf\xe9 SECRET")
    with pytest.raises(InputError, match=r"a\.md is not UTF-8: byte 0xe9 at offset 6") as caught:
        rows(tmp_path)
    assert "SECRET" not in str(caught.value)
    with pytest.raises(InputError, match="must be a folder"):
        rows(tmp_path / "a.md")
    (tmp_path / "a.md").unlink()
    (tmp_path / "a.md").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        rows(tmp_path)


def test_raw_data_cannot_be_saved(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"text")
    with pytest.raises(DatasetError, match="only reads"):
        TextFilesDataset(filepath=str(tmp_path)).save(pd.DataFrame())  # type: ignore[arg-type]
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"text"]
