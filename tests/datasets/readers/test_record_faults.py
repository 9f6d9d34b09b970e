"""Every way in which a file of records can be wrong: a row with a reason, or one sentence that names the file."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest

from med_lora.datasets.readers import json_records, tables
from med_lora.datasets.readers.json_records import read_json, read_json_lines
from med_lora.datasets.readers.source import Source
from med_lora.datasets.readers.tables import read_csv, read_excel, read_parquet
from tests.datasets.readers.records import Reader, faults, sentence, short, source, table

GOOD = b'{"question": "a", "answer": "b"}'
HEADER = b"question,answer\n"


class Pattern(io.RawIOBase):
    """A file of a head, a repeated byte and a tail, of which only the block being read exists."""

    def __init__(self, head: bytes, length: int, tail: bytes, byte: bytes = b"x"):
        self._parts = [head, byte, tail]
        self._ends = [len(head), len(head) + length, len(head) + length + len(tail)]
        self._position = 0
        self._byte = byte

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "an unbounded read"
        found = bytearray()
        while len(found) < size and self._position < self._ends[2]:
            wanted = size - len(found)
            if self._position < self._ends[0]:
                piece = self._parts[0][self._position :][:wanted]
            elif self._position < self._ends[1]:
                piece = self._byte * min(wanted, self._ends[1] - self._position)
            else:
                piece = self._parts[2][self._position - self._ends[1] :][:wanted]
            found += piece
            self._position += len(piece)
        return bytes(found)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset
        return offset


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b'{"question": "SECRET", "answer": "b', "malformed_json"),
        (GOOD + GOOD, "malformed_json"),
        (b"SECRET", "malformed_json"),
        (b"\0" * 100, "malformed_json"),
        (b"\0\0" + GOOD, "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b'{"question":' * 50_000, "malformed_json"),
        (b'{"question": "a", "answer": "caf\xe9"}', "not_utf8"),
        (b'{"question": "a", "answer": "\xed\xa0\xbd"}', "not_utf8"),
        (b'["SECRET"]', "not_an_object"),
        (b"null", "not_an_object"),
        (b"3", "not_an_object"),
        (b"{}", "missing_question"),
        (b'{"question": "SECRET", "Answer": "b"}', "missing_answer"),
        (b'{"question": "a", "answer": ["SECRET"]}', "wrong_type_answer"),
        (b'{"question": {}, "answer": "b"}', "wrong_type_question"),
        (b'{"question": "a", "answer": 1e400}', "wrong_type_answer"),
        (b'{"question": "a", "answer": ' + b"9" * 5000 + b"}", "malformed_json"),
        (b'{"question": "a", "answer": "b", "id": [1]}', "wrong_type_id"),
    ],
    ids=short,
)
def test_faulty_line_is_a_row_with_a_reason(line: bytes, fault: str) -> None:
    found = table(read_json_lines(source(b"\n".join([GOOD, line, GOOD]))))
    assert found["fault"].tolist() == ["", fault, ""]
    assert found["row"].tolist() == ["00000000", "00000001", "00000002"]
    assert found.iloc[1, 1:-1].tolist() == [""] * 6
    assert faults(read_json_lines(source(line))) == [fault]


def test_missing_column_is_that_of_the_nearest_alternative() -> None:
    assert faults(read_json_lines(source(b'{"page_title": "a"}', "pages"))) == ["missing_page_text"]
    assert faults(read_json_lines(source(b'{"input": "a"}', "alpaca"))) == ["missing_output"]
    assert faults(read_json_lines(source(b'{"question": "a", "opa": "", "opb": ""}', "choices"))) == ["missing_options"]


def test_null_and_empty_values_are_no_fault_of_reading() -> None:
    found = table(read_json_lines(source(b'{"question": null, "answer": ""}')))
    assert found[["question", "answer", "fault"]].to_numpy().tolist() == [["", "", ""]]


@pytest.mark.parametrize("reader", [read_json_lines, read_csv])
def test_line_of_256_megabytes_is_skipped_and_counted(reader: Reader) -> None:
    lines = reader is read_json_lines
    head = GOOD + b'\n{"question": "' if lines else HEADER + b"a,b\n"
    stream = Pattern(head, 256 * 2**20, b'"}\n' + GOOD if lines else b",b\na,b\n")
    tracemalloc.start()
    try:
        found = faults(reader(source(stream)))  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == ["", "record_too_large", ""]
    assert peak < 48 * 2**20


def test_packed_line_of_256_megabytes_is_skipped() -> None:
    packed = gzip.compress(GOOD + b"\n") + gzip.compress(b"x" * 2**25, 1) * 8 + gzip.compress(b"\n" + GOOD)
    assert faults(read_json_lines(source(packed))) == ["", "record_too_large", ""]


def test_limit_of_a_line_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "MAX_RECORD_BYTES", len(GOOD) + 1)
    assert faults(read_json_lines(source(GOOD + b"\n" + GOOD + b" \n" + GOOD))) == ["", "record_too_large", ""]


def test_open_quote_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_RECORD_BYTES", 50)
    content = HEADER + b'a,"open\n' + b"line of text,b\n" * 3 + b"c,d\n"
    assert faults(read_csv(source(content)))[-2:] == ["record_too_large", ""]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b"a", "malformed_row"),
        (b"a,b,c", "malformed_row"),
        (b'a,"b" c', "malformed_row"),
        (b",", ""),
        (b'"a\0b",c', ""),
    ],
    ids=short,
)
def test_faulty_row_of_a_csv(row: bytes, fault: str) -> None:
    assert faults(read_csv(source(HEADER + b"a,b\n" + row + b"\nc,d\n"))) == ["", fault, ""]


def test_truncated_csv_ends_in_a_fault() -> None:
    assert faults(read_csv(source(HEADER + b'a,b\nc,"SECRET'))) == ["", "malformed_row"]


def test_characters_that_no_file_should_hold_stay_out() -> None:
    found = table(read_csv(source(HEADER + b'"a\0b",c\0\n')))
    assert found[["question", "answer"]].to_numpy().tolist() == [["ab", "c"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"question;answer\n", r"has no column 'question' .* has question;answer; set corpora.c.columns"),
        (b"Question,Answers\nSECRET,SECRET\n", r"no column 'question' \(nearest: 'Question'\) and has Question, Ans"),
        (b"question,answer,answer\n", "more than one column 'answer'"),
        (b'"question,answer\nSECRET', r"begins with a row that cannot be read \(malformed_row\)"),
        (b"SECRET" * 10 + b",b\n", "has 2 columns without names"),
        (b"Is it SECRET?,b\n", "has 2 columns without names"),
        (HEADER + b"a,b\nSECRET,caf\xe9\n", r"is not utf-8: byte 0xe9 at offset 30; set corpora.c.encoding"),
        (b"\xef\xbb\xbf" + HEADER + b"\xe9,b", "byte 0xe9 at offset 19"),
        (b"\xef\xbb\xbfquestion\xe9,answer", "byte 0xe9 at offset 11"),
        ("question,answer\nSECRET,b".encode("utf-16"), "is UTF-16 or UTF-32, not utf-8; set corpora.c.encoding"),
        ("question,answer\nSECRET,b".encode("utf-16-le"), "is UTF-16 or UTF-32"),
        ("question,answer\nSECRET,b".encode("utf-32"), "is UTF-16 or UTF-32"),
        (gzip.compress(HEADER + b"SECRET,b\n" * 1000, mtime=0)[:-12], "is a damaged gzip file"),
        (b"\x1f\x8bSECRET", "is a damaged gzip file"),
    ],
    ids=short,
)
def test_csv_that_is_no_table_ends_in_one_sentence(content: bytes, message: str) -> None:
    sentence(read_csv, source(content), message)


def test_column_that_the_map_names_must_exist() -> None:
    sentence(read_csv, source(b"question,answer,ID\n", "pairs", {"id": "Id"}), r"no column 'Id' \(nearest: 'ID'\)")


def test_wrong_encoding_given() -> None:
    content = "question,answer\nFièvre,b".encode("utf-16")
    sentence(read_csv, source(content[:-1], encoding="utf-16"), "is not utf-16: byte 0x62 at offset 48")
    # A pair of surrogates over the limit of two blocks, then half a pair.
    split = ("a" * (2**19 - 2) + "\U0001f600").encode("utf-16")
    message = f"at offset {len(split)};"
    sentence(read_json_lines, source(split + b"\x00\xd8a\x00", encoding="utf-16"), message)
    broken = content + b"\x00\xd8a\x00"
    sentence(read_json_lines, source(broken, encoding="utf-16"), r"is not utf-16: byte 0x00 at offset 50")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"question": "a",\n "answer": "SECRET", "i', "is not valid JSON at line 2, column 22"),
        (b"", "not valid JSON at line 1, column 1"),
        (b"\0\0\0\0\0", "not valid JSON at line 1, column 1"),
        (b'{"question": "SECRET", "answer": "b"}', "must hold a JSON array of objects"),
        (b'"SECRET"', "must hold a JSON array of objects"),
        (b'[{"question": "SECRET\xe9"}]', "is not utf-8: byte 0xe9 at offset 21; set corpora.c.encoding"),
        (b'\xef\xbb\xbf["\xff"]', "byte 0xff at offset 5"),
        (b"[" * 200_000, "holds too many nested brackets"),
        (b'[{"question": "a", "answer": ' + b"9" * 5000 + b"}]", "holds a number of too many digits"),
        ('[{"question": "SECRET"}]'.encode("utf-16"), "is UTF-16 or UTF-32"),
        (gzip.compress(b"[" + (GOOD + b",") * 1000 + GOOD + b"]", mtime=0)[:-12], "is a damaged gzip file"),
    ],
    ids=short,
)
def test_json_that_is_no_table_ends_in_one_sentence(content: bytes, message: str) -> None:
    sentence(read_json, source(content), message)


def test_json_lines_in_utf_16_or_damaged_gzip_end_in_one_sentence() -> None:
    sentence(read_json_lines, source(GOOD.decode().encode("utf-16")), "is UTF-16 or UTF-32")
    sentence(read_json_lines, source(gzip.compress(GOOD)[:-3]), "is a damaged gzip file")
    packed = gzip.compress(GOOD)
    sentence(read_json_lines, source(packed[:-8] + bytes(4) + packed[-4:]), r"damaged gzip file \(CRC check failed")
    middle = bytearray(gzip.compress(bytes(range(256)) * 100))
    middle[40:60] = bytes(20)
    sentence(read_json_lines, source(bytes(middle)), "is a damaged gzip file")


def test_empty_files_have_no_records() -> None:
    assert list(read_json_lines(source(b""))) == []
    assert list(read_json_lines(source(b"\n \n"))) == []
    assert list(read_json(source(b"[]"))) == []
    assert list(read_json(source(b"{}"))) == []
    assert list(read_csv(source(HEADER))) == []


def test_array_too_large_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "MAX_ARRAY_BYTES", 100)
    sentence(read_json, source(b"[" + GOOD + b" " * 100 + b"]"), "rewrite it as JSON lines")


def test_faulty_records_of_an_array() -> None:
    content = json.dumps([{"question": "a", "answer": "b"}, ["SECRET"], {"question": "SECRET"}, None])
    assert faults(read_json(source(content.encode()))) == ["", "not_an_object", "missing_answer", "not_an_object"]


def test_missing_rights_are_the_file_systems_error(tmp_path: Path) -> None:
    given = Source("a.parquet", lambda: (tmp_path / "a.parquet").open("rb"), source(b"").layout, {}, "utf-8", "c")
    for reader in (read_json, read_json_lines, read_csv, read_excel, read_parquet):
        with pytest.raises(FileNotFoundError):
            list(reader(given))
