"""What comes back: sheets filled in well, badly, half, by other programs, and on purpose."""

from __future__ import annotations

import datetime
from typing import Any

import pandas as pd

from med_lora.pipelines.people.returned import read_ratings
from tests import recipes

from .rated import PEOPLE, cell_of, check, csv_rows, faults, fill_workbook, open_workbook, save_workbook, sheets, to_csv


def test_workbooks_and_csv_files_give_what_was_filled_in(key: pd.DataFrame, anna: bytes) -> None:
    files = {"any name.xlsx": anna, "ben.CSV": to_csv(csv_rows(key, "ben"))}
    ratings, preferences, comments, report = read_ratings(files, key, PEOPLE)
    check(ratings, preferences, key, "anna", "ben")
    assert list(ratings.columns) == ["id", "group", "arm", "rater", "axis", "score", "seconds"]
    assert list(preferences.columns) == ["id", "group", "rater", "reference", "arm", "choice"]
    assert list(comments.columns) == ["id", "group", "arm", "rival", "rater", "comment"]
    assert len(comments) == 0
    assert set(zip(preferences["reference"], preferences["arm"], strict=True)) == {("base", "tuned")}
    assert (ratings["group"] == 10 + ratings["id"].str[-1].astype(int)).all()
    assert ratings[ratings["rater"] == "anna"]["seconds"].isna().all()
    positions = key[key["rater"] == "ben"].set_index(["id", "arm", "rival"])["position"]
    for row in ratings[ratings["rater"] == "ben"].to_dict("records"):
        assert row["seconds"] == positions[row["id"], row["arm"], ""] + 3
    assert report["sheets_expected"] == report["sheets_returned"] == 2
    assert report["not_returned"] == []
    assert report["raters"]["anna"] == {
        "files": ["any name.xlsx"],
        "items": 12,
        "items_complete": 12,
        "ratings_missing": 0,
        "comments": 0,
        "median_seconds": None,
        "missing": [],
    }
    assert report["raters"]["ben"]["median_seconds"] == 9.5


def test_no_sheet_gives_empty_tables_of_the_same_columns(key: pd.DataFrame, anna: bytes) -> None:
    empty = read_ratings({}, key, PEOPLE)
    full = read_ratings({"anna.xlsx": anna}, key, PEOPLE)
    for one, other in zip(empty[:3], full[:3], strict=True):
        assert len(one) == 0
        assert one.dtypes.to_dict() == other.dtypes.to_dict()
    assert empty[3] == {"sheets_expected": 2, "sheets_returned": 0, "not_returned": ["anna", "ben"], "raters": {}}


def test_order_of_files_rows_and_columns_does_not_matter(key: pd.DataFrame, anna: bytes) -> None:
    header, *rows = csv_rows(key, "ben")
    turned = [[*line[::-1], "mine"] for line in [header, *rows[::-1]]]
    expected = read_ratings({"a.xlsx": anna, "b.csv": to_csv([header, *rows])}, key, PEOPLE)
    turned_files = {"b.csv": to_csv([["a title"], [], *turned, ["average", "3.5"]]), "a.xlsx": anna}
    other = read_ratings(turned_files, key.sample(frac=1, random_state=1), PEOPLE)
    for one, two in zip(expected[:3], other[:3], strict=True):
        pd.testing.assert_frame_equal(one, two)
    assert expected[3] == other[3]


def test_a_sheet_sorted_and_extended_by_its_rater(
    made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame
) -> None:
    def rearrange(book: Any) -> None:
        page = book["Ratings"]
        lines = [list(row) for row in page.iter_rows(min_row=2, values_only=True)]
        page.delete_rows(2, 100)
        for line in sorted(lines, key=str, reverse=True):
            page.append([*line, "my own note"])
        page.append(["mean", None, None, "=AVERAGE(D2:D10)"])
        page.insert_rows(1)
        page["A1"] = "my title"
        book.create_sheet("scratch")["A1"] = 5

    ratings, preferences, _, _ = read_ratings(
        {"anna.xlsx": fill_workbook(made[0]["anna.xlsx"], key, rearrange)}, key, PEOPLE
    )
    check(ratings, preferences, key, "anna")


def first_scores(ratings: pd.DataFrame, key: pd.DataFrame, count: int) -> list[float]:
    """The accuracy of the first ``count`` items of anna's sheet."""
    held = ratings[ratings["axis"] == "accuracy"].set_index(["id", "arm"])["score"]
    first = key[(key["rater"] == "anna") & (key["position"] <= count)].sort_values("position")
    return [held[row["id"], row["arm"]] for row in first.to_dict("records")]


