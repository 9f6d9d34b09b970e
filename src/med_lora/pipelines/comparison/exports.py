"""The compared runs as MLflow knows runs: parameters, metrics and tags."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.datasets.runs import FinishedRuns
from med_lora.pipelines.comparison.settings import Settings, read_seeds, read_settings
from med_lora.pipelines.comparison.tables import restore_texts
from med_lora.report_page.wording import shown_place

Export = dict[str, Any]
_OWN_TEXT = ("prompt.system",)


def export_to_mlflow(runs: FinishedRuns, compared_runs: pd.DataFrame, run_means: pd.DataFrame) -> list[Export]:
    """One entry a run that is a result of its own, without any text or id of a record.

    Returns:
        run_id, name (its label), experiment, started (UTC, as the manifest has it), seconds (of the whole run), params
        (settings and seeds, as texts, without the system text, and of folders the last part), metrics
        ("<arm>_<metric>" and bounds; seconds of training), tags (machine, code, packages' versions that shape numbers).
    """
    described = {str(row["run"]): row for row in restore_texts(compared_runs).to_dict("records")}
    run_means = restore_texts(run_means)
    exports = []
    for run in runs.runs:
        row = described[run.id]
        if row["same_as"]:
            continue
        own = run_means[run_means["run"] == run.id]
        metrics: dict[str, float] = {}
        for found in own.to_dict("records"):
            name = f"{found['arm']}_{found['metric']}"
            metrics |= {name: found["mean"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        trained = run.run.maker(run.history)
        if trained:
            metrics["training_seconds"] = trained["seconds"]
        code = run.manifest["code"]
        exports.append(
            {
                "run_id": run.id,
                "name": row["label"],
                "experiment": run.manifest["experiment"],
                "started": run.manifest["started"],
                "seconds": run.manifest["seconds"],
                "params": _tell(read_settings(run) | read_seeds(run)),
                "metrics": {key: float(value) for key, value in metrics.items() if pd.notna(value)},
                "tags": {
                    "machine": row["machine"],
                    "model": row["model"],
                    "test_set": row["test_set"],
                    "test_sha256": run.sha256("test"),
                    "version": str(code.get("version") or ""),
                    "commit": str(code.get("commit") or ""),
                },
            }
        )
    return exports


def _tell(settings: Settings) -> dict[str, str]:
    """Settings as they leave this machine: no text of people's own, and no place of a model."""
    told = {key: str(value) for key, value in settings.items() if key not in _OWN_TEXT}
    return told | {key: shown_place(value) for key, value in told.items() if key.endswith(".id")}
