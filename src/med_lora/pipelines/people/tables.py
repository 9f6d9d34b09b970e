"""Tables of what raters said, with pairs and arms in place of codes, and the report of what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from statistics import median
from typing import Any

import pandas as pd

from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.pipelines.people.sheets import CHOICES

RATINGS = {"id": "str", "group": "int64", "arm": "str", "rater": "str", "axis": "str", "score": "float64"} | {
    "seconds": "float64"
}
PREFERENCES = {"id": "str", "group": "int64", "rater": "str", "reference": "str", "arm": "str", "choice": "str"}
COMMENTS = {"id": "str", "group": "int64", "arm": "str", "rival": "str", "rater": "str", "comment": "str"}


@dataclass
class Said:
    """What one sheet says, from all its files; values and their places are by item and column."""

    files: list[str] = field(default_factory=list)
    values: dict[tuple[str, str], int | str] = field(default_factory=dict)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def tabulate(
    rating_key: pd.DataFrame, said: Mapping[str, Said], axes: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Ratings, preferences and comments, sorted by pair, arm and rater."""
    ratings, preferences, comments = [], [], []
    key = rating_key[rating_key["sheet"].isin(list(said))].sort_values(["id", "arm", "rival", "rater"])
    for row in key.to_dict("records"):
        sheet = said[row["sheet"]]
        seconds = sheet.seconds.get(row["item"], nan)
        for axis in axes:
            score = sheet.values.get((row["item"], axis))
            if score is not None:
                ratings.append((row["id"], row["group"], row["arm"], row["rater"], axis, score, seconds))
        choice = sheet.values.get((row["item"], "preference"))
        if choice is not None:
            chosen = dict(zip(CHOICES, (row["arm"], row["rival"], None), strict=True))[str(choice)]
            meaning = {TUNING.reference: "reference", TUNING.arm: "arm", None: "tie"}[chosen]
            preferences.append((row["id"], row["group"], row["rater"], *TUNING, meaning))
        comment = sheet.values.get((row["item"], "comment"))
        if comment is not None:
            comments.append((row["id"], row["group"], row["arm"], row["rival"], row["rater"], comment))
    preferences.sort()  # the key is in the order of the arm shown first, which is the rater's own
    return _frame(ratings, RATINGS), _frame(preferences, PREFERENCES), _frame(comments, COMMENTS)


def _frame(rows: Iterable[tuple[Any, ...]], columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def write_report(rating_key: pd.DataFrame, said: Mapping[str, Said], axes: Sequence[str]) -> dict[str, Any]:
    """How many sheets came back, and what is missing in each; item codes and positions, no text of a record."""
    raters = {}
    lacking = []
    for code, rows in rating_key.sort_values("position").groupby("sheet"):
        code = str(code)
        rater = str(rows["rater"].iloc[0])
        if code in said:
            raters[rater] = _describe(rows, said[code], axes)
        else:
            lacking.append(rater)
    return {
        "sheets_expected": len(raters) + len(lacking),
        "sheets_returned": len(raters),
        "not_returned": sorted(lacking),
        "raters": dict(sorted(raters.items())),
    }


def _describe(rows: pd.DataFrame, sheet: Said, axes: Sequence[str]) -> dict[str, Any]:
    missing: list[dict[str, Any]] = []
    for row in rows.to_dict("records"):
        asked = ["preference"] if row["rival"] else axes
        columns = [column for column in asked if (row["item"], column) not in sheet.values]
        if columns:
            missing.append({"position": int(row["position"]), "item": row["item"], "columns": columns})
    return {
        "files": sheet.files,
        "items": len(rows),
        "items_complete": len(rows) - len(missing),
        "ratings_missing": sum(len(entry["columns"]) for entry in missing),
        "comments": len([column for _, column in sheet.values if column == "comment"]),
        "median_seconds": median(sheet.seconds.values()) if sheet.seconds else None,
        "missing": missing,
    }
