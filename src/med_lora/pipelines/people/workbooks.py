"""A rating sheet as an Excel workbook without macros and formulas."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from io import BytesIO
from itertools import zip_longest
from typing import Any

from med_lora.parameters.rubric import SCALE
from med_lora.pipelines.people.sheets import CHOICES, EMPTY_ANSWER, Item, Sheet, displayed

INSTRUCTIONS = (
    "Rate each answer by itself on every axis, from 1 (worst) to 5 (best); the axes are described below.",
    "Answers to one question lie apart on purpose, and nobody tells where an answer is from.",
    "Fill the coloured cells. Leave a cell empty where you cannot say, and write why into the comment.",
    "A long answer goes on in the rows below it; its scores belong into its first row.",
    "Save the file as .xlsx under any name and send it back.",
)
COMPARING = "Last, the worksheet Preferences shows two answers at a time: choose A, B or tie."
# A row can be 409 points high, so a longer text needs several rows to be seen. No cell holds 32,768 characters.
_ROW_LINES = 26
_LINE_POINTS = 15
_QUESTION_WIDTH = 40
_ANSWER_WIDTH = 72
_PROMPT_CHARACTERS = 255
# Excel reads _x0041_ inside of a text as the letter A.
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_MODIFIED = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first that a zip archive can state


def write_workbook(sheet: Sheet) -> bytes:
    """The workbook: instructions, a worksheet of answers to rate, and one of answers to compare where there are any.

    Only the cells to fill are unlocked, and every text is stored as text, whatever it begins with. An answer that is
    longer than a row can show goes on in further rows of the same item. Equal sheets give equal bytes.
    """
    from openpyxl import Workbook

    book = Workbook()
    _fill_instructions(book.active, sheet)
    axes = [axis.name for axis in sheet.axes]
    rated = [item for item in sheet.items if len(item.arms) == 1]
    _fill_items(book.create_sheet("Ratings"), sheet, rated, ["answer"], axes)
    compared = [item for item in sheet.items if len(item.arms) > 1]
    if compared:
        _fill_items(
            book.create_sheet("Preferences"),
            sheet,
            compared,
            [f"answer {choice}" for choice in CHOICES[:2]],
            ["preference"],
        )
    stream = BytesIO()
    book.save(stream)
    return _without_clock(stream.getvalue())


def split_text(text: str, width: int) -> list[list[str]]:
    """The text as lines of ``width`` characters at most, in parts that fill a row of the sheet each.

    Lines end at white space where they can; joined they are the text.
    """
    lines = re.findall(rf"[^\n]{{0,{width}}}(?:\n|\Z)|[^\n]{{1,{width}}}[ \t]|[^\n]{{1,{width}}}", text)
    return [lines[start : start + _ROW_LINES] for start in range(0, len(lines), _ROW_LINES)]


def _fill_instructions(page: Any, sheet: Sheet) -> None:
    from openpyxl.styles import Font

    page.title = "Instructions"
    page.column_dimensions["A"].width = 24
    page.column_dimensions["B"].width = 60
    _put(page.cell(1, 1), f"Rating sheet of {sheet.rater}, {len(sheet.items)} items").font = Font(bold=True, size=14)
    compares = any(len(item.arms) > 1 for item in sheet.items)
    steps = [*INSTRUCTIONS[:-1], *([COMPARING] if compares else []), INSTRUCTIONS[-1]]
    for row, step in enumerate(steps, start=2):
        _put(page.cell(row, 1), step, wrap=False)
    below = len(steps) + 3
    for column, title in enumerate(["axis", "question", *map(str, SCALE)], start=1):
        _put(page.cell(below, column), title).font = Font(bold=True)
    for row, axis in enumerate(sheet.axes, start=below + 1):
        texts = [axis.name, axis.question, *(axis.anchors.get(score, "") for score in SCALE)]
        for column, text in enumerate(texts, start=1):
            _put(page.cell(row, column), text)
    for letter in "CDEFG":
        page.column_dimensions[letter].width = 28
    page.protection.sheet = True


def _fill_items(page: Any, sheet: Sheet, items: Sequence[Item], answers: Sequence[str], asked: Sequence[str]) -> None:
    """One worksheet: number, question, answers, a column for each thing asked, comment, codes."""
    from openpyxl.styles import Font, PatternFill

    header = ["no.", "question", *answers, *asked, "comment", "item", "sheet"]
    for column, name in enumerate(header, start=1):
        cell = _put(page.cell(1, column), name)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDE3EA")
    widths = [
        7,
        _QUESTION_WIDTH,
        *[_ANSWER_WIDTH] * len(answers),
        *[max(14, len(name) + 3) for name in asked],
        40,
        14,
        26,
    ]
    for place, width in enumerate(widths):
        page.column_dimensions[_letter(place + 1)].width = width
    first_asked = 3 + len(answers)
    to_fill = range(first_asked, first_asked + len(asked) + 1)
    rows = []
    row = 2
    for item in items:
        rows.append(row)
        for column in to_fill:
            _open_for_input(page.cell(row, column), is_text=column == to_fill[-1])
        row = _put_item(page, row, item, len(header), sheet.code)
    _validate(page, sheet, dict(zip(asked, to_fill, strict=False)), rows)
    _set_up(page)


def _put_item(page: Any, row: int, item: Item, width: int, code: str) -> int:
    """Write an item's texts into as many rows as they need; the row after the last."""
    texts = [item.question, *(answer if answer.strip() else EMPTY_ANSWER for answer in item.answers)]
    parts = [split_text(text, _ANSWER_WIDTH if place else _QUESTION_WIDTH) for place, text in enumerate(texts)]
    nothing: list[str] = []
    for number, shown in enumerate(zip_longest(*parts, fillvalue=nothing)):
        _put(page.cell(row, 1), f"{item.position} ..." if number else f"{item.position}")
        for column, lines in enumerate(shown, start=2):
            _put(page.cell(row, column), "".join(lines))
        _put(page.cell(row, width - 1), item.code)
        _put(page.cell(row, width), code)
        page.row_dimensions[row].height = min(409, (max(map(len, shown)) + 1) * _LINE_POINTS)
        row += 1
    return row


