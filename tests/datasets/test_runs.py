"""Finished runs are found by their manifests, and what they left is read only as they recorded it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kedro.io import DatasetError

from med_lora.datasets import RunsDataset
from med_lora.datasets.runs import FinishedRun
from med_lora.errors import InputError
from med_lora.runs.history import read_runs
from tests.pipelines.comparison.made_runs import make_run

FIRST, SECOND = "2026-11-20T01.00.00.000Z", "2026-11-21T01.00.00.000Z"


def load(project: Path, selected: str = "") -> list[str]:
    return [run.id for run in RunsDataset(filepath=str(project / "runs"), selected=selected).load().runs]


def scores_of(project: Path, run: str) -> Path:
    return project / f"data/08_reporting/embedded/scores.parquet/{run}/scores.parquet"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_run(tmp_path, SECOND, name="second")
    make_run(tmp_path, FIRST)
    return tmp_path


def test_every_finished_run_with_scores_is_read_oldest_first(project: Path) -> None:
    make_run(project, "2026-11-22T01.00.00.000Z", status="running")
    make_run(project, "2026-11-22T02.00.00.000Z", status="failed")
    make_run(project, "2026-11-22T03.00.00.000Z", outputs=[])
    assert load(project) == [FIRST, SECOND]


def test_runs_are_selected_by_name_id_or_beginning(project: Path) -> None:
    assert load(project, "second") == [SECOND]
    assert load(project, f"2026-11-20  {SECOND}") == [FIRST, SECOND]


def test_a_rehearsal_is_compared_only_if_it_is_named(project: Path) -> None:
    rehearsal = make_run(project, "2026-11-22T04.00.00.000Z", changes={"rehearsal_of": "medlms_distilgpt2"})
    found = RunsDataset(filepath=str(project / "runs")).load()
    assert [run.id for run in found.runs] == [FIRST, SECOND]
    assert found.left_out == [(rehearsal, "is a rehearsal of medlms_distilgpt2, which comparison.runs has to name")]
    assert load(project, f"second {rehearsal}") == [SECOND, rehearsal]


def test_tuned_weights_and_losses_are_those_that_the_last_stage_left(project: Path) -> None:
    alone = make_run(project, "2026-11-22T04.00.00.000Z", changes={"training.method": "none"})
    found = {run.id: run for run in RunsDataset(filepath=str(project / "runs")).load().runs}
    assert (found[alone].tuned, found[alone].history) == ("domain_adapter", "domain_history")
    assert (found[FIRST].tuned, found[FIRST].history) == ("adapter", "training_history")


@pytest.mark.parametrize("selected", ["third", "2026-11"])
def test_a_selection_that_names_no_one_run_is_refused(project: Path, selected: str) -> None:
    with pytest.raises(InputError, match=selected):
        load(project, selected)


def test_a_selected_run_that_cannot_be_compared_is_refused_with_its_reason(project: Path) -> None:
    make_run(project, "2026-11-22T02.00.00.000Z", status="failed")
    with pytest.raises(InputError, match=r"2026-11-22T02.00.00.000Z failed; leave it out of comparison.runs"):
        load(project, "second 2026-11-22")


def test_a_run_that_has_lost_its_scores_is_left_out_and_listed(project: Path) -> None:
    scores_of(project, FIRST).unlink()
    runs = RunsDataset(filepath=str(project / "runs")).load()
    assert [run.id for run in runs.runs] == [SECOND]
    assert runs.left_out == [(FIRST, "has lost its scores")]
    with pytest.raises(InputError, match=f"{FIRST} has lost its scores"):
        load(project, FIRST)


def test_a_project_without_a_comparable_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="finish one with the pipeline evaluation"):
        load(tmp_path)


def test_a_changed_artifact_is_not_used(project: Path) -> None:
    run = RunsDataset(filepath=str(project / "runs"), selected=FIRST).load().runs[0]
    assert set(run.artifact("scores")["arm"]) > {"base", "tuned"}
    content = bytearray(scores_of(project, FIRST).read_bytes())
    content[10] ^= 1
    scores_of(project, FIRST).write_bytes(content)
    with pytest.raises(InputError, match=f"'scores' of the run {FIRST} was changed since the run recorded it"):
        run.artifact("scores")


def test_a_removed_or_unknown_artifact_is_named(project: Path) -> None:
    run = RunsDataset(filepath=str(project / "runs"), selected=FIRST).load().runs[0]
    scores_of(project, FIRST).unlink()
    with pytest.raises(InputError, match=f"'scores' of the run {FIRST} is not at .* any more"):
        run.artifact("scores")
    with pytest.raises(InputError, match="no artifact 'latency'"):
        run.artifact("latency")


def test_an_artifact_that_could_not_be_hashed_is_named(project: Path) -> None:
    file = project / "runs" / FIRST / "manifest.json"
    manifest = json.loads(file.read_text())
    unhashed = {"sha256": None, "path": "ParquetDataset", "files": {}}
    outputs = [one | (unhashed if one["dataset"] in ("scores", "comparison") else {}) for one in manifest["outputs"]]
    file.write_text(json.dumps(manifest | {"outputs": outputs}))
    runs = RunsDataset(filepath=str(project / "runs")).load()
    assert [run.id for run in runs.runs] == [SECOND]
    assert runs.left_out == [(FIRST, "has lost its scores")]
    (first,) = (one for one in read_runs(project / "runs") if one.id == FIRST)
    with pytest.raises(
        InputError, match=f"'scores' of the run {FIRST} was recorded with no files, and a table has one"
    ):
        FinishedRun(first, project).artifact("scores")


def test_what_a_run_wrote_goes_before_what_it_read(project: Path) -> None:
    file = project / "runs" / FIRST / "manifest.json"
    manifest = json.loads(file.read_text())
    older = manifest["outputs"][0] | {"sha256": "0" * 64}
    file.write_text(json.dumps(manifest | {"inputs": [older]}))
    run = RunsDataset(filepath=str(project / "runs"), selected=FIRST).load().runs[0]
    assert run.sha256(older["dataset"]) == manifest["outputs"][0]["sha256"]


def test_a_manifest_that_cannot_be_read_is_named(project: Path) -> None:
    (project / "runs" / FIRST / "manifest.json").write_text("{")
    with pytest.raises(DatasetError, match=r"manifest\.json cannot be read"):
        load(project)


def test_runs_are_not_saved(project: Path) -> None:
    with pytest.raises(DatasetError, match="written by the runs themselves"):
        RunsDataset(filepath=str(project / "runs")).save({})  # type: ignore[arg-type]
