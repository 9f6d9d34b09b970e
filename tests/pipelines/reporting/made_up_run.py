"""A run of reporting alone, as the run's own record describes it."""

from __future__ import annotations

from typing import Any

CHECKLIST = {
    "checklist": "TRIPOD-LLM",
    "citation": "2025",
    "items": 61,
    "filled": 20,
    "to_fill": 37,
    "does_not_apply": 4,
}


def describe_made_up_run() -> dict[str, Any]:
    """Its own step, and one of the run that trained."""
    machine = {"kind": "2 x Processor", "system": "Linux", "cpu": "Processor", "cores": 2, "threads": 1}
    trained, reported = "2026-11-22T03.14.00.123Z", "2026-11-23T08.00.00.000Z"
    step = {"joules": None, "machine": "2 x Processor"}
    given = {"dataset": "raw_genmedgpt", "version": None, "path": "data/01_raw/a.json", "sha256": "e" * 64}
    return {
        **{"id": reported, "started": "2026-11-23T08:00:00Z", "experiment": "embedded", "env": "local"},
        "code": {"version": "0.7.0", "commit": "a" * 40, "dirty": True, "changes_sha256": "b" * 64, "note": ""},
        **{"python": "3.11.2", "packages": [("torch", "2.13.0"), ("transformers", "5.23.0")], "rerun_of": None},
        "machine": machine | {"memory_gib": 24.0, "gpus": [], "driver": None},
        "base_model": {"id": "tiny", "revision": None, "sha256": "c" * 64, "tokenizer_sha256": "d" * 64},
        "inputs": [given | {"bytes": 2048, "files": {"": "e" * 64}, "run": None}],
        "steps": [
            step | {"step": "train_adapter", "outputs": [], "seconds": 185.2, "cpu_seconds": 360.0, "run": trained},
            step | {"step": "write_headline", "outputs": [], "seconds": 0.21, "cpu_seconds": 0.2, "run": reported},
        ],
        "seconds": 185.41,
        "energy": {"joules": None, "source": "", "note": "No counter of this machine can be read."},
        "peak_memory": {"ram_gib": 1.84, "gpu_gib": None},
        "note": "Not counted are the steps of an earlier run.",
    }