def _put(cell: Any, text: str, wrap: bool = True) -> Any:
    """Store text as text: openpyxl would make a formula of what begins with ``=``, an error value of ``#N/A``."""
    from openpyxl.styles import Alignment

    cell.value = _ESCAPE.sub("_x005F_", displayed(text))
    cell.data_type = "s"
    # Text format, so that a cell stays text when somebody types in it.
    cell.number_format = "@"
    cell.alignment = Alignment(wrap_text=wrap, vertical="top")
    return cell


def _open_for_input(cell: Any, is_text: bool) -> None:
    from openpyxl.styles import Alignment, Border, PatternFill, Protection, Side

    line = Side(style="thin", color="B8A24A")
    cell.protection = Protection(locked=False)
    cell.fill = PatternFill("solid", fgColor="FFF8DC")
    cell.border = Border(left=line, right=line, top=line, bottom=line)
    cell.alignment = Alignment(wrap_text=True, vertical="top", horizontal="left" if is_text else "center")
    cell.number_format = "@" if is_text else "General"


def _validate(page: Any, sheet: Sheet, columns: dict[str, int], rows: Sequence[int]) -> None:
    """A list to choose from in each cell that takes a score or a preference, with the axis in words beside it."""
    from openpyxl.worksheet.datavalidation import DataValidation

    axes = {axis.name: axis for axis in sheet.axes}
    for name, column in columns.items():
        options = list(map(str, SCALE)) if name in axes else list(CHOICES)
        if name in axes:
            anchors = "; ".join(f"{score} {text}" for score, text in sorted(axes[name].anchors.items()))
            prompt = displayed(f"{axes[name].question} {anchors}")
        else:
            prompt = "Which answer is better?"
        rule = DataValidation("list", formula1=f'"{",".join(options)}"', allow_blank=True, showErrorMessage=True)
        rule.error = f"Choose one of {', '.join(options)}."
        rule.promptTitle = name[:32]
        rule.prompt = prompt if len(prompt) <= _PROMPT_CHARACTERS else f"{prompt[: _PROMPT_CHARACTERS - 3]}..."
        rule.showInputMessage = True
        for row in rows:
            rule.add(f"{_letter(column)}{row}")
        page.add_data_validation(rule)


def _set_up(page: Any) -> None:
    page.freeze_panes = "B2"
    page.protection.sheet = True
    page.protection.formatColumns = False  # False allows it: a rater may widen a column
    page.protection.formatRows = False
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr.fitToPage = True
    page.print_title_rows = "1:1"


def _letter(column: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(column))


def _without_clock(content: bytes) -> bytes:
    """The workbook with the first time that a zip archive can state, in place of now."""
    stream = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as source, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            member = source.read(name)
            if name == "docProps/core.xml":
                member = _MODIFIED.sub(rb"\g<1>1980-01-01T00:00:00Z", member)
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, member)
    return stream.getvalue()
