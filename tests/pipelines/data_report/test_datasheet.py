"""The data sheet has every heading, states what the run knows, and leaves the rest to people."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt

from med_lora.pipelines.data_report.datasheet import HEADINGS, escape_markdown
from tests.injections import SAMPLE

from .reports import make_outputs


@pytest.fixture(scope="module")
def datasheet(outputs: dict[str, Any]) -> str:
    made: str = outputs["datasheet"]
    return made


def section(datasheet: str, question: str) -> str:
    return datasheet.split(f"### {question}\n")[1].split("\n#")[0]


def test_headings_are_those_of_the_paper_in_order(datasheet: str) -> None:
    assert [line[3:] for line in datasheet.splitlines() if line.startswith("## ")] == list(HEADINGS)


@pytest.mark.parametrize(
    "question",
    [
        "Who paid for it?",
        "Was there an ethical review?",
        "Did the people in the data know of the collection, and consent?",
        "Who looks after it, and how can they be reached?",
    ],
)
def test_what_only_people_know_is_left_to_fill(datasheet: str, question: str) -> None:
    assert section(datasheet, question).strip().startswith("**To fill:** ")


def test_counts_are_filled_in(datasheet: str) -> None:
    assert "230 pairs of 320 rows read." in datasheet
    assert "- MedQuAD: 200 rows read, 120 pairs kept\n" in datasheet
    assert "- train: 178 pairs in 89 groups\n" in datasheet
    assert "- parse: empty answer, 60 rows\n" in datasheet
    assert "- read: malformed json, 1 row\n" in datasheet
    assert "Removed as duplicates: 15 rows.\nFound in a benchmark and removed: 4 pairs." in datasheet
    assert "seed 7" in section(datasheet, "Are there recommended splits?")
    assert "- 3 of 30 test pairs (10 %) share their disease or topic with a training pair.\n" in datasheet
    assert "Of the 228 pairs in the splits, 114 name a focus, 171 a question type" in datasheet


def test_sources_and_licences_are_named(datasheet: str) -> None:
    origin = section(datasheet, "Is it self-contained?")
    assert "owner/exchanges of the Hugging Face hub at commit 0123456789abcdef0123456789abcdef01234567" in origin
    assert "The exam" not in origin
    assert "- MedQuAD: CC-BY-4.0; commercial use: yes; share alike: no; allowed by: licence\n" in datasheet


def test_screened_is_not_called_de_identified(datasheet: str) -> None:
    screening = section(datasheet, "Does it hold confidential data, or data about people?")
    assert "The text was screened, not de-identified" in screening
    assert "17 of the 18 classes" in screening
    assert "- names: pair left out, found in 0 pairs, 3 left out\n" in screening
    assert "- photographs: not looked for\n" in screening


def test_random_splits_are_called_so(inputs: dict[str, Any]) -> None:
    settings = inputs["params:data_engineering"]
    random = {**settings, "split": {**settings["split"], "mode": "random"}, "benchmarks": []}
    datasheet = make_outputs({**inputs, "params:data_engineering": random})["datasheet"]
    assert "related pairs can stand in two splits" in datasheet
    assert "No benchmark was named to compare with." in datasheet


@pytest.mark.parametrize("text", [*SAMPLE, "![x](https://example.invalid/x.png)", "# x", "- x", "12. x", "_a_ *b*"])
def test_foreign_text_reads_as_it_is_written(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(f"- {escape_markdown(text)}\n")
    (inline,) = [token for token in tokens if token.type == "inline"]
    assert [token.type for token in tokens].count("list_item_open") == 1
    assert "".join(child.content for child in inline.children or []) == text
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}
