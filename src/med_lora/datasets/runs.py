"""Finished runs, with what each of them has left, for the pipelines that look at many."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

import pandas as pd
from kedro.io.core import AbstractDataset, DatasetError

from med_lora.datasets.errors import DatasetInputError
from med_lora.errors import InputError

if TYPE_CHECKING:
    from med_lora.runs.history import Run

# Without these a run has nothing that can be compared.
NEEDED = ("scores", "metrics")
# What the last stage of a training left, by training.method.
TUNED = {"lora": "adapter", "full": "tuned_model", "none": "domain_adapter"}


@dataclass(frozen=True)
class FinishedRun:
    """A run and the artifacts that its manifest records.

    Attributes:
        run: its id, name and manifest.
        project: folder that the paths of the manifest are relative to.
        trained_by: the run that wrote the adapter or model that this one only read; None where it trained itself, or
            where that run is not known any more.
    """

    run: Run
    project: Path
    trained_by: Run | None = None

    @property
    def id(self) -> str:
        """The version of everything that the run wrote."""
        return self.run.id

    @property
    def name(self) -> str:
        """What a person called it; "" for nothing."""
        return self.run.name

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run recorded of itself."""
        return self.run.manifest

    @property
    def training_manifest(self) -> dict[str, Any]:
        """The manifest of the run that trained what this one measured."""
        return (self.trained_by or self.run).manifest

    @property
    def tuned(self) -> str:
        """Name of the artifact with the tuned weights."""
        return _name_tuned(self.run)

    @property
    def history(self) -> str:
        """Name of the artifact with the losses of the training that left these weights."""
        return "domain_history" if self.tuned == "domain_adapter" else "training_history"

    def find(self, name: str) -> dict[str, Any] | None:
        """The record of an artifact, as ``Run.entry`` finds it."""
        return self.run.entry(name)

    def sha256(self, name: str) -> str:
        """The recorded hash of an artifact, "" where the run has none."""
        return _sha256(self.run, name)

    def training_sha256(self, name: str) -> str:
        """The same of the run that trained."""
        return _sha256(self.trained_by or self.run, name)

    def is_there(self, name: str) -> bool:
        """Whether the files of an artifact were recorded and still exist, whatever is in them."""
        entry = self.find(name)
        files = entry["files"] if entry else {}
        return entry is not None and bool(files) and all(_exists(self._locate(entry, file)) for file in files)

    def artifact(self, name: str) -> Any:
        """The content of an artifact, as a table (CSV, parquet, or a folder with one parquet file) or as JSON gives it.

        Raises:
            DatasetInputError: if the run has no such artifact, or its file is not there or not as it was recorded.
        """
        entry = self.find(name)
        if entry is None:
            raise DatasetInputError(
                f"The run {self.id} has no artifact {name!r}; leave it out of comparison.runs, or run its pipeline."
            )
        if len(entry["files"]) != 1:
            count = len(entry["files"]) or "no"
            raise DatasetInputError(
                f"The artifact {name!r} of the run {self.id} was recorded with {count} files, and a table has one; "
                "leave the run out of comparison.runs."
            )
        ((file, sha256),) = entry["files"].items()
        place = self._locate(entry, file)
        try:
            content = _read(place)
        except OSError as error:
            raise DatasetInputError(
                f"The artifact {name!r} of the run {self.id} is not at {place} any more; put it back, or leave the run "
                "out of comparison.runs."
            ) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DatasetInputError(
                f"The artifact {name!r} of the run {self.id} was changed since the run recorded it ({place}); put the "
                "recorded file back, or leave the run out of comparison.runs."
            )
        return _parse(content, place)

    def _locate(self, entry: dict[str, Any], file: str) -> str:
        path = str(entry["path"])
        whole = path if "://" in path else (self.project / path).as_posix()
        return f"{whole}/{file}" if file else whole


@dataclass(frozen=True)
class FinishedRuns:
    """Runs to be compared.

    Attributes:
        runs: oldest first.
        left_out: id of every run that was not chosen by hand and cannot be compared, with the reason.
    """

    runs: Sequence[FinishedRun]
    left_out: Sequence[tuple[str, str]]


