"""The manifest of a saved folder: what proves that it is complete and unchanged.

``_SUCCESS`` holds the SHA-256 and the size of every other file as canonical JSON and is written last. It has no
time stamp, so equal files give an equal manifest, and its own SHA-256 identifies the artifact.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TypedDict

from med_lora.datasets.errors import DatasetInputError

MARKER = "_SUCCESS"


class FileEntry(TypedDict):
    """One file of a manifest: the SHA-256 of its bytes in hexadecimal, and its size in bytes."""

    sha256: str
    size: int


Manifest = dict[str, FileEntry]


def list_files(folder: Path) -> list[str]:
    """POSIX paths, relative to ``folder`` and sorted, of all its files but the marker."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != MARKER)


def describe_files(folder: Path, names: Iterable[str]) -> Manifest:
    """Hash the named files of ``folder``, reading each in small blocks."""
    manifest: Manifest = {}
    for name in names:
        with (folder / name).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            manifest[name] = {"sha256": digest, "size": stream.tell()}
    return manifest


def manifest_bytes(manifest: Manifest) -> bytes:
    """The one way to write a manifest down."""
    return (json.dumps({"files": manifest}, indent=1, sort_keys=True) + "\n").encode()


def parse_manifest(content: bytes, place: str) -> Manifest:
    """Read a manifest back.

    Raises:
        DatasetInputError: if ``content`` is not a manifest, or names a file outside of its folder. ``place`` is the
            folder that the message names.
    """
    try:
        manifest: Manifest = json.loads(content)["files"]
        entries = [(name, entry["sha256"], entry["size"]) for name, entry in manifest.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetInputError(
            f"{place}/{MARKER} is not a manifest; delete {place} and run the pipeline that writes it again."
        ) from error
    outside = [name for name, _, _ in entries if not is_inner_path(name)]
    if outside:
        raise DatasetInputError(f"{place}/{MARKER} names a file outside of its folder; do not use {place}.")
    return manifest


def is_inner_path(name: str) -> bool:
    """Whether ``name`` is a relative POSIX path of a file that stays inside its folder and is not the marker."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and name != MARKER


def manifest_sha256(folder: Path) -> str:
    """SHA-256 of the manifest of a saved ``folder``, which identifies its whole content."""
    return hashlib.sha256((folder / MARKER).read_bytes()).hexdigest()


def seal_folder(folder: Path) -> None:
    """Write the marker of ``folder`` after everything else has reached the disk."""
    names = list_files(folder)
    manifest = describe_files(folder, names)
    folders = {parent for name in names for parent in (folder / name).parents if parent.is_relative_to(folder)}
    for path in [*(folder / name for name in names), *folders]:
        flush_to_disk(path)
    marker = folder / MARKER
    marker.write_bytes(manifest_bytes(manifest))
    flush_to_disk(marker)
    flush_to_disk(folder)


def flush_to_disk(path: Path) -> None:
    """Make a file, or the entries of a folder, survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def verify_folder(folder: Path, place: str) -> None:
    """Check that ``folder`` holds exactly what its manifest says; hidden files beside it do no harm.

    Raises:
        DatasetInputError: naming the first file that is missing, truncated, changed or foreign, in ``place``.
    """
    expected = parse_manifest((folder / MARKER).read_bytes(), place)
    present = list_files(folder)
    remedy = f"delete {place} and run the pipeline that writes it again."
    for name, entry in sorted(expected.items()):
        if name not in present:
            raise DatasetInputError(f"{place}/{name} is missing; {remedy}")
        size = (folder / name).stat().st_size
        if size != entry["size"]:
            raise DatasetInputError(f"{place}/{name} has {size} bytes instead of {entry['size']}; {remedy}")
        if describe_files(folder, [name])[name]["sha256"] != entry["sha256"]:
            raise DatasetInputError(f"{place}/{name} has changed since it was saved; {remedy}")
    for name in present:
        if name not in expected and not any(part.startswith(".") for part in PurePosixPath(name).parts):
            raise DatasetInputError(f"{place}/{name} is not part of what was saved there; move it elsewhere.")
