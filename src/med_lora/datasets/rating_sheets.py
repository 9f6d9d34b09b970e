"""Rating sheets on their way out, and on their way back."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.folder import FolderDataset
from med_lora.datasets.raw_folder import RawFolderDataset

_SENT = (".html", ".xlsx")
_RETURNED = (".csv", ".xlsx")
# A rating sheet of 1,000 items is far below it.
MAX_FILE_BYTES = 32 * 2**20


class Files(dict[str, bytes]):
    """File name -> content; a class of its own because a plain dict allows no weak reference."""


class RatingSheetsDataset(FolderDataset[dict[str, bytes], Files]):
    """The files that raters get, in a folder; every save is a version of its own.

    Sheets that went out are part of what was measured, so none is ever overwritten. There is no preview: the text may
    be private.
    """

    def _write(self, folder: Path, data: dict[str, bytes]) -> None:
        if self._version is None:
            raise DatasetInputError(
                f"{self._place(self._filepath.as_posix())} would overwrite sheets that raters may have; set "
                "versioned: true in the catalog."
            )
        for name, content in data.items():
            (folder / name).write_bytes(content)

    def _read(self, folder: Path) -> Files:
        return Files({path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in _SENT})


class ReturnedSheetsDataset(RawFolderDataset[dict[str, bytes]]):
    """A folder of returned sheets (``.xlsx``, ``.csv``) on any file system of fsspec, which this project only reads.

    A folder that does not exist yet, or is empty, is one to which nobody has returned a sheet. Hidden files and the
    lock files of an open Excel (``~$...``) are passed over.
    """

    def load(self) -> dict[str, bytes]:
        """The content of each file by its name, sorted.

        Raises:
            DatasetInputError: if the folder holds anything else, or a file too large for a rating sheet.
        """
        if not self._fs.exists(self._path):
            return {}
        if not self._fs.isdir(self._path):
            raise DatasetInputError(f"{self._place} must be a folder of returned rating sheets.")
        try:
            entries = {PurePosixPath(entry["name"]).name: entry for entry in self._fs.ls(self._path, detail=True)}
            names = sorted(name for name in entries if name and not name.startswith((".", "~$")))
            for name in names:
                self._check(name, entries[name])
            return {name: self._fs.cat_file(entries[name]["name"]) for name in names}
        except OSError as error:
            raise DatasetInputError(
                f"{self._place} cannot be read ({error}); check the files and their rights."
            ) from error

    def _check(self, name: str, entry: dict[str, Any]) -> None:
        place = f"{self._place}/{name}"
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in (".html", ".htm"):
            raise DatasetInputError(
                f"{place} is a form, which holds no ratings; ask the rater for the .csv file that its button saves."
            )
        if entry["type"] == "directory" or suffix not in _RETURNED:
            raise DatasetInputError(
                f"{place} is no rating sheet (.xlsx or .csv); save it as one of them, or move it away."
            )
        if (entry["size"] or 0) > MAX_FILE_BYTES:
            raise DatasetInputError(f"{place} has more than {MAX_FILE_BYTES} bytes, too many for a rating sheet.")

    def _exists(self) -> bool:
        return True
