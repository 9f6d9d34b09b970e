"""What the tests of people share: a small split, its answers, sheets of it, and sheets filled in."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import Any

import openpyxl
import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.parameters import PeopleParams
from med_lora.pipelines.people.returned import read_ratings
from med_lora.pipelines.people.sheets import make_rating_sheets
from tests import recipes

KINDS = {"base": "model", "tuned": "model", "empty_answer": "control", "gold": "gold"}
AXES = ("accuracy", "safety")
PEOPLE = recipes.people(items=3)


@dataclass(frozen=True)
class Table:
    """A split as the catalog hands it over, without the datasets library."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def split(count: int = 4) -> Table:
    ids = [f"corpus:{number}" for number in range(count)]
    return Table(
        pd.DataFrame(
            {
                "id": ids,
                "question": [f"What is {number}?" for number in range(count)],
                "answer": [f"reference of {number}" for number in range(count)],
                "group": range(10, 10 + count),
            }
        )
    )


def answers(count: int = 4, kinds: Mapping[str, str] = KINDS, **texts: str) -> pd.DataFrame:
    """``arm_texts``; ``texts`` gives one and the same text to every question of an arm."""
    rows = [
        (f"corpus:{number}", arm, kind, texts.get(arm, f"text {number * 7 + place} of it"))
        for place, (arm, kind) in enumerate(kinds.items())
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["id", "arm", "kind", "answer"])


def sheets(people: PeopleParams | None = None, count: int = 4, **texts: str) -> tuple[dict[str, bytes], pd.DataFrame]:
    return make_rating_sheets(split(count), answers(count, **texts), people or recipes.people(), "trial")


def open_workbook(content: bytes) -> Any:
    return openpyxl.load_workbook(BytesIO(content))


def save_workbook(book: Any) -> bytes:
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


def answer_of(row: Mapping[str, Any], column: str) -> Any:
    """What the tests' rater says: for an item of the key a score that depends on code and axis, and a choice."""
    number = sum(map(ord, f"{row['item']}{column}"))
    if row["rival"]:
        return ("A", "B", "tie")[number % 3] if column == "preference" else None
    return number % 5 + 1 if column in AXES else None


def fill_workbook(content: bytes, key: pd.DataFrame, change: Callable[[Any], None] = lambda book: None) -> bytes:
    """The workbook with every cell filled in as ``answer_of`` says, then changed."""
    book = open_workbook(content)
    rows = {row["item"]: row for row in key.to_dict("records")}
    for page in book.worksheets[1:]:
        header = [cell.value for cell in page[1]]
        for line in page.iter_rows(min_row=2):
            if line[header.index("no.")].value.endswith("..."):
                continue
            for name, cell in zip(header, line, strict=True):
                if name in (*AXES, "preference"):
                    cell.value = answer_of(rows[line[header.index("item")].value], name)
    change(book)
    return save_workbook(book)


def csv_rows(key: pd.DataFrame, rater: str) -> list[list[str]]:
    """The rows, header first, that the form would save."""
    header = ["sheet", "item", "no.", *AXES, "preference", "comment", "seconds"]
    rows = [
        [row["sheet"], row["item"], str(row["position"])]
        + ["" if answer_of(row, name) is None else str(answer_of(row, name)) for name in (*AXES, "preference")]
        + ["", str(row["position"] + 3)]
        for row in key[key["rater"] == rater].to_dict("records")
    ]
    return [header, *rows]


def to_csv(rows: Sequence[Sequence[str]], separator: str = ",", encoding: str = "utf-8-sig") -> bytes:
    stream = StringIO(newline="")
    csv.writer(stream, delimiter=separator).writerows(rows)
    return stream.getvalue().encode(encoding)


def expected_ratings(key: pd.DataFrame, rater: str) -> dict[tuple[str, str, str, str], float]:
    rows = key[(key["rater"] == rater) & (key["rival"] == "")].to_dict("records")
    return {(row["id"], row["arm"], rater, axis): answer_of(row, axis) for row in rows for axis in AXES}


def expected_choices(key: pd.DataFrame, rater: str) -> dict[str, str]:
    choices = {}
    for row in key[(key["rater"] == rater) & (key["rival"] != "")].to_dict("records"):
        shown = {"A": row["arm"], "B": row["rival"], "tie": "tie"}[answer_of(row, "preference")]
        choices[row["id"]] = {"base": "reference", "tuned": "arm", "tie": "tie"}[shown]
    return choices


def check(ratings: pd.DataFrame, preferences: pd.DataFrame, key: pd.DataFrame, *raters: str) -> None:
    held = {(row["id"], row["arm"], row["rater"], row["axis"]): row["score"] for row in ratings.to_dict("records")}
    assert len(held) == len(ratings)
    assert held == {place: score for rater in raters for place, score in expected_ratings(key, rater).items()}
    for rater in raters:
        rows = preferences[preferences["rater"] == rater]
        assert dict(zip(rows["id"], rows["choice"], strict=True)) == expected_choices(key, rater)


def faults(files: dict[str, bytes], key: pd.DataFrame, people: PeopleParams) -> str:
    """The sentence in which an import ends; no text of a record stands in it."""
    with pytest.raises(InputError) as caught:
        read_ratings(files, key, people)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "SECRET" not in sentence
    return sentence


def cell_of(book: Any, name: str, place: int = 0) -> Any:
    """The cell of a column in the first rows to fill."""
    page = book["Preferences" if name == "preference" else "Ratings"]
    column = [cell.value for cell in page[1]].index(name) + 1
    return page.cell(place + 2, column)
