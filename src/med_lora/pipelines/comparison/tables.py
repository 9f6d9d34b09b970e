"""Tables of this pipeline as a CSV file gives them back."""

from __future__ import annotations

import pandas as pd

# Columns of texts, any of which may be empty; the catalog names them too, so that the name 007 stays one.
TEXTS = frozenset(
    {
        *(
            "test_set",
            "run",
            "arm",
            "reference",
            "label",
            "reference_label",
            "arm_label",
            "name",
            "experiment",
            "started",
        ),
        *("model", "quantisation", "method", "machine", "tokenizer", "same_as", "repeated_on", "training_run"),
        *(
            "note",
            "metric",
            "family",
            "better",
            "verdict",
            "missing",
            "signature",
            "best_control",
            "seconds_are",
            "measured",
        ),
        *("setting", "kind", "runs"),
    }
)


def restore_texts(table: pd.DataFrame) -> pd.DataFrame:
    """The same table with texts in the columns of texts, "" where the file has nothing."""
    texts = {str(name): table[name].fillna("").astype(str) for name in table.columns if name in TEXTS}
    return table.assign(**texts)
