"""What a killed process, a full disk or a failing write leaves behind."""

from __future__ import annotations

import errno
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from kedro.io import Version
from kedro.io.core import DatasetError

from med_lora.datasets import Pretrained, PretrainedDataset
from med_lora.errors import InputError

WORKER = Path(__file__).with_name("interrupted_save.py")
UNFINISHED = ["writing", "before marker", "in marker", "after marker", "before move"]


def killed_save(filepath: Path, version: str, point: str, environment: dict[str, str]) -> None:
    """Save in a process that is killed at ``point``."""
    command = [sys.executable, str(WORKER), str(filepath), version, point]
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == -signal.SIGKILL, result.stderr


@pytest.mark.parametrize("point", UNFINISHED)
def test_killed_save_never_becomes_the_newest_version(
    tmp_path: Path, environment: dict[str, str], artifact: Any, text_of: Any, point: str
) -> None:
    filepath = tmp_path / "model"
    PretrainedDataset(filepath=filepath, version=Version(None, "v1")).save(artifact("whole"))
    killed_save(filepath, "v2", point, environment)
    assert [path.name[:5] for path in (filepath / "v2").iterdir()] == [".tmp-"]
    dataset = PretrainedDataset(filepath=filepath, version=Version(None, None))
    assert dataset.list_versions(full_path=False) == ["v1"]
    assert text_of(dataset.load()) == "whole"
    assert not PretrainedDataset(filepath=filepath, version=Version("v2", "v2")).exists()
    PretrainedDataset(filepath=filepath, version=Version("v2", "v2")).save(artifact("again"))
    dataset.release()
    assert text_of(dataset.load()) == "again"


def test_save_killed_after_the_move_is_complete(tmp_path: Path, environment: dict[str, str], text_of: Any) -> None:
    killed_save(tmp_path / "model", "v1", "after move", environment)
    assert text_of(PretrainedDataset(filepath=tmp_path / "model", version=Version(None, None)).load()) == "after move"


@pytest.mark.parametrize("point", ["writing", "after marker", "before move"])
def test_killed_unversioned_save_keeps_the_former_folder(
    tmp_path: Path, environment: dict[str, str], artifact: Any, text_of: Any, point: str
) -> None:
    dataset = PretrainedDataset(filepath=tmp_path / "model")
    dataset.save(artifact("former"))
    killed_save(tmp_path / "model", "-", point, environment)
    assert text_of(dataset.load()) == "former"


def test_unversioned_save_killed_between_its_two_moves_loads_nothing_wrong(
    tmp_path: Path, environment: dict[str, str], artifact: Any
) -> None:
    dataset = PretrainedDataset(filepath=tmp_path / "model")
    dataset.save(artifact("former"))
    killed_save(tmp_path / "model", "-", "between moves", environment)
    with pytest.raises(InputError, match="does not exist"):
        dataset.load()
    saved = {(path / "sub/config.json").read_text() for path in tmp_path.glob(".tmp-*")}
    assert saved == {"former", "between moves"}, "both folders are whole beside the target"


def test_kills_at_random_moments_leave_the_last_finished_version_newest(
    tmp_path: Path, environment: dict[str, str], text_of: Any
) -> None:
    generator = random.Random(0)
    dataset = PretrainedDataset(filepath=tmp_path / "model", version=Version(None, None))
    finished = ""
    for attempt in range(8):
        command = [sys.executable, str(WORKER), str(tmp_path / "model"), f"v{attempt}", "forever"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            process.stdout.readline()
            try:
                process.wait(generator.uniform(0.0, 0.05))
            except subprocess.TimeoutExpired:
                process.kill()
            finished = (process.stdout.read().splitlines() or [f"v{attempt}-000000"])[-1]
        assert process.returncode == -signal.SIGKILL
        dataset.release()
        newest = text_of(dataset.load())
        # The process may die between the move and the line that reports it.
        assert newest in (finished, f"{finished[:-6]}{int(finished[-6:]) + 1:06}")
        assert all(
            text_of(PretrainedDataset(filepath=tmp_path / "model", version=Version(name, None)).load()) == name
            for name in dataset.list_versions(full_path=False)
        )


class FailingModel:
    """Writes a file, then fails as told."""

    def __init__(self, error: Exception):
        self.error = error

    def save_pretrained(self, save_directory: str) -> None:
        Path(save_directory, "model.safetensors").write_bytes(b"half")
        raise self.error


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("where", ["local", "memory"])
def test_failing_write_leaves_nothing_and_keeps_what_was(
    tmp_path: Path,
    memory: fsspec.AbstractFileSystem,
    temporary_folder: Path,
    artifact: Any,
    text_of: Any,
    where: str,
    versioned: bool,
) -> None:
    filepath = "memory:///bucket/model" if where == "memory" else str(tmp_path / "bucket" / "model")
    fs, root = fsspec.core.url_to_fs(filepath.rsplit("/", 1)[0])
    PretrainedDataset(filepath=filepath, version=Version(None, "v1") if versioned else None).save(artifact("whole"))
    before = sorted(fs.find(root, withdirs=True))
    failing = PretrainedDataset(filepath=filepath, version=Version(None, "v2") if versioned else None)
    with pytest.raises(DatasetError, match="boom"):
        failing.save(Pretrained(FailingModel(RuntimeError("boom"))))
    with pytest.raises(InputError, match=r"The disk is full: .* was not saved, and nothing older was lost"):
        failing.save(Pretrained(FailingModel(OSError(errno.ENOSPC, "No space left on device"))))
    assert sorted(fs.find(root, withdirs=True)) == before
    assert list(temporary_folder.iterdir()) == []
    newest = PretrainedDataset(filepath=filepath, version=Version(None, None) if versioned else None)
    assert text_of(newest.load()) == "whole"


def test_failing_second_move_restores_the_former_folder(
    tmp_path: Path, artifact: Any, text_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = PretrainedDataset(filepath=tmp_path / "model")
    dataset.save(artifact("former"))
    real, calls = Path.replace, []

    def fail_second(path: Path, target: Path) -> Path:
        calls.append(path)
        if len(calls) == 2:
            raise OSError("no")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", fail_second)
    with pytest.raises(DatasetError, match="no"):
        dataset.save(artifact("new"))
    assert text_of(dataset.load()) == "former"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; skipped where this user may not mount one (the simulated case above remains)."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a tmpfs is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class ArrayModel:
    """Writes one real safetensors file of the given size."""

    def __init__(self, size: int):
        self.size = size

    def save_pretrained(self, save_directory: str) -> None:
        import numpy as np
        from safetensors.numpy import save_file

        save_file({"weights": np.zeros(self.size, dtype=np.uint8)}, Path(save_directory, "model.safetensors"))


@pytest.mark.parametrize("make", [ArrayModel, None], ids=["safetensors", "python"])
def test_really_full_disk(small_disk: Path, artifact: Any, text_of: Any, make: Any) -> None:
    filepath = small_disk / "model"
    PretrainedDataset(filepath=filepath, version=Version(None, "v1")).save(artifact("whole"))
    large = Pretrained(make(400_000)) if make else artifact("x" * 400)
    with pytest.raises(InputError, match="The disk is full"):
        PretrainedDataset(filepath=filepath, version=Version(None, "v2")).save(large)
    assert [path.name for path in filepath.iterdir()] == ["v1"]
    newest = PretrainedDataset(filepath=filepath, version=Version(None, None))
    assert text_of(newest.load()) == "whole"
