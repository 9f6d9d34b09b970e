"""Raw corpora as their publishers ship them, read as tables of text; nothing here writes.

Every value stays text (ids such as ``00012`` and answers such as ``NA`` included) and a missing one is ``""``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.medquad import MedQuADDataset
from med_lora.datasets.raw_base import RawDataset, decode_utf8, text_table

__all__ = ["JSONRecordsDataset", "MedQuADDataset", "ParquetRecordsDataset", "TextFilesDataset", "TextbookDataset"]


class JSONRecordsDataset(RawDataset):
    """A JSON array of objects; the keys in ``columns`` hold text or null, other keys are ignored."""

    def __init__(self, *, filepath: str, columns: Sequence[str], **options: Any) -> None:
        """Point the dataset to a file; ``columns`` are the keys every record must have, in the table's order."""
        super().__init__(filepath=filepath, **options)
        self._columns = list(columns)

    def _read(self) -> pd.DataFrame:
        records = self._parse(decode_utf8(self._fs.cat_file(self._path), self._place))
        if not isinstance(records, list):
            raise DatasetInputError(f"{self._place} must hold a JSON array of objects, not a {type(records).__name__}.")
        return text_table([self._values(record, row) for row, record in enumerate(records, start=1)], self._columns)

    def _parse(self, text: str) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            fault = error.msg.removesuffix(" starting at")
            raise DatasetInputError(
                f"{self._place} is not valid JSON at line {error.lineno}, column {error.colno} ({fault}); the file may "
                "be truncated, get it again."
            ) from error
        except RecursionError as error:
            raise DatasetInputError(f"{self._place} is nested too deeply to be a table of records.") from error

    def _values(self, record: Any, row: int) -> list[str]:
        if not isinstance(record, dict):
            raise DatasetInputError(f"{self._place}, record {row} is not a JSON object; every record must be one.")
        missing = [key for key in self._columns if key not in record]
        if missing:
            raise DatasetInputError(f"{self._place}, record {row} {_lacks(missing, record)}")
        for key in self._columns:
            if not isinstance(record[key], str | None):
                kind = type(record[key]).__name__
                raise DatasetInputError(f"{self._place}, record {row}, key {key!r} must be text or null, not {kind}.")
        return [record[key] or "" for key in self._columns]

    def _describe(self) -> dict[str, Any]:
        return super()._describe() | {"columns": self._columns}


class ParquetRecordsDataset(RawDataset):
    """Text columns of a parquet file; its other columns are ignored."""

    def __init__(self, *, filepath: str, columns: Sequence[str], **options: Any) -> None:
        """Point the dataset to a file; ``columns`` are those to read, in the table's order."""
        super().__init__(filepath=filepath, **options)
        self._columns = list(columns)

    def _read(self) -> pd.DataFrame:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with self._fs.open(self._path, "rb") as stream, pq.ParquetFile(stream) as file:
                self._check(file.schema_arrow)
                table = file.read(columns=self._columns)
                table.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DatasetInputError(f"{self._place} is no readable parquet file of UTF-8 text ({error}).") from error
        columns = [[value or "" for value in table.column(name).to_pylist()] for name in self._columns]
        return text_table(list(zip(*columns, strict=True)), self._columns)

    def _check(self, schema: Any) -> None:
        missing = [name for name in self._columns if name not in schema.names]
        if missing:
            raise DatasetInputError(f"{self._place} {_lacks(missing, schema.names)}")
        for name in self._columns:
            kind = str(schema.field(name).type)
            if kind not in ("string", "large_string", "string_view"):
                raise DatasetInputError(f"{self._place}, column {name!r} must hold text, not {kind}.")

    def _describe(self) -> dict[str, Any]:
        return super()._describe() | {"columns": self._columns}


class TextFilesDataset(RawDataset):
    """A folder of text files (``.md``, ``.txt``): a table with the columns file (its name) and text, sorted by file."""

    def _read(self) -> pd.DataFrame:
        if not self._fs.isdir(self._path):
            raise DatasetInputError(f"{self._place} must be a folder of text files.")
        root = PurePosixPath(self._fs._strip_protocol(self._path))
        names = sorted(PurePosixPath(path).name for path in self._fs.ls(self._path, detail=False))
        texts = [name for name in names if name.endswith((".md", ".txt"))]
        rows = [(name, decode_utf8(self._fs.cat_file(str(root / name)), f"{self._place}/{name}")) for name in texts]
        return text_table(rows, ["file", "text"])


class TextbookDataset(RawDataset):
    """A folder of books; a book is a folder of markdown and PDF files, read in the order of their names.

    The table has the columns book, chapter (file name without its ending), page (1 and up in a PDF, 0 in markdown) and
    text (a whole markdown file, or one page). Other files are ignored.
    """

    def _read(self) -> pd.DataFrame:
        from tqdm import tqdm

        if not self._fs.isdir(self._path):
            raise DatasetInputError(f"{self._place} must be a folder that holds one folder for each book.")
        # What find returns lacks the protocol, and a leading slash where the file system knows none.
        root = PurePosixPath(self._fs._strip_protocol(self._path))
        files = sorted(PurePosixPath(name).relative_to(root) for name in self._fs.find(self._path))
        chapters = [file for file in files if len(file.parts) == 2 and file.suffix.lower() in (".md", ".pdf")]
        rows: list[tuple[str, str, int, str]] = []
        for file in tqdm(chapters, desc="textbooks", disable=None, leave=False):
            place = f"{self._place}/{file}"
            content = self._fs.cat_file(str(root / file))
            pages = _pdf_pages(content, place) if file.suffix.lower() == ".pdf" else [(0, decode_utf8(content, place))]
            rows.extend((file.parts[0], file.stem, page, text) for page, text in pages)
        table = text_table([(book, chapter, text) for book, chapter, _, text in rows], ["book", "chapter", "text"])
        table.insert(2, "page", pd.Series([page for _, _, page, _ in rows], dtype="int64"))
        return table


def _pdf_pages(content: bytes, place: str) -> list[tuple[int, str]]:
    import pypdfium2 as pdfium

    try:
        with pdfium.PdfDocument(io.BytesIO(content)) as document:
            pages = [(page, document[page - 1].get_textpage().get_text_range()) for page in range(1, len(document) + 1)]
    except pdfium.PdfiumError as error:
        raise DatasetInputError(f"{place} is no PDF that can be read ({error}); mend or remove it.") from error
    if not any(text.strip() for _, text in pages):
        raise DatasetInputError(f"{place} holds no text, only images; run a text recognition on it, or remove it.")
    return pages


def _lacks(missing: Sequence[str], existing: Any) -> str:
    names = ", ".join(sorted(map(str, existing))) or "nothing"
    return f"lacks {', '.join(missing)} and has {names}; set `columns` in the catalog to match the file."
