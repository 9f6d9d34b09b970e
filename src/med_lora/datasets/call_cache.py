"""The calls of a language model, as a dataset that a node adds to while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Never

from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from med_lora.datasets.errors import DatasetInputError
from med_lora.llm.cache import CallCache


class CallCacheDataset(AbstractDataset[Never, CallCache]):
    """An append-only JSONL file; loading gives the handle, and the file need not exist yet.

    It is an input, not an output: a node that is killed keeps what it paid for, which a dataset saved after the node
    could not do. The file holds text of records, so it has no preview.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the file.

        Args:
            filepath: a local file; no other file system can add a line and be sure of it.
            metadata: ignored here; read by kedro-viz and other plugins.

        Raises:
            DatasetInputError: if the file is not local.
        """
        protocol, path = get_protocol_and_path(filepath)
        if protocol != "file":
            raise DatasetInputError(f"A cache of calls must be a local file, not {filepath}; change its filepath.")
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> CallCache:
        """The handle; the file is read when calls are made."""
        return CallCache(self._path)

    def save(self, data: Never) -> None:
        """Refuse.

        Raises:
            DatasetError: always; calls are added one by one, through the handle.
        """
        raise DatasetError(f"{self._path} grows call by call while a node runs, and is not saved as a whole.")

    def _exists(self) -> bool:
        return self._path.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}
