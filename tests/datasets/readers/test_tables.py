"""CSV, TSV, Excel and parquet: every value stays text as the file has it."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from med_lora.datasets.readers.tables import read_csv, read_excel, read_parquet
from med_lora.errors import InputError
from tests.datasets.readers.records import source, table

PAIRS = ["question", "answer", "id"]
VALUES = ["NA", "nan", "", "00012", "1e5", "TRUE", '"quoted" text', "a\nb", "a\r\nb", " a ", "a,b\tc", "fièvre", "=A1"]
MMLU = {"question": "0", "A": "1", "B": "2", "C": "3", "D": "4", "answer": "5"}


def delimited(*lines: list[str], separator: str = ",") -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=separator).writerows(lines)
    return stream.getvalue().encode()


def workbook(*lines: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for line in lines:
        book.worksheets[0].append(line)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def parquet(columns: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, **options)
    return stream.getvalue()


def read(content: bytes, *arguments: Any, **options: Any) -> pd.DataFrame:
    return table(read_csv(source(content, *arguments, **options)))


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_delimited_values_stay_text(separator: str) -> None:
    content = delimited(PAIRS, *([value, "Urate.", "007"] for value in VALUES), separator=separator)
    found = table(read_csv(source(content), separator))
    assert found["question"].tolist() == VALUES
    assert set(found["id"]) == {"007"}
    assert found["row"].tolist() == [f"{number:08d}" for number in range(len(VALUES))]
    assert found["fault"].tolist() == [""] * len(VALUES)


def test_agrees_with_pandas_on_generated_tables() -> None:
    lines = [[f"{value}{other}", other, value] for value in VALUES for other in VALUES]
    content = delimited(PAIRS, *lines)
    expected = pd.read_csv(io.BytesIO(content), dtype="str", keep_default_na=False)
    # pandas reads CR LF inside quotes as it stands, as this reader does.
    assert read(content)[PAIRS].to_numpy().tolist() == expected.to_numpy().tolist() == lines


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_byte_order_mark(end: str) -> None:
    content = end.join(["\ufeffquestion,answer", "a,b", "", "c,d"]).encode()
    assert read(content)["question"].tolist() == ["a", "c"]


def test_columns_by_name_in_any_order() -> None:
    found = read(
        delimited(["n", "Answer", "Question"], ["1", "b", "a"]),
        "pairs",
        {"question": "Question", "id": "n"} | {"answer": "Answer"},
    )
    assert found.loc[0, [*PAIRS, "focus"]].tolist() == ["a", "b", "1", ""]


def test_file_without_header_by_positions() -> None:
    # The first record holds 0, 4 and 2, as a real one does: numbers in it do not make it a header.
    first, second = ["Find the degree.", "0", "4", "2", "6", "B"], ["Find p, q.", "8", "2", "24", "120", "C"]
    found = read(delimited(first, second), "choices", MMLU)
    assert found[list(MMLU)].to_numpy().tolist() == [first, second]
    named = read(delimited(list("012345"), first), "choices", MMLU)
    assert named[list(MMLU)].to_numpy().tolist() == [first]
    assert table(read_excel(source(workbook(first, second), "choices", MMLU)))["question"].tolist() == [
        first[0],
        second[0],
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"question": "0"}, "has no header, and corpora.c.columns gives no number for answer"),
        ({"question": "0", "answer": "2"}, "has 2 columns, and corpora.c.columns asks for number 2"),
    ],
)
def test_positions_that_do_not_fit(columns: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(b"a,b\n", "pairs", columns)


def test_delimited_in_gzip_and_in_other_encodings() -> None:
    content = delimited(PAIRS, ["Fièvre?", "µg\nc", "1"])
    assert read(gzip.compress(content))["answer"].tolist() == ["µg\nc"]
    for encoding in ("cp1252", "utf-16", "utf-8-sig"):
        found = read(content.decode().encode(encoding), encoding=encoding)
        assert found["answer"].tolist() == ["µg\nc"]


def test_quoted_record_over_block_limits() -> None:
    long = "line\r\n" * 400_000
    assert read(delimited(PAIRS, ["a", long, "1"], ["b", "c", "2"]))["answer"].tolist() == [long, "c"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("00012", "00012"),
        ("NA", "NA"),
        (" a\nb ", " a\nb "),
        ("a_x000D_b", "a\rb"),
        (12, "12"),
        (12.0, "12"),
        (0.1, "0.1"),
        (True, "true"),
        (None, ""),
        (datetime.datetime(2020, 1, 31), "2020-01-31"),
        (datetime.datetime(2020, 1, 31, 12, 30), "2020-01-31 12:30:00"),
    ],
)
def test_excel_values(value: Any, text: str) -> None:
    found = table(read_excel(source(workbook(PAIRS, ["a", value, "1"], [None, None, None], ["b", "c"]))))
    assert found["answer"].tolist() == [text, "c"]
    assert found["id"].tolist() == ["1", ""]


def test_excel_row_wider_than_its_header_is_a_fault() -> None:
    found = table(read_excel(source(workbook(["question", "answer"], ["a", "b", "c"], ["d", "e"]))))
    assert found["fault"].tolist() == ["malformed_row", ""]


def test_excel_reads_the_first_sheet() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook(PAIRS, ["a", "b", "1"])))
    book.create_sheet("notes").append(["other"])
    stream = io.BytesIO()
    book.save(stream)
    assert len(table(read_excel(source(stream.getvalue())))) == 1


def test_parquet_keeps_text_and_fills_nulls() -> None:
    content = parquet({"n": [1, 2, 3], "page_title": ["001", None, "NA"], "page_text": ["a", "b", ""]})
    found = table(read_parquet(source(content, "pages")))
    assert found["page_title"].tolist() == ["001", "", "NA"]
    assert found["text"].tolist() == [""] * 3


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([12, None]), ["12", ""]),
        (pa.array([12.0, None]), ["12", ""]),
        (pa.array([0.1, float("nan")]), ["0.1", ""]),
        (pa.array([0.1, 3], pa.float32()), ["0.1", "3"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([None, None]), ["", ""]),
        (pa.array(["a", None]).dictionary_encode(), ["a", ""]),
        (pa.array(["nan", "NA"], pa.large_string()), ["nan", "NA"]),
        (pa.array([2**63 - 1, -(2**63)]), ["9223372036854775807", "-9223372036854775808"]),
    ],
    ids=str,
)
def test_parquet_scalars_become_text(values: pa.Array, texts: list[str]) -> None:
    found = table(read_parquet(source(parquet({"question": ["a", "b"], "answer": values}))))
    assert found["answer"].tolist() == texts


def test_parquet_structures_become_json_text() -> None:
    messages = [[{"role": "user", "content": "Fièvre?"}], None]
    found = table(read_parquet(source(parquet({"messages": messages}), "messages")))
    assert found["messages"].tolist() == ['[{"role": "user", "content": "Fièvre?"}]', ""]
    exam = parquet({"question": ["a"], "choices": [["b", "c"]], "answer": pa.array([1])})
    assert table(read_parquet(source(exam, "choices")))["choices"].tolist() == ['["b", "c"]']
    options = pa.array([[("A", "b")]], pa.map_(pa.string(), pa.string()))
    found = table(read_parquet(source(parquet({"question": ["a"], "options": options}), "choices")))
    assert found["options"].tolist() == ['{"A": "b"}']
    context = [{"contexts": ["b"], "labels": ["METHODS"]}]
    hub = parquet({"question": ["a"], "context": context, "long_answer": ["d"]})
    columns = {"QUESTION": "question", "CONTEXTS": "context", "LONG_ANSWER": "long_answer"}
    found = table(read_parquet(source(hub, "pubmedqa", columns)))
    assert found["CONTEXTS"].tolist() == ['{"contexts": ["b"], "labels": ["METHODS"]}']


def test_parquet_rows_stay_in_order_over_row_groups() -> None:
    texts = [str(number) for number in range(2000)]
    content = parquet({"question": texts, "answer": texts}, row_group_size=700)
    found = table(read_parquet(source(content)))
    assert found["answer"].tolist() == texts
    assert found["row"].tolist() == [f"{number:08d}" for number in range(2000)]


def test_real_files(real_corpora: Path) -> None:
    folder = real_corpora / "medical_terms"
    for name, count in (("medical_terms.parquet", 300), ("medical_terms_llama2_format.parquet", 4643)):
        found = table(read_parquet(source((folder / name).read_bytes(), "pages")))
        assert len(found) == count
        assert (found["fault"] == "").all()
    content = (real_corpora / "genmedgpt5k" / "format_dataset.csv").read_bytes()
    found = table(read_csv(source(content, "pairs", {"question": "disease", "answer": "Symptom"})))
    expected = pd.read_csv(io.BytesIO(content), dtype="str", keep_default_na=False)
    assert found[["question", "answer"]].to_numpy().tolist() == expected[["disease", "Symptom"]].to_numpy().tolist()
