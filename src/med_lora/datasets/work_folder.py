"""A folder that a node works in while it runs: checkpoints, the database of a search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never

from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from med_lora.datasets.errors import DatasetInputError


@dataclass(frozen=True)
class WorkFolder:
    """A local folder that exists and outlives the run; absolute, since ranks are processes of their own."""

    path: Path


class WorkFolderDataset(AbstractDataset[Never, WorkFolder]):
    """Loading gives the handle and makes the folder.

    It is an input, not an output: what a node that is killed has written there is what the next run goes on from, which
    a dataset saved after the node could not keep.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Name the folder.

        Args:
            filepath: a local folder; locks and half-written files need a file system that has them.
            metadata: ignored here; read by kedro-viz and other plugins.

        Raises:
            DatasetInputError: if the folder is not local.
        """
        protocol, path = get_protocol_and_path(filepath)
        if protocol != "file":
            raise DatasetInputError(f"A work folder must be local, not {filepath}; change its filepath.")
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> WorkFolder:
        """The handle of the folder, which is made if it is missing.

        Raises:
            DatasetInputError: if it cannot be made.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatasetInputError(
                f"The work folder {self._path} cannot be made ({error.strerror}); free its place or change filepath."
            ) from error
        return WorkFolder(self._path.resolve())

    def save(self, data: Never) -> None:
        """Refuse.

        Raises:
            DatasetError: always; files are written one by one, through the handle.
        """
        raise DatasetError(f"{self._path} fills while a node runs, and is not saved as a whole.")

    def _exists(self) -> bool:
        return self._path.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}
