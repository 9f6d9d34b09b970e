"""The comparison of many runs as one HTML file that opens from disk and asks nothing of any network."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from med_lora.datasets.runs import FinishedRuns
from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.contrasts import ARM_BETTER, REFERENCE_BETTER
from med_lora.pipelines.comparison.findings import (
    state_contrasts,
    state_controls,
    state_overview,
    state_repeats,
    state_seeds,
    state_settings,
    state_untuned,
)
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page import render_page
from med_lora.report_page.records import Record, read_records
from med_lora.report_page.wording import PERCENT_SCALED, interval, minus, number, percent, show_p, title

MOST_ROWS = 200  # of the contrasts; all of them are in run_contrasts.csv


def write_comparison_report(
    runs: FinishedRuns,
    compared_runs: pd.DataFrame,
    run_means: pd.DataFrame,
    leaderboard: pd.DataFrame,
    study_leaderboard: pd.DataFrame,
    run_contrasts: pd.DataFrame,
    machine_ticks: pd.DataFrame,
    answer_times: pd.DataFrame,
    setting_scores: pd.DataFrame,
    seed_spread: pd.DataFrame,
    comparison: ComparisonParams,
    evaluation: EvaluationParams,
    **figures: Any,
) -> str:
    """The whole page: tables, figures, and sentences on which differences are real and which the data cannot tell.

    Args:
        runs: of which those left out are listed.
        compared_runs: as ``describe_runs`` returns it; the next tables are those of the pipeline likewise.
        run_means: one row a model and metric.
        leaderboard: one row a model.
        study_leaderboard: the same in the shape of Patel et al. (2024).
        run_contrasts: tuned models against each other.
        machine_ticks: models by machines.
        answer_times: seconds of an answer.
        setting_scores: scores by the settings that differ.
        seed_spread: what seeds alone change.
        comparison: its metrics.
        evaluation: confidence and power.
        figures: ``plotly`` figures by dataset name.
    """
    compared_runs, leaderboard, run_contrasts = map(restore_texts, (compared_runs, leaderboard, run_contrasts))
    setting_scores, seed_spread = restore_texts(setting_scores), restore_texts(seed_spread)
    findings = [
        *state_contrasts(run_contrasts, leaderboard, comparison, evaluation),
        *state_settings(setting_scores, run_contrasts, comparison),
        *state_untuned(run_means, compared_runs, comparison),
        *state_controls(leaderboard, comparison),
    ]
    values = {
        "overview": state_overview(compared_runs, runs.left_out),
        "findings": findings,
        "repeats": [*state_repeats(compared_runs), *state_seeds(seed_spread, comparison)],
        "metrics": comparison.metrics,
        "confidence": percent(evaluation.confidence),
        "excluded": ", ".join(evaluation.exclude) or "nothing",
        "tests": int(run_contrasts["p_value"].notna().sum()),
        "leaderboard": read_records(leaderboard),
        "study": read_records(restore_texts(study_leaderboard)),
        "contrasts": read_records(run_contrasts.head(MOST_ROWS)),
        "contrast_count": len(run_contrasts),
        "ticks": read_records(machine_ticks),
        "machines": [str(name) for name in machine_ticks.columns if name != "model"],
        "times": read_records(restore_texts(answer_times)),
        "seeds": read_records(seed_spread),
        "runs": read_records(compared_runs),
        "left_out": list(runs.left_out),
        "has_settings": bool(len(setting_scores)),
    }
    named = {
        name.removesuffix("_figure").replace("_", "-"): _rebuild(figure) for name, figure in sorted(figures.items())
    }
    return render_page(__package__, "comparison_report.html.j2", named, FILTERS, values)


def show_score(row: Record, metric: str) -> str:
    """The mean of a metric: three decimals, or two where it runs to 100."""
    return minus(number(row[metric], _places(metric)))


def show_bounds(row: Record, metric: str) -> str:
    """Its interval."""
    return minus(interval(row[f"{metric}_low"], row[f"{metric}_high"], _places(metric)))


def show_difference(row: Record) -> str:
    """The difference of a contrast with its interval."""
    places = _places(row["metric"])
    bounds = interval(row["difference_low"], row["difference_high"], places)
    return minus(f"{number(row['difference'], places)} {bounds}".strip())


def show_verdict(verdict: str) -> str:
    """A verdict beside the columns First and Second."""
    return {REFERENCE_BETTER: "first better", ARM_BETTER: "second better"}.get(verdict, verdict)


def show_number(value: Any, places: int = 3) -> str:
    """A number that may be missing or infinite."""
    if value == "" or value is None or not math.isfinite(value):
        return "–"
    return number(float(value), places)


def show_whole(value: Any) -> str:
    """A rank or a count that may be missing."""
    return "–" if value == "" or pd.isna(value) else f"{value:g}"


def _places(metric: str) -> int:
    return 2 if metric in PERCENT_SCALED | {"perplexity", "length_ratio", "copied_words"} else 3


def _rebuild(figure: Any) -> Any:
    """The same figure with its keys in the order that plotly gives them when it loads one from a file."""
    import plotly.graph_objects as go

    return go.Figure(figure.to_plotly_json())


FILTERS: dict[str, Callable[..., Any]] = {
    "metric": title,
    "score": show_score,
    "bounds": show_bounds,
    "difference": show_difference,
    "p": show_p,
    "verdict": show_verdict,
    "number": show_number,
    "whole": show_whole,
    "places": _places,
}
