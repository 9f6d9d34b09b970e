"""The record that a run keeps of itself, in ``runs/<id>/`` from its first moment on."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from kedro.pipeline.node import Node

from med_lora.errors import InputError
from med_lora.runs.content import describe_content, identify_base, is_recorded
from med_lora.runs.energy import EnergyMeter
from med_lora.runs.machine import describe_machine, peak_memory
from med_lora.runs.manifest import (
    MANIFEST,
    RERUN,
    RUNS,
    Content,
    ErrorEntry,
    InputEntry,
    NodeEntry,
    OutputEntry,
    manifest_text,
    write_text,
)
from med_lora.runs.meter import NodeMeter
from med_lora.runs.rerun import COMPARED, write_rerun
from med_lora.runs.start import start_manifest

logger = logging.getLogger(__name__)


class RunRecord:
    """What a run loads, makes and takes, written to disk again after every step, so that a killed run leaves it, too.

    A manifest that cannot be written stops a run only before its first node: from then on the artifacts are worth
    more, and a warning says that their record is behind.

    Attributes:
        manifest: the record so far.
        project: folder of the project.
        folder: ``runs/<id>`` in it.
    """

    def __init__(
        self, run_params: Mapping[str, Any], env: str, parameters: dict[str, Any], settings: dict[str, Any]
    ) -> None:
        """Begin the record and write it.

        Args:
            run_params: what Kedro says about the run.
            env: name of the environment.
            parameters: the whole resolved tree.
            settings: what the experiment's file and the command line set in it.

        Raises:
            InputError: if it cannot be written.
        """
        self.project = Path(run_params["project_path"])
        self._began = time.perf_counter()
        self._device = parameters["hardware"]["device"]
        self._energy = EnergyMeter(self._device)
        self.manifest = start_manifest(run_params, env, parameters, settings)
        self.folder = self.project / RUNS / self.manifest["id"]
        self._meters: dict[str, NodeMeter] = {}
        self._node: str | None = None
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._rerun_is_current = False
        self._is_behind = False
        try:
            self._write()
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)  # no run has begun
            raise InputError(
                f"{self.folder / MANIFEST} cannot be written ({error.strerror}); free some space, or make the folder "
                "writable, since a run leaves its record there."
            ) from error

    @property
    def is_open(self) -> bool:
        """Whether the run goes on; False in a process that was forked from it."""
        return self.manifest["status"] == "running" and os.getpid() == self._process

    def begin_node(self, node: Node) -> None:
        """A node is about to load its inputs, or to run if it has none."""
        with self._lock:
            self._node = node.name
            self._meter(node)

    def add_input(self, name: str, dataset: Any, data: Any, node: Node) -> None:
        """A dataset was loaded."""
        with self._lock, self._left_out(node):
            base = self.manifest["base_model"]
            if name == "base_model" and (base is None or base["tokenizer_sha256"] is None):
                self.manifest["base_model"] = identify_base(data)
            known = {entry["dataset"] for entry in [*self.manifest["inputs"], *self.manifest["outputs"]]}
            if name in known or not is_recorded(dataset):
                return
            content = self._describe(name, dataset)
            run = content["version"]
            if run is not None and not (self.project / RUNS / run / MANIFEST).is_file():
                run = None
            self.manifest["inputs"].append(InputEntry(dataset=name, **content, run=run))
            if content["version"] is not None or name == COMPARED:  # which it pins
                self._rerun_is_current = False

    def end_node(self, node: Node) -> None:
        """A node has returned; what it returned is saved next."""
        with self._lock:
            self._update_node(node)
            if not node.outputs:
                self._flush()

    def add_output(self, name: str, dataset: Any, data: Any, node: Node) -> None:
        """A dataset was saved."""
        with self._lock, self._left_out(node):
            self._update_node(node)
            if name == "headline" and isinstance(data, Mapping):
                self.manifest["headline"] = data.get("lead")
            if is_recorded(dataset):
                content = self._describe(name, dataset, saved=True)
                metadata = (getattr(dataset, "metadata", None) or {}).get("med_lora") or {}
                reads_clock = bool(metadata.get("reads_clock", False))
                entry = OutputEntry(dataset=name, **content, node=node.name, reads_clock=reads_clock)
                others = [one for one in self.manifest["outputs"] if one["dataset"] != name]
                self.manifest["outputs"] = [*others, entry]
            self._flush()

    def finish(self) -> None:
        """The run has ended well."""
        self._close("finished", None)

    def fail(self, error: BaseException) -> None:
        """The run has ended with an error, of which the kind is kept: its message may hold text of a record."""
        causes = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        mendable = next((one for one in causes if isinstance(one, InputError)), error)
        self._close("failed", ErrorEntry(kind=type(mendable).__name__, node=self._node))

    def fail_in(self, node: Node) -> None:
        """A node has raised an error; with several at a time it need not be the one begun last."""
        self._node = node.name

    def interrupt(self) -> None:
        """The process ends, and nobody has said how the run ended."""
        if self.is_open:
            self._close("failed", ErrorEntry(kind="Interrupted", node=self._node))

    def _close(self, status: Literal["finished", "failed"], error: ErrorEntry | None) -> None:
        with self._lock:
            self._energy.stop()
            self._rerun_is_current = False
            self.manifest["status"] = status
            self.manifest["seconds"] = round(time.perf_counter() - self._began, 3)
            self.manifest["error"] = error
            self._flush()

    def _meter(self, node: Node) -> NodeMeter:
        if node.name not in self._meters:
            self._meters[node.name] = NodeMeter(self._energy)
        return self._meters[node.name]

    @contextmanager
    def _left_out(self, node: Node) -> Iterator[None]:
        """What the record itself takes is not the node's."""
        meter = self._meter(node)
        meter.pause()
        try:
            yield
        finally:
            meter.resume()

    def _update_node(self, node: Node) -> None:
        taken = self._meter(node).read()
        entry = NodeEntry(
            name=node.name,
            inputs=[name for name in node.inputs if name != "parameters" and not name.startswith("params:")],
            outputs=list(node.outputs),
            seconds=round(taken.seconds, 3),
            cpu_seconds=round(taken.cpu_seconds, 3),
            joules=None if taken.joules is None else round(taken.joules, 1),
        )
        names = [one["name"] for one in self.manifest["nodes"]]
        if node.name in names:
            self.manifest["nodes"][names.index(node.name)] = entry
        else:
            self.manifest["nodes"].append(entry)

    def _describe(self, name: str, dataset: Any, saved: bool = False) -> Content:
        try:
            return describe_content(dataset, self.project, saved)
        except (OSError, InputError) as error:
            logger.warning("The files of %s cannot be hashed for the run's manifest (%s).", name, type(error).__name__)
            return Content(version=None, path=type(dataset).__name__, sha256=None, bytes=0, files={})

    def _flush(self) -> None:
        """Write what is known; a full disk must not lose what the run has made."""
        try:
            self._write()
            self._is_behind = False
        except OSError as error:
            if not self._is_behind:
                logger.warning(
                    "%s cannot be written (%s), so it stays behind what the run has made; free some space before the "
                    "run ends, or verify this run by hand.",
                    self.folder / MANIFEST,
                    error.strerror,
                )
            self._is_behind = True

    def _write(self) -> None:
        self.manifest["energy"] = self._energy.describe()
        self.manifest["peak_memory"] = peak_memory()
        self.manifest["machine"] = describe_machine(self._device)  # torch knows more once a node has imported it
        write_text(self.folder / MANIFEST, manifest_text(self.manifest))
        if not self._rerun_is_current:
            write_text(self.folder / RERUN, write_rerun(self.manifest))
            self._rerun_is_current = True
