"""Rows of tables as code and JSON read them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

# Texts that may be empty in every row: a CSV file gives such a column back as one of numbers that are all missing.
OFTEN_EMPTY = frozenset(
    {"note", "missing", "sound", "reason", "signature", "best_control", "unbeaten_controls"}
    | {"impossible", "printed", "way", "why_they_differ"}
)

Record = dict[str, Any]


def read_records(table: pd.DataFrame) -> list[Record]:
    """Rows by column, with "" for a text that a CSV file gave back as missing."""
    texts = {name for name in table if name in OFTEN_EMPTY or not is_numeric_dtype(table[name])}
    return [
        {str(name): "" if name in texts and pd.isna(value) else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def plain(value: Any) -> Any:
    """A value that JSON knows: no NumPy numbers, and None for a number that does not exist."""
    own = value.item() if hasattr(value, "item") else value
    return None if isinstance(own, float) and not math.isfinite(own) else own
