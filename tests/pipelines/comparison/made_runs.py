"""Finished runs as a project keeps them: a manifest each, and the tables that it names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from kedro.io import DataCatalog
from kedro.runner import SequentialRunner

from med_lora.datasets import RunsDataset
from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.parameters import ComparisonParams
from med_lora.pipelines.comparison import create_pipeline
from tests import recipes
from tests.conftest import ROOT

METRICS = ("cross_entropy", "rougeL", "bleu", "token_f1", "exact_match", "answer_cut", "answer_empty")
CONTROLS = ("shuffled_reference", "constant_best_answer")
PAIRS = 24


def make_run(
    project: Path,
    run: str,
    quality: float = 0.0,
    *,
    changes: dict[str, Any] | None = None,
    machine: str = "2 x AMD EPYC",
    test: str = "a",
    tokenizer: str = "t" * 64,
    pairs: int = PAIRS,
    name: str = "",
    latency: bool = False,
    noise: int = 1,
    **manifest: Any,
) -> str:
    """Write a run whose tuned model is better by ``quality``, and return its id.

    Args:
        project: folder with ``runs`` and ``data``.
        run: its id.
        quality: added to every score of the tuned model, and taken from its losses.
        changes: settings by dotted keys.
        machine: label of the hardware.
        test: equal for runs on the same test pairs.
        tokenizer: hash of the tokenizer.
        pairs: number of test pairs, two in a group.
        name: what a person called it.
        latency: whether it has a probe of single answers.
        noise: seed of what else differs between runs.
        manifest: top-level entries that differ.
    """
    tables = _make_tables(pairs, quality, noise, latency, test)
    outputs = [_save(project, run, dataset, table) for dataset, table in tables.items()]
    outputs.append({"dataset": "test", "path": f"data/test/{run}", "sha256": test * 64, "files": {}, "run": None})
    written = {
        "id": run,
        "status": "finished",
        "experiment": "embedded",
        "started": f"{run[:10]}T{run[11:19].replace('.', ':')}Z",
        "seconds": 60.0,
        "parameters": _make_parameters(changes or {}),
        "code": {"version": "1.0", "commit": None},
        "machine": {"kind": machine},
        "base_model": {"id": "models/tiny-llama", "sha256": "b" * 64, "tokenizer_sha256": tokenizer},
        "inputs": [],
        "outputs": outputs,
        "nodes": [
            {"name": "train_adapter", "outputs": ["adapter", "training_history"], "seconds": 30.0},
            {"name": "base.generate_answers", "outputs": ["base_answers"], "seconds": 12.0},
            {"name": "tuned.generate_answers", "outputs": ["tuned_answers"], "seconds": 24.0},
        ],
        "energy": {"joules": None},
    }
    folder = project / "runs" / run
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(written | manifest))
    if name:
        (folder / "name.txt").write_text(f"{name}\n")
    return run


def comparison(**changes: Any) -> ComparisonParams:
    """Three metrics, the first of them better lower, of every run."""
    return ComparisonParams(**({"runs": "", "metrics": ["cross_entropy", "rougeL", "bleu"], "mlflow": None} | changes))


def compare_runs(project: Path, *wanted: str, mlflow: bool = False, **changes: Any) -> dict[str, Any]:
    """The wanted outputs of the pipeline, or all of them, its tables as their files give them back."""
    entries = yaml.safe_load((ROOT / "conf/base/catalog_comparison.yml").read_text())
    kept = {name: entry for name, entry in entries.items() if not name.startswith("_") and name != "runs"}
    for entry in kept.values():
        entry["filepath"] = str(project / entry["filepath"])
        entry.pop("versioned", None)
    if not mlflow:
        del kept["mlflow_export"]
    else:
        kept["mlflow_export"]["filepath"] = str(project / "mlflow.db")
    given = comparison(**changes)
    catalog = DataCatalog.from_config(kept)
    catalog["runs"] = RunsDataset(filepath=str(project / "runs"), selected=given.runs)
    catalog["params:comparison"], catalog["params:evaluation"] = given, recipes.evaluation()
    pipeline = create_pipeline(mlflow)
    SequentialRunner().run(pipeline.to_outputs(*wanted) if wanted else pipeline, catalog)
    return {name: catalog[name].load() for name in wanted or kept if name != "mlflow_export"}


def _make_parameters(changes: dict[str, Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "rehearsal_of": None,
        "hardware": recipes.hardware().model_dump(),
        "model": recipes.model_params(id="models/tiny-llama").model_dump(),
        "training": recipes.training().model_dump(),
        "evaluation": recipes.evaluation().model_dump(),
    }
    for key, value in changes.items():
        *path, last = key.split(".")
        tree = parameters
        for part in path:
            tree = tree[part]
        assert last in tree
        tree[last] = value
    return parameters


def _make_tables(pairs: int, quality: float, noise: int, latency: bool, test: str) -> dict[str, pd.DataFrame]:
    ids = [f"{test}:{number:04}" for number in range(pairs)]
    shared, own = np.random.default_rng(0), np.random.default_rng(noise)
    difficulty = shared.uniform(0.2, 0.5, pairs)
    ability = {"base": np.zeros(pairs), "tuned": quality + own.normal(0, 0.02, pairs)}
    ability |= {"shuffled_reference": np.full(pairs, -0.1), "constant_best_answer": np.full(pairs, 0.05)}
    rows, losses = [], {}
    for arm, gain in ability.items():
        reached = np.clip(difficulty + gain, 0, 1)
        values = {"rougeL": reached, "bleu": 100 * reached, "token_f1": reached, "exact_match": 1.0 * (reached > 0.6)}
        if arm not in CONTROLS:
            flags = {"answer_cut": np.zeros(pairs), "answer_empty": np.zeros(pairs)}
            values |= {"cross_entropy": 4 - reached, **flags}
            losses[f"{arm}_losses"] = pd.DataFrame(
                {"id": ids, "tokens": 10, "nll": 10 * (4 - reached), "answer_bytes": 40}
            )
        for metric, scores in values.items():
            rows.append(
                pd.DataFrame({"id": ids, "group": np.arange(pairs) // 2, "arm": arm, "metric": metric, "score": scores})
            )
    steps = pd.DataFrame({"step": [0, 5, 10], "epoch": [0.0, 0.5, 1.0]})
    course = [
        steps.assign(metric=metric, value=np.array(values) - quality)
        for metric, values in {"train_loss": [5, 4.5, 4], "validation_loss": [5, 4.6, 4.2]}.items()
    ]
    course.append(steps.assign(metric="validation_token_accuracy", value=[0.1, 0.2, 0.3 + quality]))
    tables = {
        "scores": pd.concat(rows, ignore_index=True),
        "metrics": tabulate_metrics(_name_metrics()),
        **losses,
        "training_history": pd.concat(course, ignore_index=True),
    }
    if latency:
        tables["latency"] = pd.DataFrame(
            {"arm": ["base", "tuned"], "n": 5, "new_tokens": 8, "answer_p50": [0.5, 0.6], "answer_p95": [0.7, 0.8]}
        )
    return tables


def _name_metrics() -> list[Metric]:
    return [
        Metric("perplexity", "loss", "lower", True, "torch"),
        Metric("cross_entropy", "loss", "lower", False, "torch"),
        Metric("bits_per_byte", "loss", "lower", False, "torch"),
        *(Metric(name, "overlap", "higher", True, "made") for name in ("rougeL", "bleu", "token_f1", "exact_match")),
        *(Metric(name, "flag", "lower", False, "made") for name in ("answer_cut", "answer_empty")),
    ]


def _save(project: Path, run: str, dataset: str, table: pd.DataFrame) -> dict[str, Any]:
    """Write a table as the catalog does, and give its entry in the manifest."""
    if dataset.endswith("_losses"):
        path, file = f"data/07_model_output/embedded/{dataset}/{run}/{dataset}", "data.parquet"
    else:
        end = "parquet" if dataset == "scores" else "csv"
        path, file = f"data/08_reporting/embedded/{dataset}.{end}/{run}/{dataset}.{end}", ""
    place = project / path / file
    place.parent.mkdir(parents=True)
    if place.suffix == ".parquet":
        table.to_parquet(place)
    else:
        table.to_csv(place, index=False)
    sha256 = hashlib.sha256(place.read_bytes()).hexdigest()
    return {"dataset": dataset, "version": run, "path": path, "sha256": sha256, "files": {file: sha256}, "run": None}


def rewrite_table(project: Path, run: str, dataset: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change an artifact together with what the manifest records of it."""
    file = project / "runs" / run / "manifest.json"
    manifest = json.loads(file.read_text())
    (entry,) = (entry for entry in manifest["outputs"] if entry["dataset"] == dataset)
    place = project / entry["path"]
    if place.suffix == ".parquet":
        change(pd.read_parquet(place)).to_parquet(place)
    else:
        change(pd.read_csv(place)).to_csv(place, index=False)
    entry["sha256"] = entry["files"][""] = hashlib.sha256(place.read_bytes()).hexdigest()
    file.write_text(json.dumps(manifest))
