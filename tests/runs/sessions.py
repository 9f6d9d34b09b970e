"""Runs in this process: Kedro's own runner with the hooks of the project, without a command and its seconds."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import SequentialRunner

from med_lora.runs.hooks import RunHooks
from med_lora.runs.manifest import Manifest
from med_lora.runs.record import RunRecord

RUN = "2026-11-22T03.14.00.123Z"
PARAMETERS = {
    "experiment": "tiny",
    "rerun_of": None,
    "hardware": {"device": "cpu"},
    "training": {"seed": 7, "optimisation": {"seed": 1, "rate": 2e-4}},
}


class Loader(dict[str, Any]):
    """Stands in for the configuration loader."""

    env = None
    default_run_env = "cpu"


def run_pipeline(
    project: Path,
    pipeline: Pipeline,
    catalog: DataCatalog,
    run: str = RUN,
    parameters: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """What `kedro run` does with a pipeline and a catalog, hooks included."""
    hooks = RunHooks()
    manager = _create_hook_manager()
    manager.register(hooks)
    loader = Loader(parameters={**PARAMETERS, **(parameters or {})})
    hooks.after_context_created(SimpleNamespace(config_loader=loader, project_path=project))
    catalog["experiment_settings"] = MemoryDataset({"training": {"seed": 7}})
    given = {"run_params": run_params(project, run, **options), "pipeline": pipeline, "catalog": catalog}
    manager.hook.before_pipeline_run(**given)
    try:
        SequentialRunner().run(pipeline, catalog, manager, run_id=run)
    except Exception as error:
        manager.hook.on_pipeline_error(error=error, **given)
        raise
    manager.hook.after_pipeline_run(run_result={}, **given)


def run_params(project: Path, run: str = RUN, **options: Any) -> dict[str, Any]:
    """What Kedro says about a run."""
    return {
        "run_id": run,
        "project_path": project.as_posix(),
        "env": None,
        "pipeline_names": None,
        "runner": "",
        **options,
    }


def begin_record(project: Path, **parameters: Any) -> RunRecord:
    return RunRecord(run_params(project), "cpu", {**PARAMETERS, **parameters}, {})


def read(project: Path, run: str = RUN) -> Manifest:
    """The manifest as it lies on the disk."""
    content: Manifest = json.loads((project / "runs" / run / "manifest.json").read_text(encoding="utf-8"))
    return content


def double(value: str) -> str:
    return value * 2


def chain(*names: str) -> Pipeline:
    """Nodes in a row, each from one dataset to the next, named after what they make."""
    return Pipeline([node(double, before, after, name=f"make_{after}") for before, after in pairwise(names)])
