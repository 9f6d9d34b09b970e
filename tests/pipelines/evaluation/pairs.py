"""Pairs that differ in a number alone."""

from __future__ import annotations

import pandas as pd


def make_pairs(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"p{number:03d}" for number in range(count)],
            "question": [f"question {number}" for number in range(count)],
            "answer": [f"answer {number}" for number in range(count)],
            "group": range(count),
        }
    )
