"""Runs are removed with the artifacts they wrote, unless a run that is kept needs one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from med_lora.errors import InputError
from med_lora.runs.history import Run
from med_lora.runs.manifest import MANIFEST


@dataclass(frozen=True)
class Artifact:
    """What one run saved of a dataset.

    Attributes:
        dataset: its name.
        folder: of this version alone; it may be gone already.
        size: bytes, as the manifest says.
    """

    dataset: str
    folder: Path
    size: int


@dataclass(frozen=True)
class Removal:
    """What goes with a run.

    Attributes:
        run: the run.
        artifacts: versions that it wrote, in the order in which it saved them.
        shared: datasets without versions that it wrote into; they stay, since other runs do so too.
    """

    run: Run
    artifacts: list[Artifact]
    shared: list[str]

    @property
    def size(self) -> int:
        """Bytes of all artifacts."""
        return sum(artifact.size for artifact in self.artifacts)


def plan_removal(project: Path, run: Run) -> Removal:
    """What would go with ``run``; nothing is deleted.

    Raises:
        InputError: if an artifact lies on another machine, outside of the project, or not in a folder of its version,
            or if the run's record, which goes last, could not be deleted.
    """
    for folder in (run.folder, run.folder.parent):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{folder} cannot be written; make it writable, then remove {run.label} again.")
    artifacts, shared = [], []
    for entry in run.manifest["outputs"]:
        if entry["version"] is None:
            shared.append(entry["dataset"])
        else:
            artifacts.append(Artifact(entry["dataset"], _version_folder(project, run, entry), entry["bytes"]))
    return Removal(run, artifacts, shared)


def _version_folder(project: Path, run: Run, entry: dict[str, Any]) -> Path:
    """The folder that holds one version and nothing else."""
    given, dataset = entry["path"], entry["dataset"]
    remedy = "delete it by hand, then take it out of outputs in the manifest."
    if "://" in given:
        raise InputError(f"{dataset} of run {run.id} lies at {given}, which this command does not reach; {remedy}")
    path = PurePosixPath(given)
    if run.id not in path.parts or entry["version"] != run.id:
        raise InputError(f"{dataset} of run {run.id} lies at {given}, which is no folder of that run alone; {remedy}")
    folder = project.joinpath(*path.parts[: path.parts.index(run.id) + 1])
    if path.is_absolute() or ".." in path.parts or not folder.resolve().is_relative_to(project.resolve()):
        raise InputError(f"{dataset} of run {run.id} lies at {given}, outside of {project}; {remedy}")
    return folder


def find_users(kept: Sequence[Run], removed: Sequence[Run]) -> list[tuple[Run, str, Run]]:
    """Runs of ``kept`` that loaded what a run of ``removed`` wrote: user, dataset, and who wrote it."""
    written = {
        (entry["dataset"], entry["version"]): run
        for run in removed
        for entry in run.manifest["outputs"]
        if entry["version"]
    }
    return [
        (user, entry["dataset"], written[entry["dataset"], entry["version"]])
        for user in kept
        for entry in user.manifest["inputs"]
        if (entry["dataset"], entry["version"]) in written
    ]


def check_unused(kept: Sequence[Run], removed: Sequence[Run]) -> None:
    """Refuse to take from a run that is kept what it was made from.

    Raises:
        InputError: naming the first such run and artifact.
    """
    for user, dataset, maker in find_users(kept, removed):
        raise InputError(
            f"The run {user.label} was made from {dataset} of {maker.label}, and cannot be repeated without it; remove "
            f"{user.label} as well, or give --force."
        )


def remove(removal: Removal) -> None:
    """Delete the artifacts, then the folder of the run with its manifest last: until then it is still listed.

    What is gone already is passed over, so a removal that was cut off can be repeated.

    Raises:
        InputError: if something cannot be deleted.
    """
    try:
        for artifact in removal.artifacts:
            if artifact.folder.exists():
                shutil.rmtree(artifact.folder)
        _delete_record(removal.run.folder)
    except OSError as error:
        raise InputError(
            f"{error.filename or removal.run.folder} cannot be deleted ({error.strerror or error}); make its folder "
            f"writable, then remove {removal.run.label} again: what is gone already is passed over."
        ) from error


def _delete_record(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MANIFEST:
            path.unlink()
    (folder / MANIFEST).unlink()
    folder.rmdir()
