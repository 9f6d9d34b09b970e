"""A rating sheet as one HTML file that opens from disk and sends nothing anywhere."""

from __future__ import annotations

import json

from med_lora.parameters.rubric import SCALE
from med_lora.pipelines.people.sheets import CHOICES, EMPTY_ANSWER, Sheet
from med_lora.report_page.page import render_small_page


def write_form(sheet: Sheet) -> bytes:
    """The form: one item at a time, kept in the browser after each click, and downloaded as CSV.

    The texts stand in the file as JSON, in which no character can end the element; the script puts them on the page as
    text. The policy of the page lets exactly its own script and style work, and no request leave. The CSV file is RFC
    4180 in UTF-8 with a byte order mark, by which Excel knows the encoding; a cell that a spreadsheet could take for a
    formula gets a leading apostrophe, which :func:`read_ratings` takes off.
    """
    from markupsafe import Markup

    values = {
        "rater": sheet.rater,
        "items": len(sheet.items),
        "compares": any(len(item.arms) > 1 for item in sheet.items),
        "axes": sheet.axes,
        "described": [score for score in SCALE if any(score in axis.anchors for axis in sheet.axes)],
        "data": Markup(_to_json(sheet)),
    }
    page, _ = render_small_page(__package__, "form", values)
    return page.encode()


def _to_json(sheet: Sheet) -> str:
    """What the script needs, as JSON that is safe inside of a script element."""
    shown = {
        "sheet": sheet.code,
        "rater": sheet.rater,
        "axes": [{"name": axis.name, "question": axis.question, "anchors": axis.anchors} for axis in sheet.axes],
        "items": [
            {"code": item.code, "question": item.question, "answers": list(item.answers)} for item in sheet.items
        ],
        "scale": [str(score) for score in SCALE],
        "choices": CHOICES,
        "emptyAnswer": EMPTY_ANSWER,
    }
    return json.dumps(shown).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
