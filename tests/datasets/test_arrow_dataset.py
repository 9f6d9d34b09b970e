"""Hugging Face datasets on disk: what comes back, the same bytes for the same rows, and no torch."""

from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value, concatenate_datasets
from kedro.io import DataCatalog, Version
from kedro.io.core import DatasetError

from med_lora.datasets import ArrowDataset
from med_lora.errors import InputError

ROWS = 2500
FEATURES = Features(
    {
        "id": Value("string"),
        "answer": Value("large_string"),
        "group": Value("int64"),
        "score": Value("float32"),
        "tokens": Sequence(Value("int32")),
        "split": ClassLabel(names=["train", "test"]),
    }
)


def rows(count: int = ROWS) -> dict[str, list[Any]]:
    return {
        "id": [f"medquad:{index:07}" for index in range(count)],
        "answer": [None if index % 7 == 3 else "é" * (index % 5) for index in range(count)],
        "group": [None if index % 11 == 2 else index // 3 for index in range(count)],
        "score": [index / 3 for index in range(count)],
        "tokens": [list(range(index % 4)) for index in range(count)],
        "split": [index % 2 for index in range(count)],
    }


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.from_dict(rows(), features=FEATURES)


def saved_bytes(folder: Path, data: Dataset) -> bytes:
    ArrowDataset(filepath=folder).save(data)
    return (folder / "data.arrow").read_bytes()


@pytest.mark.parametrize("version", [None, Version(None, None)], ids=["plain", "versioned"])
@pytest.mark.parametrize("where", ["local", "memory"])
def test_round_trip(
    where: str,
    version: Version | None,
    dataset: Dataset,
    tmp_path: Path,
    memory: fsspec.AbstractFileSystem,
    temporary_folder: Path,
) -> None:
    filepath = "memory:///splits/train" if where == "memory" else str(tmp_path / "splits" / "train")
    stored = ArrowDataset(filepath=filepath, version=version)
    stored.save(dataset)
    assert list(temporary_folder.iterdir()) == []
    loaded = stored.load()
    assert loaded.features == FEATURES
    assert loaded.to_dict() == dataset.to_dict()
    stored.release()
    part = loaded.select(range(3))
    del loaded
    gc.collect()
    assert list(temporary_folder.iterdir()) == []
    assert part["id"][:] == rows()["id"][:3]


def test_selected_rows_are_the_ones_saved(dataset: Dataset, tmp_path: Path) -> None:
    stored = ArrowDataset(filepath=tmp_path / "train")
    stored.save(dataset.select([5, 0, 2400]))
    assert stored.load()["id"][:] == ["medquad:0000005", "medquad:0000000", "medquad:0002400"]


@pytest.mark.parametrize("data", [Dataset.from_dict(rows(0), features=FEATURES), Dataset.from_dict({})])
def test_empty_datasets_come_back(data: Dataset, tmp_path: Path) -> None:
    stored = ArrowDataset(filepath=tmp_path / "train")
    stored.save(data)
    loaded = stored.load()
    assert len(loaded) == 0
    assert loaded.features == data.features


@pytest.mark.parametrize(
    "rebuild",
    [
        lambda data: data.select(range(len(data))[::-1]).select(range(len(data))[::-1]),
        lambda data: concatenate_datasets([data.select(range(7)), data.select(range(7, len(data)))]),
        lambda data: concatenate_datasets([data, data]).filter(lambda _, index: index >= len(data), with_indices=True),
        lambda data: Dataset.from_list(data.to_list(), features=data.features),
        lambda data: data.with_format("numpy", columns=["id"]),
        lambda data: data.map(lambda row: row, load_from_cache_file=False),
    ],
    ids=["select", "concatenate", "filter", "from_list", "format", "map"],
)
def test_equal_rows_give_equal_bytes(rebuild: Callable[[Dataset], Dataset], dataset: Dataset, tmp_path: Path) -> None:
    expected = saved_bytes(tmp_path / "one", dataset)
    assert saved_bytes(tmp_path / "two", rebuild(dataset)) == expected
    loaded = ArrowDataset(filepath=tmp_path / "one").load()
    assert saved_bytes(tmp_path / "three", loaded) == expected
    marker = (tmp_path / "one" / "_SUCCESS").read_bytes()
    assert marker == (tmp_path / "three" / "_SUCCESS").read_bytes()
    assert hashlib.sha256(marker).hexdigest().startswith(loaded._fingerprint)


def test_one_different_value_gives_different_bytes(dataset: Dataset, tmp_path: Path) -> None:
    other = {**rows(), "group": [-1, *rows()["group"][1:]]}
    changed = Dataset.from_dict(other, features=FEATURES)
    assert saved_bytes(tmp_path / "one", dataset) != saved_bytes(tmp_path / "two", changed)


def test_bytes_and_fingerprint_do_not_depend_on_the_process(tmp_path: Path, environment: dict[str, str]) -> None:
    script = """
import sys, hashlib, pathlib
from datasets import Dataset
from med_lora.datasets import ArrowDataset
stored = ArrowDataset(filepath=sys.argv[1])
stored.save(Dataset.from_dict({"id": ["a", "b"], "group": [1, None]}))
print(stored.load()._fingerprint, hashlib.sha256(pathlib.Path(sys.argv[1], "data.arrow").read_bytes()).hexdigest())
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "there")],
        env={**environment, "PYTHONHASHSEED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    content = saved_bytes(tmp_path / "here", Dataset.from_dict({"id": ["a", "b"], "group": [1, None]}))
    fingerprint = ArrowDataset(filepath=tmp_path / "here").load()._fingerprint
    assert result.stdout.split() == [fingerprint, hashlib.sha256(content).hexdigest()]


def test_working_with_a_loaded_dataset_writes_nothing_beside_it(dataset: Dataset, tmp_path: Path) -> None:
    stored = ArrowDataset(filepath=tmp_path / "train")
    stored.save(dataset)
    loaded = stored.load()
    loaded.map(lambda row: {"length": len(row["id"])}).filter(lambda row: row["length"] > 0).shuffle(seed=0).sort("id")
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == ["_SUCCESS", "data.arrow"]
    assert loaded.cache_files == []


def test_a_loaded_dataset_survives_its_replacement(dataset: Dataset, tmp_path: Path) -> None:
    stored = ArrowDataset(filepath=tmp_path / "train")
    stored.save(dataset)
    loaded = stored.load()
    stored.save(dataset.select([0]))
    assert loaded.to_dict() == dataset.to_dict()
    assert len(stored.load()) == 1


def test_the_file_is_read_without_this_project(dataset: Dataset, tmp_path: Path) -> None:
    saved_bytes(tmp_path / "train", dataset)
    loaded = Dataset.from_file(str(tmp_path / "train" / "data.arrow"), in_memory=True)
    assert loaded.features == FEATURES
    assert loaded.to_dict() == dataset.to_dict()


def test_truncated_file_is_named(dataset: Dataset, tmp_path: Path) -> None:
    stored = ArrowDataset(filepath=tmp_path / "train")
    stored.save(dataset)
    file = tmp_path / "train" / "data.arrow"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"train/data\.arrow has \d+ bytes instead of"):
        stored.load()


def test_other_types_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"saves a datasets\.Dataset, not a DataFrame"):
        ArrowDataset(filepath=tmp_path / "train").save(pd.DataFrame({"id": ["a"]}))
    assert list(tmp_path.iterdir()) == []


def test_torch_is_never_imported(dataset: Dataset, tmp_path: Path, environment: dict[str, str]) -> None:
    saved_bytes(tmp_path / "train", dataset)
    script = """
import sys
import med_lora.datasets.arrow
assert not {"torch", "datasets", "pyarrow"} & set(sys.modules)
stored = med_lora.datasets.arrow.ArrowDataset(filepath=sys.argv[1])
data = stored.load()
stored.save(data.select(range(10)))
print(len(stored.load().to_pandas()), "torch" in sys.modules, "transformers" in sys.modules)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "train")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["10", "False", "False"]


def test_there_is_no_preview_of_private_text(dataset: Dataset, tmp_path: Path) -> None:
    catalog = DataCatalog.from_config(
        {"train": {"type": "med_lora.datasets.ArrowDataset", "filepath": str(tmp_path / "train"), "versioned": True}}
    )
    catalog.save("train", dataset)
    assert catalog.load("train").num_rows == ROWS
    assert not hasattr(catalog.get("train"), "preview")
