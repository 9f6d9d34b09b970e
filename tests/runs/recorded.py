"""Runs as they are recorded, with artifacts of a few bytes."""

from __future__ import annotations

import hashlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

FIRST, SECOND, THIRD = "2026-11-20T03.14.00.123Z", "2026-11-21T09.00.00.456Z", "2026-11-22T10.30.00.789Z"
HEADLINE = {
    "lead": "Held-out perplexity fell.",
    "perplexity": {
        "base": 283.51,
        "base_low": 248.84,
        "base_high": 323.6,
        "tuned": 86.6,
        "tuned_low": 80.0,
        "tuned_high": 94.1,
    },
}
MANIFEST: dict[str, Any] = {
    "status": "finished",
    "experiment": "embedded",
    "env": "cpu",
    "pipelines": ["__default__"],
    "selection": {},
    "seconds": 84.2,
    "rerun_of": None,
    "parameters": {"training": {"lora": {"r": 4, "alpha": 32}}, "sweep": {"grid": {}}, "rerun_of": None},
    "settings": {},
    "code": {"version": "0.1.0", "commit": "abc", "dirty": False, "changes_sha256": None, "note": ""},
    "python": "3.11.9",
    "packages": {"torch": "2.13.0", "peft": "0.21.2"},
    "machine": {"kind": "2 x Xeon", "cpu": "Xeon", "cores": 2, "threads": 2, "gpus": [], "driver": None},
    "seeds": {},
    "base_model": None,
    "nodes": [],
    "energy": {"joules": None, "source": "", "note": ""},
    "peak_memory": {"ram_gib": 1.0, "gpu_gib": None},
    "headline": HEADLINE["lead"],
    "error": None,
}
WRITTEN = {
    "train": {"data.arrow": "train pairs"},
    "test": {"data.arrow": "test pairs"},
    "adapter": {"adapter_config.json": "{}", "adapter_model.safetensors": "weights"},
    "headline.json": {"": json.dumps(HEADLINE)},
    "report.html": {"": "<html>"},
}


def record_run(
    project: Path,
    id: str,
    written: dict[str, dict[str, str]] | None = None,
    loaded: list[dict[str, Any]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Leave the artifacts and the manifest of a run; a name with a dot is that of an artifact of one file."""
    outputs = [_write(project, id, name, files) for name, files in (WRITTEN if written is None else written).items()]
    raw = {"dataset": "raw_wikidoc", "version": None, "path": "data/01_raw/w.json", "sha256": "r", "bytes": 1}
    inputs = [{**raw, "files": {"": "r"}, "run": None}] if loaded is None else loaded
    own = {"id": id, "started": f"{id[:10]}T{id[11:19].replace('.', ':')}Z", "inputs": inputs, "outputs": outputs}
    manifest = deepcopy(MANIFEST) | own | changes
    folder = project / "runs" / id
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "rerun.yml").write_text("run: {}\n")
    make_project(project)
    return manifest


def make_project(folder: Path) -> None:
    """Put there what tells a project from any other folder."""
    (folder / "pyproject.toml").write_text('[tool.kedro]\npackage_name = "med_lora"\n')


def loads(manifest: dict[str, Any], dataset: str) -> dict[str, Any]:
    """Entry of another run's inputs for what this run wrote."""
    (entry,) = (entry for entry in manifest["outputs"] if entry["dataset"] == dataset)
    return {key: entry[key] for key in ("dataset", "version", "path", "sha256", "bytes", "files")} | {
        "run": manifest["id"]
    }


def _write(project: Path, id: str, name: str, files: dict[str, str]) -> dict[str, Any]:
    path = Path("data/08_reporting/embedded") / name / id / name
    for file, text in files.items():
        target = project / path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    hashes = {file: hashlib.sha256(text.encode()).hexdigest() for file, text in files.items()}
    return {
        "dataset": name.partition(".")[0],
        "version": id,
        "path": path.as_posix(),
        "node": f"make_{name}",
        "sha256": hashlib.sha256(json.dumps(hashes).encode()).hexdigest(),
        "bytes": sum(len(text) for text in files.values()),
        "files": hashes,
        "reads_clock": name == "report.html",
    }
