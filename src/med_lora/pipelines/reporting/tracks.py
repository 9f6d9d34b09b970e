"""What the report says of the second track: arms with passages, a judge, people, and how far they agree."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.pipelines.reporting.cells import Cells, align, show_detectable, show_direction, show_values
from med_lora.report_page.records import read_records
from med_lora.report_page.wording import decimals, in_groups, interval, minus, number, show_p, title

CONTRAST_VALUES = ("reference_mean", "arm_mean", "difference")
CONTRAST_FAMILIES = ("loss", "overlap", "meaning", "choice", "grounding", "judge", "people")
UNTESTED_LOSSES = ("cross_entropy", "bits_per_byte")
FOUR_ARMS = ("base", "base_rag", "tuned", "tuned_rag", "best_control", "base_change", "tuned_change")
SHOWN_DISAGREEMENTS = 10  # rows of the table of items


def describe_retrieval(
    index_report: pd.DataFrame, retrieval_metrics: pd.DataFrame, retrieval_comparison: pd.DataFrame
) -> dict[str, Any]:
    """How well passages were found, and what they did to the answers.

    Args:
        index_report: source, given, left_out, reason, indexed, with_answer.
        retrieval_metrics: ranking, metric, relevance, k, n, groups, value, low, high, note.
        retrieval_comparison: columns of the evaluation's comparison of any two arms.
    """
    rankings = list(dict.fromkeys(retrieval_metrics["ranking"]))
    return {
        "arms": list_four_arms(retrieval_comparison),
        "contrasts": list_contrasts(retrieval_comparison),
        "rankings": rankings,
        "found": _list_found(retrieval_metrics, rankings),
        "unfound": [kind for kind, rows in retrieval_metrics.groupby("relevance") if not rows["n"].any()],
        "index": [_count_left_out(source, rows) for source, rows in index_report.groupby("source", sort=False)],
    }


def describe_judge(
    judge_summary: dict[str, Any], judge_comparison: pd.DataFrame, judge_checks: pd.DataFrame
) -> dict[str, Any]:
    """What the judge says, who it is, and what the checks on itself say of that.

    Args:
        judge_summary: sentences, judge, version, verdict.
        judge_comparison: columns of the evaluation's comparison of any two arms.
        judge_checks: check, subject, n, value, low, high, level, expected, verdict, note.
    """
    checks = [_show_measure(row) for row in read_records(judge_checks)]
    for check in checks:
        check["subject"] = title(check["subject"].replace(" ", "_"))
    of_tuning = (judge_comparison["reference"] == "base") & (judge_comparison["arm"] == "tuned")
    return {
        "summary": judge_summary,
        "contrasts": list_contrasts(judge_comparison[of_tuning]),
        "others": list_contrasts(judge_comparison[~of_tuning]),
        "checks": checks,
    }


def describe_people(
    ratings_report: dict[str, Any], agreement: pd.DataFrame, ratings_comparison: pd.DataFrame
) -> dict[str, Any]:
    """What people's ratings say, what is missing from them, and how far the raters agree.

    Args:
        ratings_report: sheets expected and returned, ratings missing.
        agreement: axis, measure, raters, n, value, low, high, note.
        ratings_comparison: columns of the evaluation's comparison of any two arms.
    """
    rows = [_show_measure(row) for row in read_records(agreement)]
    missing = [
        (rater, of["ratings_missing"]) for rater, of in ratings_report["raters"].items() if of["ratings_missing"]
    ]
    return {
        "report": ratings_report,
        "missing": missing,
        "agreement": rows,
        "contrasts": list_contrasts(ratings_comparison),
    }


def describe_divergence(
    divergence_verdict: str, divergence: pd.DataFrame, disagreements: pd.DataFrame, judge_agreement: Any = None
) -> dict[str, Any]:
    """Whether lexical scores, judge and people point the same way, item by item.

    Args:
        divergence_verdict: plain words.
        divergence: first, second, basis, n, groups, spearman, low, high, kendall, p_value, p_holm, detectable, note.
        disagreements: id, first, second, first_rank, second_rank, gap.
        judge_agreement: axis, n, quadratic_kappa, spearman and their bounds, note; None without judge or people.
    """
    rows = []
    for row in read_records(divergence):
        cells = {name: title(row[name]) for name in ("first", "second")} | {"basis": str(row["basis"])}
        cells |= {"n": f"{row['n']:,}", "groups": in_groups(row), "p_holm": show_p(row["p_holm"]), "note": row["note"]}
        cells |= {name: _signed(row[name]) for name in ("spearman", "kendall")}
        cells |= {"detectable": _signed(row["detectable"]) if math.isfinite(row["detectable"]) else "none"}
        rows.append(cells | {"spearman_interval": _bounds(row, "low", "high")})
    return {
        "verdict": divergence_verdict,
        "correlations": align(rows, ("spearman", "kendall", "detectable", "p_holm")),
        "disagreements": [
            {str(key): title(value) if key in ("first", "second") else str(value) for key, value in row.items()}
            for row in read_records(disagreements.head(SHOWN_DISAGREEMENTS))
        ],
        "agreement": [] if judge_agreement is None else [_show_kappa(row) for row in read_records(judge_agreement)],
    }


def list_four_arms(retrieval_comparison: pd.DataFrame) -> list[Cells]:
    """A row a metric: both models with and without passages, the best control, and what passages change in each."""
    rows = {(row["reference"], row["arm"], row["metric"]): row for row in read_records(retrieval_comparison)}
    shown = []
    for (reference, arm, metric), of_base in rows.items():
        if (reference, arm) != ("base", "base_rag") or metric in UNTESTED_LOSSES or not of_base["n"]:
            continue
        if of_base["family"] not in CONTRAST_FAMILIES:
            continue
        of_tuned = rows["tuned", "tuned_rag", metric]
        values = {"metric": metric, "family": of_base["family"], "n": min(of_base["n"], of_tuned["n"])}
        for model, row in (("base", of_base), ("tuned", of_tuned)):
            values |= {model: row["reference_mean"], f"{model}_rag": row["arm_mean"]}
            values |= {f"{model}_change{end}": row[f"difference{end}"] for end in ("", "_low", "_high")}
        cells = {"metric": title(metric), "direction": show_direction(of_base["better"]), "n": f"{values['n']:,}"}
        cells |= {"control": title(of_tuned["best_control"]) if of_tuned["best_control"] else ""}
        cells |= {"base_p": show_p(of_base["p_holm"]), "tuned_p": show_p(of_tuned["p_holm"])}
        values["best_control"] = of_tuned["best_control_mean"]
        shown.append(cells | show_values(values, FOUR_ARMS))
    return align(shown, FOUR_ARMS)


def _list_found(retrieval_metrics: pd.DataFrame, rankings: list[str]) -> list[dict[str, Any]]:
    """A row a metric and kind of relevance, with the values of all rankings; none where no pair could be measured."""
    measured = retrieval_metrics[retrieval_metrics["n"] > 0]
    rows = []
    for (relevance, metric), found in measured.groupby(["relevance", "metric"], sort=False):
        of = {row["ranking"]: row for row in read_records(found)}
        first = next(iter(of.values()))
        cells = {"relevance": relevance, "metric": metric, "n": f"{first['n']:,}", "note": first["note"]}
        rows.append(cells | {"values": [_show_measure(of[ranking]) for ranking in rankings]})
    return rows


def _count_left_out(source: Any, rows: pd.DataFrame) -> Cells:
    reasons = [f"{count:,} {reason}" for count, reason in zip(rows["left_out"], rows["reason"], strict=True) if count]
    counts = {name: f"{rows[name].iloc[0]:,}" for name in ("given", "indexed")}
    held = int(rows["with_answer"].iloc[0])
    shown = {"with_answer": f"{held:,}" if held else "", **counts}
    return {"source": str(source), "left_out": ", ".join(reasons).replace("_", " ") or "none", **shown}


def list_contrasts(comparison: pd.DataFrame) -> list[Cells]:
    """Rows of a table of any two arms, contrast by contrast."""
    shown = []
    for row in read_records(comparison[comparison["family"].isin(CONTRAST_FAMILIES)]):
        missing = f"not computed: {row['missing']}" if row["missing"] else ""
        cells: Cells = {
            "contrast": f"{title(row['reference'])} → {title(row['arm']).lower()}",
            "metric": title(row["metric"]),
            "direction": show_direction(row["better"]),
            "n": f"{row['n']:,}",
            "groups": in_groups(row),
            "excluded": f"{row['excluded']:,}",
            "note": "; ".join(filter(None, [missing, row["note"]])),
            "control": title(row["best_control"]) if row["best_control"] else "",
            "control_mean": number(row["best_control_mean"], decimals(row)),
            "gold": number(row["gold"], decimals(row)),
            "published_p": show_p(row["mann_whitney_p"]),
            "p_holm": show_p(row["p_holm"]),
        }
        shown.append(cells | show_values(row, CONTRAST_VALUES) | {"detectable": show_detectable(row)})
    return align(shown, (*CONTRAST_VALUES, "detectable", "p_holm"))


def _show_measure(row: dict[str, Any]) -> Cells:
    """A row of a measure with n, value and interval; names without underscores."""
    texts = {key: str(value).replace("_", " ") for key, value in row.items() if isinstance(value, str)}
    return {
        **texts,
        "n": f"{row['n']:,}",
        "value": _signed(row["value"]),
        "value_interval": _bounds(row, "low", "high"),
    }


def _show_kappa(row: dict[str, Any]) -> Cells:
    cells = {"axis": str(row["axis"]), "n": f"{row['n']:,}", "note": row["note"]}
    cells |= {name: _signed(row[name]) for name in ("quadratic_kappa", "spearman")}
    cells |= {"quadratic_kappa_interval": _bounds(row, "low", "high")}
    return cells | {"spearman_interval": _bounds(row, "spearman_low", "spearman_high")}


def _signed(value: float) -> str:
    return minus(number(value, 3))


def _bounds(row: dict[str, Any], low: str, high: str) -> str:
    return minus(interval(row[low], row[high], 3))