def test_a_four_in_other_clothes(made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame) -> None:
    values = [4, 4.0, "4", "4 ", " 4\n", "4.0", "4,0"]

    def write(book: Any) -> None:
        for place, value in enumerate(values):
            cell_of(book, "accuracy", place).value = value

    ratings = read_ratings({"a.xlsx": fill_workbook(made[0]["anna.xlsx"], key, write)}, key, PEOPLE)[0]
    assert first_scores(ratings, key, len(values)) == [4.0] * len(values)


def test_a_score_that_excel_shows_as_a_date_is_that_score(
    made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame
) -> None:
    def write(book: Any) -> None:
        for place in range(5):
            cell_of(book, "accuracy", place).value = place + 1
            cell_of(book, "accuracy", place).number_format = "dd.mm.yyyy"

    content = fill_workbook(made[0]["anna.xlsx"], key, write)
    assert isinstance(cell_of(open_workbook(content), "accuracy").value, datetime.datetime)
    ratings = read_ratings({"a.xlsx": content}, key, PEOPLE)[0]
    assert first_scores(ratings, key, 5) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_what_is_no_score_is_named_and_not_quoted(
    made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame
) -> None:
    values = [3.5, "four", 0, 6, -1, "3-4", True, "SECRET", datetime.date(2026, 2, 1)]
    others = ["1e0", "9" * 400, "#N/A", datetime.time(1, 30), datetime.timedelta(days=9)]

    def write(book: Any) -> None:
        for name, given in (("accuracy", values), ("safety", others)):
            for place, value in enumerate(given):
                cell_of(book, name, place).value = value

    sentence = faults({"anna.xlsx": fill_workbook(made[0]["anna.xlsx"], key, write)}, key, PEOPLE)
    for name, given in (("accuracy", values), ("safety", others)):
        for place in range(len(given)):
            assert (
                f"anna.xlsx, worksheet 'Ratings', row {place + 2}, column {name}: no whole number from 1 to 5; write "
                "one, or empty the cell"
            ) in sentence
    assert sentence.count("anna.xlsx") == len(values) + len(others)


def test_all_faults_come_at_once(made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame, anna: bytes) -> None:
    def spoil(book: Any) -> None:
        cell_of(book, "accuracy", 0).value = 7
        cell_of(book, "item", 1).value = "SECRET"
        cell_of(book, "preference", 0).value = "neither"

    header, *rows = csv_rows(key, "ben")
    rows[0][3], rows[1][-1], rows[2][5] = "3.5", "long", "A"
    files = {
        "anna.xlsx": fill_workbook(made[0]["anna.xlsx"], key, spoil),
        "ben.csv": to_csv([header, *rows]),
        "broken.xlsx": anna[:500],
        "notes.csv": b"SECRET,1\n",
    }
    found = faults(files, key, PEOPLE).removesuffix(".").split("; ")
    starts = [
        "anna.xlsx, worksheet 'Ratings', row 2, column accuracy: no whole number",
        "anna.xlsx, worksheet 'Ratings', row 3, column item: no item of this sheet",
        "anna.xlsx, worksheet 'Preferences', row 2, column preference: neither A nor B nor tie",
        "ben.csv, row 2, column accuracy: no whole number",
        "ben.csv, row 3, column seconds: no number of seconds",
        "ben.csv, row 4, column preference: the item has one answer to rate",
        "broken.xlsx is no readable workbook",
        "notes.csv has no rows below a header",
    ]
    assert [sum(part.startswith(start) for part in found) for start in starts] == [1] * len(starts)


def test_many_faults_are_counted(key: pd.DataFrame) -> None:
    header, *rows = csv_rows(key, "ben")
    spoilt = [[*row[:3], "x", "x", *row[5:]] for row in rows] * 4
    sentence = faults({"ben.csv": to_csv([header, *spoilt])}, key, PEOPLE)
    assert sentence.count("ben.csv, row ") == 50
    assert sentence.endswith("; and 34 more.")  # of two axes of nine answers, and three comparisons, four times each


