"""JSON lines, arrays and objects of records: every layout in small, values exact."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.readers import rows
from med_lora.datasets.readers.json_records import read_json, read_json_lines
from tests.datasets.readers.records import short, source, table

RECORD = {"question": "What causes gout?", "answer": "Urate."}


def json_lines(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def read(content: bytes, *arguments: Any, **options: Any) -> pd.DataFrame:
    return table(read_json_lines(source(content, *arguments, **options)))


def test_columns_are_the_layouts_and_rows_are_numbered() -> None:
    found = read(json_lines(RECORD, RECORD | {"id": "00012", "extra": [1]}))
    assert list(found.columns) == ["row", "question", "answer", "id", "document", "focus", "question_type", "fault"]
    assert found["row"].tolist() == ["00000000", "00000001"]
    assert found["id"].tolist() == ["", "00012"]
    assert found["fault"].tolist() == ["", ""]


@pytest.mark.parametrize("value", ["NA", "nan", "null", "00012", "1e5", "TRUE", "", " a\n", "<5 µg", "\U0001f600"])
def test_text_stays_as_it_is(value: str) -> None:
    assert read(json_lines(RECORD | {"answer": value}))["answer"].tolist() == [value]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("12", "12"),
        ("12.5", "12.5"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("true", "true"),
        ("null", ""),
        ("NaN", ""),
        ('"a\\u0000b"', "ab"),
        ('"a\tb"', "a\tb"),
        ('"a\\ud83d"', "a\ufffd"),
        ('"\\ud83d\\ude00"', "\U0001f600"),
    ],
    ids=short,
)
def test_other_values_become_their_json_text(written: str, text: str) -> None:
    line = f'{{"question": "a", "answer": {written}}}\n'.encode()
    assert read(line)["answer"].tolist() == [text]
    assert table(read_json(source(b"[" + line + b"]")))["answer"].tolist() == [text]


def test_structures_pass_as_json_text() -> None:
    messages = [{"role": "user", "content": "Fièvre?"}]
    assert read(json_lines({"messages": messages}), "messages")["messages"].tolist() == [
        '[{"role": "user", "content": "Fièvre?"}]'
    ]
    options = {"A": "Urate", "B": "Calcium"}
    exam = read(json_lines({"question": "Gout?", "options": options, "answer_idx": "A"}), "choices")
    assert json.loads(exam["options"][0]) == options
    assert exam["opa"].tolist() == [""]


def test_any_alternative_of_a_layout_will_do() -> None:
    page, text = {"page_title": "Gout", "page_text": "Urate."}, {"text": "<s>[INST] Gout [/INST] Urate. </s>"}
    found = read(json_lines(page, text), "pages")
    assert found["page_title"].tolist() == ["Gout", ""]
    assert found["fault"].tolist() == ["", ""]
    assert read(json_lines({"input": "a", "output": "b"}), "alpaca")["instruction"].tolist() == [""]


def test_columns_are_mapped_to_the_names_of_the_file() -> None:
    record = {"q": "Gout?", "opa": "1", "opb": "2", "opc": "3", "opd": "4", "cop": 2, "exp": None}
    found = read(json_lines(record), "choices", {"question": "q", "explanation": "exp"})
    assert found.loc[0, ["question", "cop", "explanation", "fault"]].tolist() == ["Gout?", "2", "", ""]


def test_last_of_repeated_keys_counts() -> None:
    assert read(b'{"question": "a", "answer": "b", "answer": "c"}')["answer"].tolist() == ["c"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_and_blank_lines(end: bytes) -> None:
    line = json.dumps(RECORD).encode()
    assert read(end.join([b"", line, b"  ", line]))["row"].tolist() == ["00000000", "00000001"]


def test_byte_order_mark_is_no_text() -> None:
    assert read(b"\xef\xbb\xbf" + json_lines(RECORD))["fault"].tolist() == [""]
    assert len(table(read_json(source(b"\xef\xbb\xbf" + json.dumps([RECORD]).encode())))) == 1


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-be", "utf-32", "utf-8-sig", "gb18030"])
def test_other_encodings(encoding: str) -> None:
    record = {"question": "Fièvre?", "answer": "µ" * 400_000}
    content = json.dumps(record, ensure_ascii=False)
    found = read((content + "\n" + content).encode(encoding), encoding=encoding)
    assert found["question"].tolist() == ["Fièvre?"] * 2
    assert set(found["answer"]) == {record["answer"]}
    whole = table(read_json(source(f"[{content}]".encode(encoding), encoding=encoding)))
    assert whole["question"].tolist() == ["Fièvre?"]


def test_gzip_in_several_members() -> None:
    content = gzip.compress(json_lines(RECORD)) + gzip.compress(json_lines(RECORD))
    assert len(read(content)) == 2
    assert len(table(read_json(source(gzip.compress(json.dumps([RECORD]).encode()))))) == 1


def test_json_file_of_lines_is_read_as_lines() -> None:
    found = table(read_json(source(json_lines(RECORD, "x", RECORD))))
    assert found["fault"].tolist() == ["", "not_an_object", ""]


def test_object_of_records_is_keyed() -> None:
    record = {"QUESTION": "a", "CONTEXTS": ["b", "c"], "LONG_ANSWER": "d", "final_decision": "yes"}
    found = table(read_json(source(json.dumps({"0021": record, "7": record, "8": 3}).encode(), "pubmedqa")))
    assert found["row"].tolist() == ["0021", "7", "8"]
    assert found["CONTEXTS"].tolist() == ['["b", "c"]', '["b", "c"]', ""]
    assert found["fault"].tolist() == ["", "", "not_an_object"]


def test_repeated_key_is_a_fault_and_no_record_is_lost() -> None:
    content = b'{"7": {"question": "a", "answer": "b"}, "7": {"question": "c", "answer": "d"}}'
    found = table(read_json(source(content)))
    assert found["row"].is_unique
    assert found[["question", "fault"]].to_numpy().tolist() == [["a", ""], ["", "repeated_key"]]


def test_chunks_are_bounded_in_rows_and_in_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "CHUNK_ROWS", 3)
    monkeypatch.setattr(rows, "CHUNK_CHARACTERS", 100)
    lines = json_lines(*[RECORD] * 7, RECORD | {"answer": "b" * 200}, RECORD)
    chunks = list(read_json_lines(source(lines)))
    assert [len(chunk) for chunk in chunks] == [3, 3, 2, 1]
    assert pd.concat(chunks)["row"].tolist() == [f"{number:08d}" for number in range(9)]


def test_reading_is_lazy_and_can_be_repeated() -> None:
    class Endless:
        """A stream that would never end."""

        blocks = 0

        def read(self, size: int) -> bytes:
            self.blocks += 1
            return json_lines(RECORD) * 100 if size > 2 else b'{"'

        def seek(self, offset: int) -> int:
            return offset

        def __enter__(self) -> Endless:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    stream = Endless()
    found: Iterator[pd.DataFrame] = read_json_lines(source(stream))  # type: ignore[arg-type]
    assert stream.blocks == 0
    assert len(next(found)) == rows.CHUNK_ROWS
    assert stream.blocks < 100
    content = source(json_lines(RECORD))
    assert table(read_json_lines(content)).equals(table(read_json_lines(content)))


def test_real_files(real_corpora: Path) -> None:
    counts = {
        ("genmedgpt5k/chatdoctor5k.json", "alpaca"): 4880,
        ("wikidoc/medical_meadow_wikidoc_patient_information.json", "alpaca"): 5348,
        ("pubmedqa/ori_pqal.json", "pubmedqa"): 1000,
        ("exams/medqa_test.jsonl", "choices"): 1273,
    }
    for (name, layout), count in counts.items():
        reader = read_json_lines if name.endswith(".jsonl") else read_json
        found = table(reader(source((real_corpora / name).read_bytes(), layout)))
        assert len(found) == count
        assert (found["fault"] == "").all()
        assert found["row"].is_unique
