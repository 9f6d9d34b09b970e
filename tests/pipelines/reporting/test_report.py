"""The report: complete, escaped, the same every time, and without any request."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from typing import Any

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from med_lora.pipelines.reporting.cells import FIGURE_SPACE
from med_lora.pipelines.reporting.tables import (
    list_best_controls,
    list_comparison,
    list_conduct,
    list_controls,
    list_parts,
    list_published,
    list_whole,
)
from med_lora.report_page.wording import interval, number, p_value
from tests.injections import SAMPLE
from tests.report_pages import Page

from .conftest import PAIRS, Table, ids, make_answers
from .reports import make_report
from .texts import REFERENCE, TUNED


@pytest.fixture(scope="module")
def hostile_split() -> Table:
    """Questions and references that try to become part of the page."""
    hostile = [SAMPLE[place % len(SAMPLE)] for place in range(PAIRS)]
    return Table(pd.DataFrame({"id": ids(), "question": hostile, "answer": hostile}))


@pytest.fixture(scope="module")
def report(inputs: dict[str, Any]) -> str:
    return make_report(inputs)


@pytest.fixture(scope="module")
def page(report: str) -> Page:
    return Page(report)


def test_same_inputs_give_the_same_bytes(inputs: dict[str, Any], report: str) -> None:
    assert make_report(inputs) == report


def test_every_part_is_there(page: Page, comparison: pd.DataFrame) -> None:
    headings = ("Base and tuned model", "Null controls", "What the answers are like", "Parts of the test set")
    headings += ("General English", "As studies publish it")
    headings += ("Figures", "Training", "Examples", "Where the tuned model did worst", "Data", "Settings", "Run")
    headings += ("Versions", "Limitations")
    assert all(heading in page.text for heading in headings)
    tables = {"comparison", "conduct", "whole", "controls", "best-controls", "corpus-scores", "subgroups"}
    assert tables | {"forgetting", "published", "data", "settings"} <= {values.get("id") for _, values in page.elements}
    assert all(signature in page.text for signature in comparison["signature"])
    assert "Training used 338 pairs, validation 40, and the test 60." in page.text
    assert "25 near duplicate" in page.text
    assert "training.lora.r" in page.text
    assert "not medical advice" in page.text
    assert "lexical overlap is not correctness" in page.text
    articles = [values for tag, values in page.elements if tag == "article"]
    assert len(articles) == 4 + 4  # by chance, and lowest scored; on no pair the tuned model lost
    assert page.text.count(TUNED) == page.text.count(REFERENCE) == len(articles)
    assert page.text.count("(cut at the length limit)") == len(articles)
    unlike = [f"(shares little with the {arm} model's answer)" for arm in ("base", "tuned")]
    assert [page.text.count(note) for note in unlike] == [len(articles)] * 2
    assert "mark" in {tag for tag, _ in page.elements}  # the legend's
    assert "leave out the 17 pairs" in page.text
    assert "43 pairsin 43 groups17 left out" in page.text  # three lines of a cell
    assert "The test has 60 pairs in 60 groups." in page.text
    assert "cluster bootstrap" in page.text


def test_headline_stands_in_the_report(page: Page, comparison: pd.DataFrame) -> None:
    base = comparison.set_index("metric").loc["perplexity"]
    words = f"Held-out perplexity fell from {base['base']:.1f} [{base['base_low']:.1f}, {base['base_high']:.1f}]"
    assert words in page.text.replace("\u00a0", " ")


def test_nothing_points_to_a_network(page: Page, report: str) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"iframe", "object", "embed", "base", "form"}
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            target = attributes.get(name)
            inside = target is None or target.startswith("data:") or (tag == "a" and target.startswith("#"))
            assert inside, (tag, name, target)
    own = report.replace(get_plotlyjs(), "")
    assert not re.search(r"(?:https?:)?//[a-z0-9]|@import|url\(", own)


def test_plotly_stands_in_the_page_once(report: str) -> None:
    assert report.count(get_plotlyjs()) == 1


def test_policy_allows_exactly_the_scripts_of_the_page(page: Page) -> None:
    policies = [values["content"] for tag, values in page.elements if values.get("http-equiv")]
    (policy,) = [policy for policy in policies if policy]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if part.strip())
    assert directives["default-src"] == "'none'"
    assert not {"connect-src", "frame-src", "font-src"} & set(directives)
    assert directives["img-src"] == "data: blob:"
    kinds = [values.get("type") for tag, values in page.elements if tag == "script"]
    executable = [script for script, kind in zip(page.scripts, kinds, strict=True) if kind is None]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in executable]
    assert directives["script-src"].split() == [f"'sha256-{value}'" for value in hashes]
    assert kinds == ["application/json"] * 4 + [None] * 2


def test_foreign_text_is_shown_and_never_run(inputs: dict[str, Any], hostile_split: Table) -> None:
    hostile = "".join(SAMPLE)
    answers = {arm: make_answers(hostile, "eos") for arm in ("base_answers", "tuned_answers")}
    corpora = {"genmedgpt": {"layout": "alpaca", "title": hostile, "licence": hostile, "files": "a"}}
    names = {"params:experiment": hostile, "params:description": hostile, "params:corpora": corpora}
    report_of_one = inputs["row_outcomes"].query("corpus == 'genmedgpt'")
    changed = {**inputs, "test": hostile_split, **answers, **names, "row_outcomes": report_of_one}
    changed["comparison"] = inputs["comparison"].assign(signature=hostile, note=hostile)
    html = make_report(changed)
    page = Page(html)
    assert len(page.scripts) == 6
    assert not [tag for tag, _ in page.elements if tag in {"img", "b"}]
    assert not [name for _, values in page.elements for name in values if name.startswith("on")]
    own = html.replace(get_plotlyjs(), "")
    assert all(injection not in own for injection in SAMPLE)
    of_answers, of_names = (4 + 4) * 2, 3 + 1 + 2  # experiment thrice, description, title and licence of the corpus
    assert page.text.count(hostile) == of_answers + of_names + 2 * len(changed["comparison"])


def test_figures_cannot_end_their_script_element(inputs: dict[str, Any]) -> None:
    metric = "</script><script>window.injected = 4</script>"
    renamed = {name: inputs[name].replace({"metric": {"token_f1": metric}}) for name in ("comparison", "controls")}
    page = Page(make_report({**inputs, **renamed}))
    assert len(page.scripts) == 6
    assert "\\u003cscript" in page.scripts[1]
    assert "injected" not in page.scripts[-1]


def test_tables_show_values_intervals_and_p(comparison: pd.DataFrame) -> None:
    rows = {row["metric"]: row for row in list_comparison(comparison)}
    of = comparison.set_index("metric")
    perplexity = rows["Perplexity"]
    assert perplexity["base"].strip(FIGURE_SPACE) == f"{of.loc['perplexity', 'base']:.1f}"
    low, high = of.loc["perplexity", "difference_low"], of.loc["perplexity", "difference_high"]
    assert perplexity["difference_interval"] == f"[−{-low:.1f}, −{-high:.1f}]"
    assert (perplexity["p_holm"], rows["Exact match"]["p_holm"], rows["Bits per byte"]["p"]) == (
        "< 0.001",
        "1.000",
        "–",
    )
    cells = rows["ROUGE-L F"]
    assert (cells["n"], cells["groups"], cells["excluded"]) == ("43", "in 43 groups", "17")
    assert cells["control"] == "Nearest training answer"
    assert cells["best_control_mean"].strip(FIGURE_SPACE) == f"{of.loc['rougeL', 'best_control_mean']:.3f}"


def test_a_metric_that_could_not_be_had_says_why_and_shows_no_number(comparison: pd.DataFrame, page: Page) -> None:
    (row,) = [row for row in list_comparison(comparison) if row["metric"] == "BERTScore F1"]
    assert row["note"].startswith("not computed: the folder encoders/small is missing")
    assert {row[name].strip(FIGURE_SPACE) for name in ("base", "tuned", "difference", "p", "effect")} == {"–"}
    assert "not computed: the folder encoders/small is missing" in page.text


def test_conduct_stands_beside_that_of_the_references(comparison: pd.DataFrame) -> None:
    rows = {row["metric"]: row for row in list_conduct(comparison)}
    assert set(rows) == {"Length ratio", "Share of answers cut", "Share of empty answers"}
    gold = comparison.set_index("metric").loc["length_ratio", "gold"]
    assert rows["Length ratio"]["gold"].strip(FIGURE_SPACE) == f"{gold:.2f}"


def test_the_best_control_of_each_metric_is_judged(comparison: pd.DataFrame, controls: pd.DataFrame) -> None:
    rows = {row["metric"]: row for row in list_best_controls(controls, comparison)}
    assert rows["ROUGE-L F"]["arm"] == "Nearest training answer"
    assert rows["ROUGE-L F"]["verdict"] == "beaten"
    lost = controls.assign(tuned_difference_low=-0.2, tuned_difference_high=-0.1)
    verdicts = {row["metric"]: row["verdict"] for row in list_best_controls(lost, comparison)}
    assert verdicts.pop("Exact match") == "nothing to beat: 0 throughout"
    assert set(verdicts.values()) == {"better than the tuned model"}


def test_parts_of_the_test_set_are_shown_for_the_headline_metrics(subgroups: pd.DataFrame) -> None:
    parts = list_parts(subgroups)
    assert parts["metrics"] == ["ROUGE-L F"]
    ((dimension, (large,)),) = parts["large"]
    ((_, (small,)),) = parts["small"]
    assert dimension == "Overlap with training"
    assert (large["level"], large["note"]) == ("clean", "")
    assert (small["level"], small["note"]) == ("exact", "one group has no interval")
    assert (large["scores"][0]["difference_interval"], small["scores"][0]["difference_interval"]) == (
        "[0.050, 0.150]",
        "",
    )
    assert (large["control"], large["control_mean"], large["excluded"]) == ("Echoed question", "0.120", "17")


def test_a_part_has_both_headline_metrics_in_one_row(subgroups: pd.DataFrame) -> None:
    losses = subgroups[subgroups["metric"] == "rougeL"].assign(metric="cross_entropy", base=5.0, best_control="")
    parts = list_parts(pd.concat([losses, subgroups]))
    ((_, (clean,)),) = parts["large"]
    assert [cells["base"] for cells in clean["scores"]] == ["5.000", "0.100"]
    assert clean["control"] == "Echoed question"
    only_loss = list_parts(pd.concat([losses, subgroups[subgroups["level"] == "clean"]]))
    assert only_loss["small"][0][1][0]["scores"][1]["base"] == "–"


def test_the_fault_of_a_published_variant_is_told_once(as_published: pd.DataFrame) -> None:
    assert {(row["n"], row["excluded"]) for row in list_published(as_published)} == {("43", "17")}
    assert [row["note"] for row in list_published(as_published)] == ["padding counts", "the arms are paired", ""]


def test_columns_align_at_the_decimal_point(comparison: pd.DataFrame) -> None:
    for name in ("base", "tuned", "difference"):
        cells = [row[name] for row in list_comparison(comparison) if "." in row[name]]
        assert len({len(cell) - cell.index(".") for cell in cells}) == 1


def test_table_over_all_pairs_holds_what_was_left_out(comparison: pd.DataFrame) -> None:
    rows = list_whole(comparison)
    assert [row["metric"] for row in rows][:3] == ["ROUGE-1 F", "ROUGE-2 F", "ROUGE-L F"]
    of = comparison.set_index("metric")
    assert rows[2]["tuned"] == f"{of.loc['rougeL', 'tuned_all']:.3f}"
    assert list_whole(comparison.assign(excluded=0)) == []


def test_controls_are_ordered_and_judged(comparison: pd.DataFrame, controls: pd.DataFrame) -> None:
    rows = list_controls(controls, comparison)
    assert [row["metric"] for row in rows[:4]] == ["ROUGE-1 F"] * 3 + ["ROUGE-2 F"]
    beaten = {(row["metric"], row["arm"]): row["beaten"] for row in rows}
    assert beaten["ROUGE-L F", "Nearest training answer"] == "yes"
    assert beaten["Exact match", "Echoed question"] == "no"
    assert beaten["Length ratio", "Echoed question"] == "–"
    falling = controls.assign(tuned_difference_low=-0.01)
    assert {row["beaten"] for row in list_controls(falling, comparison)} == {"no", "–"}


def test_a_run_without_complete_answers_is_reported(
    inputs: dict[str, Any], endless: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    comparison, controls = endless
    page = Page(make_report({**inputs, "comparison": comparison, "controls": controls}))
    assert "ROUGE-L F could not be compared (n = 0 of 60" in page.text.replace("\u00a0", " ")
    assert "only 0 of 60 pairs are left by evaluation.exclude" in page.text
    assert not re.search(r"\bnan\b", page.text, re.IGNORECASE)
    beaten = {(row["metric"], row["arm"]): row["beaten"] for row in list_controls(controls, comparison)}
    assert beaten["ROUGE-L F", "Echoed question"] == "yes"
    assert beaten["Exact match", "Echoed question"] == "no"


@pytest.mark.parametrize(
    ("value", "places", "shown"),
    [
        (112.34, 1, "112.3"),
        (12345.6, 1, "12,345.6"),
        (-0.0004, 3, "0.000"),
        (-0.012, 3, "-0.012"),
        (3.2e9, 1, "3.2e+09"),
        (math.nan, 2, "–"),
    ],
)
def test_numbers(value: float, places: int, shown: str) -> None:
    assert number(value, places) == shown


def test_intervals_and_p_values() -> None:
    assert interval(1.0, 2.0, 1) == "[1.0, 2.0]"
    assert interval(math.nan, 2.0, 1) == ""
    assert (p_value(0.0009), p_value(0.001), p_value(1.0)) == ("< 0.001", "= 0.001", "= 1.000")
