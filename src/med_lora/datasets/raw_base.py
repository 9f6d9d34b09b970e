"""What the raw datasets share: a place on any file system, the errors of a missing or damaged file, text tables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NoReturn

import fsspec
import pandas as pd
from kedro.io.core import AbstractDataset, DatasetError, get_protocol_and_path

from med_lora.datasets.errors import DatasetInputError


class RawDataset(AbstractDataset[NoReturn, pd.DataFrame]):
    """A raw file or folder on any file system of fsspec, which this project only reads."""

    def __init__(
        self,
        *,
        filepath: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point the dataset to a file or folder.

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

    def load(self) -> pd.DataFrame:
        """Read the corpus.

        Raises:
            DatasetInputError: if it is missing, empty, damaged or of another layout; the message names the place.
        """
        if not self._exists():
            raise DatasetInputError(
                f"{self._place} does not exist; put the corpus there, or set the environment variable MED_LORA_RAW "
                "to the folder that holds the raw corpora."
            )
        try:
            table = self._read()
        except OSError as error:
            raise DatasetInputError(
                f"{self._place} cannot be read ({error}); check the file and its rights."
            ) from error
        if table.empty:
            raise DatasetInputError(f"{self._place} holds no records; put a filled corpus in its place.")
        return table

    @abstractmethod
    def _read(self) -> pd.DataFrame:
        """The table; a file system's errors may pass through."""

    def save(self, data: NoReturn) -> None:
        """Refuse: raw data stay as they came.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"{self._place} is raw data, which {type(self).__name__} only reads.")

    def _exists(self) -> bool:
        return bool(self._fs.exists(self._path))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path, "protocol": self._protocol}


def decode_utf8(content: bytes, place: str) -> str:
    """UTF-8 text with or without a byte order mark.

    Raises:
        DatasetInputError: at the first byte that is not UTF-8, with its offset in the file.
    """
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DatasetInputError(
            f"{place} is not UTF-8: byte {content[error.start]:#04x} at offset {error.start}; convert it to UTF-8."
        ) from error


def text_table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows as text columns; half a surrogate pair, which JSON can escape but no file can hold, becomes U+FFFD."""
    whole = [[value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for value in row] for row in rows]
    return pd.DataFrame(whole, columns=list(columns), dtype="str")
