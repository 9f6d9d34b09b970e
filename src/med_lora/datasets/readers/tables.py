"""Tables: CSV, TSV, Excel and parquet; every value stays text as the file has it."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.readers.rows import (
    MAX_RECORD_BYTES,
    STRUCTURED,
    Fault,
    chunks,
    file_columns,
    missing_column,
    numbered,
)
from med_lora.datasets.readers.source import Source
from med_lora.datasets.readers.streams import BLOCK_BYTES, blocks, line_encoding, lines, wrong_encoding

if TYPE_CHECKING:
    import pyarrow as pa

# What an Excel file may unpack to; the texts of its cells are held in memory.
MAX_UNPACKED_BYTES = 512 * 2**20
_EXCEL_ROWS = 1_048_576
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_PARQUET_ROWS = 256


class _RecordTooLargeError(Exception):
    pass


class _Lines:
    """Lines of a CSV file, counted since the beginning of a record."""

    def __init__(self, source: Source):
        self._source = source
        self._encoding = line_encoding(source)
        self._lines = lines(blocks(source), MAX_RECORD_BYTES)
        self.size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        offset, line = next(self._lines)
        self.size += len(line or b"")
        if line is None or self.size > MAX_RECORD_BYTES:
            raise _RecordTooLargeError
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError as error:
            place, encoding, corpus = self._source.place, self._source.encoding, self._source.corpus
            raise wrong_encoding(place, encoding, corpus, error, offset) from error


def read_csv(source: Source, separator: str = ",") -> Iterator[pd.DataFrame]:
    """Records of a CSV file (RFC 4180: quotes doubled, line ends inside quotes), or of another separator, streamed.

    Values stay as written; blank lines are no records. The first row names the columns. Where it does not and all
    values of ``columns`` are numbers, they are positions from 0 and the first row is a record. A record becomes the
    fault ``malformed_row`` if it has more or fewer fields than the first row, text behind a closing quote, or no
    closing quote; ``record_too_large`` if it has more than ``MAX_RECORD_BYTES``.

    Raises:
        DatasetInputError: if the file is in another encoding, is a damaged gzip file, or lacks a column.
    """
    return chunks(numbered(_cells(source, _csv_rows(source, separator))), source.layout.columns)


def _csv_rows(source: Source, separator: str) -> Iterator[list[str] | Fault]:
    # The limit is the process's; it is only raised, since the records' own limit is kept by the lines.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))
    feed = _Lines(source)
    reader = csv.reader(feed, delimiter=separator, strict=True)
    while True:
        feed.size = 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        # After an error the reader begins a new record at the next line.
        except _RecordTooLargeError:
            yield Fault("record_too_large")
        except csv.Error:
            yield Fault("malformed_row")
        else:
            if fields:
                yield fields


def _cells(source: Source, rows: Iterator[list[str] | Fault]) -> Iterator[list[str] | Fault]:
    """The layout's columns of rows of cells, the first of which may be a header."""
    first = next(rows, None)
    if first is None or isinstance(first, Fault):
        reason = "is empty" if first is None else f"begins with a row that cannot be read ({first})"
        raise DatasetInputError(f"{source.place} {reason}; it must begin with the names of its columns.")
    positions = _positions(source, first)
    if positions is None:
        names = file_columns(source, first)
        positions = {column: first.index(name) for column, name in names.items()}
    else:
        rows = chain([first], rows)
    places = [positions.get(column) for column in source.layout.columns]
    for row in rows:
        if isinstance(row, Fault):
            yield row
        elif len(row) != len(first):
            yield Fault("malformed_row")
        else:
            yield ["" if place is None else row[place] for place in places]


def _positions(source: Source, first: list[str]) -> dict[str, int] | None:
    """Column of the layout -> position, where ``columns`` holds numbers and the first row is no header."""
    if not source.columns or not all(name.isdecimal() for name in source.columns.values()):
        return None
    # A record may well hold a 0 or a 4, but not all numbers that the columns ask for.
    if missing_column(source.layout, [column for column, name in source.columns.items() if name in first]) is None:
        return None
    positions = {column: int(name) for column, name in source.columns.items()}
    missing = missing_column(source.layout, positions)
    if missing is not None:
        raise DatasetInputError(
            f"{source.place} has no header, and corpora.{source.corpus}.columns gives no number for {missing}; add the "
            "position of that column, from 0."
        )
    if max(positions.values()) >= len(first):
        raise DatasetInputError(
            f"{source.place} has {len(first)} columns, and corpora.{source.corpus}.columns asks for number "
            f"{max(positions.values())} (from 0); give the position of a column that exists."
        )
    return positions


def read_excel(source: Source) -> Iterator[pd.DataFrame]:
    """Records of the first sheet of an Excel workbook (.xlsx); the columns are found as in ``read_csv``.

    Text cells stay as they are (``00012``), a number is as short as it can be (12.0 -> ``12``), a formula gives its
    stored result. Empty rows are no records; a row with a value right of the header is the fault ``malformed_row``.

    Raises:
        DatasetInputError: if the file is damaged, encrypted or another format, unpacks to more than
            ``MAX_UNPACKED_BYTES``, or lacks a column.
    """
    return chunks(numbered(_cells(source, _excel_rows(source))), source.layout.columns)


