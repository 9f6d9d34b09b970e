"""Sheets of three questions for anna and ben, and anna's workbook filled in."""

from __future__ import annotations

import pandas as pd
import pytest

from .rated import PEOPLE, fill_workbook, sheets


@pytest.fixture(scope="session")
def made() -> tuple[dict[str, bytes], pd.DataFrame]:
    return sheets(PEOPLE, 3)


@pytest.fixture(scope="session")
def key(made: tuple[dict[str, bytes], pd.DataFrame]) -> pd.DataFrame:
    return made[1]


@pytest.fixture(scope="session")
def anna(made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame) -> bytes:
    return fill_workbook(made[0]["anna.xlsx"], key)
