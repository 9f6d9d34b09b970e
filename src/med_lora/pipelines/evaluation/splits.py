"""A split as the dataframe that the nodes of the evaluation work on."""

from __future__ import annotations

from typing import Any, Protocol

import pandas as pd

from med_lora.errors import InputError


class Split(Protocol):
    """What the catalog loads for ``train`` and ``test``: a ``datasets.Dataset``, or any table with this method."""

    def to_pandas(self) -> Any:
        """Columns id, question, answer and perhaps group, one row a pair; further columns are ignored."""


def read_pairs(split: Split, name: str) -> pd.DataFrame:
    """The pairs of the split called ``name``, in its order; without a column ``group``, each is a group of its own.

    Raises:
        InputError: if there are none, or an id occurs twice.
    """
    pairs: pd.DataFrame = split.to_pandas()
    if pairs.empty:
        raise InputError(f"The {name} split is empty; raise data_engineering.split.{name} or choose a larger corpus.")
    twice = pairs["id"][pairs["id"].duplicated()]
    if len(twice):
        raise InputError(f"The {name} split holds the id {twice.iloc[0]} more than once; run data engineering again.")
    if "group" not in pairs:
        places = {pair: place for place, pair in enumerate(sorted(pairs["id"]))}
        pairs = pairs.assign(group=pairs["id"].map(places))
    return pairs