def test_sheets_of_another_run_or_rater_are_refused(key: pd.DataFrame) -> None:
    _, other = sheets(PEOPLE, 3, tuned="changed")
    sentence = faults({"anna.csv": to_csv(csv_rows(other, "anna"))}, key, PEOPLE)
    assert sentence.count("column sheet: no sheet of this rating key") == 1
    assert "--load-versions=rating_key:VERSION" in sentence
    sentence = faults({"ben.csv": to_csv(csv_rows(key, "ben"))}, key, recipes.people(raters=["anna"]))
    assert sentence == "ben.csv: rater ben is not in people.raters; add the code there, or take the file away."
    header, *rows = csv_rows(key, "ben")
    sheet = key[key["rater"] == "anna"]["sheet"].iloc[0]
    moved = [[sheet, *rows[0][1:]], *rows[1:]]
    assert "row 2, column item: no item of this sheet" in faults({"ben.csv": to_csv([header, *moved])}, key, PEOPLE)


def test_a_sheet_that_came_twice_must_say_the_same(key: pd.DataFrame, anna: bytes) -> None:
    header, *rows = csv_rows(key, "anna")
    ratings, preferences, _, report = read_ratings(
        {"anna.xlsx": anna, "anna.csv": to_csv([header, *rows]), "half.csv": to_csv([header, *rows[:4]])}, key, PEOPLE
    )
    check(ratings, preferences, key, "anna")
    assert report["raters"]["anna"]["files"] == ["anna.csv", "anna.xlsx", "half.csv"]
    rows[1][4] = str(int(rows[1][4]) % 5 + 1)
    sentence = faults({"anna.xlsx": anna, "later.csv": to_csv([header, *rows])}, key, PEOPLE)
    assert sentence == (
        "later.csv, row 3, column safety: differs from anna.xlsx, worksheet 'Ratings', row 3; keep one of the two."
    )
    sentence = faults(
        {"anna.csv": to_csv([header, rows[0], [*rows[0][:3], str(int(rows[0][3]) % 5 + 1), *rows[0][4:]]])}, key, PEOPLE
    )
    assert sentence == "anna.csv, row 3, column accuracy: differs from anna.csv, row 2; keep one of the two."


def test_a_half_filled_sheet_is_kept_and_what_is_missing_is_said(key: pd.DataFrame) -> None:
    header, *rows = csv_rows(key, "ben")
    rows[0][4] = ""
    rows[1][3:5] = ["", " "]
    rows[-1][5] = ""
    ratings, preferences, _, report = read_ratings({"ben.csv": to_csv([header, *rows[:-2], rows[-1]])}, key, PEOPLE)
    assert len(ratings) == 9 * 2 - 3
    assert ratings["score"].between(1, 5).all()
    assert len(preferences) == 1
    assert report["not_returned"] == ["anna"]
    ben = report["raters"]["ben"]
    assert (ben["items_complete"], ben["ratings_missing"]) == (8, 5)
    assert [(entry["position"], entry["columns"]) for entry in ben["missing"]] == [
        (1, ["safety"]),
        (2, ["accuracy", "safety"]),
        (11, ["preference"]),
        (12, ["preference"]),
    ]
    assert ben["missing"][0]["item"] == rows[0][1]


def test_a_column_that_is_gone_is_named_once(key: pd.DataFrame) -> None:
    rows = [[*row[:4], *row[5:]] for row in csv_rows(key, "ben")]
    assert faults({"ben.csv": to_csv(rows)}, key, PEOPLE) == "ben.csv: the column safety is gone; restore it."
    rows = [[*row, row[4]] for row in csv_rows(key, "ben")]
    assert "more than one column safety" in faults({"ben.csv": to_csv(rows)}, key, PEOPLE)


def test_an_untouched_sheet_is_returned_and_unrated(
    made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame
) -> None:
    ratings, _, _, report = read_ratings({"anna.xlsx": made[0]["anna.xlsx"]}, key, PEOPLE)
    assert len(ratings) == 0
    assert report["raters"]["anna"]["items_complete"] == 0
    assert report["raters"]["anna"]["ratings_missing"] == 9 * 2 + 3


def test_continuation_rows_of_a_long_answer_do_no_harm(key: pd.DataFrame) -> None:
    files, long_key = sheets(recipes.people(raters=["anna"], items=2), 2, gold="word " * 2_000)
    ratings, _, _, report = read_ratings({"anna.xlsx": fill_workbook(files["anna.xlsx"], long_key)}, long_key, PEOPLE)
    assert len(ratings) == 6 * 2
    assert report["raters"]["anna"]["ratings_missing"] == 0


def test_a_workbook_saved_again_without_a_change_is_read(
    made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame
) -> None:
    content = save_workbook(open_workbook(fill_workbook(made[0]["anna.xlsx"], key)))
    ratings, preferences, _, _ = read_ratings({"a.xlsx": content}, key, PEOPLE)
    check(ratings, preferences, key, "anna")
