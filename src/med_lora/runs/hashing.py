"""Hashes of files on any file system of fsspec."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fsspec.implementations.local import LocalFileSystem


class Hashed(NamedTuple):
    """One file: SHA-256 in hexadecimal, and bytes."""

    sha256: str
    size: int


def hash_file(filesystem: Any, path: str) -> Hashed:
    """Read a file in blocks; a local one that is unchanged in size and time since its last hashing is not read again.

    Raises:
        OSError: if it cannot be read.
    """
    if isinstance(filesystem, LocalFileSystem):
        status = os.stat(path)
        return _hash_local(os.path.realpath(path), status.st_size, status.st_mtime_ns)
    with filesystem.open(path, "rb") as stream:
        return _hash_stream(stream)


def hash_together(files: Mapping[str, str]) -> str | None:
    """One hash for a dataset: that of its only file, or over names and hashes sorted by name; None without files."""
    if not files:
        return None
    if list(files) == [""]:
        return files[""]
    return hashlib.sha256(json.dumps(sorted(files.items())).encode()).hexdigest()


@lru_cache(maxsize=65536)
def _hash_local(path: str, size: int, modified_ns: int) -> Hashed:
    with open(path, "rb") as stream:
        return _hash_stream(stream)


def _hash_stream(stream: Any) -> Hashed:
    digest, size = hashlib.sha256(), 0
    while block := stream.read(2**20):
        digest.update(block)
        size += len(block)
    return Hashed(digest.hexdigest(), size)
