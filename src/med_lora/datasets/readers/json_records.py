"""JSON files of records: JSON lines, an array of objects, an object of records keyed by id; plain or gzip."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from typing import Any

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.readers.rows import MAX_RECORD_BYTES, Fault, Fields, chunks, numbered
from med_lora.datasets.readers.rows import whole_characters as whole
from med_lora.datasets.readers.source import Source
from med_lora.datasets.readers.streams import blocks, line_encoding, lines, wrong_encoding

# An array is held whole, as text and as objects: about five times its size in memory.
MAX_ARRAY_BYTES = 2**30


class _RepeatedKeys(dict[str, Any]):
    """An object that has a key more than once, with all its pairs."""

    def __init__(self, pairs: list[tuple[str, Any]]):
        super().__init__(pairs)
        self.pairs = pairs


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    return record if len(record) == len(pairs) else _RepeatedKeys(pairs)


# Control characters inside strings are wrong in JSON and common in files; the cleaning removes them.
_RECORD = json.JSONDecoder(strict=False)
_RECORDS_BY_KEY = json.JSONDecoder(strict=False, object_pairs_hook=_object)


def read_json_lines(source: Source) -> Iterator[pd.DataFrame]:
    """Records of a file with one JSON object a line, streamed; blank lines are no records.

    A line that cannot be used becomes a row with the fault ``malformed_json`` (a truncated last line too),
    ``not_utf8``, ``record_too_large`` (more than ``MAX_RECORD_BYTES``; it is skipped unread) or those of
    ``Fields.values``. Of a key that one record has twice the last value counts, as everywhere in JSON.

    Raises:
        DatasetInputError: if the file is a damaged gzip file, or UTF-16 and ``encoding`` is another.
    """
    fields, encoding = Fields(source), line_encoding(source)
    found = lines(blocks(source), MAX_RECORD_BYTES)
    records = (_record(line, fields, encoding) for _, line in found if line is None or not line.isspace())
    return chunks(numbered(records), source.layout.columns)


def _record(line: bytes | None, fields: Fields, encoding: str) -> list[str] | Fault:
    if line is None:
        return Fault("record_too_large")
    try:
        return fields.values(_RECORD.decode(line.decode(encoding)))
    except UnicodeDecodeError:
        return Fault("not_utf8")
    # ValueError: an integer of more digits than Python reads, too; RecursionError: nested deeper than its stack.
    except (ValueError, RecursionError):
        return Fault("malformed_json")


def read_json(source: Source) -> Iterator[pd.DataFrame]:
    """Records of a JSON array, of an object of records keyed by id (the key is ``row``), or of JSON lines.

    An array or object is held in memory. Faults are those of ``Fields.values``, and ``repeated_key`` for a record
    whose key the file has already used.

    Raises:
        DatasetInputError: if the file is no JSON, is truncated, in another encoding or too large, or holds no records.
    """
    if _holds_lines(source):
        yield from read_json_lines(source)
        return
    content, fields = _load(source), Fields(source)
    columns = source.layout.columns
    if isinstance(content, list):
        yield from chunks(numbered(fields.values(record) for record in content), columns)
    elif isinstance(content, dict) and (not content or any(isinstance(record, dict) for record in content.values())):
        yield from chunks(_keyed(content, fields), columns)
    else:
        raise DatasetInputError(
            f"{source.place} must hold a JSON array of objects, an object of records keyed by id, or one object a "
            "line; rewrite it as one of them."
        )


def _holds_lines(source: Source) -> bool:
    """Whether the first line is an object by itself and more follows, as in many files named .json."""
    with closing(blocks(source)) as pieces:
        first, _, others = next(pieces, b"").lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
        if not first.startswith(b"{") or not any(not piece.isspace() for piece in chain([others], pieces) if piece):
            return False
    try:
        return isinstance(_RECORD.decode(first.decode(line_encoding(source))), dict)
    except (ValueError, RecursionError):
        return False


def _load(source: Source) -> Any:
    text = _whole_text(source)
    try:
        return (_RECORDS_BY_KEY if text.lstrip().startswith("{") else _RECORD).decode(text)
    except json.JSONDecodeError as error:
        fault = error.msg.removesuffix(" starting at")
        raise DatasetInputError(
            f"{source.place} is not valid JSON at line {error.lineno}, column {error.colno} ({fault}); the file may be "
            "truncated, get it again."
        ) from error
    # ValueError: an integer of more digits than Python reads.
    except (RecursionError, ValueError) as error:
        fault = "a number of too many digits" if isinstance(error, ValueError) else "too many nested brackets"
        raise DatasetInputError(f"{source.place} holds {fault}; mend the file or get it again.") from error


def _whole_text(source: Source) -> str:
    content = bytearray()
    for block in blocks(source):
        content += block
        if len(content) > MAX_ARRAY_BYTES:
            raise DatasetInputError(
                f"{source.place} holds more than {MAX_ARRAY_BYTES} bytes of JSON, which must fit into memory; rewrite "
                "it as JSON lines (one object a line, .jsonl), which are streamed."
            )
    try:
        return content.decode(line_encoding(source)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise wrong_encoding(source.place, source.encoding, source.corpus, error) from error


def _keyed(content: dict[str, Any], fields: Fields) -> Iterator[tuple[str, list[str] | Fault]]:
    pairs = content.pairs if isinstance(content, _RepeatedKeys) else content.items()
    used: set[str] = set()
    for number, (key, record) in enumerate(pairs):
        row = whole(key.replace("\0", ""))
        if row in used:
            yield f"{row}#{number:08d}", Fault("repeated_key")
        else:
            used.add(row)
            yield row, fields.values(record)
