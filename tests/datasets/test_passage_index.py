"""The index of passages on disk: what is saved comes back, whole, and found out where it is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from kedro.io.core import Version

from med_lora.datasets.passage_index import PassageIndexDataset
from med_lora.errors import InputError
from med_lora.retrieval.index import PassageIndex

PASSAGES = pd.DataFrame(
    {
        "id": ["c:b/h#0001", "c:b/h#0002"],
        "corpus": "c",
        "book": "b",
        "chapter": ["h", "ü"],
        "page": [3, 0],
        "licence": "CC BY 4.0",
        "text": ["gout\n\nis painful", "NA"],
    }
).astype({"page": "int64"})
DESCRIBED = {"method": "fused", "passages": 2, "cut": 0, "encoder": {"query_prompt": "frage: ü"}, "versions": {}}


@pytest.fixture
def index() -> PassageIndex:
    return PassageIndex(PASSAGES, np.eye(2, 5, dtype=np.float32), DESCRIBED)


def place(tmp_path: Path, kind: str) -> str:
    return str(tmp_path / "index") if kind == "local" else f"memory://{tmp_path.name}/index"


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_an_index_comes_back(tmp_path: Path, memory: Any, index: PassageIndex, kind: str) -> None:
    PassageIndexDataset(filepath=place(tmp_path, kind)).save(index)
    loaded = PassageIndexDataset(filepath=place(tmp_path, kind)).load()
    pd.testing.assert_frame_equal(loaded.passages, PASSAGES)
    assert loaded.embeddings is not None
    assert loaded.embeddings.dtype == np.float32
    np.testing.assert_array_equal(loaded.embeddings, index.embeddings)
    assert loaded.described == DESCRIBED


def test_an_index_of_words_has_no_embeddings(tmp_path: Path) -> None:
    dataset = PassageIndexDataset(filepath=str(tmp_path / "index"))
    dataset.save(PassageIndex(PASSAGES, None, {"method": "bm25"}))
    assert dataset.load().embeddings is None
    assert sorted(file.name for file in (tmp_path / "index").iterdir()) == [
        "_SUCCESS",
        "index.json",
        "passages.parquet",
    ]


def test_equal_indexes_give_equal_bytes(tmp_path: Path, index: PassageIndex) -> None:
    for name in ("one", "other"):
        PassageIndexDataset(filepath=str(tmp_path / name)).save(index)
    assert (tmp_path / "one/_SUCCESS").read_bytes() == (tmp_path / "other/_SUCCESS").read_bytes()


def test_a_version_that_was_not_finished_does_not_exist(tmp_path: Path, index: PassageIndex) -> None:
    dataset = PassageIndexDataset(filepath=str(tmp_path / "index"), version=Version(None, "2026-01-01T00.00.00.000Z"))
    dataset.save(index)
    newer = tmp_path / "index" / "2026-01-02T00.00.00.000Z" / "index"
    newer.mkdir(parents=True)
    (newer / "index.json").write_text("{}")
    latest = PassageIndexDataset(filepath=str(tmp_path / "index"), version=Version(None, None))
    assert latest.load().described == DESCRIBED


@pytest.mark.parametrize("name", ["passages.parquet", "embeddings.safetensors", "index.json"])
def test_a_truncated_file_is_found(tmp_path: Path, index: PassageIndex, name: str) -> None:
    dataset = PassageIndexDataset(filepath=str(tmp_path / "index"))
    dataset.save(index)
    file = tmp_path / "index" / name
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        dataset.load()


def test_a_truncated_remote_file_is_found(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, index: PassageIndex
) -> None:
    dataset = PassageIndexDataset(filepath=place(tmp_path, "memory"))
    dataset.save(index)
    (file,) = (name for name in memory.store if name.endswith("/embeddings.safetensors"))
    memory.pipe_file(file, memory.cat_file(file)[:-4])
    with pytest.raises(InputError, match=r"embeddings\.safetensors"):
        dataset.load()


def test_a_failed_save_leaves_the_older_index(tmp_path: Path, index: PassageIndex) -> None:
    dataset = PassageIndexDataset(filepath=str(tmp_path / "index"))
    dataset.save(index)
    with pytest.raises(Exception, match="nan"):
        dataset.save(PassageIndex(PASSAGES.head(1), None, {"method": float("nan")}))
    assert len(dataset.load().passages) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