def _excel_rows(source: Source) -> Iterator[list[str] | Fault]:
    with source.open() as stream:
        _check_workbook(source, stream)
        width = None
        for values in _sheet(source, stream):
            cells = [_cell_text(value) for value in values]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                # Empty cells at the end of a row are not stored.
                width = width or len(cells)
                yield cells + [""] * (width - len(cells))


def _check_workbook(source: Source, stream: BinaryIO) -> None:
    if stream.read(len(_OLD_EXCEL)) == _OLD_EXCEL:
        raise DatasetInputError(
            f"{source.place} is encrypted or in the format of Excel 2003; save it as .xlsx without a password."
        )
    try:
        with zipfile.ZipFile(stream) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise DatasetInputError(f"{source.place} is no readable Excel workbook ({error}); get it again.") from error
    if size > MAX_UNPACKED_BYTES:
        raise DatasetInputError(
            f"{source.place} unpacks to {size} bytes, more than {MAX_UNPACKED_BYTES}; save the sheet as CSV."
        )


def _sheet(source: Source, stream: BinaryIO) -> Iterator[tuple[Any, ...]]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        # Some programs write a range that is too small, and rows outside it would be left out.
        sheet.reset_dimensions()
        for number, values in enumerate(sheet.iter_rows(values_only=True)):
            if number == _EXCEL_ROWS:
                raise ValueError("more rows than Excel allows")
            yield values
    except OSError:
        raise
    # Whatever the parser stumbles on in a damaged file; its messages may hold text of cells.
    except Exception as error:
        raise DatasetInputError(
            f"{source.place} is no readable Excel workbook ({type(error).__name__}); open it, save it as .xlsx and try "
            "again."
        ) from error


def _cell_text(value: Any) -> str:
    from openpyxl.utils.escape import unescape

    if value is None:
        return ""
    if isinstance(value, str):
        # Excel writes a carriage return inside a cell as _x000D_.
        return unescape(value) if "_x" in value else value
    if isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).removesuffix(" 00:00:00")


def read_parquet(source: Source) -> Iterator[pd.DataFrame]:
    """Records of a parquet file, streamed, of the needed columns alone; null is ``""``.

    Numbers and booleans become their JSON text (12.0 -> ``12``), lists and structs of the columns ``STRUCTURED`` too.

    Raises:
        DatasetInputError: if the file is damaged, is not UTF-8, lacks a column, or has one of another kind.
    """
    return chunks(numbered(_parquet_records(source)), source.layout.columns)


def _parquet_records(source: Source) -> Iterator[list[str] | Fault]:
    import pyarrow as pa

    with source.open() as stream:
        try:
            yield from _parquet_rows(source, stream)
        # pyarrow raises OSError too for a file that is cut off, UnicodeDecodeError for text or names not UTF-8.
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            raise DatasetInputError(
                f"{source.place} is no readable parquet file of UTF-8 text ({reason}); get it again."
            ) from error


def _parquet_rows(source: Source, stream: BinaryIO) -> Iterator[list[str]]:
    import pyarrow.parquet as pq

    # Buffered: one row group may hold the whole file.
    options = {"buffer_size": BLOCK_BYTES, "pre_buffer": False, "page_checksum_verification": True}
    with pq.ParquetFile(stream, **options) as file:
        schema = file.schema_arrow
        names = file_columns(source, schema.names)
        for column, name in names.items():
            _check_kind(source, schema.field(name), column in STRUCTURED)
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=list(dict.fromkeys(names.values()))):
            texts = {column: _column_texts(batch.column(name)) for column, name in names.items()}
            blank = [""] * batch.num_rows
            columns = [texts.get(column, blank) for column in source.layout.columns]
            yield from map(list, zip(*columns, strict=True))


def _check_kind(source: Source, field: pa.Field, structured: bool) -> None:
    if not _is_taken(field.type, structured):
        raise DatasetInputError(
            f"{source.place}, column {field.name!r} must hold text, numbers{' or lists' if structured else ''}, not "
            f"{field.type}; convert the column, or set corpora.{source.corpus}.columns to another."
        )


def _is_taken(kind: pa.DataType, structured: bool) -> bool:
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return _is_taken(kind.value_type, structured)
    if structured and types.is_struct(kind):
        return all(_is_taken(field.type, True) for field in kind.fields)
    if structured and (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return _is_taken(kind.value_type, True)
    if structured and types.is_map(kind):
        return _is_taken(kind.key_type, False) and _is_taken(kind.item_type, True)
    tests = (types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating)
    return types.is_null(kind) or types.is_boolean(kind) or any(test(kind) for test in tests)


def _column_texts(column: pa.Array) -> list[str]:
    import pyarrow as pa
    import pyarrow.types as types

    if types.is_nested(column.type):
        values = column.to_pylist(maps_as_pydicts="strict")
        return ["" if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    texts = [text or "" for text in column.cast(pa.string()).to_pylist()]
    return ["" if text == "nan" else text for text in texts] if types.is_floating(column.type) else texts
