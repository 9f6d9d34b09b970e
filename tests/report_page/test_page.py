"""What every page does to the texts that are put into it."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from med_lora.report_page.markdown import render_markdown
from med_lora.report_page.page import show_controls
from tests.injections import INJECTIONS
from tests.report_pages import Page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\x1b[31m\x7f", "a␀b␛[31m␡"),
        ("two\nlines\tand\r\na tab", "two\nlines\tand\r\na tab"),
        ("half \ud83d of a pair", "half � of a pair"),
        ("naïve 😀 \u202eabc", "naïve 😀 \u202eabc"),
    ],
)
def test_control_characters_are_shown_and_nothing_else_is_changed(text: str, shown: str) -> None:
    assert show_controls(text) == shown
    shown.encode("utf-8")


def test_only_text_is_touched() -> None:
    ready = Markup("<b>\x1b</b>")
    assert show_controls(ready) is ready
    assert show_controls(3) == 3


@pytest.mark.parametrize("injection", INJECTIONS)
def test_markdown_brings_in_no_element_with_a_target_or_a_handler(injection: str) -> None:
    page = Page(render_markdown(f"# title\n\ntext {injection}\n\n- {injection}\n"))
    allowed = {"p", "ul", "li", "h2", "em", "strong", "code", "pre", "blockquote", "hr", "br"}
    assert {tag for tag, _ in page.elements} <= allowed
    assert not [name for _, values in page.elements for name in values]
    assert "title" not in page.text.split("text")[0]