class RunsDataset(AbstractDataset[Never, FinishedRuns]):
    """The runs of a project that are to be compared; what they left is read when it is asked for.

    There is no preview: scores are listed by the ids of records.
    """

    def __init__(self, *, filepath: str, selected: str = "", metadata: dict[str, Any] | None = None) -> None:
        """Point the dataset to the manifests.

        Args:
            filepath: folder with one folder a run; what the manifests name lies beside it.
            selected: names, ids or beginnings of ids, with white space between; empty for every finished run that has
                scores, rehearsals aside.
            metadata: ignored here; read by kedro-viz and other plugins.
        """
        self._folder = Path(filepath)
        self._selected = selected.split()
        self.metadata = metadata

    def load(self) -> FinishedRuns:
        """The runs, oldest first.

        Raises:
            DatasetInputError: if a selected run is unknown, unfinished or without scores, or no run is left.
        """
        from med_lora.runs.history import find_run, read_runs

        try:
            known = read_runs(self._folder)
            chosen = {find_run(known, text).id for text in self._selected}
        except InputError as error:
            raise DatasetInputError(str(error)) from error
        runs, left_out = [], []
        for run in known:
            if chosen and run.id not in chosen:
                continue
            finished = FinishedRun(run, self._folder.parent, _find_trainer(run, known))
            reason = _find_obstacle(finished) or ("" if chosen else _state_rehearsal(run))
            if not reason:
                runs.append(finished)
            elif chosen:
                raise DatasetInputError(f"The run {run.id} {reason}; leave it out of comparison.runs.")
            elif finished.find(NEEDED[0]):  # a run of other pipelines lacks nothing
                left_out.append((run.id, reason))
        if not runs:
            raise DatasetInputError(
                f"No run in {self._folder} can be compared ({len(left_out)} of them lack something, or are "
                "rehearsals); finish one with the pipeline evaluation."
            )
        return FinishedRuns(runs, left_out)

    def save(self, data: Never) -> None:
        """Refuse.

        Raises:
            DatasetError: always; a run writes its own manifest.
        """
        raise DatasetError(f"{self._folder} is written by the runs themselves.")

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder, "selected": self._selected}


def _state_rehearsal(run: Run) -> str:
    """Why a run that nobody has chosen is no result, as the end of a sentence; "" if it is one."""
    rehearsed = run.manifest["parameters"].get("rehearsal_of")
    return f"is a rehearsal of {rehearsed}, which comparison.runs has to name" if rehearsed else ""


def _sha256(run: Run, name: str) -> str:
    entry = run.entry(name)
    return str((entry and entry["sha256"]) or "")


def _find_trainer(run: Run, known: Sequence[Run]) -> Run | None:
    """The run that wrote the tuned weights which ``run`` read."""
    read = [entry for entry in run.manifest["inputs"] if entry["dataset"] == _name_tuned(run)]
    return next((other for entry in read for other in known if other.id == entry.get("run")), None)


def _name_tuned(run: Run) -> str:
    training = run.manifest["parameters"].get("training") or {}  # none where a run failed before it had read them
    return TUNED[training.get("method", "lora")]


def _find_obstacle(run: FinishedRun) -> str:
    """Why a run cannot be compared, as the end of a sentence; "" if it can."""
    if run.manifest["status"] != "finished":
        return "is not finished" if run.manifest["status"] == "running" else "failed"
    written = {entry["dataset"] for entry in run.manifest["outputs"]}
    for name in NEEDED:
        if name not in written:
            return f"wrote no {name}"
        if not run.is_there(name):
            return f"has lost its {name}"
    return ""


def _exists(place: str) -> bool:
    if "://" not in place:
        return Path(place).is_file()
    import fsspec

    return bool(fsspec.url_to_fs(place)[0].exists(place))


def _read(place: str) -> bytes:
    if "://" not in place:
        return Path(place).read_bytes()
    import fsspec

    with fsspec.open(place) as file:
        return bytes(file.read())


def _parse(content: bytes, place: str) -> Any:
    if place.endswith(".parquet"):
        return pd.read_parquet(io.BytesIO(content))
    if place.endswith(".csv"):
        return pd.read_csv(io.BytesIO(content))
    if place.endswith(".json"):
        return json.loads(content)
    return content.decode("utf-8")
