"""Exams, times and secrets in the report."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.pipelines.canaries.exposure import summarise_exposure
from med_lora.pipelines.latency.nodes import COLUMNS
from med_lora.pipelines.reporting.cells import FIGURE_SPACE
from med_lora.pipelines.reporting.exams_times_secrets import list_benchmarks, list_canaries, list_latency
from tests.report_pages import Page

from .reports import make_report


def exams() -> pd.DataFrame:
    row = {"benchmark": "med_exam", "n": 200, "excluded": 1, "chance": 0.25, "majority": 0.28, "p_value": 0.18}
    row |= {"base": 0.26, "base_low": 0.2, "base_high": 0.325, "tuned": 0.3, "tuned_low": 0.24, "tuned_high": 0.367}
    row |= {"difference": 0.04, "difference_low": -0.02, "difference_high": 0.1, "base_only": 10, "tuned_only": 18}
    return pd.DataFrame([row | {"p_holm": 0.36, "signature": "0-shot", "note": "base not above the majority line"}])


def times() -> pd.DataFrame:
    row = {"n": 20, "prompt_tokens": 31.0, "new_tokens": 64, "first_token_p50": 0.02, "first_token_p95": 0.031}
    row |= {"answer_p50": 0.9, "answer_p95": 1.1, "tokens_per_second": 70.12, "peak_memory_mib": float("nan")}
    row |= {"device": "Processor", "dtype": "float32", "threads": 1, "engine": "transformers 5", "note": "p95 of 20"}
    return pd.DataFrame([{"arm": arm, **row} for arm in ("base", "tuned")], columns=COLUMNS)


def secrets() -> pd.DataFrame:
    exposure = pd.DataFrame({"kind": ["inserted"] * 2 + ["control"] * 7, "nll": [9.0, 9.5, *range(3, 10)]})
    exposure["exposure"] = [1.0, 3.0, *[float("nan")] * 7]
    return summarise_exposure(exposure, exposure.assign(nll=[1.0, 2.0, *range(3, 10)]))


def test_an_exam_stands_beside_guessing_and_the_majority() -> None:
    (row,) = list_benchmarks(exams())
    values = {name: row[name].strip(FIGURE_SPACE) for name in ("chance", "majority", "base", "tuned", "difference")}
    assert values == {"chance": "0.250", "majority": "0.280", "base": "0.260", "tuned": "0.300", "difference": "0.040"}
    assert (row["tuned_interval"], row["only"], row["p_holm"]) == ("[0.240, 0.367]", "10 / 18", "0.360")
    assert row["note"] == "base not above the majority line"


def test_times_have_both_quantiles_and_a_dash_for_memory_that_was_not_read() -> None:
    row = list_latency(times())[1]
    assert row["arm"] == "Tuned model"
    assert (row["first"], row["answer"], row["speed"]) == ("0.020 / 0.031", "0.900 / 1.100", "70.1")
    assert (row["tokens"], row["memory"], row["machine"]) == ("31 + 64", "–", "Processor, float32, 1 thread")


def test_secrets_are_shown_by_arm_with_the_most_there_can_be() -> None:
    base, tuned = list_canaries(secrets())
    assert (base["arm"], base["n"], base["controls"]) == ("Base model", "2", "7")
    assert (tuned["mean_exposure"], tuned["max_exposure"], tuned["most"]) == ("2.00", "3.00", "3.00")
    assert float(tuned["p"]) < 0.05 < float(base["p"])


def test_each_has_a_section_with_its_limits(inputs: dict[str, Any]) -> None:
    page = Page(make_report(inputs, benchmarks=exams(), latency=times(), canaries=secrets()))
    assert {"benchmarks", "latency", "canaries"} <= {values.get("id") for _, values in page.elements}
    assert "no other run repeats them exactly" in page.text
    assert "a low one is no proof" in page.text
    assert "may have been part of its training" in page.text
    assert "There are signs of it" in page.text
