"""A finished run is repeated from its ``rerun.yml``, and what it made is compared with what the run made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from med_lora.errors import InputError
from med_lora.runs.differences import ArtifactComparison, Difference, compare_outputs, compare_surroundings
from med_lora.runs.history import Run, read_runs
from med_lora.runs.manifest import RERUN, RUNS


@dataclass(frozen=True)
class Verification:
    """What came of repeating a run.

    Attributes:
        rerun: the new run.
        identical: datasets with the same bytes, in the order in which the first run saved them.
        differing: those with others, that the rerun did not write, or that either did not hash, in the same order.
        not_compared: datasets whose content depends on clock, machine or earlier runs.
    """

    rerun: Run
    identical: list[str]
    differing: list[ArtifactComparison]
    not_compared: list[str]

    @property
    def succeeded(self) -> bool:
        """Whether something was compared, and all of it is identical."""
        return bool(self.identical) and not self.differing


def compare_with_here(project: Path, run: Run) -> dict[str, list[Difference]]:
    """How code, packages and machine of ``run`` differ from those of this process.

    Threads are left out: a run sets them itself, so those of the rerun are compared when it has ended.
    """
    from med_lora.runs.code import describe_code
    from med_lora.runs.machine import describe_machine, describe_packages

    recorded = run.manifest["machine"]
    if recorded.get("gpus"):
        import torch  # noqa: F401 - the description of the machine asks it for GPUs

    machine = describe_machine("cuda" if recorded.get("gpus") else "cpu")
    here = {
        "code": describe_code(project),
        "python": sys.version.split()[0],
        "packages": describe_packages(),
        "machine": {**machine, "threads": recorded.get("threads")},
    }
    return compare_surroundings(run.manifest, here)


def repeat_run(project: Path, run: Run) -> Run:
    """``kedro run --config runs/<id>/rerun.yml`` in a process of its own, whose output is shown; the new run.

    Raises:
        InputError: if ``run`` did not finish, its ``rerun.yml`` is gone, or the rerun fails or leaves no manifest.
    """
    if run.status != "finished":
        raise InputError(f"The run {run.label} is {run.status}; only a finished run can be verified.")
    config = f"{RUNS}/{run.id}/{RERUN}"
    if not (project / config).is_file():
        raise InputError(f"{config} is missing; restore it, or start the experiment anew.")
    earlier = {known.id for known in read_runs(project / RUNS)}
    command = [sys.executable, "-m", "kedro", "run", "--config", config]
    if subprocess.run(command, cwd=project, check=False).returncode:
        raise InputError(f"The rerun of {run.label} failed, as it says above; nothing was compared.")
    made = [
        known
        for known in read_runs(project / RUNS)
        if known.id not in earlier and known.manifest.get("rerun_of") == run.id and known.status == "finished"
    ]
    if not made:
        raise InputError(f"The rerun of {run.label} left no manifest in {RUNS}; see its output above.")
    return made[-1]


def verify_run(run: Run, rerun: Run) -> Verification:
    """Compare all that both have written, by the hashes in their manifests."""
    artifacts = [one for one in compare_outputs(run, rerun) if one.state != "only in the second"]
    compared = [artifact for artifact in artifacts if not artifact.reads_clock]
    return Verification(
        rerun,
        [artifact.dataset for artifact in compared if artifact.state == "identical"],
        [artifact for artifact in compared if artifact.state != "identical"],
        [artifact.dataset for artifact in artifacts if artifact.reads_clock],
    )


def verification_lines(run: Run, found: Verification) -> Iterator[str]:
    """What was not compared; that all is identical, or what is the first that is not; what becomes of the rerun."""
    threads = [(one.manifest.get("machine") or {}).get("threads") for one in (run, found.rerun)]
    if threads[0] != threads[1]:
        yield f"The run computed with {threads[0]} threads and the rerun with {threads[1]}, which can change a result."
    if found.not_compared:
        yield f"Not compared, since they depend on clock, machine or earlier runs: {', '.join(found.not_compared)}."
    total = len(found.identical) + len(found.differing)
    if not total:
        yield "Nothing could be compared."
    elif not found.differing:
        yield f"All {total} artifacts of {run.label} are byte-identical in its rerun {found.rerun.id}."
    else:
        yield from _difference_lines(run, found)
    yield "The rerun is now the newest version of what it wrote, which runs of other pipelines read next;"
    yield f"python -m med_lora runs remove {found.rerun.id} takes it away."


def _difference_lines(run: Run, found: Verification) -> Iterator[str]:
    first = found.differing[0]
    file = f", file {first.file}" if first.file else ""
    whats = {"only in the first": "that is missing in", "not hashed": "without a hash in the run or in"}
    what = whats.get(first.state, "that differs in")
    names = ", ".join(artifact.dataset for artifact in found.differing)
    yield f"{first.dataset}{file} is the first artifact {what} the rerun {found.rerun.id}."
    total = len(found.identical) + len(found.differing)
    yield f"{len(found.differing)} of {total} are not known to be byte-identical: {names}."
    yield f"What could explain it: python -m med_lora runs compare {run.id} {found.rerun.id}"
