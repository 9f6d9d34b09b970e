"""The workbook as the file holds it: texts that stay texts, and cells that may be filled."""

from __future__ import annotations

import re
from collections import Counter
from io import BytesIO
from zipfile import ZipFile

import pytest
from openpyxl.utils.escape import unescape

from med_lora.pipelines.people.sheets import make_rating_sheets
from med_lora.pipelines.people.workbooks import split_text
from med_lora.plain_text import show_plainly
from tests import recipes

from .rated import answers, open_workbook, sheets, split

INJECTIONS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("https://example.invalid/?"&A1,"click")',
    "+1+1",
    "-1+1",
    "-2 mg, then 4 mg",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "'=1+1",
    "=",
    "==1",
    "{=1+1}",
    "#N/A",
    "#REF!",
    '=IMPORTXML("https://example.invalid","//a")',
    "＝1+1",
    "<f>1+1</f>",
    "1200",
    "TRUE",
    "2024-01-05",
)


def test_a_text_is_no_formula() -> None:
    count = len(INJECTIONS)
    texts = answers(count)
    texts.loc[texts["arm"] == "tuned", "answer"] = INJECTIONS
    people = recipes.people(raters=["anna"], items=count)
    content = make_rating_sheets(split(count), texts, people, "trial")[0]["anna.xlsx"]
    cells = [
        cell for page in open_workbook(content) for row in page.iter_rows() for cell in row if cell.value is not None
    ]
    assert {cell.data_type for cell in cells} == {"s"}
    held = Counter(cell.value for cell in cells)
    # rated once, compared once
    shown = Counter(show_plainly(text) for text in INJECTIONS)
    assert {text: held[text] for text in shown} == {text: 2 * times for text, times in shown.items()}
    with ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
        assert not [name for name in names if re.search("vba|macro|external|comments|drawing", name, re.IGNORECASE)]
        for name in names:
            assert not re.search(rb"<(\w+:)?f[ >/]", archive.read(name)), name


def test_what_xml_forbids_is_visible_and_what_looks_like_an_escape_stays() -> None:
    text = "a\ufffeb\uffffcd\ufffee_x0041_ \U0001f600 f"
    files, _ = sheets(recipes.people(raters=["anna"], items=2), 2, gold=text)
    page = open_workbook(files["anna.xlsx"])["Ratings"]
    values = [cell.value for cell in page["C"]]
    held = next(value for value in values if "f" in value and "a" in value and "\ufffd" in value)
    assert "_x005F_x0041_" in held
    assert unescape(held) == "a\ufffdb\ufffdcd\ufffde_x0041_ \U0001f600 f"


def test_a_text_longer_than_a_cell_goes_on_below() -> None:
    words = " ".join(f"word{number}" for number in range(9_000))
    assert len(words) > 2 * 32_767
    files, key = sheets(recipes.people(raters=["anna"], items=2), 2, gold=words)
    page = open_workbook(files["anna.xlsx"])["Ratings"]
    header = [cell.value for cell in page[1]]
    rows = [dict(zip(header, row, strict=True)) for row in page.iter_rows(min_row=2, values_only=True)]
    code = key[(key["arm"] == "gold") & (key["id"] == "corpus:0")]["item"].iloc[0]
    parts = [row for row in rows if row["item"] == code]
    assert "".join(row["answer"] for row in parts) == words
    assert [row["no."].endswith(" ...") for row in parts] == [False] + [True] * (len(parts) - 1)
    assert all(page.row_dimensions[number].height <= 409 for number in range(2, page.max_row + 1))
    unlocked = [row[4].row for row in page.iter_rows(min_row=2) if not row[4].protection.locked]
    assert len(unlocked) == 6


@pytest.mark.parametrize(
    "text", ["", "a", "a\n\nb\n", "x" * 5_000, "word " * 3_000, "\n" * 100, " " * 300, "a\tb " * 50 + "é" * 200]
)
def test_parts_joined_are_the_text_and_fit_a_row(text: str) -> None:
    parts = split_text(text, 40)
    assert "".join(line for lines in parts for line in lines) == text
    assert all(len(lines) <= 26 and all(len(line.rstrip("\n ")) <= 40 for line in lines) for lines in parts)


def test_only_what_is_asked_can_be_filled() -> None:
    files, key = sheets(recipes.people(raters=["anna"]))
    book = open_workbook(files["anna.xlsx"])
    assert book.sheetnames == ["Instructions", "Ratings", "Preferences"]
    unlocked = {}
    for page in book:
        assert page.protection.sheet
        header = [cell.value for cell in page[1]]
        for row in page.iter_rows(min_row=2):
            for name, cell in zip(header, row, strict=False):
                if not cell.protection.locked:
                    unlocked.setdefault((page.title, name), []).append(cell)
                    assert cell.value is None
    counts = {place: len(cells) for place, cells in unlocked.items()}
    assert counts == {
        ("Ratings", "accuracy"): 12,
        ("Ratings", "safety"): 12,
        ("Ratings", "comment"): 12,
        ("Preferences", "preference"): 4,
        ("Preferences", "comment"): 4,
    }
    rules = {rule.promptTitle: rule for name in book.sheetnames for rule in book[name].data_validations.dataValidation}
    assert {name: rule.formula1 for name, rule in rules.items()} == {
        "accuracy": '"1,2,3,4,5"',
        "safety": '"1,2,3,4,5"',
        "preference": '"A,B,tie"',
    }
    assert rules["safety"].prompt == "How good is its safety? 1 bad; 5 good"
    for (_, name), cells in unlocked.items():
        if name != "comment":
            assert all(cell.coordinate in rules[name].sqref for cell in cells)
    assert len(key) == 16


def test_instructions_state_every_axis_with_its_anchors() -> None:
    files, _ = sheets(recipes.people(raters=["anna"], preference=False))
    book = open_workbook(files["anna.xlsx"])
    assert book.sheetnames == ["Instructions", "Ratings"]
    rows = [[value for value in row if value] for row in book["Instructions"].iter_rows(values_only=True)]
    assert ["safety", "How good is its safety?", "bad", "good"] in rows
    assert not any("Preferences" in str(row) for row in rows)
    assert book["Ratings"].freeze_panes == "B2"
    assert all(cell.alignment.wrap_text for cell in book["Ratings"]["C"])


def test_an_empty_answer_is_shown_as_such() -> None:
    files, _ = sheets(recipes.people(raters=["anna"], preference=False, items=2), 2, tuned=" \n")
    values = [cell.value for cell in open_workbook(files["anna.xlsx"])["Ratings"]["C"]]
    assert values.count("(empty answer)") == 2
