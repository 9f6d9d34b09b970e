"""Figures as published stand beside the sound ones, each with what is wrong with it."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.evaluation.comparison.published import list_published

NAN = math.nan


def comparison() -> pd.DataFrame:
    columns = ("metric", "family", "base", "tuned", "p_value", "p_holm", "mann_whitney_p", "mean_of_ratios")
    rows: list[tuple[Any, ...]] = [
        ("perplexity", "loss", 30.0, 20.0, 0.001, 0.003, NAN, NAN),
        ("rouge1", "overlap", 0.18, 0.22, 0.02, 0.04, 0.3, 230_000.0),
        ("meteor", "overlap", NAN, NAN, NAN, NAN, NAN, NAN),
        ("length_ratio", "conduct", 1.0, 1.4, NAN, NAN, NAN, NAN),
        ("exact_match", "overlap", 0.0, 0.1, 0.01, 0.03, 0.2, NAN),
        ("answer_cut", "flag", 0.1, 0.2, 0.5, 0.5, 0.6, 2.0),
    ]
    table = pd.DataFrame(rows, columns=columns)
    bounds = {"ratio": 0.22222, "ratio_low": -0.01, "ratio_high": 0.4}
    table = table.assign(n=[60, 43, 0, 43, 43, 60], excluded=[0, 17, 0, 17, 17, 0])
    return table.assign(**{name: [bound, bound, NAN, bound, NAN, bound] for name, bound in bounds.items()})


def batch_losses(answers: list[tuple[int, float]], positions: list[tuple[int, float]]) -> pd.DataFrame:
    parts = {"mean_of_batches": answers, "padding_counted": positions}
    rows = [(name, number, *sums) for name, part in parts.items() for number, sums in enumerate(part)]
    return pd.DataFrame(rows, columns=["variant", "batch", "tokens", "nll"])


BASE = batch_losses([(10, 10.0), (90, 270.0)], [(40, 60.0), (360, 340.0)])
TUNED = batch_losses([(10, 5.0), (90, 180.0)], [(40, 20.0), (360, 180.0)])


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return list_published(comparison(), BASE, TUNED)


@pytest.mark.parametrize(
    ("variant", "base", "tuned"),
    [
        ("padding and prompt counted", math.exp(1.0), math.exp(0.5)),
        ("mean of batch losses", math.exp(2.0), math.exp(1.25)),
        ("mean of batch perplexities", (math.e + math.exp(3)) / 2, (math.exp(0.5) + math.exp(2)) / 2),
    ],
)
def test_perplexity_is_computed_in_the_published_ways(
    variant: str, base: float, tuned: float, published: pd.DataFrame
) -> None:
    row = published[published["variant"] == variant].iloc[0]
    assert row["quantity"] == "perplexity"
    assert (row["base"], row["tuned"]) == pytest.approx((base, tuned))
    assert math.isnan(row["value"])
    assert row["sound"].startswith("30 to 20: ")


def test_each_tested_text_metric_has_its_published_tests(published: pd.DataFrame) -> None:
    assert list(published.columns) == [
        "quantity",
        "variant",
        "n",
        "excluded",
        "base",
        "tuned",
        "value",
        "sound",
        "note",
    ]
    rouge = published[published["quantity"] == "rouge1"]
    assert list(rouge["variant"]) == ["Mann-Whitney U", "uncorrected p", "mean of ratios"]
    assert list(rouge["value"]) == [0.3, 0.02, 230_000.0]
    assert list(rouge["base"]) == [0.18] * 3
    assert rouge["sound"].str.startswith("p = 0.04").tolist() == [True, True, False]
    assert rouge["sound"].iloc[2] == "+22.2% [-1.0%, +40.0%]: ratio of the means"
    assert "4 tests" in rouge["note"].iloc[1]
    assert (set(rouge["n"]), set(rouge["excluded"])) == ({43}, {17})
    assert set(published["n"][published["quantity"] == "perplexity"]) == {60}


def test_what_is_not_tested_or_cannot_be_had_has_no_row(published: pd.DataFrame) -> None:
    assert set(published["quantity"]) == {"perplexity", "rouge1", "exact_match"}


def test_a_mean_of_ratios_that_does_not_exist_says_why(published: pd.DataFrame) -> None:
    row = published[(published["quantity"] == "exact_match") & (published["variant"] == "mean of ratios")].iloc[0]
    assert math.isnan(row["value"])
    assert row["note"].startswith("It has no value where the base model scores 0 on some pair")
    assert row["sound"] == "none: the mean of the base model is 0"


def test_every_note_is_one_sentence(published: pd.DataFrame) -> None:
    assert published["note"].str.fullmatch(r"[A-Z][^.{}]+\.").all()


def test_an_astronomic_loss_is_infinite_and_no_error() -> None:
    huge = batch_losses([(1, 1000.0)], [(1, 1000.0)])
    assert (list_published(comparison(), huge, huge)["base"][:3] == math.inf).all()
