"""Rows of the files that raters send back: Excel workbooks, and CSV as browsers and spreadsheets write it."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

from med_lora.errors import InputError

# A sheet of 1,000 items with comments is far below each of these; what is above is damage or no rating sheet.
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_ROWS = 20_000
# One cell in the last column makes a row of 16,384.
MAX_CELLS = 20_000_000
_EXCEL_ROWS = 1_048_576
_SEPARATORS = ",;\t"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
# The apostrophe that the form puts before what a spreadsheet could take for a formula.
_DEFUSED = re.compile(r"'+[ \t\r\n]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")


@dataclass(frozen=True)
class Row:
    """One row below the header: where it stands, and its values by the header's names in small letters."""

    place: str
    values: dict[str, Any]


def read_rows(name: str, content: bytes) -> list[Row]:
    """The rows of a returned file that lie below a header with the columns sheet and item; blank rows are none.

    Numbers and dates of a workbook keep their type, text of a CSV file stays text. Rows above the header and columns of
    the rater's own are allowed.

    Raises:
        InputError: if the file cannot be read, unpacks to too much, or has no such header, or one with a column twice.
    """
    is_workbook = name.lower().endswith(".xlsx")
    tables = _worksheets(name, content) if is_workbook else iter([("", _csv_rows(name, content))])
    rows = [row for page, lines in tables for row in _below_header(name, page, lines)]
    if not rows:
        raise InputError(
            f"{name} has no rows below a header with the columns sheet and item; send the sheet as it was given, with "
            "the ratings filled in."
        )
    return rows


def _below_header(name: str, page: str, lines: Iterable[Sequence[Any]]) -> Iterator[Row]:
    header: list[str] = []
    count = size = 0
    for number, values in enumerate(lines, start=1):
        size += len(values)
        if number > _EXCEL_ROWS or size > MAX_CELLS:
            raise InputError(f"{name} has more rows or columns than a rating sheet can have; send the sheet alone.")
        if not any(value is not None and value != "" for value in values):
            continue
        count += 1
        if count > MAX_ROWS:
            raise InputError(f"{name} has more than {MAX_ROWS} filled rows; send the rating sheet alone.")
        if header:
            place = f"worksheet {page!r}, row {number}" if page else f"row {number}"
            yield Row(place, {column: value for column, value in zip(header, values, strict=False) if column})
            continue
        names = [str(value).strip().lower() if isinstance(value, str) else "" for value in values]
        if {"sheet", "item"} <= set(names):
            twice = sorted({column for column in names if column and names.count(column) > 1})
            if twice:
                raise InputError(f"{name} has more than one column {twice[0]}; rename or remove all but the given one.")
            header = names


def _csv_rows(name: str, content: bytes) -> Iterator[list[str]]:
    text = _decode(name, content)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        for fields in csv.reader(StringIO(text, newline=""), delimiter=_separator(text)):
            yield [field[1:] if _DEFUSED.match(field) else field for field in fields]
    except csv.Error as error:
        raise InputError(f"{name} is no readable CSV file ({error}); save it again.") from error


def _separator(text: str) -> str:
    """What separates the first line that names the columns sheet and item; a German Excel writes semicolons."""
    for line in text.splitlines()[:100]:
        for separator in _SEPARATORS:
            names = {field.strip().strip('"').lower() for field in line.split(separator)}
            if {"sheet", "item"} <= names:
                return separator
    return ","


def _decode(name: str, content: bytes) -> str:
    """Text in UTF-8, UTF-16 with a byte order mark, or else Windows-1252, as an Excel of Western Europe writes it."""
    is_utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if is_utf_16 else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{name} is in an unknown encoding; save it as CSV in UTF-8.")


def _worksheets(name: str, content: bytes) -> Iterator[tuple[str, Iterator[Sequence[Any]]]]:
    import openpyxl

    _check_archive(name, content)
    try:
        book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True, keep_links=False)
        pages = list(book.worksheets)
    # Whatever the parser stumbles on in a damaged file; its messages may hold text of cells.
    except Exception as error:
        raise _unreadable(name, error) from error
    for page in pages:
        yield page.title, _cells(name, page)


def _check_archive(name: str, content: bytes) -> None:
    """Refuse what is no workbook, and what unpacks to more than a rating sheet can hold."""
    if content.startswith(_OLD_EXCEL):
        raise InputError(f"{name} is encrypted or in the format of Excel 2003; save it as .xlsx without a password.")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            # A reader takes no more of a member than its stated size.
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _unreadable(name, error) from error
    if size > MAX_UNPACKED_BYTES:
        raise InputError(f"{name} unpacks to more than {MAX_UNPACKED_BYTES} bytes; send the rating sheet alone.")


def _cells(name: str, page: Any) -> Iterator[Sequence[Any]]:
    from openpyxl.utils.escape import unescape

    try:
        # Some programs write a range that is too small, and rows outside it would be left out.
        page.reset_dimensions()
        for values in page.iter_rows(values_only=True):
            # Excel writes a carriage return inside of a cell as _x000D_.
            yield [unescape(value) if isinstance(value, str) and "_x" in value else value for value in values]
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> InputError:
    return InputError(f"{name} is no readable workbook ({type(error).__name__}); open it, save it as .xlsx, try again.")
