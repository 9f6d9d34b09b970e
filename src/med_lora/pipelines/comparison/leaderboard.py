"""One row a model: what it is, where it ran, what it reaches in each metric, and its place."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from med_lora.parameters import ComparisonParams
from med_lora.pipelines.comparison.gathering import STUDY_METRICS
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page.records import read_records

DESCRIBED = ["label", "experiment", "model", "quantisation", "method", "rank", "epochs", "machine"]
_BASE_BLANK: dict[str, Any] = {"method": "", "rank": math.nan, "epochs": math.nan}


def rank_runs(
    run_means: pd.DataFrame,
    compared_runs: pd.DataFrame,
    run_scores: pd.DataFrame,
    answer_times: pd.DataFrame,
    comparison: ComparisonParams,
) -> pd.DataFrame:
    """The models of each test set, ranked by the first metric in its better direction; the others follow their order.

    A place is that of the means alone; whether two models can be told apart is in the contrasts.

    Returns:
        test_set, place (1 is best; NaN without a value), run, arm, label, experiment, model, quantisation, method, rank
        (of the LoRA), epochs, machine, n, groups, each metric with _low, _high and _control (the best null control of
        that run), answer_seconds and seconds_are (how they were taken), answer_cut (share of answers at the length
        limit; no pair is left out here), note.
    """
    run_means, compared_runs = restore_texts(run_means), restore_texts(compared_runs)
    described_runs = {row["run"]: row for row in read_records(compared_runs)}
    answer_times = restore_texts(answer_times)
    rows = []
    for (test_set, run, arm), part in run_means.groupby(["test_set", "run", "arm"], sort=False):
        described = {name: described_runs[run][name] for name in DESCRIBED}
        row: dict[str, Any] = {
            "test_set": test_set,
            "run": run,
            "arm": arm,
            **described,
            **(_BASE_BLANK if arm == "base" else {}),
        }
        if arm == "base":
            weights = "" if described["quantisation"] == "none" else f" {described['quantisation']}"
            row["label"] = f"{described['model']}{weights}, not tuned"
        row |= {"n": int(part["n"].max()), "groups": int(part["groups"].max())}
        for found in part.to_dict("records"):
            name = found["metric"]
            row |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
            row[f"{name}_control"] = found["best_control_mean"]
        cut = run_scores[(run_scores["run"] == run) & (run_scores["arm"] == arm)]
        row["answer_cut"] = cut["score"][cut["metric"] == "answer_cut"].mean()
        times = answer_times[(answer_times["run"] == run) & (answer_times["arm"] == arm)]
        if len(times):
            row |= {"answer_seconds": times.iloc[0]["seconds"], "seconds_are": times.iloc[0]["measured"]}
        row["better"], row["note"] = part.iloc[0][["better", "note"]]
        rows.append(row)
    numbers = [f"{name}{end}" for name in comparison.metrics for end in ("", "_low", "_high", "_control")]
    columns = ["test_set", "run", "arm", *DESCRIBED, "n", "groups", *numbers, "answer_seconds", "seconds_are"]
    table = pd.DataFrame(rows).reindex(columns=[*columns, "answer_cut", "note", "better"])
    return _place(table, comparison.metrics[0])


def tabulate_as_study(run_scores: pd.DataFrame, run_metrics: pd.DataFrame, leaderboard: pd.DataFrame) -> pd.DataFrame:
    """The table of Patel et al. (2024): exact match, and the best BLEU, ROUGE and F1 of any one answer, with seconds.

    The largest score of one answer grows with the number of answers and says nothing about a model, so the mean stands
    beside each. BLEU and ROUGE are ROUGE-L and the sentence BLEU of this project, from 0 to 1.

    Returns:
        test_set, run, arm, label, model, machine, n, exact_match_percent, bleu_max, bleu_mean, rouge_max, rouge_mean,
        f1_max, f1_mean, answer_seconds, seconds_are, note (metrics that the run lacks).
    """
    rows = []
    for row in read_records(restore_texts(leaderboard)):
        of_model = run_scores[(run_scores["run"] == row["run"]) & (run_scores["arm"] == row["arm"])]
        known = set(run_metrics["name"][run_metrics["run"] == row["run"]])
        by = {name: of_model["score"][of_model["metric"] == name].dropna() for name in STUDY_METRICS}
        study = {"n": len(set(of_model["id"])), "exact_match_percent": 100 * by["exact_match"].mean()}
        for name, column, scale in (("bleu", "bleu", 100), ("rougeL", "rouge", 1), ("token_f1", "f1", 1)):
            study |= {f"{column}_max": by[name].max() / scale, f"{column}_mean": by[name].mean() / scale}
        kept = ("test_set", "run", "arm", "label", "model", "machine")
        lacking = [name for name in STUDY_METRICS if name not in known]
        rows.append(
            {name: row[name] for name in kept}
            | study
            | {name: row[name] for name in ("answer_seconds", "seconds_are")}
            | {"note": f"not scored: {', '.join(lacking)}" if lacking else ""}
        )
    return pd.DataFrame(rows)


def _place(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Sorted within each test set, with the place; equal means share one."""
    better = table["better"].iloc[0] if len(table) else "higher"
    values = table[metric] if better == "higher" else -table[metric]
    places = values.groupby(table["test_set"]).rank(method="min", ascending=False)
    table.insert(1, "place", places)
    ordered = table.assign(order=places.fillna(math.inf)).sort_values(["test_set", "order"], kind="stable")
    return ordered.drop(columns=["order", "better"]).reset_index(drop=True)
