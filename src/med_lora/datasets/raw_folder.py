"""Base of the datasets that are folders of raw files."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Never, TypeVar

import fsspec
from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

Loaded = TypeVar("Loaded")


class RawFolderDataset(AbstractDataset[Never, Loaded]):
    """A folder on any file system of fsspec, which this project only reads. Subclasses implement ``load``."""

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point the dataset to a folder.

        Args:
            filepath: its place; ``protocol://`` selects any file system of fsspec, none means local.
            credentials: arguments of the fsspec file system that are secret.
            fs_args: its other arguments.
            metadata: ignored here; read by kedro-viz and other plugins.
        """
        self._protocol, self._path = get_protocol_and_path(filepath)
        self._fs = fsspec.filesystem(self._protocol, **deepcopy(credentials or {}), **deepcopy(fs_args or {}))
        self._place = self._path if self._protocol == "file" else f"{self._protocol}://{self._path}"
        self.metadata = metadata

    def save(self, data: Never) -> None:
        """Refuse: raw data stay as they came.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"{self._place} is raw data, which {type(self).__name__} only reads.")

    def _exists(self) -> bool:
        return bool(self._fs.exists(self._path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path, "protocol": self._protocol}
