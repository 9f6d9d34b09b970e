"""The runs of a project as their manifests tell them, and the names that people give them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_lora.errors import InputError, nearest
from med_lora.runs.manifest import MANIFEST, write_text

LATEST = "latest"
_NAME_FILE = "name.txt"
# What `--params comparison.runs=NAME` and a command line take for a text.
_NAME = re.compile(r"(?!(true|false|null|yes|no|on|off)$)[a-z][a-z0-9._-]*", re.IGNORECASE | re.ASCII)
_NEEDED = ("id", "status", "experiment", "started", "parameters", "inputs", "outputs")


@dataclass(frozen=True)
class Run:
    """One ``kedro run`` that has left a manifest.

    Attributes:
        id: Kedro's session id, which is the version of everything the run saved.
        name: what a person calls it; empty if nobody has named it.
        folder: ``runs/<id>``.
        manifest: content of ``manifest.json``.
    """

    id: str
    name: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def label(self) -> str:
        """The name, or the id where there is none."""
        return self.name or self.id

    @property
    def status(self) -> str:
        """``finished``, ``failed``, or ``unfinished`` for a run that goes on or was cut off: no file tells which."""
        status: str = self.manifest["status"]
        return "unfinished" if status == "running" else status

    def entry(self, name: str) -> dict[str, Any] | None:
        """The record of an artifact: the one that the run wrote, or else the one that it read last; None for neither.

        A run may read more than one, as that of another run that it goes on from.
        """
        found = [entry for entry in [*self.manifest["inputs"], *self.manifest["outputs"]] if entry["dataset"] == name]
        return found[-1] if found else None

    def maker(self, name: str) -> dict[str, Any] | None:
        """The record of the node of this run that made a dataset; None if none did."""
        return next((node for node in self.manifest["nodes"] if name in node["outputs"]), None)


def read_runs(folder: Path) -> list[Run]:
    """All runs with a manifest in ``folder``, the oldest first; none if there is no such folder.

    Raises:
        InputError: if a manifest cannot be read, or is that of another run.
    """
    # a folder without a manifest is what a removal left that was cut off
    return [_read_run(file) for file in sorted(folder.glob(f"*/{MANIFEST}"))]


def _read_run(file: Path) -> Run:
    remedy = "restore the file, or delete its folder (what the run made stays under data/)."
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON; {remedy}") from error
    missing = [key for key in _NEEDED if not isinstance(manifest, dict) or key not in manifest]
    if missing:
        raise InputError(f"{file} is no manifest of a run, {missing[0]} is missing; {remedy}")
    if manifest["id"] != file.parent.name:
        raise InputError(f"{file} is the manifest of {manifest['id']}; rename its folder to that id.")
    return Run(manifest["id"], _read_name(file.parent), file.parent, manifest)


def _read_name(folder: Path) -> str:
    file = folder / _NAME_FILE
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def find_run(runs: Sequence[Run], text: str) -> Run:
    """The run with the id or name ``text``, whose id begins with it, or the newest that is no rerun for ``latest``.

    Raises:
        InputError: if no run or more than one matches.
    """
    for run in runs:
        if text and text in (run.id, run.name):
            return run
    originals = [run for run in runs if not run.manifest.get("rerun_of")]
    if text == LATEST and originals:
        return max(originals, key=lambda run: run.id)
    matches = [run for run in runs if text and run.id.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(f"{len(matches)} runs begin with {text!r}: {', '.join(run.id for run in matches)}; give more.")
    known = [run.label for run in runs]
    clause = nearest(text, known) if known else "; no run has left a manifest yet."
    raise InputError(f"There is no run {text!r}{clause}")


def name_run(runs: Sequence[Run], run: Run, name: str) -> None:
    """Write down what a person calls ``run``; an earlier name is replaced.

    Raises:
        InputError: if the name does not begin with a letter, has other characters than letters, digits, ``.``, ``_``
            and ``-``, or is a word that YAML takes for a value; if another run has it, or if it would hide an id.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"The name {name!r} must begin with a letter, consist of letters, digits, '.', '_' and '-' alone, and be "
            "no YAML word such as true or null; choose another."
        )
    if name == LATEST or any(other.id.startswith(name) for other in runs):
        raise InputError(
            f"The name {name!r} already means a run, as `latest` or the beginning of an id; choose another."
        )
    for other in runs:
        if other.name == name and other.id != run.id:
            raise InputError(f"The run {other.id} is already called {name!r}; choose another name, or rename that run.")
    write_text(run.folder / _NAME_FILE, f"{name}\n")
