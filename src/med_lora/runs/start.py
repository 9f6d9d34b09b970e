"""What a manifest says before the first node."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from med_lora.parameters.tree import is_seed, leaves
from med_lora.runs.code import describe_code
from med_lora.runs.machine import describe_machine, describe_packages, peak_memory
from med_lora.runs.manifest import EnergyEntry, Manifest
from med_lora.runs.rerun import SELECTIONS

_SELECTION = (*SELECTIONS, "load_versions", "only_missing_outputs")


def start_manifest(
    run_params: Mapping[str, Any], env: str, parameters: dict[str, Any], settings: dict[str, Any]
) -> Manifest:
    """The manifest of a run that begins now.

    Args:
        run_params: what Kedro says about the run.
        env: name of the environment.
        parameters: the whole resolved tree.
        settings: what the experiment's file and the command line set in it.
    """
    parameters = dict(sorted(parameters.items()))  # Kedro reads the files in any order
    return Manifest(
        id=run_params["run_id"],
        status="running",
        experiment=parameters["experiment"],
        env=env,
        pipelines=sorted(run_params["pipeline_names"] or ["__default__"]),
        selection={key: _plain(run_params[key]) for key in _SELECTION if run_params.get(key)},
        started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=None,
        rerun_of=parameters["rerun_of"],
        parameters=parameters,
        settings=settings,
        code=describe_code(Path(run_params["project_path"])),
        python=platform.python_version(),
        packages=describe_packages(),
        machine=describe_machine(parameters["hardware"]["device"]),
        seeds={key: value for key, value in leaves(parameters) if is_seed(key)},
        base_model=None,
        inputs=[],
        outputs=[],
        nodes=[],
        energy=EnergyEntry(joules=None, source="", note=""),
        peak_memory=peak_memory(),
        headline=None,
        error=None,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value
