"""What the report says about how its numbers came about: code, packages, machine, time and energy of every step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from med_lora.report_page.wording import shown_place
from med_lora.runs.manifest import EnergyEntry, InputEntry, Manifest, NodeEntry, PeakMemoryEntry, read_manifest
from med_lora.runs.record import RunRecord

# Packages whose version can change a number of the report.
PACKAGES = (
    *("torch", "transformers", "peft", "trl", "tokenizers", "datasets", "bitsandbytes", "numpy", "scipy", "pandas"),
    *("sacrebleu", "rouge-score", "nltk", "kedro"),
)


class _Step(NamedTuple):
    run: Manifest
    node: NodeEntry


def describe_run(run_record: RunRecord, *made_before: Any) -> dict[str, Any]:
    """This run so far, and the steps of earlier runs that made what it loaded.

    Args:
        run_record: the record of this run.
        made_before: whatever else the node waits for, so that it runs after the steps which it describes.

    Returns:
        JSON values. ``steps`` in the order they ran, each with the run that it was part of; ``seconds`` and ``energy``
        are sums over them, ``peak_memory`` the largest. ``inputs`` is what no step made, without the single files. Of
        absolute paths the last part alone is told, since the report leaves this machine.
        ``note`` names the earlier runs whose manifest is missing, so that their steps are left out.
    """
    manifest = run_record.manifest
    past = _Past(manifest, run_record.project)
    steps, runs = past.steps(), past.runs()
    bases = [run["base_model"] for run in [manifest, *reversed(runs)] if run["base_model"] is not None]
    return {
        **{key: manifest[key] for key in ("id", "started", "experiment", "env", "code", "python", "machine")},  # type: ignore[literal-required]
        "rerun_of": manifest["rerun_of"],
        "packages": [(name, manifest["packages"][name]) for name in PACKAGES if name in manifest["packages"]],
        "base_model": {**bases[0], "id": shown_place(bases[0]["id"])} if bases else None,
        "inputs": [_describe_input(entry) for entry in past.inputs()],
        "steps": [
            {
                "step": step.node["name"],
                "outputs": step.node["outputs"],
                "seconds": step.node["seconds"],
                "cpu_seconds": step.node["cpu_seconds"],
                "joules": step.node["joules"],
                "run": step.run["id"],
                "machine": step.run["machine"]["kind"],
            }
            for step in steps
        ],
        "seconds": round(sum(step.node["seconds"] for step in steps), 3),
        "energy": _add_energy(steps, manifest["energy"]),
        "peak_memory": _largest(runs),
        "note": past.note(),
    }


def _describe_input(entry: InputEntry) -> dict[str, Any]:
    told = {key: value for key, value in entry.items() if key != "files"}
    return told | {"path": shown_place(entry["path"])}


class _Past:
    """The steps behind what a run has loaded, found by the versions in the manifests."""

    def __init__(self, manifest: Manifest, project: Path) -> None:
        self._manifests: dict[str, Manifest | None] = {manifest["id"]: manifest}
        self._project = project
        self._steps: dict[tuple[str, str], _Step] = {}
        self._inputs: dict[tuple[str, str | None], InputEntry] = {}
        self._missing: set[str] = set()
        for node in manifest["nodes"]:
            self._steps[manifest["id"], node["name"]] = _Step(manifest, node)
        for entry in manifest["inputs"]:
            self._follow(manifest, entry)

    def steps(self) -> list[_Step]:
        """Oldest run first, in each in the order they ran."""
        found: list[_Step] = []
        for run in self.runs():
            found += [step for node in run["nodes"] if (step := self._steps.get((run["id"], node["name"])))]
        return found

    def runs(self) -> list[Manifest]:
        """Those that steps are from, and this one; oldest first, as an id begins with the time."""
        return [run for _, run in sorted(self._manifests.items()) if run is not None]

    def inputs(self) -> list[InputEntry]:
        """What no known run made."""
        return [entry for _, entry in sorted(self._inputs.items(), key=lambda item: (item[0][0], item[0][1] or ""))]

    def note(self) -> str:
        """Which earlier runs nothing is known of."""
        if not self._missing:
            return ""
        return f"Not counted are the steps of earlier runs that left no manifest: {', '.join(sorted(self._missing))}."

    def _follow(self, run: Manifest, entry: InputEntry) -> None:
        """Add what made an input of ``run``."""
        maker = self._read(entry["run"] or entry["version"])
        step = maker and _maker_of(maker, entry["dataset"])
        if maker is None or step is None:
            self._inputs[entry["dataset"], entry["sha256"]] = entry
            if entry["version"] is not None:
                self._missing.add(entry["version"])
            return
        todo = [step]
        while todo:
            node = todo.pop()
            if (maker["id"], node["name"]) in self._steps:
                continue
            self._steps[maker["id"], node["name"]] = _Step(maker, node)
            for name in node["inputs"]:
                if before := _maker_of(maker, name):
                    todo.append(before)
                for one in _loaded_as(maker, name):
                    self._follow(maker, one)

    def _read(self, run: str | None) -> Manifest | None:
        if run is None:
            return None
        if run not in self._manifests:
            self._manifests[run] = read_manifest(self._project, run)
        return self._manifests[run]


def _maker_of(run: Manifest, dataset: str) -> NodeEntry | None:
    """The node of a run that made a dataset, in memory or on disk."""
    return next((node for node in run["nodes"] if dataset in node["outputs"]), None)


def _loaded_as(run: Manifest, dataset: str) -> Iterator[InputEntry]:
    return (entry for entry in run["inputs"] if entry["dataset"] == dataset)


def _add_energy(steps: list[_Step], now: EnergyEntry) -> EnergyEntry:
    """Joules of all steps; None as soon as one step has none, since the sum would pass for the whole."""
    joules = [step.node["joules"] for step in steps]
    known = [one for one in joules if one is not None]
    if len(known) == len(joules) and known:
        return EnergyEntry(joules=round(sum(known), 1), source=now["source"], note=now["note"])
    note = now["note"]
    if known:
        note = f"{len(joules) - len(known)} of {len(joules)} steps have no measurement. {note}".strip()
    return EnergyEntry(joules=None, source=now["source"], note=note)


def _largest(runs: list[Manifest]) -> PeakMemoryEntry:
    gpus = [gib for run in runs if (gib := run["peak_memory"]["gpu_gib"]) is not None]
    return PeakMemoryEntry(
        ram_gib=max(run["peak_memory"]["ram_gib"] for run in runs), gpu_gib=max(gpus) if gpus else None
    )
