"""The tidy table of a run's statistics."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.exports.results import COLUMNS, describe_results, tabulate_results
from med_lora.pipelines.reporting.exports.units import STATISTICS, UNITS, name_unit


@pytest.fixture
def tables(
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    forgetting: pd.DataFrame,
    subgroups: pd.DataFrame,
    as_published: pd.DataFrame,
) -> dict[str, pd.DataFrame]:
    return {
        "comparison": comparison,
        "controls": controls,
        "corpus_scores": corpus_scores,
        "forgetting": forgetting,
        "subgroups": subgroups,
        "as_published": as_published,
    }


@pytest.fixture
def contrasts(comparison: pd.DataFrame) -> pd.DataFrame:
    """The comparison in the form of a second track, with a second contrast of the same base model."""
    names = {"base": "reference_mean", "tuned": "arm_mean"}
    names |= {
        f"{arm}_{end}": f"{side}_{end}"
        for arm, side in (("base", "reference"), ("tuned", "arm"))
        for end in ("low", "high")
    }
    tuned = comparison.rename(columns=names).assign(reference="base", arm="tuned")
    return pd.concat([tuned, tuned.assign(arm="base_rag")], ignore_index=True)


def pick(results: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    for column, value in wanted.items():
        results = results[results[column] == value]
    return results


def test_a_difference_keeps_its_interval_and_both_p_values(tables: dict[str, pd.DataFrame]) -> None:
    results = tabulate_results("embedded", **tables)
    given = tables["comparison"].set_index("metric").loc["perplexity"]
    (row,) = pick(results, table="comparison", metric="perplexity", statistic="difference").to_dict("records")
    assert (row["value"], row["low"], row["high"]) == (
        given["difference"],
        given["difference_low"],
        given["difference_high"],
    )
    assert (row["p_value"], row["p_holm"]) == (given["p_value"], given["p_holm"])
    assert (row["contrast"], row["arm"], row["unit"], row["n"]) == ("tuned - base", "", "perplexity", given["n"])


def test_every_number_of_the_comparison_is_there(tables: dict[str, pd.DataFrame]) -> None:
    results = pick(tabulate_results("embedded", **tables), table="comparison")
    numbers = tables["comparison"].select_dtypes("number").drop(columns=["n", "groups"])
    given = {value for value in numbers.to_numpy().ravel().tolist() if not math.isnan(value)}
    found = set(results[["value", "low", "high", "p_value", "p_holm"]].to_numpy().ravel().tolist())
    assert given <= found


def test_pairs_left_out_give_a_second_estimate_over_all_pairs(tables: dict[str, pd.DataFrame]) -> None:
    results = tabulate_results("embedded", **tables)
    (row,) = pick(results, table="comparison", metric="rougeL", statistic="estimate_all", arm="tuned").to_dict(
        "records"
    )
    assert (row["n"], pick(results, statistic="excluded", metric="rougeL")["value"].iloc[0]) == (60, 17)
    assert pick(results, metric="perplexity", statistic="estimate_all").empty


def test_table_comes_back_from_a_csv_file_without_loss(
    tables: dict[str, pd.DataFrame], evaluation: EvaluationParams, tmp_path: Path
) -> None:
    results = tabulate_results("embedded", **tables)
    results.to_csv(tmp_path / "results.csv", index=False)
    text = (tmp_path / "results.csv").read_text()
    assert text.splitlines()[0] == ",".join(COLUMNS)
    assert ",nan" not in text.lower()
    assert "<NA>" not in text
    types = dict.fromkeys(("n", "groups"), "Int64")
    texts = [name for name in COLUMNS if results[name].dtype in ("str", "object")]
    back = pd.read_csv(tmp_path / "results.csv", dtype=types)
    assert json.dumps(describe_results(back, evaluation)) == json.dumps(describe_results(results, evaluation))
    back[texts] = back[texts].fillna("").astype("str")
    pd.testing.assert_frame_equal(back, results, check_exact=True, check_dtype=False)


def test_no_row_says_the_same_thing_twice(tables: dict[str, pd.DataFrame], contrasts: pd.DataFrame) -> None:
    results = tabulate_results("embedded", **tables, judge_comparison=contrasts)
    assert len(pick(results, table="judge_comparison", metric="rougeL", statistic="estimate", arm="base")) == 1
    assert not results.duplicated(["table", "metric", "contrast", "arm", "statistic"]).any()


def test_an_arm_over_other_pairs_names_the_contrast_that_they_are_of(
    tables: dict[str, pd.DataFrame], contrasts: pd.DataFrame
) -> None:
    fewer = contrasts["arm"] == "base_rag"
    contrasts.loc[fewer, "n"] -= 2
    results = tabulate_results("embedded", **tables, retrieval_comparison=contrasts)
    rows = pick(results, table="retrieval_comparison", metric="rougeL", statistic="estimate", arm="base")
    assert rows["contrast"].tolist() == ["", "base_rag - base"]
    assert rows["n"].tolist() == [43, 41]
    assert not results.duplicated(["table", "metric", "contrast", "arm", "statistic"]).any()


def test_gain_of_passages_by_tuning_is_a_difference_without_arms(
    tables: dict[str, pd.DataFrame], contrasts: pd.DataFrame
) -> None:
    gains = contrasts.head(1).assign(reference="base_rag - base", arm="tuned_rag - tuned")
    results = pick(tabulate_results("embedded", **tables, retrieval_comparison=gains), table="retrieval_comparison")
    assert set(results["contrast"]) == {"(tuned_rag - tuned) - (base_rag - base)"}
    assert "estimate" not in set(results["statistic"])


def test_optional_tables_are_rows_with_their_own_units(tables: dict[str, pd.DataFrame]) -> None:
    exam: dict[str, Any] = {"benchmark": "pubmedqa", "n": 500, "chance": 1 / 3, "majority": 0.55, "signature": "s"}
    exam |= dict.fromkeys(("base", "tuned", "base_low", "base_high", "tuned_low", "tuned_high", "p_value"), 0.5)
    exam |= {"difference": 0.0, "difference_low": -0.1, "difference_high": 0.1, "p_holm": 0.5, "base_only": 3}
    exam |= {"tuned_only": 4, "base_macro_f1": 0.4, "tuned_macro_f1": 0.3}
    audit = {"arm": "tuned", "n": 2, "mean_exposure": 1.5, "max_exposure": 2.0, "most": 3.46, "p_value": 0.2}
    study = {"study": "kim", "quantity": "train_loss@100", "system": "GPT-2", "arm": "tuned", "published": 2.0}
    study |= {"published_n": math.nan, "published_p": math.nan, "ours": 1.9, "ours_low": 1.8, "ours_high": 2.0}
    study |= {"ours_n": 60, "ours_p": math.nan, "way": ""}
    results = tabulate_results(
        "embedded",
        **tables,
        benchmark_comparison=pd.DataFrame([exam]),
        canary_audit=pd.DataFrame([audit]),
        published_comparison=pd.DataFrame([study, study | {"quantity": "answer_seconds"}]),
    )
    assert pick(results, metric="pubmedqa_accuracy", statistic="only_right", arm="tuned")["value"].tolist() == [4.0]
    assert set(pick(results, table="canary_audit")["unit"]) == {"bits", "p"}
    assert pick(results, metric="train_loss@100")["unit"].tolist() == ["nats/token", "nats/token"]
    assert pick(results, metric="answer_seconds")["statistic"].tolist() == ["published"]  # ours follows the clock


def test_every_statistic_and_unit_is_explained(tables: dict[str, pd.DataFrame]) -> None:
    results = tabulate_results("embedded", **tables)
    assert set(results["statistic"]) <= set(STATISTICS)
    assert set(results["unit"]) <= set(UNITS)
    assert (results[["table", "metric", "statistic", "unit"]] != "").all(axis=None)


@pytest.mark.parametrize(
    ("quantity", "unit"),
    [
        ("answer_seconds_fastest_machine", "s"),
        ("validation_loss@300", "nats/token"),
        ("plateau_epoch", "epochs"),
        ("training_tokens", "tokens"),
        ("bleu_max", "points"),
        ("bleu_gain", "1"),
        ("rougeL_difference", "1"),
        ("judge_accuracy", "rating"),
        ("judge_preference", "1"),
        ("perplexity", "perplexity"),
        ("cross_entropy", "nats/token"),
        ("refusal@3", "1"),
    ],
)
def test_quantities_of_studies_have_units(quantity: str, unit: str) -> None:
    assert name_unit(quantity, "") == unit
    assert unit in UNITS


def test_json_holds_the_same_rows_and_what_they_mean(
    tables: dict[str, pd.DataFrame], evaluation: EvaluationParams
) -> None:
    results = tabulate_results("embedded", **tables)
    described = describe_results(results, evaluation)
    assert (len(described["rows"]), described["confidence"]) == (len(results), 0.95)
    assert described["rows"][0]["value"] == results["value"].iloc[0]
    assert described["rows"][0]["p_value"] is None
    assert described["metrics"]["perplexity"] == {"family": "loss", "signatures": ["exp of nats"]}
    assert set(described["statistics"]) == set(results["statistic"])
    assert set(described["columns"]) == set(results)
