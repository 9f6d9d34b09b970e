"""Tables on disk: what is saved comes back, in chunks or whole, and a failed save leaves the old table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from kedro.io.core import DatasetError, Version

from med_lora.chunks import Chunks
from med_lora.datasets import TableDataset


def table(start: int, stop: int) -> pd.DataFrame:
    rows = range(start, stop)
    return pd.DataFrame({"id": [f"{row:05d}" for row in rows], "text": ["NA"] * len(rows), "page": rows}).astype(
        {"id": "str", "text": "str", "page": "int64"}
    )


@pytest.mark.parametrize("place", ["local", "memory"])
def test_chunks_come_back_whole_or_in_chunks(tmp_path: Path, place: str) -> None:
    filepath = str(tmp_path / "t") if place == "local" else f"memory://{tmp_path.name}/t"
    saved = Chunks(lambda: [table(0, 4), table(4, 7)])
    TableDataset(filepath=filepath).save(saved)
    pd.testing.assert_frame_equal(TableDataset(filepath=filepath).load(), table(0, 7))
    chunks = TableDataset(filepath=filepath, chunk_rows=3).load()
    sizes = [len(chunk) for chunk in chunks]
    assert sum(sizes) == 7
    assert max(sizes) == 3
    again = pd.concat(chunks, ignore_index=True)
    pd.testing.assert_frame_equal(again, table(0, 7))


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    TableDataset(filepath=str(tmp_path / "t")).save(table(0, 0))
    (chunk,) = TableDataset(filepath=str(tmp_path / "t"), chunk_rows=3).load()
    assert list(chunk.columns) == ["id", "text", "page"]
    assert chunk.empty


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        TableDataset(filepath=str(tmp_path / name)).save(table(0, 5))
    first, second = ((tmp_path / name / "data.parquet").read_bytes() for name in ("a", "b"))
    assert first == second


def test_a_fault_in_a_later_chunk_writes_nothing(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=str(tmp_path / "t"), version=Version(None, None))
    dataset.save(table(0, 2))

    def broken() -> Iterator[pd.DataFrame]:
        yield table(0, 2)
        raise ValueError("broken")

    newer = TableDataset(filepath=str(tmp_path / "t"), version=Version(None, "9999"))
    with pytest.raises(DatasetError, match="broken"):
        newer.save(Chunks(broken))
    assert len(list((tmp_path / "t").iterdir())) == 1
    assert len(TableDataset(filepath=str(tmp_path / "t"), version=Version(None, None)).load()) == 2


def test_a_later_chunk_with_other_columns_is_refused(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=str(tmp_path / "t"))
    with pytest.raises(DatasetError):
        dataset.save(Chunks(lambda: [table(0, 2), table(0, 2).drop(columns="text")]))
    assert not dataset.exists()


def test_no_chunk_at_all_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="without a chunk"):
        TableDataset(filepath=str(tmp_path / "t")).save(Chunks(lambda: []))
