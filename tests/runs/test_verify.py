"""A rerun is compared with its run by hashes, in the order in which the run saved its artifacts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from med_lora.__main__ import main
from med_lora.errors import InputError
from med_lora.runs import verify
from med_lora.runs.history import read_runs
from med_lora.runs.verify import compare_with_here, repeat_run

from .recorded import FIRST, SECOND, THIRD, WRITTEN, record_run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    record_run(tmp_path, FIRST)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verified(monkeypatch: pytest.MonkeyPatch, project: Path, **rerun: Any) -> Result:
    """``runs verify`` with a rerun that leaves what is given."""

    def leave(command: list[str], **options: Any) -> SimpleNamespace:
        if command[0] != sys.executable:
            return subprocess_run(command, **options)
        assert command[1:] == ["-m", "kedro", "run", "--config", f"runs/{FIRST}/rerun.yml"]
        record_run(project, SECOND, **({"rerun_of": FIRST} | rerun))
        return SimpleNamespace(returncode=0)

    subprocess_run: Any = subprocess.run
    monkeypatch.setattr(verify.subprocess, "run", leave)
    return CliRunner().invoke(main, ["runs", "verify", FIRST])


def test_identical_rerun_is_counted_and_what_reads_the_clock_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {**WRITTEN, "report.html": {"": "<html>later"}, "more": {"": "of newer code"}}
    result = verified(monkeypatch, project, written=written)
    assert result.exit_code == 0, result.output
    assert f"All 4 artifacts of {FIRST} are byte-identical in its rerun {SECOND}." in result.output
    assert "Not compared, since they depend on clock, machine or earlier runs: report." in result.output
    assert "threads" not in result.output


def test_first_artifact_that_differs_is_named_with_its_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, dict[str, str]] = {name: dict(content) for name, content in WRITTEN.items()}
    written["headline.json"][""] = "{}"
    written["adapter"]["adapter_model.safetensors"] = "others"
    result = verified(monkeypatch, project, written=written)
    assert result.exit_code == 1
    assert "adapter, file adapter_model.safetensors is the first artifact that differs" in result.output
    assert "2 of 4 are not known to be byte-identical: adapter, headline." in result.output


def test_artifact_that_the_rerun_did_not_write_counts_as_different(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = verified(monkeypatch, project, written={name: WRITTEN[name] for name in ("train", "adapter")})
    assert result.exit_code == 1
    assert "test is the first artifact that is missing" in result.output


def test_run_of_which_nothing_can_be_compared_is_not_verified(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project / "runs" / FIRST / "manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {"outputs": manifest["outputs"][-1:]}))
    result = verified(monkeypatch, project)
    assert result.exit_code == 1
    assert "Nothing could be compared." in result.output.splitlines()


def test_what_becomes_of_the_rerun_is_said_last(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = verified(monkeypatch, project).output.splitlines()[-2:]
    assert last[0].startswith("The rerun is now the newest version of what it wrote")
    assert last[1] == f"python -m med_lora runs remove {SECOND} takes it away."


def test_artifact_that_was_not_hashed_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project / "runs" / FIRST / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["outputs"][2] |= {"sha256": None, "path": "AdapterDataset", "files": {}}
    file.write_text(json.dumps(manifest))
    result = verified(monkeypatch, project)
    assert result.exit_code == 1
    assert f"adapter is the first artifact without a hash in the run or in the rerun {SECOND}." in result.output


def test_other_number_of_threads_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = {"kind": "2 x Xeon", "cpu": "Xeon", "cores": 2, "threads": 1, "gpus": [], "driver": None}
    result = verified(monkeypatch, project, machine=machine)
    assert "2 threads and the rerun with 1, which can change a result." in result.output


def test_rerun_of_another_run_is_not_taken_for_this_one(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = verified(monkeypatch, project, rerun_of=THIRD)
    assert result.exit_code == 1
    assert "left no manifest" in result.output


def test_other_package_is_said_before_the_rerun(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = verified(monkeypatch, project)
    assert "torch" in result.output.split("artifacts")[0]
    assert "2.13.0 -> " in result.output


def test_surroundings_of_this_process_differ_from_a_made_up_machine(project: Path) -> None:
    (run,) = read_runs(project / "runs")
    found = compare_with_here(project, run)
    assert {"cpu", "kind"} <= {one.key for one in found["machine"]}
    assert "threads" not in {one.key for one in found["machine"]}


def test_failed_rerun_is_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    with pytest.raises(InputError, match="failed, as it says above"):
        repeat_run(project, read_runs(project / "runs")[0])


@pytest.mark.parametrize("status", ["running", "failed"])
def test_run_that_did_not_finish_cannot_be_verified(project: Path, status: str) -> None:
    file = project / "runs" / FIRST / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": status}))
    with pytest.raises(InputError, match="only a finished run can be verified"):
        repeat_run(project, read_runs(project / "runs")[0])


def test_run_without_its_rerun_file_cannot_be_verified(project: Path) -> None:
    (project / "runs" / FIRST / "rerun.yml").unlink()
    with pytest.raises(InputError, match=r"rerun.yml is missing"):
        repeat_run(project, read_runs(project / "runs")[0])
