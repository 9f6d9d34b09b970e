"""Putting a finished folder where readers look for it, in one step where the file system has one."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

from fsspec import AbstractFileSystem

from med_lora.datasets.manifest import MARKER, Manifest, flush_to_disk, list_files

STAGING_PREFIX = ".tmp-"


def staging_name() -> str:
    """A fresh name for a folder that nobody reads."""
    return f"{STAGING_PREFIX}{uuid4().hex}"


def publish_locally(staging: Path, target: Path) -> None:
    """Rename ``staging`` to ``target``; a folder that is already there is renamed away first, and deleted last.

    POSIX has no exchange of two folders, so a process killed between the two renames leaves no ``target``, and the
    former one whole under its ``.tmp-`` name.
    """
    if not target.exists():
        staging.replace(target)
    else:
        former = target.parent / staging_name()
        target.replace(former)
        try:
            staging.replace(target)
        except BaseException:
            former.replace(target)
            raise
        shutil.rmtree(former)
    flush_to_disk(target.parent)


def publish_remotely(fs: AbstractFileSystem, folder: Path, target: str) -> None:
    """Upload ``folder`` beside ``target`` and move it there; the marker is written at ``target``, after the move.

    Object stores move a folder file by file. A marker that travelled with the others could arrive before them, so
    it comes last, as one write.
    """
    staging = f"{target.rsplit('/', 1)[0]}/{staging_name()}"
    try:
        for name in list_files(folder):
            fs.put_file(str(folder / name), f"{staging}/{name}")
        marker = (folder / MARKER).read_bytes()
        if fs.exists(target):
            _replace(fs, staging, target, marker)
        else:
            _move_in(fs, staging, target, marker)
    finally:
        _remove(fs, staging)


def _replace(fs: AbstractFileSystem, staging: str, target: str, marker: bytes) -> None:
    """Put ``staging`` in the place of ``target``, of which a copy is kept until that is done."""
    former = f"{target.rsplit('/', 1)[0]}/{staging_name()}"
    try:
        fs.copy(target, former, recursive=True, on_error="raise")
    except BaseException:
        _remove(fs, former)
        raise
    try:
        _remove(fs, f"{target}/{MARKER}")  # first, so that no half of the folder counts
        _remove(fs, target)
        _move_in(fs, staging, target, marker)
    except BaseException:
        _remove(fs, target)
        fs.mv(former, target, recursive=True)
        raise
    _remove(fs, former)


def _move_in(fs: AbstractFileSystem, staging: str, target: str, marker: bytes) -> None:
    if fs.exists(staging):  # an object store has no empty folders
        fs.mv(staging, target, recursive=True)
    fs.pipe_file(f"{target}/{MARKER}", marker)


def _remove(fs: AbstractFileSystem, path: str) -> None:
    if fs.exists(path):
        fs.rm(path, recursive=True)


def download(fs: AbstractFileSystem, source: str, manifest: Manifest, marker: bytes, folder: Path) -> None:
    """Fetch the files that ``manifest`` lists, and its ``marker``, into the new local ``folder``.

    A file that is missing at ``source`` is left out, for the verification to name.
    """
    folder.mkdir(parents=True)
    present = set(fs.find(source))
    for name in manifest:
        remote = f"{source}/{name}"
        if remote in present:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(remote, str(folder / name))
    (folder / MARKER).write_bytes(marker)
