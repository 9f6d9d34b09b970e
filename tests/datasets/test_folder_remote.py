"""What is particular to folders on a remote file system: temporaries, and moves that are not atomic."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path
from typing import Any

import fsspec
import pytest
from kedro.io.core import DatasetError

from med_lora.datasets import PretrainedDataset

REMOTE = "memory:///bucket/models/adapter"


def test_remote_folder_leaves_only_the_temporary_that_is_in_use(
    memory: fsspec.AbstractFileSystem, temporary_folder: Path, artifact: Any, text_of: Any
) -> None:
    dataset = PretrainedDataset(filepath=REMOTE)
    dataset.save(artifact("text"))
    assert list(temporary_folder.iterdir()) == []
    path = dataset.load().path
    assert path.is_relative_to(temporary_folder)
    assert path.is_dir(), "the dataset holds what it loaded last, so that load().path can be used at once"
    handle = dataset.load()
    dataset.release()
    gc.collect()
    assert text_of(handle) == "text"
    assert len(list(temporary_folder.iterdir())) == 1
    del handle
    gc.collect()
    assert list(temporary_folder.iterdir()) == []


def test_remote_folder_does_not_touch_the_working_folder(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, artifact: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = tmp_path / "working"
    working.mkdir()
    monkeypatch.chdir(working)
    dataset = PretrainedDataset(filepath="memory:///bucket/model")
    dataset.save(artifact("text"))
    dataset.load()
    assert list(working.iterdir()) == []


@pytest.mark.parametrize("operation", ["put_file", "cp_file", "pipe_file"])
def test_a_remote_failure_at_any_step_keeps_the_former_folder(
    memory: fsspec.AbstractFileSystem, artifact: Any, text_of: Any, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    dataset = PretrainedDataset(filepath=REMOTE)
    dataset.save(artifact("former"))
    real = getattr(memory, operation)
    for failing_call in range(1, 100):
        calls: list[int] = []

        def fail(*arguments: Any, calls: list[int] = calls, last: int = failing_call, **options: Any) -> Any:
            calls.append(len(calls))
            if len(calls) == last:
                raise OSError("connection lost")
            return real(*arguments, **options)

        monkeypatch.setattr(memory, operation, fail)
        with contextlib.suppress(DatasetError):
            dataset.save(artifact("new"))
        finished = len(calls) < failing_call
        assert text_of(dataset.load()) == ("new" if finished else "former")
        assert sorted(name.removeprefix("/bucket/models/adapter/") for name in memory.find("/bucket")) == [
            "_SUCCESS",
            "model.safetensors",
            "sub/config.json",
        ]
        if finished:
            break
    assert failing_call > 1, "every call failed once"


def test_a_remote_folder_loses_its_marker_before_anything_else(
    memory: fsspec.AbstractFileSystem, artifact: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = PretrainedDataset(filepath=REMOTE)
    dataset.save(artifact("former"))
    removed: list[str] = []
    real = memory.rm

    def record(path: str, **options: Any) -> None:
        removed.append(path)
        real(path, **options)

    monkeypatch.setattr(memory, "rm", record)
    dataset.save(artifact("new"))
    target = "/bucket/models/adapter"
    assert [path for path in removed if path.startswith(target)] == [f"{target}/_SUCCESS", target]
