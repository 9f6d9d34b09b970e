from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Never

import fsspec
import pandas as pd
import pytest
from kedro.io import AbstractDataset, CachedDataset, MemoryDataset, Version
from kedro_datasets.json import JSONDataset

from med_lora.datasets import (
    BaseModelDataset,
    CorpusDataset,
    EncoderDataset,
    ReturnedSheetsDataset,
    TableDataset,
    TextFilesDataset,
)
from med_lora.runs import hashing
from med_lora.runs.content import describe_content, identify_base, is_recorded
from med_lora.runs.hashing import hash_file, hash_together

RUN = "2026-11-22T03.14.00.123Z"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def corpus(root: Path | str, files: str | list[str], layout: str = "pairs") -> CorpusDataset:
    return CorpusDataset(name="mine", corpora={"mine": {"layout": layout, "files": files}}, root=str(root))


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.jsonl").write_text(content)


def test_corpus_of_one_file_is_that_file(tmp_path: Path) -> None:
    write(tmp_path / "data" / "raw", pairs="{}")
    found = describe_content(corpus(tmp_path / "data/raw", "pairs.jsonl"), tmp_path)
    digest = sha256(b"{}")
    assert found == {
        **{"version": None, "path": "data/raw/pairs.jsonl", "sha256": digest, "bytes": 2, "files": {"": digest}}
    }


def test_corpus_of_a_pattern_names_its_files_below_their_folder(tmp_path: Path) -> None:
    write(tmp_path / "raw" / "mine", b="2", a="1")
    write(tmp_path / "raw" / "more", c="3")
    found = describe_content(corpus(tmp_path / "raw", ["mine/*.jsonl", "more/c.jsonl"]), tmp_path)
    assert found["path"] == "raw"
    assert found["files"] == {"mine/a.jsonl": sha256(b"1"), "mine/b.jsonl": sha256(b"2"), "more/c.jsonl": sha256(b"3")}
    assert found["bytes"] == 3


def test_hash_of_several_files_tells_names_and_contents_apart(tmp_path: Path) -> None:
    seen = set()
    for number, (first, second) in enumerate([("1", "2"), ("2", "1"), ("12", "")]):
        folder = tmp_path / str(number)
        write(folder, a=first, b=second)
        seen.add(describe_content(corpus(folder, "*.jsonl"), tmp_path)["sha256"])
    assert len(seen) == 3


def test_corpus_outside_of_the_project_has_an_absolute_path(tmp_path: Path) -> None:
    write(tmp_path / "raw", pairs="{}")
    found = describe_content(corpus(tmp_path / "raw", "pairs.jsonl"), tmp_path / "project")
    assert found["path"] == (tmp_path / "raw" / "pairs.jsonl").as_posix()


def test_remote_corpus_is_hashed_where_it_lies() -> None:
    filesystem = fsspec.filesystem("memory")
    for name in ("x", "y"):
        filesystem.pipe_file(f"/hashed/{name}.jsonl", name.encode())
    found = describe_content(corpus("memory://hashed", "*.jsonl"), Path("/nowhere"))
    assert found["path"] == "memory:///hashed"
    assert found["files"] == {"x.jsonl": sha256(b"x"), "y.jsonl": sha256(b"y")}


def test_folder_of_texts_leaves_hidden_files_out(tmp_path: Path) -> None:
    folder = tmp_path / "general"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt", ".DS_Store", "~$a.docx"):
        (folder / name).write_text(name)
    found = describe_content(TextFilesDataset(filepath=str(folder)), tmp_path)
    assert list(found["files"]) == ["a.txt", "deep/b.txt"]


def test_folder_that_nobody_has_made_has_no_hash(tmp_path: Path) -> None:
    found = describe_content(ReturnedSheetsDataset(filepath=str(tmp_path / "ratings")), tmp_path)
    assert found == {"version": None, "path": "ratings", "sha256": None, "bytes": 0, "files": {}}


