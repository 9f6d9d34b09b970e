"""Returned rating sheets to tables: what each rater said about which answer of which arm."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from math import isnan, nan
from typing import Any

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import PeopleParams
from med_lora.parameters.rubric import SCALE
from med_lora.pipelines.people.returned_rows import Row, read_rows
from med_lora.pipelines.people.sheets import CHOICES
from med_lora.pipelines.people.tables import Said, tabulate, write_report

logger = logging.getLogger(__name__)

MAX_FAULTS = 50
_WHOLE = re.compile(r"([0-9]+)(?:[.,]0*)?")
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?")


def read_ratings(
    returned_sheets: dict[str, bytes], rating_key: pd.DataFrame, people: PeopleParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Ratings, preferences and comments of the returned sheets, joined to pairs and arms by the key.

    The files are workbooks and CSV files of any name; the order of rows and columns, and what a rater added beside the
    given ones, do not matter. Several files of one sheet complete each other, and must not contradict each other.
    Scores left empty are missing, never 0, and the report names them.

    Returns:
        ratings: id, group, arm, rater, axis, score (1 to 5), seconds (that the item was in sight, the same on every
            axis of it; NaN from a workbook); sorted by id, arm, rater, then in the order of ``people.axes``.
        rating_preferences: id, group, rater, reference ("base"), arm ("tuned"), choice ("reference", "arm", "tie").
        rating_comments: id, group, arm, rival, rater, comment; arm and rival as in the key.
        ratings_report: sheets expected and returned, who has not returned theirs, and what of each rater is missing.
        Without a returned sheet the tables are empty.

    Raises:
        InputError: with all faults of all files (``MAX_FAULTS`` are named), each with file, row, column and remedy.
    """
    faults: list[str] = []
    said: dict[str, Said] = {}
    keys = {str(code): rows.set_index("item") for code, rows in rating_key.groupby("sheet")}
    for name in sorted(returned_sheets):
        try:
            rows = read_rows(name, returned_sheets[name])
        except InputError as error:
            faults.append(str(error).removesuffix("."))
            continue
        faults.extend(_take_file(name, rows, keys, people, said))
    faults = list(dict.fromkeys(faults))
    if faults:
        more = f"; and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise InputError(f"{'; '.join(faults[:MAX_FAULTS])}{more}.")
    axes = [axis.name for axis in people.axes]
    report = write_report(rating_key, said, axes)
    logger.info("%d of %d rating sheets have come back.", report["sheets_returned"], report["sheets_expected"])
    return *tabulate(rating_key, said, axes), report


def _take_file(
    name: str, rows: Sequence[Row], keys: Mapping[str, pd.DataFrame], people: PeopleParams, said: dict[str, Said]
) -> Iterator[str]:
    """Add what a file says to ``said``; yields its faults."""
    strangers: set[str] = set()
    for row in rows:
        code, item = (_text(row.values.get(column)).upper() for column in ("sheet", "item"))
        if not code and not item:
            continue  # a row of the rater's own
        if code not in keys:
            if code not in strangers:
                yield (
                    f"{name}, {row.place}, column sheet: no sheet of this rating key; restore the column, or import "
                    "the file with the key of its own run (--load-versions=rating_key:VERSION)"
                )
            strangers.add(code)
            continue
        key = keys[code]
        rater = key["rater"].iloc[0]
        if rater not in people.raters:
            if code not in strangers:
                yield f"{name}: rater {rater} is not in people.raters; add the code there, or take the file away"
            strangers.add(code)
        elif item not in key.index:
            yield f"{name}, {row.place}, column item: no item of this sheet; restore the column"
        else:
            sheet = said.setdefault(code, Said())
            sheet.files.extend([name] if name not in sheet.files else [])
            yield from _take_row(f"{name}, {row.place}", row, item, bool(key.at[item, "rival"]), people, sheet)


def _take_row(place: str, row: Row, item: str, compares: bool, people: PeopleParams, sheet: Said) -> Iterator[str]:
    axes = [axis.name for axis in people.axes]
    asked, other = (["preference"], axes) if compares else (axes, ["preference"])
    for column in asked:
        if column not in row.values:
            yield f"{place.split(', ')[0]}: the column {column} is gone; restore it"
    misplaced = [column for column in other if _text(row.values.get(column))]
    if misplaced:
        kind = "two answers to compare" if compares else "one answer to rate"
        yield f"{place}, column {misplaced[0]}: the item has {kind}, so empty the cell"
    comment = _text(row.values.get("comment"), strip=False)
    values: dict[str, int | str | None] = {"comment": comment if comment.strip() else None}
    for column in asked:
        try:
            values[column] = _read_choice(row.values.get(column)) if compares else _read_score(row.values.get(column))
        except ValueError as error:
            yield f"{place}, column {column}: {error}"
    for column, value in values.items():
        if value is None:
            continue
        if sheet.values.setdefault((item, column), value) != value:
            yield f"{place}, column {column}: differs from {sheet.places[item, column]}; keep one of the two"
        sheet.places.setdefault((item, column), place)
    try:
        seconds = _read_seconds(row.values.get("seconds"))
    except ValueError as error:
        yield f"{place}, column seconds: {error}"
    else:
        if not isnan(seconds):
            sheet.seconds[item] = max(seconds, sheet.seconds.get(item, 0.0))


def _text(value: Any, strip: bool = True) -> str:
    text = "" if value is None else str(value)
    return text.strip() if strip else text


def _read_score(value: Any) -> int | None:
    """A whole number of the scale; none for an empty cell.

    A spreadsheet that was told to show dates stores the number that was typed, and reads it back as a date.
    """
    from openpyxl.utils.datetime import to_excel

    if isinstance(value, date | time | timedelta):
        value = to_excel(value)
    text = _text(value)
    if not text:
        return None
    whole = None if isinstance(value, bool) else _WHOLE.fullmatch(text)
    if whole is None or int(whole[1]) not in SCALE:
        raise ValueError(f"no whole number from {SCALE[0]} to {SCALE[-1]}; write one, or empty the cell")
    return int(whole[1])


def _read_choice(value: Any) -> str | None:
    choices = {choice.lower(): choice for choice in CHOICES}
    text = _text(value).lower()
    if text and text not in choices:
        raise ValueError(f"neither {' nor '.join(CHOICES)}; write one of them, or empty the cell")
    return choices.get(text)


def _read_seconds(value: Any) -> float:
    text = _text(value)
    if not text:
        return nan
    if not _NUMBER.fullmatch(text):
        raise ValueError("no number of seconds; write one, or empty the cell")
    return float(text.replace(",", "."))
