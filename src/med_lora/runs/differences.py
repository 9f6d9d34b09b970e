"""What differs between two runs: first what could explain a difference, then what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from med_lora.parameters.tree import leaves
from med_lora.runs.history import Run

ABSENT = "(absent)"
State = Literal["identical", "different", "not hashed", "only in the first", "only in the second"]
# Of a parameter tree, but no setting: which run is repeated.
_NO_SETTINGS = frozenset({"rerun_of"})


@dataclass(frozen=True)
class Difference:
    """One fact in which two runs differ, such as a parameter, a package or an input."""

    key: str
    first: Any
    second: Any


@dataclass(frozen=True)
class ArtifactComparison:
    """A dataset that at least one of two runs wrote.

    Attributes:
        dataset: its name.
        state: of all its files together; not hashed if either run could not.
        file: the first file that differs, relative to the artifact and empty for an artifact of one file; also empty
            where none does.
        reads_clock: whether its content depends on clock or machine, so that it differs between equal runs.
    """

    dataset: str
    state: State
    file: str
    reads_clock: bool


def compare_settings(first: Run, second: Run) -> list[Difference]:
    """Keys of the resolved parameter trees with different values, in alphabetical order."""
    trees = [
        {key: value for key, value in leaves(run.manifest["parameters"]) if key not in _NO_SETTINGS}
        for run in (first, second)
    ]
    return _compare(*trees)


def compare_surroundings(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Difference]]:
    """Differences of code, packages and machine between two manifests, or a manifest and what is here now."""
    return {
        "code": _compare(_code_of(first), _code_of(second)),
        "packages": _compare(
            {"python": first.get("python"), **(first.get("packages") or {})},
            {"python": second.get("python"), **(second.get("packages") or {})},
        ),
        "machine": _compare(dict(leaves(first.get("machine") or {})), dict(leaves(second.get("machine") or {}))),
    }


def _code_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (manifest.get("code") or {}).items() if key != "note"}


def compare_inputs(first: Run, second: Run) -> list[Difference]:
    """Datasets that the runs loaded and did not make, by what identifies their content."""
    return _compare(
        *({entry["dataset"]: _identify(entry) for entry in run.manifest["inputs"]} for run in (first, second))
    )


def _identify(entry: Mapping[str, Any]) -> str:
    """Hash of the content; where there is none, the path names a commit."""
    return str(entry["sha256"] or entry["path"])


def compare_outputs(first: Run, second: Run) -> list[ArtifactComparison]:
    """Every artifact of either run, in the order in which the first, then the second, saved them."""
    before, after = ({entry["dataset"]: entry for entry in run.manifest["outputs"]} for run in (first, second))
    found = [_compare_artifacts(name, entry, after.get(name)) for name, entry in before.items()]
    return found + [_compare_artifacts(name, None, entry) for name, entry in after.items() if name not in before]


def _compare_artifacts(
    name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> ArtifactComparison:
    reads_clock = any(entry is not None and entry.get("reads_clock", False) for entry in (before, after))
    if before is None or after is None:
        return ArtifactComparison(
            name, "only in the second" if before is None else "only in the first", "", reads_clock
        )
    if None in (before["sha256"], after["sha256"]):
        return ArtifactComparison(name, "not hashed", "", reads_clock)
    if before["sha256"] == after["sha256"]:
        return ArtifactComparison(name, "identical", "", reads_clock)
    files = sorted(before["files"].keys() | after["files"].keys())
    differing = [file for file in files if before["files"].get(file) != after["files"].get(file)]
    return ArtifactComparison(name, "different", differing[0] if differing else "", reads_clock)


def same_pairs(first: Run, second: Run) -> bool | None:
    """Whether both runs were evaluated on the same test pairs; None if one has none with a hash."""
    hashes = [entry["sha256"] if (entry := run.entry("test")) else None for run in (first, second)]
    return None if None in hashes else hashes[0] == hashes[1]


def _compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    pairs = ((key, first.get(key, ABSENT), second.get(key, ABSENT)) for key in sorted(first.keys() | second.keys()))
    return [Difference(key, before, after) for key, before, after in pairs if before != after]
