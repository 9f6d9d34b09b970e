"""The invented notes with marked identifiers, and the sentences without any."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from med_lora.pipelines.data_engineering.screening import Span

FOLDER = Path(__file__).parent
_MARK = re.compile(r"<(\w+)>(.*?)</\1>")


class Note(NamedTuple):
    half: str
    text: str
    spans: list[Span]


def read_notes() -> list[Note]:
    """Notes of ``notes.jsonl`` with the spans that stand in it as ``<class>...</class>``."""
    notes = []
    for line in (FOLDER / "notes.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        text, end, spans = "", 0, []
        for mark in _MARK.finditer(record["note"]):
            text += record["note"][end : mark.start()]
            spans.append(Span(len(text), len(text) + len(mark[2]), mark[1]))
            text += mark[2]
            end = mark.end()
        notes.append(Note(record["half"], text + record["note"][end:], spans))
    return notes


def read_negatives() -> list[str]:
    return (FOLDER / "negatives.txt").read_text(encoding="utf-8").splitlines()


def is_found(text: str, span: Span, found: list[Span]) -> bool:
    """Whether every letter and digit of the span stands in found spans of its class."""
    covered = {place for other in found if other.kind == span.kind for place in range(other.start, other.end)}
    return all(place in covered for place in range(span.start, span.end) if text[place].isalnum())
