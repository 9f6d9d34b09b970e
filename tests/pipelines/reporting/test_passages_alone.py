"""The report of a run that trained on passages: nothing in it says that pairs were trained on."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.reporting.tables import list_conduct
from tests.report_pages import Page

from .reports import make_report


@pytest.fixture(scope="module")
def alone(inputs: dict[str, Any]) -> dict[str, Any]:
    training, first = inputs["params:training"], inputs["params:continued_pretraining"]
    return inputs | {
        "params:training": training.model_copy(update={"method": "none"}),
        "params:continued_pretraining": first.model_copy(update={"enabled": True}),
        "data_summary": {"generator": "writer", "passages": [{"passages": 1200}, {"passages": 34}]},
    }


def test_report_tells_of_passages_and_of_recall(alone: dict[str, Any], inputs: dict[str, Any]) -> None:
    text = " ".join(Page(make_report(alone)).text.split())
    assert "Nothing was trained on pairs: continued pre-training had 1,234 passages. The test has 60 pairs" in text
    assert "Training used" not in text
    assert "pairs to train on" not in text
    assert "so that scores tell of recall and not of transfer, and no leak check looks into passages." in text
    assert "Overlap is with the training pairs, which nothing was trained on: clean pairs" in text
    paired = " ".join(Page(make_report(inputs)).text.split())
    assert "Training used 338 pairs, validation 40, and the test 60." in paired
    assert "recall and not of transfer" not in paired


def test_copied_runs_are_said_to_be_of_pairs_not_trained_on(comparison: pd.DataFrame) -> None:
    row = comparison[comparison["metric"] == "length_ratio"].assign(metric="copied_words", family="copying")
    (alone,), (paired,) = list_conduct(row, on_pairs=False), list_conduct(row)
    assert alone["note"] == "shared with a training pair; nothing was trained on pairs"
    assert paired["note"] == ""


def test_long_settings_are_folded(inputs: dict[str, Any]) -> None:
    system = "Answer in plain words. " * 12
    prompt = inputs["params:prompt"].model_copy(update={"system": system})
    html = make_report(inputs | {"params:prompt": prompt})
    assert "<details><summary>Answer in plain words." in html
    assert "<details><summary>data/06_models" not in html


def test_too_few_groups_detect_nothing(inputs: dict[str, Any], comparison: pd.DataFrame) -> None:
    html = make_report(inputs | {"comparison": comparison.assign(detectable=float("inf"))})
    assert ">inf<" not in html
    assert ">none<" in html
