"""Tables of this pipeline as a CSV file gives them back."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_numeric_dtype

from med_lora.report_page.records import OFTEN_EMPTY


def restore_texts(table: pd.DataFrame) -> pd.DataFrame:
    """The same table with "" where the file has nothing in a column of texts, as ``read_records`` gives it by row.

    The catalog reads as texts all columns that may be empty or look like numbers; notes and the like may be in tables
    of other makers too.
    """
    names = [str(name) for name in table.columns if name in OFTEN_EMPTY or not is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].astype(object).fillna("").astype(str) for name in names})
