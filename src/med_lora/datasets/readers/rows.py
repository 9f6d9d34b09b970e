"""Records of any format to chunks of text: values, missing columns, faults."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.readers.source import Source
from med_lora.layouts import Layout

CHUNK_ROWS = 5_000
CHUNK_CHARACTERS = 16_000_000
# No record of the known corpora has a hundredth of it; what is longer is a file without line ends, or damage.
MAX_RECORD_BYTES = 16 * 2**20
# Columns that may hold a list or an object; it passes as JSON text.
STRUCTURED = frozenset({"messages", "options", "choices", "CONTEXTS"})
# A first row whose cells do not all look like names may be a record's, which messages must not show.
_NAME = re.compile(r"[^\W\d][\w;:/()#%.-]{0,39}( [\w;:/()#%.-]{1,20}){0,2}")


class Fault(str):
    """The reason why a record cannot be used, in snake_case."""


class Fields:
    """Takes the columns of a layout, in its order, out of records that name their values."""

    def __init__(self, source: Source):
        """Look for the columns of the source's layout under the names that the source maps them to."""
        self._layout = source.layout
        self._names = {column: source.columns.get(column, column) for column in source.layout.columns}
        self._needed = [{self._names[column] for column in columns} for columns in source.layout.alternatives]

    def values(self, record: object) -> list[str] | Fault:
        """Text of each column, ``""`` for null or no value.

        A fault is ``not_an_object``, ``missing_<column>`` or ``wrong_type_<column>``.
        """
        if not isinstance(record, dict):
            return Fault("not_an_object")
        if not any(names <= record.keys() for names in self._needed):
            present = [column for column, name in self._names.items() if name in record]
            return Fault(f"missing_{missing_column(self._layout, present)}")
        values = []
        for column, name in self._names.items():
            value = record.get(name)
            text = value if isinstance(value, str) else _text(value, column in STRUCTURED)
            if text is None:
                return Fault(f"wrong_type_{column}")
            values.append(text)
        return values


def _text(value: object, structured: bool) -> str | None:
    """Text of a JSON value other than a string; none for an infinite number, a list or object where text belongs."""
    # pandas and json.dumps write NaN for a missing value.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    # A number such as 1e400 is infinite once it is read.
    if value in (math.inf, -math.inf) or (isinstance(value, list | dict) and not structured):
        return None
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return None


def missing_column(layout: Layout, present: Collection[str]) -> str | None:
    """The first column lacking in the alternative that is nearest to complete; none if one is complete."""
    lacks = [[column for column in columns if column not in present] for columns in layout.alternatives]
    nearest = min(lacks, key=len)
    return nearest[0] if nearest else None


def file_columns(source: Source, names: Sequence[str]) -> dict[str, str]:
    """Columns of the layout that a table with these column names has -> their names there.

    Raises:
        DatasetInputError: if the layout needs a column, or ``columns`` names one, that the table lacks or has twice.
    """
    wanted = {column: source.columns.get(column, column) for column in source.layout.columns}
    found = {column: name for column, name in wanted.items() if name in names}
    missing = next((column for column in source.columns if column in wanted and column not in found), None)
    missing = missing or missing_column(source.layout, found)
    if missing is not None:
        raise DatasetInputError(f"{source.place} has no column {_lack(wanted[missing], names, source.corpus)}")
    twice = next((name for name in found.values() if names.count(name) > 1), None)
    if twice is not None:
        raise DatasetInputError(f"{source.place} has more than one column {twice!r}; rename or remove all but one.")
    return found


def _lack(name: str, names: Sequence[str], corpus: str) -> str:
    known = names if all(_NAME.fullmatch(other) for other in names) else []
    folded = {other.casefold(): other for other in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f" (nearest: {folded[near[0]]!r})" if near else ""
    listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return (
        f"{name!r}{hint} and has {listed or f'{len(names)} columns without names'}; set corpora.{corpus}.columns to "
        "the file's names, or to numbers from 0 where it has no header."
    )


def numbered(records: Iterable[list[str] | Fault]) -> Iterator[tuple[str, list[str] | Fault]]:
    """Records with their number from 0 in eight digits."""
    return ((f"{number:08d}", record) for number, record in enumerate(records))


def chunks(records: Iterable[tuple[str, list[str] | Fault]], columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Tables with the columns row, those of the layout and fault, all text.

    A chunk ends after ``CHUNK_ROWS`` rows or ``CHUNK_CHARACTERS`` characters. A record of more than
    ``MAX_RECORD_BYTES`` characters becomes the fault ``record_too_large``. NUL characters go.
    """
    blank = [""] * len(columns)
    rows: list[list[str]] = []
    size = 0
    for row, record in records:
        fault = str(record) if isinstance(record, Fault) else ""
        values = blank if isinstance(record, Fault) else record
        length = sum(map(len, values))
        if length > MAX_RECORD_BYTES:
            values, fault, length = blank, "record_too_large", 0
        rows.append([row, *values, fault])
        size += length
        if len(rows) == CHUNK_ROWS or size >= CHUNK_CHARACTERS:
            yield _table(rows, columns)
            rows, size = [], 0
    if rows:
        yield _table(rows, columns)


def _table(rows: list[list[str]], columns: Sequence[str]) -> pd.DataFrame:
    names = ["row", *columns, "fault"]
    texts: Mapping[str, list[str]] = {
        name: [text.replace("\0", "") if "\0" in text else text for text in values]
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    # Arrays one by one: DataFrame(..., dtype="str") takes ten times as long.
    return pd.DataFrame({name: _text_array(values) for name, values in texts.items()})


def _text_array(values: list[str]) -> pd.api.extensions.ExtensionArray:
    try:
        return pd.array(values, dtype="str")
    except UnicodeEncodeError:
        return pd.array([whole_characters(value) for value in values], dtype="str")


def whole_characters(text: str) -> str:
    """The text with U+FFFD for half a surrogate pair, which JSON can escape but no file can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
