"""Tables that need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pandas as pd


class Chunks:
    """A table as consecutive DataFrames with the same columns, made anew at each iteration.

    It is no iterator: Kedro saves the items of an iterator one by one, each over the one before.
    """

    def __init__(self, make: Callable[[], Iterable[pd.DataFrame]]):
        """Make chunks on demand; ``make`` is called once an iteration and may read as it goes."""
        self._make = make

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return iter(self._make())

    def map(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Chunks:
        """The table with every chunk changed, when it is iterated."""
        return Chunks(lambda: (change(chunk) for chunk in self))