def test_saved_folder_holds_everything_but_its_marker(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=str(tmp_path / "data" / "pairs"), version=Version(None, RUN))
    dataset.save(pd.DataFrame({"id": ["1"]}))
    found = describe_content(dataset, tmp_path, saved=True)
    file = tmp_path / "data" / "pairs" / RUN / "pairs" / "data.parquet"
    assert (found["version"], found["path"]) == (RUN, f"data/pairs/{RUN}/pairs")
    assert found["files"] == {"data.parquet": sha256(file.read_bytes())}
    assert (tmp_path / found["path"] / "_SUCCESS").is_file()


def test_loaded_version_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    runs = [f"2026-11-2{day}T00.00.00.000Z" for day in range(3)]
    for run in runs:
        JSONDataset(filepath=str(tmp_path / "x.json"), version=Version(None, run)).save(run)
    newest = JSONDataset(filepath=str(tmp_path / "x.json"), version=Version(None, "2027-01-01T00.00.00.000Z"))
    pinned = JSONDataset(filepath=str(tmp_path / "x.json"), version=Version(runs[0], None))
    assert describe_content(newest, tmp_path)["version"] == runs[2]
    assert describe_content(CachedDataset(pinned), tmp_path)["sha256"] == sha256(json.dumps(runs[0]).encode())


def test_base_model_has_the_hash_of_its_handle_and_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "README.md"):
        (folder / name).write_text(name)
    dataset = BaseModelDataset(id=str(folder))
    handle = dataset.load()
    monkeypatch.setattr("med_lora.datasets.base_model.describe_files", None)  # a second reading would fail
    found = describe_content(dataset, tmp_path)
    assert found["sha256"] == handle.sha256
    assert found["files"]["model.safetensors"] == sha256((folder / "model.safetensors").read_bytes())
    assert list(found["files"]) == ["config.json", "model.safetensors", "tokenizer.json"]
    base = identify_base(handle)
    assert (base["sha256"], base["tokenizer_sha256"]) == (handle.sha256, handle.tokenizer_sha256())


def test_model_of_the_hub_is_pinned_by_its_commit_and_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    dataset = BaseModelDataset(id="openai-community/gpt2", revision="0" * 40)
    found = describe_content(dataset, Path("/nowhere"))
    assert (found["path"], found["sha256"]) == (f"hf://openai-community/gpt2@{'0' * 40}", None)


def test_absent_encoder_is_no_error(tmp_path: Path) -> None:
    assert describe_content(EncoderDataset(id=str(tmp_path / "encoder")), tmp_path)["files"] == {}
    absent = describe_content(EncoderDataset(id="package:nowhere_to_be_found/model"), tmp_path)
    assert (absent["path"], absent["sha256"]) == ("package:nowhere_to_be_found/model", None)


def test_dataset_without_files_is_named_by_its_kind(tmp_path: Path) -> None:
    class Query(AbstractDataset[Never, int]):
        def load(self) -> int:
            return 1

        def save(self, data: Never) -> None:
            raise NotImplementedError

        def _describe(self) -> dict[str, Any]:
            return {}

    dataset = Query()
    assert is_recorded(dataset)
    assert describe_content(dataset, tmp_path) == {
        **{"version": None, "path": "Query", "sha256": None, "bytes": 0, "files": {}}
    }
    assert not is_recorded(CachedDataset(MemoryDataset()))


def test_path_never_holds_what_logs_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from med_lora.runs.content import show_path

    class Remote:
        def unstrip_protocol(self, path: str) -> str:
            return f"ftp://user:secret@host/{path}"

    assert show_path(Remote(), "corpus", tmp_path) == "ftp://host/corpus"


def test_changed_file_is_hashed_again_and_an_unchanged_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filesystem, file = fsspec.filesystem("file"), tmp_path / "a"
    file.write_bytes(b"one")
    assert hash_file(filesystem, str(file)) == (sha256(b"one"), 3)
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert hash_file(filesystem, str(file)) == (sha256(b"two"), 3)
    monkeypatch.setattr(hashing, "_hash_stream", None)
    assert hash_file(filesystem, str(file)) == (sha256(b"two"), 3)


def test_hash_together_does_not_depend_on_the_order() -> None:
    assert hash_together({"a": "1", "b": "2"}) == hash_together({"b": "2", "a": "1"})
