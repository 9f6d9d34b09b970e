from __future__ import annotations

import logging

import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.errors import InputError
from med_lora.parameters import CorpusParams
from med_lora.pipelines.data_engineering.parsing import PAIR_COLUMNS, parse_corpus


def corpus(layout: str) -> CorpusParams:
    return CorpusParams(layout=layout, title="A corpus", licence="CC-BY-4.0", files="x")  # type: ignore[arg-type]


def chunk(records: list[dict[str, str]], first_row: int = 0) -> pd.DataFrame:
    """Raw records as a reader yields them."""
    rows = [{"row": f"{first_row + place:08d}", "fault": "", **record} for place, record in enumerate(records)]
    return pd.DataFrame(rows, dtype="str").fillna("")


def parsed(layout: str, *chunks: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parse_corpus(Chunks(lambda: iter(chunks)), corpus(layout), "c"), ignore_index=True)


def pair(question: str = "q", answer: str = "a", **more: str) -> dict[str, str]:
    return {"question": question, "answer": answer, **more}


def test_every_record_becomes_one_row_of_text() -> None:
    first = chunk([pair("00012", "NA"), {"fault": "malformed_json"}])
    pairs = parsed("pairs", first, chunk([pair()], 2))
    assert list(pairs.columns) == PAIR_COLUMNS
    assert pairs["id"].tolist() == ["c:00000000", "c:00000001", "c:00000002"]
    assert pairs["question"].tolist() == ["00012", "", "q"]
    assert pairs["answer"].tolist() == ["NA", "", "a"]
    assert pairs["fault"].tolist() == ["", "malformed_json", ""]
    assert set(pairs["licence"]) == {"CC-BY-4.0"}
    assert not pairs.isna().any(axis=None)
    assert {str(dtype) for dtype in pairs.dtypes} == {"str"}


def test_a_chunk_of_faults_alone_passes_through() -> None:
    pairs = parsed("alpaca", chunk([{"input": "q", "output": "a"}]), chunk([{"input": "", "output": "", "fault": "x"}]))
    assert pairs["fault"].tolist() == ["", "x"]


def test_the_records_can_be_parsed_again() -> None:
    pairs = parse_corpus(Chunks(lambda: [chunk([pair(id="1"), pair(id="1")])]), corpus("pairs"), "c")
    assert [table.to_dict() for table in pairs] == [table.to_dict() for table in pairs]


def test_only_the_first_of_several_records_keeps_an_id() -> None:
    first = chunk([pair("one", id="7"), pair("two", id="7"), pair("three", id="7~2")])
    pairs = parsed("pairs", first, chunk([pair("four", id="7"), pair("five", id="8"), pair("six", id="7~3")], 3))
    assert pairs["id"].tolist()[:3] == ["c:7", "c:7~3", "c:7~2"]
    assert pairs["fault"].tolist() == ["", "duplicate_id", "", "duplicate_id", "", "duplicate_id"]
    assert pairs["question"].tolist() == ["one", "", "three", "", "five", ""]
    assert pairs["id"].is_unique


def test_ids_stay_distinct_over_many_chunks() -> None:
    chunks = [chunk([pair(id=str(place)) for place in range(start, start + 60)], start) for start in range(0, 500, 50)]
    pairs = parsed("pairs", *chunks)
    assert pairs["id"].is_unique
    assert (pairs["fault"] == "duplicate_id").sum() == 9 * 10
    assert pairs.loc[pairs["fault"] == "", "id"].tolist() == [f"c:{place}" for place in range(510)]


def test_a_faulty_record_takes_no_id_of_another() -> None:
    records = chunk([{"fault": "not_utf8"}, pair(id="00000000"), pair(id="")])
    pairs = parsed("pairs", records)
    assert pairs["fault"].tolist() == ["not_utf8", "", ""]
    assert pairs["id"].tolist()[1:] == ["c:00000000", "c:row-00000002"]
    assert pairs["id"].is_unique


def test_a_corpus_of_which_no_record_fits_stops_the_run() -> None:
    records = chunk([{"messages": "x"}, {"messages": "", "fault": "malformed_json"}])
    with pytest.raises(
        InputError, match=r"None of the 2 records of raw_c \(x\) fits the layout messages \(1 malformed_json, 1"
    ):
        parsed("messages", records)


def test_a_corpus_without_records_stops_the_run() -> None:
    with pytest.raises(InputError, match=r"raw_c holds no records; check corpora\.c\.files"):
        list(parse_corpus(Chunks(lambda: []), corpus("pairs"), "c"))


@pytest.mark.parametrize("layout", ["alpaca", "pairs", "messages", "medquad", "pages", "pubmedqa", "choices"])
def test_missing_columns_are_named(layout: str) -> None:
    with pytest.raises(
        InputError, match=r"raw_c has the columns a, b, and the layout \w+ needs \(.*corpora\.c\.layout"
    ):
        parsed(layout, chunk([{"a": "1", "b": "2"}]))


def test_documents_hold_no_pairs() -> None:
    with pytest.raises(InputError, match=r"corpora\.c\.layout is documents, which holds no questions"):
        parsed("documents", chunk([{"text": "x"}]))


def test_the_log_counts_and_quotes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        parsed("pairs", chunk([pair("What is gout?", id="1"), pair("What is asthma?", id="1")]))
    assert "A corpus: 2 records read, 1 faulty." in caplog.text
    assert "gout" not in caplog.text
