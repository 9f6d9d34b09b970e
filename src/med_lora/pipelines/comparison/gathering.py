"""What the compared runs left, read once: scores, losses, what controls reach, and the course of training."""

from __future__ import annotations

import pandas as pd

from med_lora.arms import ARMS, BARE_ARMS, PASSAGE_CONTROLS
from med_lora.datasets.runs import FinishedRun, FinishedRuns
from med_lora.errors import InputError, nearest
from med_lora.parameters import ComparisonParams, EvaluationParams
from med_lora.pipelines.comparison.runs import read_distinct
from med_lora.pipelines.evaluation.comparison.contrasts import GOLD, LOSS_RATIOS
from med_lora.report_page.records import read_records

# Study B's table has these whatever else is compared.
STUDY_METRICS = ("exact_match", "bleu", "rougeL", "token_f1")
FLAGS = ("answer_cut", "answer_empty", "prompt_truncated")
LOSS_COLUMNS = ["run", "arm", "id", "nll", "tokens", "answer_bytes"]
CONTROL_COLUMNS = ["run", "metric", "control", "mean"]
_COURSE = ("train_loss", "validation_loss")


def gather_scores(
    runs: FinishedRuns, compared_runs: pd.DataFrame, comparison: ComparisonParams, evaluation: EvaluationParams
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The compared metrics of base and tuned model in every run that is a result of its own.

    Returns:
        run_scores: run, id, group, arm, metric, score.
        run_metrics: run, and the columns of :func:`~med_lora.metrics.definition.tabulate_metrics`.
        losses_by_run: run, arm, id, nll, tokens, answer_bytes; no row for a run without them.
        run_controls: run, metric, control, mean over all pairs; the controls that copy passages are no rivals here.

    Raises:
        InputError: for a metric that no run has, or an artifact that is not as the run recorded it.
    """
    wanted = {*comparison.metrics, *STUDY_METRICS, *FLAGS, *evaluation.exclude}
    distinct = set(read_distinct(compared_runs)["run"])
    scores, metrics, losses, controls = [], [], [], []
    for run in runs.runs:
        if run.id not in distinct:
            continue
        table = run.artifact("scores")
        table = table[table["metric"].isin(wanted)]
        scores.append(table[table["arm"].isin(BARE_ARMS)].assign(run=run.id))
        metrics.append(run.artifact("metrics").assign(run=run.id))
        losses += [_read_losses(run, arm) for arm in BARE_ARMS if run.is_there(f"{arm}_losses")]
        controls.append(_average_controls(table).assign(run=run.id))
    known = pd.concat(metrics, ignore_index=True)
    for name in comparison.metrics:
        if name not in set(known["name"]):
            raise InputError(
                f"comparison.metrics names {name!r}, which none of these runs has{nearest(name, known['name'])}"
            )
    empty = pd.DataFrame(columns=LOSS_COLUMNS)
    return (
        pd.concat(scores, ignore_index=True)[["run", "id", "group", "arm", "metric", "score"]],
        known,
        pd.concat(losses, ignore_index=True)[LOSS_COLUMNS] if losses else empty,
        pd.concat(controls, ignore_index=True)[CONTROL_COLUMNS],
    )


def gather_histories(runs: FinishedRuns, compared_runs: pd.DataFrame) -> pd.DataFrame:
    """Losses by step and scores by epoch of every run that trained and is a result of its own.

    Returns:
        run, label, rank, step, epoch, metric (train_loss, validation_loss, validation_<metric>), value; a run that
        only evaluated has no row.
    """
    columns = ["run", "label", "rank", "step", "epoch", "metric", "value"]
    of_runs = {run.id: run for run in runs.runs}
    parts = []
    for row in read_records(read_distinct(compared_runs)[["run", "label", "rank"]]):
        run = of_runs[str(row["run"])]
        if run.is_there(run.history):
            history = run.artifact(run.history)
            named = history["metric"].isin(_COURSE) | history["metric"].str.startswith("validation_")
            parts.append(history[named].assign(**row))
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def needs_losses(metric: str) -> bool:
    """Whether a metric is a ratio of sums of losses."""
    return metric in LOSS_RATIOS


def _read_losses(run: FinishedRun, arm: str) -> pd.DataFrame:
    losses: pd.DataFrame = run.artifact(f"{arm}_losses")
    return losses.assign(run=run.id, arm=arm)


def _average_controls(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over all pairs of every null control that has a score on each of them."""
    rivals = scores[~scores["arm"].isin({*ARMS, GOLD, *PASSAGE_CONTROLS})]
    found = rivals.groupby(["metric", "arm"])["score"].agg(["mean", "count", "size"]).reset_index()
    return found[found["count"] == found["size"]].rename(columns={"arm": "control"})[["metric", "control", "mean"]]
