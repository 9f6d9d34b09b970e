"""Rows of the results table from each table that the evaluation writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.pipelines.reporting.exports.units import name_unit
from med_lora.report_page.records import Record, read_records

TUNING = "tuned - base"
# column of a comparison -> statistic, for what a contrast has besides its difference
EXTRAS = {
    "ratio": "relative_difference",
    "rank_biserial": "rank_biserial",
    "detectable": "detectable",
    "pairs_needed": "pairs_needed",
    "mann_whitney_p": "mann_whitney_p",
    "mean_of_ratios": "mean_of_ratios",
}


class Row(NamedTuple):
    """One statistic; the columns of the results but for the experiment."""

    table: str
    metric: str
    statistic: str
    value: float
    unit: str
    family: str = ""
    contrast: str = ""
    arm: str = ""
    low: float = math.nan
    high: float = math.nan
    n: int | None = None
    groups: int | None = None
    p_value: float = math.nan
    p_holm: float = math.nan
    signature: str = ""


def read_comparison(comparison: pd.DataFrame) -> Iterator[Row]:
    """Base against tuned, with the values over all pairs where pairs were left out."""
    for row in read_records(comparison):
        named = row | {"reference_mean": row["base"], "arm_mean": row["tuned"]}
        named |= {f"reference_{end}": row[f"base_{end}"] for end in ("low", "high")}
        named |= {f"arm_{end}": row[f"tuned_{end}"] for end in ("low", "high")}
        yield from _read_contrast(named | {"reference": "base", "arm": "tuned"}, "comparison")
        if row["excluded"]:
            fixed = _fixed(row, "comparison") | {"n": int(row["n"] + row["excluded"]), "groups": None}
            yield from _known(
                [
                    Row(statistic="estimate_all", value=row["base_all"], arm="base", **fixed),
                    Row(statistic="estimate_all", value=row["tuned_all"], arm="tuned", **fixed),
                    _measured(row, "difference_all", "difference_all", contrast=TUNING, **fixed),
                ]
            )


def read_contrasts(contrasts: pd.DataFrame, table: str) -> Iterator[Row]:
    """Contrasts of a second track; an arm that stands in several contrasts stands in the results once.

    Contrasts need not rest on the same pairs: where an arm has another figure than in the first of its contrasts, the
    row names the contrast whose pairs it is of.
    """
    seen: dict[tuple[str, str, str], Row] = {}
    for record in read_records(contrasts):
        for row in _read_contrast(record, table):
            if row.statistic == "estimate" and math.isnan(row.value):
                continue
            first = row if row.contrast else seen.setdefault((row.metric, row.statistic, row.arm), row)
            if first is row:
                yield row
            elif row.n != first.n or not math.isclose(row.value, first.value):
                yield row._replace(contrast=_name_contrast(record))


def _name_contrast(row: Record) -> str:
    """``tuned - base``; in brackets where both sides are differences themselves."""
    if " - " in row["arm"]:
        return f"({row['arm']}) - ({row['reference']})"
    return f"{row['arm']} - {row['reference']}"


def _read_contrast(row: Record, table: str) -> Iterator[Row]:
    """Both arms, their difference, effect and power, the references and the best control."""
    fixed, contrast = _fixed(row, table), _name_contrast(row)
    if " - " not in row["arm"]:  # else a difference of differences: neither side is an arm
        # who is preferred depends on whom one is compared with; other metrics are of an arm alone
        against = contrast if row["metric"].endswith("_preference") else ""
        yield _measured(row, "reference_mean", "estimate", arm=row["reference"], contrast=against, **fixed)
        yield _measured(row, "arm_mean", "estimate", arm=row["arm"], contrast=against, **fixed)
    tests = {name: row[name] for name in ("p_value", "p_holm")}
    yield _measured(row, "difference", "difference", contrast=contrast, **fixed, **tests)
    for column, statistic in EXTRAS.items():
        given = fixed | {"unit": name_unit(row["metric"], row["family"], statistic)}
        yield from _known([_measured(row, column, statistic, contrast=contrast, **given)])
    counted = fixed | {"unit": "pairs"}
    yield Row(statistic="excluded", value=float(row["excluded"]), contrast=contrast, **counted)
    yield from _known([_measured(row, "gold", "reference", arm="gold", **fixed)])
    yield from _known([_measured(row, "best_control_mean", "best_control", arm=row["best_control"], **fixed)])


def read_controls(controls: pd.DataFrame, signatures: Mapping[str, str]) -> Iterator[Row]:
    """Null controls and what the tuned model has over each, which nothing tests."""
    for row in read_records(controls):
        fixed = _fixed(row | {"signature": signatures.get(row["metric"], "")}, "controls")
        contrast = f"tuned - {row['arm']}"
        named = row | {"mean_low": row["low"], "mean_high": row["high"]}
        yield _measured(named, "mean", "estimate", arm=row["arm"], **fixed)
        yield _measured(row, "tuned_difference", "difference", contrast=contrast, **fixed)
        if row["excluded"]:
            fixed |= {"n": int(row["n"] + row["excluded"])}
            yield _measured(row, "mean_all", "estimate_all", arm=row["arm"], **fixed)
            yield _measured(row, "tuned_difference_all", "difference_all", contrast=contrast, **fixed)


def read_corpus_scores(corpus_scores: pd.DataFrame, families: Mapping[str, str]) -> Iterator[Row]:
    """Scores of the test set as a whole; metrics that are means over pairs stand in the comparison already."""
    for row in read_records(corpus_scores):
        if row["metric"] in families and row["signature"].startswith("mean over pairs"):
            continue
        named = row | {"family": "overlap", "value_low": row["low"], "value_high": row["high"]}
        yield _measured(named, "value", "estimate", arm=row["arm"], **_fixed(named, "corpus_scores"))


def read_forgetting(forgetting: pd.DataFrame) -> Iterator[Row]:
    """General English before and after."""
    for row in read_records(forgetting):
        named = row | {"metric": row["measure"], "family": "loss"}
        named |= {"difference_low": row["low"], "difference_high": row["high"]}
        fixed = _fixed(named, "forgetting")
        for arm in BARE_ARMS:
            yield Row(statistic="estimate", value=row[arm], arm=arm, **fixed)
        yield _measured(named, "difference", "difference", contrast=TUNING, **fixed)


def read_subgroups(
    subgroups: pd.DataFrame, families: Mapping[str, str], signatures: Mapping[str, str]
) -> Iterator[Row]:
    """Parts of the test set; the table column holds the dimension and the level."""
    for record in read_records(subgroups):
        metric = record["metric"]
        row = record | {"family": families.get(metric, ""), "signature": signatures.get(metric, "")}
        fixed = _fixed(row, f"subgroups: {row['dimension']} = {row['level']}")
        for arm in BARE_ARMS:
            yield Row(statistic="estimate", value=row[arm], arm=arm, **fixed)
        tests = {name: row[name] for name in ("p_value", "p_holm")}
        yield _measured(row, "difference", "difference", contrast=TUNING, **fixed, **tests)
        yield from _known([_measured(row, "best_control_mean", "best_control", arm=row["best_control"], **fixed)])


def read_benchmarks(benchmark_comparison: pd.DataFrame) -> Iterator[Row]:
    """Accuracy on exams, beside guessing."""
    for row in read_records(benchmark_comparison):
        named = row | {"metric": f"{row['benchmark']}_accuracy", "family": "choice"}
        fixed = _fixed(named, "benchmark_comparison")
        for arm in BARE_ARMS:
            yield _measured(row, arm, "estimate", arm=arm, **fixed)
            yield Row(statistic="macro_f1", value=row[f"{arm}_macro_f1"], arm=arm, **fixed)
            yield Row(statistic="only_right", value=float(row[f"{arm}_only"]), arm=arm, **fixed)
        tests = {name: row[name] for name in ("p_value", "p_holm")}
        yield _measured(row, "difference", "difference", contrast=TUNING, **fixed, **tests)
        for name in ("chance", "majority"):
            yield Row(statistic=name, value=row[name], **fixed)


def read_audit(canary_audit: pd.DataFrame) -> Iterator[Row]:
    """Exposure of secrets that were inserted on purpose."""
    for row in read_records(canary_audit):
        fixed: dict[str, Any] = {"table": "canary_audit", "metric": "exposure", "arm": row["arm"], "n": int(row["n"])}
        for column in ("mean_exposure", "max_exposure", "most"):
            statistic = column if column != "most" else "most_exposure"
            yield Row(statistic=statistic, value=row[column], unit="bits", **fixed)
        yield Row(statistic="audit_p", value=row["p_value"], unit="p", **fixed)


def read_practices(as_published: pd.DataFrame, families: Mapping[str, str]) -> Iterator[Row]:
    """Figures by the practices of studies; the table column holds the practice."""
    for row in read_records(as_published):
        fixed: dict[str, Any] = {"table": f"as_published: {row['variant']}", "metric": row["quantity"]}
        fixed |= {"family": families.get(row["quantity"], ""), "n": int(row["n"]), "statistic": "as_published"}
        unit = name_unit(row["quantity"], fixed["family"])
        if math.isnan(row["value"]):
            yield from _known([Row(value=row[arm], arm=arm, unit=unit, **fixed) for arm in BARE_ARMS])
        else:
            unit = "1" if "ratio" in row["variant"] else "p"
            yield Row(value=row["value"], contrast=TUNING, unit=unit, **fixed)


def read_published(published_comparison: pd.DataFrame) -> Iterator[Row]:
    """A study's figures and those of the run; the table column holds the system as the study names it, and the way."""
    for row in read_records(published_comparison):
        fixed: dict[str, Any] = {"metric": row["quantity"], "arm": row["arm"], "unit": name_unit(row["quantity"], "")}
        way = f", {row['way']}" if row["way"] else ""
        fixed |= {"table": f"published_comparison: {row['study']}, {row['system']}{way}"}
        printed = {"n": _count(row["published_n"]), "p_value": row["published_p"]}
        yield Row(statistic="published", value=row["published"], **fixed, **printed)
        if fixed["unit"] == "s":
            continue  # measured by a clock: another rerun, another figure
        ours = {"low": row["ours_low"], "high": row["ours_high"], "n": _count(row["ours_n"]), "p_value": row["ours_p"]}
        yield from _known([Row(statistic="ours", value=row["ours"], **fixed, **ours)])


def _fixed(row: Record, table: str) -> dict[str, Any]:
    """What all statistics of a row share."""
    return {
        "table": table,
        "metric": row["metric"],
        "family": row["family"],
        "unit": name_unit(row["metric"], row["family"]),
        "n": _count(row["n"]),
        "groups": _count(row.get("groups")),
        "signature": row.get("signature", ""),
    }


def _measured(row: Record, column: str, statistic: str, **fixed: Any) -> Row:
    """A column with its bounds, where the table holds them."""
    stem = column.removesuffix("_mean")
    ends: dict[str, Any] = {
        end: row.get(f"{column}_{end}", row.get(f"{stem}_{end}", math.nan)) for end in ("low", "high")
    }
    return Row(statistic=statistic, value=row[column], **ends, **fixed)


def _known(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not math.isnan(row.value)]


def _count(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)
