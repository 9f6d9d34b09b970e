"""The report's section on fixed questions, and the banner of a rehearsal."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from med_lora.datasets.report import _Excerpt
from med_lora.pipelines.evaluation.probes import collect_probes, list_probes
from med_lora.pipelines.reporting.answers import list_probes as show_probes
from med_lora.pipelines.reporting.headline import write_headline
from tests.injections import INJECTIONS, SAMPLE, as_shown
from tests.report_pages import Page

from .reports import make_report

ARMS = ("base", "tuned", "base_rag", "tuned_rag")


def answer(texts: list[str], **changes: Any) -> pd.DataFrame:
    table = pd.DataFrame({"id": [f"p{place}" for place in range(len(texts))], "answer": texts, "new_tokens": 9})
    return table.assign(finish_reason="eos", prompt_truncated=False).assign(**changes)


def collect(questions: list[str], citation: str = "Joints, p. 3", **answers: pd.DataFrame) -> pd.DataFrame:
    """The answers of all arms, with one passage for every question."""
    probes = [{"name": f"p{place}", "question": question} for place, question in enumerate(questions)]
    contexts = pd.DataFrame({"id": [probe["name"] for probe in probes]})
    contexts = contexts.assign(place=1, citation=citation, text="Rest the joint.")
    return collect_probes(list_probes(probes), contexts, **answers)


@pytest.fixture(scope="module")
def probes() -> pd.DataFrame:
    given = {arm: answer([f"Rest it {place} days." for place in range(5)]) for arm in ARMS}
    given["base"] = answer(["I do not know.", "Rest.", "Rest it.", "Ice.", "Walk."], finish_reason="length")
    given["tuned_rag"] = answer(["Rest it [1].", *["Rest."] * 4], prompt_truncated=True)
    return collect([f"Question number {place}?" for place in range(5)], **given)


@pytest.fixture(scope="module")
def plain(inputs: dict[str, Any]) -> str:
    """The report of a run without probes."""
    return make_report(inputs)


def section(html: str) -> str:
    """The HTML of the section."""
    return html.split('id="section-probes"')[1].split("</section>")[0]


def test_questions_stand_in_their_order_and_those_beyond_three_are_folded(
    inputs: dict[str, Any], probes: pd.DataFrame
) -> None:
    shown = section(make_report(inputs, probes=probes.sample(frac=1, random_state=1)))
    places = [shown.index(f"Question number {place}?") for place in range(5)]
    assert places == sorted(places)
    assert places[2] < shown.index("<details>") < places[3]
    assert "The other questions (2)" in shown
    assert "nothing can be concluded from so few" in shown
    assert "Reference" not in shown
    for arm in ("Base model", "Tuned model", "Base model with passages", "Tuned model with passages"):
        assert shown.count(f"<h3>{arm} <") == 5


def test_what_is_known_of_an_answer_stands_with_it(probes: pd.DataFrame) -> None:
    first, second, *_ = show_probes(probes)
    base, tuned, base_rag, tuned_rag = first["answers"]
    assert (base["score"], base["cut"]) == ("4 words, refusal", True)
    assert (tuned["score"], tuned["cut"]) == ("4 words", False)
    assert base_rag["score"] == "4 words, cites no passage"
    assert tuned_rag["score"] == "3 words, cites a passage, its prompt was cut"
    assert second["answers"][0]["score"] == "1 word"
    assert first["sources"] == "[1] Joints, p. 3"
    assert tuned_rag["pieces"] == [("Rest it [", False), ("1", True), ("].", False)]


def test_a_real_run_without_probes_speaks_of_neither(plain: str) -> None:
    assert "section-probes" not in plain
    assert "rehears" not in Page(plain).text


def test_text_of_questions_answers_and_names_is_shown_and_never_run(inputs: dict[str, Any], plain: str) -> None:
    texts = [text.strip() for text in INJECTIONS]
    hostile = "".join(SAMPLE)
    html = make_report(inputs, probes=collect(texts, hostile, **{arm: answer(texts) for arm in ARMS}))
    page, without = Page(html), Page(plain)
    assert page.scripts[-1] == without.scripts[-1]
    assert len(page.scripts) == len(without.scripts)
    added = {tag for tag, _ in page.elements} - {tag for tag, _ in without.elements}
    assert added == set()
    assert not [name for _, values in page.elements for name in values if name.startswith("on")]
    own = html.replace(get_plotlyjs(), "")
    assert all(text not in own for text in SAMPLE)
    for text in texts:
        assert page.text.count(as_shown(text)) >= 1 + len(ARMS)
    assert page.text.count(hostile) == len(texts)


def test_a_rehearsal_says_so_before_anything_else(inputs: dict[str, Any]) -> None:
    name = f"kim2024_msk{SAMPLE[0]}"
    given = {key.removeprefix("params:"): value for key, value in inputs.items()}
    names = ("comparison", "controls", "experiment", "evaluation", "canaries")
    headline = write_headline(*(given[key] for key in names), rehearsal_of=name)
    assert headline["rehearsal"].startswith(f"This is a rehearsal of {name}: a small model")
    assert headline["sentence"].startswith(headline["rehearsal"])  # what the console and the model card tell
    assert headline["lead"].startswith(f"Rehearsal of {name}. ")  # what a list of runs tells
    html = make_report(inputs, headline=headline)
    page, body = Page(html), Page(html.split("<body", 1)[1])
    assert page.text.count(headline["rehearsal"]) == 1
    assert body.text.split(">", 1)[1].strip().startswith(headline["rehearsal"])
    assert SAMPLE[0] not in html
    excerpt = _Excerpt()
    excerpt.feed(html)
    assert "This is a rehearsal of kim2024_msk" in "".join(excerpt.parts)
