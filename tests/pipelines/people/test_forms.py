"""The form as text: nothing but its own script runs, and no text of a record ends an element."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from tests import recipes
from tests.injections import SAMPLE
from tests.report_pages import Page

from .rated import sheets


@pytest.fixture(scope="module")
def html() -> str:
    texts = {"tuned": "".join(SAMPLE), "gold": "{{ 7 * 7 }} \ufffe 'x' &amp; 中", "base": ""}
    files, _ = sheets(recipes.people(raters=["anna"], items=2), 2, **texts)
    return files["anna.html"].decode()


def test_policy_allows_exactly_the_script_and_style_of_the_form(html: str) -> None:
    page = Page(html)
    policy = next(attributes["content"] for tag, attributes in page.elements if "http-equiv" in attributes)
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert not {"connect-src", "frame-src", "font-src"} & set(rules)
    style = re.search("<style>(.*?)</style>", html, re.DOTALL)
    assert style is not None
    for rule, text in (("script-src", page.scripts[-1]), ("style-src", style[1])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_nothing_points_outside_of_the_file(html: str) -> None:
    page = Page(html)
    links = [attributes.get(name) for _, attributes in page.elements for name in ("src", "href", "action", "srcset")]
    assert [link for link in links if link is not None] == ["data:,"]
    assert not re.search(r"https?:|//\w|@import|url\(", html.replace("".join(page.scripts), ""))
    assert not re.search(r"fetch|XMLHttpRequest|sendBeacon|WebSocket|innerHTML|eval|https?:", page.scripts[-1])
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_texts_are_data_that_end_no_element(html: str) -> None:
    page = Page(html)
    assert len(page.scripts) == 2
    shown = json.loads(page.scripts[0])
    texts = {answer for item in shown["items"] for answer in item["answers"]}
    assert "".join(SAMPLE) in texts
    assert "{{ 7 * 7 }} \ufffd 'x' &amp; 中" in texts
    assert not re.search("[<>&\u2028]", page.scripts[0])


def test_the_form_says_no_more_than_the_rater_may_know(html: str) -> None:
    shown = json.loads(Page(html).scripts[0])
    assert set(shown) == {"sheet", "rater", "axes", "items", "scale", "choices", "emptyAnswer"}
    assert all(set(item) == {"code", "question", "answers"} for item in shown["items"])
