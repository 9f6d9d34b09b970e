"""Scores by the settings that differ among runs, and what a seed alone changes."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from med_lora.datasets.runs import FinishedRuns
from med_lora.pipelines.comparison.runs import read_distinct
from med_lora.pipelines.comparison.settings import find_differing, is_number, read_seeds, read_settings
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page.records import read_records

SETTING_COLUMNS = [
    *("test_set", "setting", "kind", "value", "curve", "alone", "run", "label", "metric", "better"),
    *("n", "groups", "mean", "low", "high"),
]
SEED_COLUMNS = ["test_set", "runs", "seeds", "metric", "better", "n", "mean", "lowest", "highest", "range", "deviation"]


def score_settings(runs: FinishedRuns, compared_runs: pd.DataFrame, run_means: pd.DataFrame) -> pd.DataFrame:
    """Scores of the tuned models by every setting that differs among the runs of a test set, seeds and hardware apart.

    Returns:
        test_set, setting (dotted key), kind ("number" or "text"), value, curve (a number: runs of one curve agree in
        all other settings), alone (whether another run of the curve has another value, so that the setting is the
        only difference), run, label, metric, better, n, groups, mean, low, high.
    """
    of_runs = {run.id: read_settings(run) for run in runs.runs}
    run_means = restore_texts(run_means)
    rows: list[dict[str, Any]] = []
    for test_set, members in read_distinct(compared_runs).groupby("test_set", sort=True):
        listed = {run: of_runs[run] for run in members["run"]}
        labels = dict(zip(members["run"], members["label"], strict=True))
        means = run_means[(run_means["test_set"] == test_set) & (run_means["arm"] == "tuned")].drop(columns="test_set")
        for setting in find_differing(listed.values()):
            values = {run: settings.get(setting) for run, settings in listed.items()}
            kind = "number" if all(is_number(value) for value in values.values()) else "text"
            rests = {run: _rest(settings, setting) for run, settings in listed.items()}
            curves = list(dict.fromkeys(rests.values()))
            for row in read_records(means):
                run = str(row["run"])
                others = {repr(values[other]) for other in listed if rests[other] == rests[run]}
                found = {"value": values[run], "curve": 1 + curves.index(rests[run]), "alone": len(others) > 1}
                rows.append(
                    {"test_set": test_set, "setting": setting, "kind": kind, "label": labels[run], **row, **found}
                )
    return pd.DataFrame(rows, columns=SETTING_COLUMNS)


def spread_seeds(runs: FinishedRuns, compared_runs: pd.DataFrame, run_means: pd.DataFrame) -> pd.DataFrame:
    """What remains different among tuned models of runs that differ in their seeds alone.

    Returns:
        test_set, runs (their labels), seeds (how many runs), metric, better, n (pairs), mean, lowest, highest, range,
        deviation (standard, of the seeds' means). No row where no two runs differ in seeds alone.
    """
    of_runs = {run.id: run for run in runs.runs}
    run_means, compared_runs = restore_texts(run_means), restore_texts(compared_runs)
    labels = dict(zip(compared_runs["run"], compared_runs["label"], strict=True))
    together: dict[tuple[str, str], list[str]] = {}
    for run, test_set in read_distinct(compared_runs)[["run", "test_set"]].itertuples(index=False):
        together.setdefault((test_set, _rest(read_settings(of_runs[run]), "")), []).append(run)
    rows: list[dict[str, Any]] = []
    for (test_set, _), members in together.items():
        seeds = {json.dumps(read_seeds(of_runs[run]), sort_keys=True) for run in members}
        if len(seeds) < 2:
            continue
        means = run_means[run_means["run"].isin(members) & (run_means["arm"] == "tuned")]
        for metric, part in means.groupby("metric", sort=False):
            found = part["mean"].agg(["mean", "min", "max", "std"])
            rows.append(
                {"test_set": test_set, "runs": "; ".join(labels[run] for run in members), "seeds": len(part)}
                | {"metric": metric, "better": part["better"].iloc[0], "n": part["n"].min(), "mean": found["mean"]}
                | {"lowest": found["min"], "highest": found["max"], "range": found["max"] - found["min"]}
                | {"deviation": found["std"]}
            )
    return pd.DataFrame(rows, columns=SEED_COLUMNS)


def _rest(settings: dict[str, Any], without: str) -> str:
    """All settings but one, as a text that is equal for equal ones."""
    return json.dumps({key: value for key, value in settings.items() if key != without}, sort_keys=True, default=str)
