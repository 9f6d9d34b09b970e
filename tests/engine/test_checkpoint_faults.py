"""Checkpoints on bad disks and in killed processes: what was damaged is refused, and the one before is still there."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.manifest import MARKER, list_files, seal_folder
from med_lora.engine.checkpoints import SETTINGS_FILE, Checkpoints
from med_lora.engine.resume_checks import find_fault
from med_lora.errors import InputError
from tests.engine.checkpoint_sets import SETTINGS, STATE, sealed, warnings_of, write


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("name", [*STATE, SETTINGS_FILE])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [(flip, "has changed since it was sealed"), (cut, "has changed"), (Path.unlink, "is missing")],
    ids=["flipped bit", "truncated", "deleted"],
)
def test_a_damaged_file_is_named_and_the_one_before_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: Callable[[Path], None], reason: str
) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        newest = sealed(checkpoints, 3, 6)
        damage(newest / name)
        assert checkpoints.newest() == checkpoints.folder / "checkpoint-3"
    (warning,) = warnings_of(caplog)
    assert warning.startswith(f"Ignored and deleted {newest}: {name} {reason}")
    assert not newest.exists()  # or the Trainer would write into it


def test_no_damage_to_the_manifest_goes_unseen(tmp_path: Path) -> None:
    """Cut at many lengths, and one bit of many bytes flipped: refused, or the very same manifest."""
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        marker = sealed(checkpoints, 3) / MARKER
    content = marker.read_bytes()
    parsed = json.loads(content)
    places = range(0, len(content), 5)
    damaged = [content[:length] for length in (*places, len(content) - 2, len(content) - 1)]
    damaged += [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in places]
    unseen = []
    for candidate in damaged:
        marker.write_bytes(candidate)
        if find_fault(marker.parent) is None:
            unseen.append(candidate)
    assert [json.loads(candidate) for candidate in unseen] == [parsed] * len(unseen)


def test_an_added_file_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        (sealed(checkpoints, 3) / "pytorch_model.bin").touch()
        assert checkpoints.newest() is None
    assert "pytorch_model.bin was added after it was sealed" in caplog.text


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("reader", ["os.path.getsize", "med_lora.engine.resume_checks.describe_files"])
def test_a_disk_that_cannot_be_read_proves_no_damage_and_nothing_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reader: str
) -> None:
    def fail(*args: Any) -> None:
        raise OSError(code, os.strerror(code))

    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        newest = sealed(checkpoints, 3, 6)
        with monkeypatch.context() as patch:
            patch.setattr(reader, fail)
            with pytest.raises(InputError, match=r"checkpoint-6 cannot be read \(.*\) and is left as it is: see to"):
                checkpoints.newest()
        assert checkpoints.newest() == newest


def in_child(action: Callable[[], None]) -> int:
    """Run ``action`` in a process of its own; its exit status, negative where a signal ended it."""
    child = os.fork()
    if child == 0:
        try:
            action()
        finally:
            os._exit(1 if sys.exc_info()[0] else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(operation: int) -> None:
    """Let this process kill itself just before the given file operation: opening, syncing, deleting, renaming."""
    left = operation

    def count(event: str = "", arguments: Any = None) -> None:
        nonlocal left
        if event in ("", "open", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree"):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sync = os.fsync
    os.fsync = lambda descriptor: (count(), sync(descriptor))[1]
    sys.addaudithook(count)


def test_a_kill_at_any_file_operation_of_a_seal_leaves_a_checkpoint_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third seal, which prunes too, and deletes checkpoints of other settings."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # slow, and a kill loses nothing that was written
    newest_after = []
    for operation in range(1, 200):
        folder = tmp_path / str(operation)
        with Checkpoints(folder, SETTINGS | {"lora.r": 16}) as other:
            sealed(other, 5)
        own = Checkpoints(folder, SETTINGS)
        with own:
            for step in (1, 2):
                write(own, step)
                (own.folder / f"checkpoint-{step}" / SETTINGS_FILE).write_text(json.dumps(own._maker))
                seal_folder(own.folder / f"checkpoint-{step}")
            third = write(own, 3)

        def seal(own: Checkpoints = own, third: Path = third, operation: int = operation) -> None:
            kill_at(operation)
            own.seal(third)

        status = in_child(seal)
        with Checkpoints(folder, SETTINGS) as again:
            newest = again.newest()
        assert newest is not None
        newest_after.append(newest.name)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert status == 0, "the seal had more file operations than were tried"
    assert len(newest_after) > 40
    # Once sealed, always sealed: the names change from the second to the third checkpoint exactly once.
    assert newest_after == sorted(newest_after)
    assert set(newest_after) == {"checkpoint-2", "checkpoint-3"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_the_one_before_still_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        first = sealed(checkpoints, 3)
        second = write(checkpoints, 6)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(InputError, match=r"^The disk is full: no checkpoint could be saved in [^.]*\.$"):
                checkpoints.seal(second)
    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        assert checkpoints.newest() == first
    assert list_files(tmp_path / checkpoints.folder.name / "checkpoint-3")


def test_a_full_disk_is_known_where_torch_does_not_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.save fails with an error of its zip writer; other errors pass as they are."""
    import torch

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Checkpoints(tmp_path, SETTINGS) as checkpoints:
        with pytest.raises(RuntimeError) as elsewhere, checkpoints.saving():
            torch.save({"weights": torch.zeros(10**6)}, "/dev/full")
        assert not isinstance(elsewhere.value, InputError)
        assert os.strerror(errno.ENOSPC) not in str(elsewhere.value)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(KeyError), checkpoints.saving():
            raise KeyError("nothing that writes")
        with pytest.raises(InputError, match="The disk is full"), checkpoints.saving():
            torch.save({"weights": torch.zeros(10**6)}, "/dev/full")
    assert [path.name for path in tmp_path.iterdir() if not path.is_dir()] == [".lock"]
