"""The report of an experiment as an HTML file, with a preview that shows numbers and no text of records."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser

from kedro_datasets._typing import HTMLPreview  # kedro-viz tells previews apart by these names
from kedro_datasets.text import TextDataset

# Tables of the report by id, which hold names of metrics, numbers and notes of the software alone.
PREVIEWED_TABLES = {
    "comparison": "Base and tuned model",
    "best-controls": "Null controls",
    "conduct": "What the answers are like",
    "forgetting": "General English",
}
_TAGS = {"h1", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "small"}
_CELL = ' style="padding: 2px 14px 2px 0; text-align: left; vertical-align: top"'
_STYLES = {"th": _CELL, "td": _CELL, "small": ' style="display: block; opacity: .7"'}


class ReportDataset(TextDataset):
    """A text file with a preview for kedro-viz."""

    def preview(self) -> HTMLPreview:
        """Name of the experiment, headline and the tables of ``PREVIEWED_TABLES``.

        Only what is known to hold no text of a record is taken over, so that a section which is new to the report stays
        out of sight.
        """
        excerpt = _Excerpt()
        excerpt.feed(self.load())
        excerpt.close()
        return HTMLPreview("".join(excerpt.parts))


class _Excerpt(HTMLParser):
    """The previewed elements of a page, without their attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._outermost = ""  # the tag of the previewed element that is open
        self._depth = 0  # of tags like it

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if not self._depth:
            title = PREVIEWED_TABLES.get(given.get("id", "")) if tag == "table" else None
            if title:
                self.parts.append(f"<h2>{title}</h2>")
            elif tag != "h1" and "headline" not in given.get("class", "").split():
                return
            self._outermost = tag
        self._depth += tag == self._outermost
        if tag in _TAGS:
            self.parts.append(f"<{tag}{_STYLES.get(tag, '')}>")

    def handle_endtag(self, tag: str) -> None:
        if self._depth and tag in _TAGS:
            self.parts.append(f"</{tag}>")
        self._depth -= bool(self._depth) and tag == self._outermost

    def handle_data(self, data: str) -> None:
        # without line breaks, which kedro-viz takes for Markdown
        if self._depth and data.strip():
            self.parts.append(escape(re.sub(r"\s+", " ", data), quote=False))
