"""Rows of tables as CSV gives them back, and values as JSON has them."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pandas as pd
import pytest

from med_lora.report_page.records import plain, read_records

ROWS = [
    {"metric": "rougeL", "rival": "gold", "n": 20, "value": 0.5, "p_value": math.nan, "note": "", "missing": ""},
    {"metric": "bleu", "rival": "", "n": 3, "value": math.nan, "p_value": math.nan, "note": "", "missing": ""},
]


def test_rows_that_a_csv_file_gave_back_are_those_that_were_written() -> None:
    """Texts are empty again, in part of a column and in all of it; numbers stay missing."""
    table = pd.DataFrame(ROWS)
    back = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert back["note"].isna().all()
    for found, given in zip(read_records(back), ROWS, strict=True):
        assert found == pytest.approx(given, nan_ok=True)
        assert not isinstance(found["note"], float)


def test_missing_texts_of_any_kind_are_empty() -> None:
    table = pd.DataFrame({"axis": ["a", None], "kind": pd.Categorical(["x", None]), "on": [True, False]})
    assert read_records(table) == [{"axis": "a", "kind": "x", "on": True}, {"axis": "", "kind": "", "on": False}]


def test_a_table_without_rows_has_no_records() -> None:
    assert read_records(pd.DataFrame(columns=["metric", "note"])) == []


def test_plain_values_are_json() -> None:
    values = [np.int64(3), np.float64(0.5), np.float64("nan"), math.inf, math.nan, "text", 2, None]
    assert json.loads(json.dumps([plain(value) for value in values], allow_nan=False)) == [
        *(3, 0.5, None, None, None, "text", 2, None)
    ]
