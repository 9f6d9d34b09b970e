"""Where each model ran, and how long it took there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.datasets.runs import FinishedRun, FinishedRuns
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page.records import read_records

TIME_COLUMNS = ["run", "label", "arm", "model", "machine", "seconds", "p95", "n", "measured"]
ALONE, BATCHED = "one question at a time", "in batches"
_REUSED = "too few where answers of a run that was cut off were taken over"  # the record does not say how many were


def tick_machines(compared_runs: pd.DataFrame) -> pd.DataFrame:
    """How many runs of each model finished on each machine, identical runs included: a row a model, a column a machine.

    Study B's table of ticks, from what the runs recorded. A model with weights in fewer bits is a row of its own.
    """
    compared_runs = restore_texts(compared_runs)
    models = [
        model if quantisation == "none" else f"{model} ({quantisation})"
        for model, quantisation in zip(compared_runs["model"], compared_runs["quantisation"], strict=True)
    ]
    ticks = pd.crosstab(pd.Series(models, name="model"), pd.Series(compared_runs["machine"].tolist(), name="machine"))
    return ticks.rename_axis(columns=None).reset_index()


def time_answers(runs: FinishedRuns, compared_runs: pd.DataFrame) -> pd.DataFrame:
    """Seconds of an answer by run and model, identical runs included: machines may differ where answers do not.

    Where the run has a latency probe, the median seconds of one answer at a time; else the seconds of the node that
    wrote the answers by their number, which are those of a batch shared by its answers and may include loading the
    model; they are too few where the run went on from answers of one that was cut off. The two are not comparable, so
    ``measured`` says which it is.

    Returns:
        run, label, arm, model, machine, seconds, p95 (of the probe), n (answers), measured.
    """
    described = {str(row["run"]): row for row in read_records(restore_texts(compared_runs))}
    rows = [
        {"run": run.id, **{name: described[run.id][name] for name in ("label", "model", "machine")}, **found}
        for run in runs.runs
        for found in _time_run(run)
    ]
    return pd.DataFrame(rows, columns=TIME_COLUMNS)


def _time_run(run: FinishedRun) -> Iterator[dict[str, Any]]:
    if run.is_there("latency"):
        for row in run.artifact("latency").to_dict("records"):
            if row["arm"] in BARE_ARMS:
                length = f"{ALONE}, {row['new_tokens']} tokens each"
                known = {"seconds": row["answer_p50"], "p95": row["answer_p95"], "n": row["n"]}
                yield {"arm": row["arm"], "measured": length, **known}
        return
    batch = run.manifest["parameters"]["hardware"]["inference_batch_size"]
    for arm in BARE_ARMS:
        node = run.run.maker(f"{arm}_answers")
        if node is None:
            continue
        scores = run.artifact("scores")
        answers = len(set(scores["id"]))
        way = f"{BATCHED} of {batch}, {_REUSED}"
        yield {"arm": arm, "measured": way, "seconds": node["seconds"] / answers, "n": answers}
