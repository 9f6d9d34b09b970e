"""Files of records in memory for the readers, and what comes out of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO

import pandas as pd
import pytest

from med_lora.datasets.readers.source import Source
from med_lora.errors import InputError
from med_lora.layouts import LAYOUTS

Reader = Callable[[Source], Iterator[pd.DataFrame]]


def source(
    content: bytes | BinaryIO,
    layout: str = "pairs",
    columns: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
    place: str = "data/a.txt",
) -> Source:
    def open_content() -> BinaryIO:
        return io.BytesIO(content) if isinstance(content, bytes) else content

    return Source(place, open_content, LAYOUTS[layout], columns or {}, encoding, "c")


def table(chunks: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """All chunks as one table; each has text columns alone."""
    found = list(chunks)
    assert all(str(kind) == "str" for chunk in found for kind in chunk.dtypes)
    assert all(not chunk.isna().to_numpy().any() for chunk in found)
    return pd.concat(found, ignore_index=True)


def faults(chunks: Iterable[pd.DataFrame]) -> list[str]:
    """The fault of each record; a record with one has no text."""
    found = table(chunks)
    texts = found.drop(columns=["row", "fault"])
    assert (texts[found["fault"] != ""] == "").to_numpy().all()
    return found["fault"].tolist()


def short(value: object) -> str:
    """Name of a test's parameter, which may be a whole file."""
    return repr(value)[:30]


def sentence(reader: Reader, given: Source, message: str) -> None:
    """The reader ends in one sentence that matches, names the file and shows no text of it."""
    with pytest.raises(InputError, match=message) as caught:
        list(reader(given))
    text = str(caught.value)
    assert given.place in text
    assert "SECRET" not in text
    assert "\n" not in text
