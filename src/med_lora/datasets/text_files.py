"""Folders of plain text: what a base model is pre-trained on, and what shows how much a tuned one forgot."""

from __future__ import annotations

from pathlib import PurePosixPath

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.raw_folder import RawFolderDataset


class TextFilesDataset(RawFolderDataset[pd.DataFrame]):
    """A folder of text files (``.md``, ``.txt``) on any file system of fsspec, which this project only reads."""

    def load(self) -> pd.DataFrame:
        """Read the files.

        Returns:
            The columns file (its name) and text, sorted by file.

        Raises:
            DatasetInputError: if the folder is missing, holds no text file, or one that is not UTF-8 or cannot be read.
        """
        if not self._exists():
            raise DatasetInputError(
                f"{self._place} does not exist; put the corpus there, or set the environment variable MED_LORA_RAW "
                "to the folder that holds the raw corpora."
            )
        try:
            return self._read()
        except OSError as error:
            raise DatasetInputError(
                f"{self._place} cannot be read ({error}); check the files and their rights."
            ) from error

    def _read(self) -> pd.DataFrame:
        if not self._fs.isdir(self._path):
            raise DatasetInputError(f"{self._place} must be a folder of text files.")
        root = PurePosixPath(self._fs._strip_protocol(self._path))
        names = sorted(PurePosixPath(path).name for path in self._fs.ls(self._path, detail=False))
        texts = [name for name in names if name.endswith((".md", ".txt"))]
        if not texts:
            raise DatasetInputError(f"{self._place} holds no .md or .txt file; put text files there.")
        rows = [(name, _decode(self._fs.cat_file(str(root / name)), f"{self._place}/{name}")) for name in texts]
        return pd.DataFrame(rows, columns=["file", "text"], dtype="str")


def _decode(content: bytes, place: str) -> str:
    """UTF-8 text with or without a byte order mark."""
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DatasetInputError(
            f"{place} is not UTF-8: byte {content[error.start]:#04x} at offset {error.start}; convert it to UTF-8."
        ) from error
