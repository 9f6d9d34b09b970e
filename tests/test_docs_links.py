"""Links between README and docs, and what the pages about the report and the index promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"`(?:python )?((?:src|tests|conf|docs|benchmarks|notebooks)/[\w./-]+\.\w+)(?: \w+)*`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")

MADE_BY_READERS = {
    "conf/experiments/mine.yml",
    "conf/l40s/globals.yml",
    "src/med_lora/pipelines/evaluation/scores/asking.py",
    "tests/pipelines/evaluation/test_asking.py",
}


def without_code(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> list[str]:
    return [link for link in _LINK.findall(without_code(page)) if "://" not in link]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_has_every_page_and_readme_has_the_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / link).resolve() for link in links(index)}
    assert {page for page in PAGES if page != index} <= linked
    assert "docs/README.md" in links(ROOT / "README.md")


def test_the_page_on_the_report_has_every_section() -> None:
    from med_lora.pipelines.reporting.contents import SECTIONS

    page = (ROOT / "docs/report.md").read_text(encoding="utf-8")
    for title in SECTIONS.values():
        assert re.search(rf"^(## |\| |\| .*, ){re.escape(title)}(?=[ ,\n])", page, re.MULTILINE), title


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    """Files of the repository in backticks; those that a reader makes, and patterns, are told by their spelling."""
    for name in _FILE.findall(without_code(page)):
        assert (ROOT / name).exists() or name in MADE_BY_READERS or "NAME" in name, name
