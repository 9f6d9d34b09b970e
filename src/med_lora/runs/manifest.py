"""The format of ``runs/<id>/manifest.json``, and how it reaches the disk.

Paths are relative to the project, with ``/``; outside of it they are absolute, or a URL without what logs in. A hash is
SHA-256 in hexadecimal. Durations are wall-clock seconds. No text of a record, no message of an error and no value of
a secret is written.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal, TypedDict

from med_lora.datasets.manifest import flush_to_disk

RUNS = "runs"
MANIFEST = "manifest.json"
RERUN = "rerun.yml"


class Content(TypedDict):
    """What lies under one name.

    Attributes:
        version: None where the dataset is not versioned.
        path: file or folder; of several files in different folders the one above them all; ``hf://...@commit`` for what
            comes from the hub at a pinned commit.
        sha256: of the file, or over the sorted names and hashes of all files; None where the commit alone pins the
            content, or the dataset is of a kind that has no files.
        bytes: of all files together.
        files: hash of every file but the marker ``_SUCCESS`` and hidden ones, by its path below ``path``; a single
            file has the name ``""``.
    """

    version: str | None
    path: str
    sha256: str | None
    bytes: int
    files: dict[str, str]


class InputEntry(Content):
    """A dataset that the run loaded and did not make; ``run`` wrote this version (None: it is raw, or unknown)."""

    dataset: str
    run: str | None


class OutputEntry(Content):
    """A dataset that the run saved, in the order saved; with ``reads_clock`` no two runs give the same bytes."""

    dataset: str
    node: str
    reads_clock: bool


class NodeEntry(TypedDict):
    """One node: loading, work and saving, without the hashing for this record.

    ``cpu_seconds`` and ``joules`` are those of the process with its ended children, and of the machine, in that time.
    ``inputs`` are datasets without parameters.
    """

    name: str
    inputs: list[str]
    outputs: list[str]
    seconds: float
    cpu_seconds: float
    joules: float | None


class CodeEntry(TypedDict):
    """The code: version of this package, and the state of the project's folder in git (None: ``note`` says why)."""

    version: str
    commit: str | None
    dirty: bool | None
    changes_sha256: str | None
    note: str


class GpuEntry(TypedDict):
    """One GPU that the run may compute on."""

    name: str
    memory_gib: float


class MachineEntry(TypedDict):
    """The machine; ``kind`` is its short label: two runs are only comparable in seconds where it is the same."""

    kind: str
    system: str
    cpu: str
    cores: int
    threads: int
    memory_gib: float | None
    gpus: list[GpuEntry]
    driver: str | None


class BaseModelEntry(TypedDict):
    """The base model as configured; a folder has hashes, the hub a revision."""

    id: str
    revision: str | None
    sha256: str | None
    tokenizer_sha256: str | None


class EnergyEntry(TypedDict):
    """Energy of the machine during the run; ``note`` says what is in it (other processes, too), or why it is None."""

    joules: float | None
    source: str
    note: str


class PeakMemoryEntry(TypedDict):
    """The most memory of one process: this one or a child; of the GPU what torch took in this process."""

    ram_gib: float
    gpu_gib: float | None


class ErrorEntry(TypedDict):
    """Kind of the error that ended the run, and its node (None outside of nodes); no message, which may hold text."""

    kind: str
    node: str | None


class Manifest(TypedDict):
    """One run. A run that was killed keeps the status ``running``."""

    id: str
    status: Literal["running", "finished", "failed"]
    experiment: str
    env: str
    pipelines: list[str]
    selection: dict[str, Any]
    started: str
    seconds: float | None
    rerun_of: str | None
    parameters: dict[str, Any]
    settings: dict[str, Any]
    code: CodeEntry
    python: str
    packages: dict[str, str]
    machine: MachineEntry
    seeds: dict[str, int | None]
    base_model: BaseModelEntry | None
    inputs: list[InputEntry]
    outputs: list[OutputEntry]
    nodes: list[NodeEntry]
    energy: EnergyEntry
    peak_memory: PeakMemoryEntry
    headline: str | None
    error: ErrorEntry | None


def read_manifest(project: Path, run: str) -> Manifest | None:
    """The manifest of a run of the project; None where there is none, or it cannot be read."""
    try:
        content: Manifest = json.loads((project / RUNS / run / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content


def write_text(file: Path, text: str) -> None:
    """Put ``text`` in the place of ``file``, so that a reader, or a power cut, finds the old one or the new one whole.

    Raises:
        OSError: if the disk is full or the folder cannot be written; the old file stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    staging = file.with_name(f".tmp-{file.name}-{os.getpid()}")
    try:
        with staging.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(staging, file)
    finally:
        staging.unlink(missing_ok=True)
    flush_to_disk(file.parent)


def manifest_text(manifest: Manifest) -> str:
    """The one way to write a manifest down; ASCII, since the name of a file need not be UTF-8."""
    return json.dumps(manifest, indent=1) + "\n"
