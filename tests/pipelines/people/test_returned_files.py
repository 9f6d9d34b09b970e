"""Files as other programs write them, damaged ones, and ones made to do harm."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pandas as pd
import pytest

from med_lora.pipelines.people import returned_rows
from med_lora.pipelines.people.returned import read_ratings

from .rated import PEOPLE, cell_of, check, csv_rows, faults, fill_workbook, open_workbook, to_csv


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_csv_as_spreadsheets_of_other_countries_write_it(key: pd.DataFrame, separator: str, encoding: str) -> None:
    comment = 'Größe; 5 µg, "täglich"\nzweite Zeile'
    header, *rows = csv_rows(key, "ben")
    rows[0][6] = comment
    content = to_csv([header, *rows], separator, encoding)
    ratings, preferences, comments, _ = read_ratings({"ben.csv": content}, key, PEOPLE)
    check(ratings, preferences, key, "ben")
    assert list(comments["comment"]) == [comment]


def test_a_worksheet_that_a_german_excel_saved_as_csv(anna: bytes, key: pd.DataFrame) -> None:
    pages = [
        [["" if value is None else str(value) for value in row] for row in page.iter_rows(values_only=True)]
        for page in open_workbook(anna).worksheets[1:]
    ]
    files = {f"{number}.csv": to_csv(rows, ";", "cp1252") for number, rows in enumerate(pages)}
    ratings, preferences, _, report = read_ratings(files, key, PEOPLE)
    check(ratings, preferences, key, "anna")
    assert report["raters"]["anna"]["files"] == ["0.csv", "1.csv"]


@pytest.mark.parametrize(
    ("cell", "comment"),
    [
        ("'=1+1", "=1+1"),
        ("'-no", "-no"),
        ("'\t=1", "\t=1"),
        ("' @x", " @x"),
        ("''=1", "'=1"),
        ("'quoted'", "'quoted'"),
        ("=1+1", "=1+1"),
        ("it's -1", "it's -1"),
    ],
)
def test_the_apostrophe_of_the_form_is_taken_off(key: pd.DataFrame, cell: str, comment: str) -> None:
    header, *rows = csv_rows(key, "ben")
    rows[0][6] = cell
    assert list(read_ratings({"ben.csv": to_csv([header, *rows])}, key, PEOPLE)[2]["comment"]) == [comment]


def test_comments_of_a_workbook_stay_as_typed(made: tuple[dict[str, bytes], pd.DataFrame], key: pd.DataFrame) -> None:
    def write(book: Any) -> None:
        for place, comment in enumerate(["'=1", "two\nlines", 5, "  "]):
            cell_of(book, "comment", place).value = comment

    comments = read_ratings({"a.xlsx": fill_workbook(made[0]["anna.xlsx"], key, write)}, key, PEOPLE)[2]
    assert sorted(comments["comment"]) == ["'=1", "5", "two\nlines"]


XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
FORMATS = "http://schemas.openxmlformats.org"
MAIN = f'xmlns="{FORMATS}/spreadsheetml/2006/main"'
LINKS = f"{FORMATS}/officeDocument/2006/relationships"
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
LIBRE_OFFICE = {
    "[Content_Types].xml": f'{XML}<Types xmlns="{FORMATS}/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{SHEET_TYPE}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{SHEET_TYPE}.worksheet+xml"/>'
    f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHEET_TYPE}.sharedStrings+xml"/></Types>',
    "_rels/.rels": f'{XML}<Relationships xmlns="{FORMATS}/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'{XML}<workbook {MAIN} xmlns:r="{LINKS}"><fileVersion appName="Calc"/>'
    '<sheets><sheet name="Bewertungen" sheetId="1" state="visible" r:id="rId3"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'{XML}<Relationships xmlns="{FORMATS}/package/2006/relationships">'
    f'<Relationship Id="rId3" Type="{LINKS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="rId4" Type="{LINKS}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
}


def libre_office(rows: list[list[str]], tail: str = "", strings_head: str = "", dimension: str = "A1:A2") -> bytes:
    """A workbook of one worksheet as Calc writes it: shared strings, numbers as numbers, a range that is too small."""
    texts = sorted({value for row in rows for value in row if value and not value.isdigit()})
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = []
        for place, value in enumerate(row):
            name = f"{chr(65 + place)}{number}"
            if value.isdigit():
                cells.append(f'<c r="{name}" s="7"><v>{value}</v></c>')
            elif value:
                cells.append(f'<c r="{name}" s="3" t="s"><v>{texts.index(value)}</v></c>')
            else:
                cells.append(f'<c r="{name}" s="7"/>')
        lines.append(f'<row r="{number}" customFormat="false" ht="12.8" hidden="false">{"".join(cells)}</row>')
    page = f'<worksheet {MAIN}><dimension ref="{dimension}"/><sheetData>{"".join(lines)}{tail}</sheetData></worksheet>'
    strings = "".join(f'<si><t xml:space="preserve">{text}</t></si>' for text in texts)
    files = LIBRE_OFFICE | {
        "xl/worksheets/sheet1.xml": page,
        "xl/sharedStrings.xml": f'{strings_head}<sst {MAIN} count="9" uniqueCount="9">{strings}</sst>',
    }
    stream = BytesIO()
    with ZipFile(stream, "w", ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


def test_a_workbook_as_libreoffice_saves_it(key: pd.DataFrame) -> None:
    empty_tail = '<row r="1048576" customFormat="false" ht="12.8"/>'
    content = libre_office(csv_rows(key, "ben"), empty_tail)
    ratings, preferences, _, _ = read_ratings({"ben.xlsx": content}, key, PEOPLE)
    check(ratings, preferences, key, "ben")


def test_damaged_and_hostile_files_are_bounded(key: pd.DataFrame, anna: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = csv_rows(key, "ben")
    bomb = '<!DOCTYPE x [<!ENTITY a "SECRET"><!ENTITY b "&a;&a;">]>'
    assert "no readable workbook" in faults({"b.xlsx": libre_office(rows, strings_head=bomb)}, key, PEOPLE)
    far = '<row r="999999999999"><c r="A999999999999"><v>1</v></c></row>'
    assert "more rows or columns" in faults({"b.xlsx": libre_office(rows, far)}, key, PEOPLE)
    assert "Excel 2003" in faults({"b.xlsx": b"\xd0\xcf\x11\xe0SECRET"}, key, PEOPLE)
    assert "no readable workbook" in faults({"b.xlsx": b"SECRET"}, key, PEOPLE)
    assert "no rows below a header" in faults({"b.csv": b""}, key, PEOPLE)
    assert "unknown encoding" in faults({"b.csv": b"sheet,item\n\x81SECRET\n"}, key, PEOPLE)
    monkeypatch.setattr(returned_rows, "MAX_CELLS", 30_000)
    wide = "".join(f'<row r="{number}"><c r="XFD{number}"/></row>' for number in (20, 21))
    assert "more rows or columns" in faults({"b.xlsx": libre_office(rows, wide)}, key, PEOPLE)
    monkeypatch.setattr(returned_rows, "MAX_UNPACKED_BYTES", 1000)
    assert "unpacks to more than 1000" in faults({"a.xlsx": anna}, key, PEOPLE)
    monkeypatch.setattr(returned_rows, "MAX_ROWS", 5)
    assert "more than 5 filled rows" in faults({"b.csv": to_csv(rows)}, key, PEOPLE)
