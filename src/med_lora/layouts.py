"""What the records of each layout hold: the columns that a reader looks for and a parser takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Layout(NamedTuple):
    """Columns of a layout.

    Attributes:
        alternatives: sets of columns; a record must have all columns of one set at least.
        optional: further columns that are taken where they exist.
    """

    alternatives: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, each once."""
        return tuple(dict.fromkeys([*(name for names in self.alternatives for name in names), *self.optional]))


# Layouts of records; those of `medquad` and `documents` are made by readers of their own.
LAYOUTS: Mapping[str, Layout] = {
    "alpaca": Layout((("input", "output"), ("instruction", "output"))),
    "pairs": Layout((("question", "answer"),), ("id", "document", "focus", "question_type")),
    "messages": Layout((("messages",),)),
    "pages": Layout((("page_title", "page_text"), ("text",))),
    "pubmedqa": Layout((("QUESTION", "LONG_ANSWER"),), ("CONTEXTS", "final_decision", "pubid")),
    "choices": Layout(
        (
            ("question", "options"),
            ("question", "opa", "opb", "opc", "opd"),
            ("question", "choices"),
            ("question", "A", "B", "C", "D"),
        ),
        ("answer_idx", "cop", "answer", "explanation", "subject"),
    ),
    "terms": Layout((("term",),)),
}
