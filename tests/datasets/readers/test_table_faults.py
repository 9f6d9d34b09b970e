"""Workbooks and parquet files that cannot be read: one sentence that names the file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pytest

from med_lora.datasets.readers import tables
from med_lora.datasets.readers.tables import read_excel, read_parquet
from tests.datasets.readers.records import sentence, short, source, table
from tests.datasets.readers.test_tables import parquet, workbook


def repacked(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return stream.getvalue()


def in_sheet(old: bytes, new: bytes) -> bytes:
    content = workbook(["question", "answer"], ["SECRET", "b"])
    return repacked(content, lambda name, text: text.replace(old, new) if "sheet1" in name else text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no readable Excel workbook"),
        (b"question,answer\nSECRET,b", "is no readable Excel workbook"),
        (workbook(["question", "answer"], ["SECRET", "b"])[:-100], "is no readable Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "is encrypted or in the format of Excel 2003"),
        (workbook(["questions", "answer"], ["SECRET", "b"]), r"no column 'question' \(nearest: 'questions'\)"),
        (workbook(), "is empty"),
        (in_sheet(b"</row>", b"<c>"), "is no readable Excel workbook"),
        (in_sheet(b"<worksheet", b'<!DOCTYPE d [<!ENTITY a "SECRET">]><worksheet'), "is no readable Excel workbook"),
        (in_sheet(b'<row r="2"', b'<row r="999999999999"'), "is no readable Excel workbook"),
        (in_sheet(b'r="A2"', b'r="ZZZZZZ2"'), "is no readable Excel workbook"),
    ],
    ids=["empty", "csv", "truncated", "encrypted", "columns", "no rows", "xml", "entity", "far row", "far column"],
)
def test_excel_that_cannot_be_read_ends_in_one_sentence(content: bytes, message: str) -> None:
    sentence(read_excel, source(content), message)


def test_excel_range_that_is_too_small_loses_no_rows() -> None:
    found = table(read_excel(source(in_sheet(b'ref="A1:B2"', b'ref="A1:A1"'))))
    assert found["answer"].tolist() == ["b"]


def test_zip_bomb_is_refused_before_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_UNPACKED_BYTES", 2**25)
    bomb = repacked(workbook(["question", "answer"]), lambda name, text: text + b" " * 2**25 * ("sheet1" in name))
    assert len(bomb) < 2**17
    sentence(read_excel, source(bomb), "unpacks to 335[0-9]{5} bytes, more than 33554432")


def test_size_that_a_zip_declares_too_small_is_not_exceeded() -> None:
    content = bytearray(workbook(["question", "answer"], ["SECRET", "b"]))
    entry = content.rindex(b"xl/worksheets/sheet1.xml") - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    content[entry + 24 : entry + 28] = (50).to_bytes(4, "little")
    sentence(read_excel, source(bytes(content)), "is no readable Excel workbook")


BROKEN_TEXT = pa.Array.from_buffers(
    pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")]
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no readable parquet file"),
        (b"PAR1SECRETPAR1", "is no readable parquet file"),
        (parquet({"question": ["a"], "answer": ["b"]})[:-20], "is no readable parquet file"),
        (parquet({"question": ["a"], "answer": BROKEN_TEXT}), "is no readable parquet file of UTF-8 text"),
        (parquet({"question": ["a"], "answers": ["b"]}), r"no column 'answer' \(nearest: 'answers'\)"),
        (parquet({"question": ["a"], "answer": [["b"]]}), "column 'answer' must hold text, numbers, not list<"),
        (parquet({"question": ["a"], "answer": [b"b"]}), "column 'answer' must hold text, numbers, not binary"),
        (parquet({"question": ["a"], "options": [[b"b"]]}), "has no column 'answer'"),
    ],
    ids=short,
)
def test_parquet_that_cannot_be_read_ends_in_one_sentence(content: bytes, message: str) -> None:
    sentence(read_parquet, source(content), message)


def test_parquet_with_checksums_shows_a_changed_value() -> None:
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}
    content = parquet({"question": ["What causes gout?"], "answer": ["Urate."]}, **options)
    assert len(table(read_parquet(source(content)))) == 1
    sentence(read_parquet, source(content.replace(b"Urate.", b"SECRET")), "is no readable parquet file")
