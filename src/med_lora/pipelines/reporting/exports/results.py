"""Every statistic of an evaluation in one tidy table: a number a row, for R, Python or a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.reporting.exports.result_rows import (
    Row,
    read_audit,
    read_benchmarks,
    read_comparison,
    read_contrasts,
    read_controls,
    read_corpus_scores,
    read_forgetting,
    read_practices,
    read_published,
    read_subgroups,
)
from med_lora.pipelines.reporting.exports.units import STATISTICS, UNITS
from med_lora.report_page.records import plain

COLUMNS = {
    "experiment": "name of the experiment",
    "table": "where the statistic comes from; subgroups add their dimension and level, as_published the practice",
    "family": "kind of metric: loss, overlap, meaning, choice, conduct, copying, grounding, flag, judge, people",
    "metric": "what was measured; its signature says how",
    "contrast": "what is compared, as arm - reference; with the statistic of one arm it names the contrast whose pairs "
    "that is over, and is empty where all contrasts share them",
    "arm": "model or null control that the statistic is of; empty for a difference",
    "statistic": "what the number is, see statistics",
    "value": "the number; empty where it does not exist",
    "low": "lower bound of its interval at the level of the experiment (evaluation.confidence)",
    "high": "upper bound",
    "n": "items it rests on",
    "groups": "independent groups that these come in, which the intervals resample",
    "unit": "unit of value, low and high, see units",
    "p_value": "uncorrected p-value, of differences alone",
    "p_holm": "the same after Holm's correction over the tests of its table",
    "signature": "how the metric was computed: tool, version, options",
}
NUMBERS = ("value", "low", "high", "p_value", "p_holm")
COUNTS = ("n", "groups")


def tabulate_results(
    experiment: str,
    comparison: pd.DataFrame,
    controls: pd.DataFrame,
    corpus_scores: pd.DataFrame,
    forgetting: pd.DataFrame,
    subgroups: pd.DataFrame | None = None,
    as_published: pd.DataFrame | None = None,
    judge_comparison: pd.DataFrame | None = None,
    retrieval_comparison: pd.DataFrame | None = None,
    ratings_comparison: pd.DataFrame | None = None,
    benchmark_comparison: pd.DataFrame | None = None,
    canary_audit: pd.DataFrame | None = None,
    published_comparison: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """All statistics of a run, without text or ids of records and without anything that differs between reruns.

    Seconds and memory do differ: they stand in ``latency`` alone.

    Args:
        experiment: its name.
        comparison: as the evaluation writes it, like all that follow.
        controls: null controls.
        corpus_scores: metrics of the test set as a whole.
        forgetting: general English before and after.
        subgroups: parts of the test set.
        as_published: figures as studies publish them, unsound on purpose.
        judge_comparison: contrasts of a judge's scores; None, like all that follow, where the experiment has none.
        retrieval_comparison: contrasts of the arms with and without passages.
        ratings_comparison: contrasts of people's ratings.
        benchmark_comparison: exams.
        canary_audit: exposure of inserted secrets.
        published_comparison: figures of a study beside those of the run.

    Returns:
        ``COLUMNS`` in their order; texts that do not apply are "", numbers NaN, counts missing (``Int64``).
    """
    better_of = dict(zip(comparison["metric"], comparison["signature"], strict=True))
    family_of = dict(zip(comparison["metric"], comparison["family"], strict=True))
    rows = [
        *read_comparison(comparison),
        *read_controls(controls, better_of),
        *read_corpus_scores(corpus_scores, family_of),
        *read_forgetting(forgetting),
        *_optional(read_subgroups, subgroups, family_of, better_of),
        *_optional(read_contrasts, retrieval_comparison, "retrieval_comparison"),
        *_optional(read_contrasts, judge_comparison, "judge_comparison"),
        *_optional(read_contrasts, ratings_comparison, "ratings_comparison"),
        *_optional(read_benchmarks, benchmark_comparison),
        *_optional(read_audit, canary_audit),
        *_optional(read_practices, as_published, family_of),
        *_optional(read_published, published_comparison),
    ]
    table = pd.DataFrame([row._asdict() for row in rows], columns=list(Row._fields))
    table.insert(0, "experiment", experiment)
    types = dict.fromkeys(NUMBERS, "float64") | dict.fromkeys(COUNTS, "Int64")
    return table[list(COLUMNS)].astype(types)


def _optional(read: Any, table: pd.DataFrame | None, *arguments: Any) -> Iterable[Row]:
    return [] if table is None else read(table, *arguments)


def describe_results(results: pd.DataFrame, evaluation: EvaluationParams) -> dict[str, Any]:
    """The same rows as JSON holds them, with what columns, statistics and units mean.

    Args:
        results: as :func:`tabulate_results` returns it, or as a CSV file gives it back.
        evaluation: level of the intervals.

    Returns:
        experiment; confidence; columns, statistics and units: name to meaning, of those that occur; metrics: name to
        family and signatures, in the order of the rows; rows: one mapping a row, None for what does not exist.
    """
    rows: list[dict[str, Any]] = [{name: _value(row[name]) for name in COLUMNS} for row in results.to_dict("records")]
    metrics: dict[str, dict[str, Any]] = {}
    for row in rows:
        known = metrics.setdefault(row["metric"], {"family": row["family"], "signatures": []})
        if row["signature"] and row["signature"] not in known["signatures"]:
            known["signatures"].append(row["signature"])
    return {
        "experiment": rows[0]["experiment"] if rows else None,
        "confidence": evaluation.confidence,
        "columns": COLUMNS,
        "statistics": {name: STATISTICS[name] for name in STATISTICS if (results["statistic"] == name).any()},
        "units": {name: UNITS[name] for name in UNITS if (results["unit"] == name).any()},
        "metrics": metrics,
        "rows": rows,
    }


def _value(value: Any) -> Any:
    """None for a missing number, and for a text that is empty or that a CSV file gave back as missing."""
    return None if pd.isna(value) or value == "" else plain(value)
