"""Tuned models of several runs against each other, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd

from med_lora.metrics.definition import Metric, read_metrics
from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.gathering import needs_losses
from med_lora.pipelines.comparison.means import arm_name, gather_run_items
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.pipelines.evaluation.comparison.arms import CONTRAST_COLUMNS, compare_items, tabulate_contrasts
from med_lora.pipelines.evaluation.comparison.contrasts import Contrast
from med_lora.pipelines.evaluation.comparison.verdicts import decide
from med_lora.report_page.records import read_records

EVERY_PAIR = 5  # runs of a test set up to which every two are compared; of more, each with the first-ranked
_DROPPED = ("gold", "best_control", "unbeaten_controls", "mann_whitney_p", "mean_of_ratios", "ratio")
COLUMNS = [
    *("test_set", "reference", "arm", "reference_label", "arm_label", "metric", "verdict"),
    *(
        name
        for name in CONTRAST_COLUMNS
        if not name.startswith(_DROPPED) and name not in ("reference", "arm", "metric")
    ),
]
ARM_BETTER, REFERENCE_BETTER, NOT_TOLD_APART, NOT_TESTED = (
    "arm better",
    "reference better",
    "not told apart",
    "not tested",
)
_VERDICTS = {"improved": ARM_BETTER, "worsened": REFERENCE_BETTER, "unclear": NOT_TOLD_APART}


def contrast_runs(
    leaderboard: pd.DataFrame,
    compared_runs: pd.DataFrame,
    run_scores: pd.DataFrame,
    run_metrics: pd.DataFrame,
    losses_by_run: pd.DataFrame,
    comparison: ComparisonParams,
    evaluation: EvaluationParams,
) -> pd.DataFrame:
    """Tuned models on the same test pairs against each other, in each compared metric that both scored alike.

    Numbers are those of :func:`~med_lora.pipelines.evaluation.comparison.arms.compare`: cluster bootstrap over groups,
    signed-rank test, Holm's correction over every test of the table. Up to ``EVERY_PAIR`` runs of a test set are all
    compared with each other; of more, each with the one that ranks first. That one was picked by the same scores, so
    its lead is flattered. Of metrics of losses only the first that is compared is tested: the others say the same in
    another unit. Perplexity and cross-entropy are not compared between tokenizers, whose tokens are not the same unit,
    and no metric is between two signatures.

    Returns:
        test_set, reference and arm (ids of runs), their labels, metric, verdict ("arm better", "reference better", "not
        told apart", "not tested"), and the columns of the comparison of arms from family to note. For test sets that
        differ a row says that nothing is tested between them.
    """
    leaderboard, compared_runs = restore_texts(leaderboard), restore_texts(compared_runs)
    metrics = {str(run): read_metrics(part.drop(columns="run")) for run, part in run_metrics.groupby("run")}
    tokenizers = dict(zip(compared_runs["run"], compared_runs["tokenizer"], strict=True))
    rows: list[dict[str, Any]] = []
    tuned = leaderboard[leaderboard["arm"] == "tuned"]
    for test_set, ranked in tuned.groupby("test_set", sort=True):
        runs = ranked["run"].tolist()
        pairs = list(combinations(runs, 2)) if len(runs) <= EVERY_PAIR else [(runs[0], run) for run in runs[1:]]
        if pairs:
            items, groups = gather_run_items([(run, "tuned") for run in runs], run_scores, losses_by_run)
            planned = _plan(pairs, metrics, tokenizers, comparison.metrics)
            found = _compare(items, groups, planned, evaluation)
            rows += [{"test_set": test_set, **row} for row in found]
    rows += _list_other_tests(tuned)
    table = tabulate_contrasts(rows).assign(test_set=[row["test_set"] for row in rows])
    labels = dict(zip(compared_runs["run"], compared_runs["label"], strict=True))
    for side in ("reference", "arm"):
        table[side] = [str(name).removesuffix("/tuned") for name in table[side]]
        table[f"{side}_label"] = [labels[run] for run in table[side]]
    alpha = evaluation.significance_level
    table["verdict"] = [_VERDICTS.get(decide(row, alpha), NOT_TESTED) for row in read_records(table)]
    return table[COLUMNS]


Plan = tuple[tuple[str, str], list[Metric], dict[str, str]]  # two runs, what is compared, and why the rest is not


def _plan(
    pairs: Sequence[tuple[str, str]],
    metrics: Mapping[str, Sequence[Metric]],
    tokenizers: Mapping[str, str],
    names: Sequence[str],
) -> list[Plan]:
    """For every two runs the metrics to compare, with the tests that are to be made."""
    first_loss = next((name for name in names if needs_losses(name)), "")
    planned: list[Plan] = []
    for first, second in pairs:
        chosen, reasons = [], {}
        for name in names:
            both = [next((of for of in metrics[run] if of.name == name), None) for run in (first, second)]
            if both[0] is None or both[1] is None:
                reasons[name] = "one of the two runs has no such metric"
                continue
            reason = _find_reason(both[0], both[1], tokenizers[first] == tokenizers[second])
            if reason:
                reasons[name] = reason
                continue
            tested = name == first_loss or (not needs_losses(name) and both[0].better != "neither")
            chosen.append(replace(both[0], tested=tested, missing=both[0].missing or both[1].missing))
        planned.append(((first, second), chosen, reasons))
    return planned


def _find_reason(first: Metric, second: Metric, same_tokenizer: bool) -> str:
    """Why two runs cannot be compared by a metric; "" if they can."""
    if needs_losses(first.name):
        per_token = first.name != "bits_per_byte"
        return (
            "the tokenizers differ, and so do their tokens; compare bits_per_byte"
            if per_token and not same_tokenizer
            else ""
        )
    if first.signature != second.signature:
        return "the signatures of the metric differ; score one of the runs again"
    return ""


def _compare(
    items: pd.DataFrame, groups: pd.Series, planned: Sequence[Plan], evaluation: EvaluationParams
) -> list[dict[str, Any]]:
    """Rows in the order of the plan; contrasts with equal metrics are measured together."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    together: dict[tuple[Metric, ...], list[tuple[str, str]]] = {}
    for pair, chosen, _ in planned:
        together.setdefault(tuple(chosen), []).append(pair)
    for metrics, pairs in together.items():
        named = [Contrast(*(arm_name(run, "tuned") for run in pair)) for pair in pairs]
        # with the columns of these contrasts alone: other arms would be taken for null controls
        used = {name for contrast in named for name in contrast}
        own = items.loc[:, items.columns.get_level_values(0).isin(used)]
        found, _ = compare_items(own, metrics, named, groups, evaluation, ratios=False)
        for pair, contrast in zip(pairs, named, strict=True):
            rows[pair] = [row for row in found if (row["reference"], row["arm"]) == tuple(contrast)]
    listed = []
    for (first, second), _, reasons in planned:
        listed += rows[first, second]
        listed += [_empty_row(first, second) | {"metric": name, "note": reason} for name, reason in reasons.items()]
    return listed


def _list_other_tests(tuned: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for every two test sets, of the first-ranked run of each."""
    firsts = tuned.drop_duplicates("test_set").to_dict("records")
    return [
        _empty_row(one["run"], other["run"])
        | {
            "test_set": f"{one['test_set']}, {other['test_set']}",
            "metric": "all",
            "note": f"test pairs {one['test_set']} (n = {one['n']}) and {other['test_set']} (n = {other['n']}) are not "
            "the same, so their runs are not tested against each other",
        }
        for one, other in combinations(firsts, 2)
    ]


def _empty_row(reference: str, arm: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("difference", "difference_low", "difference_high", "p_value"), math.nan)
    return {"reference": reference, "arm": arm, "better": "", "n": 0, "groups": 0, **numbers}
