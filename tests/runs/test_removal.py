"""A removed run takes its own artifacts with it, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from med_lora.errors import InputError
from med_lora.runs import removal
from med_lora.runs.history import read_runs
from med_lora.runs.removal import check_unused, plan_removal, remove

from .recorded import FIRST, SECOND, THIRD, loads, record_run


def files(project: Path) -> set[str]:
    """What lies below ``project``, but its own file."""
    found = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    return found - {"pyproject.toml"}


def test_removed_run_leaves_the_others_whole(tmp_path: Path) -> None:
    record_run(tmp_path, FIRST)
    alone = files(tmp_path)
    record_run(tmp_path, SECOND)
    (tmp_path / "runs" / SECOND / "name.txt").write_text("second\n")
    planned = plan_removal(tmp_path, read_runs(tmp_path / "runs")[1])
    assert len(planned.artifacts) == 5
    assert planned.size == sum(entry["bytes"] for entry in planned.run.manifest["outputs"])
    remove(planned)
    assert files(tmp_path) == alone
    assert not (tmp_path / "runs" / SECOND).exists()


def test_artifact_that_is_gone_already_does_no_harm(tmp_path: Path) -> None:
    record_run(tmp_path, FIRST)
    (run,) = read_runs(tmp_path / "runs")
    shutil.rmtree(tmp_path / "data/08_reporting/embedded/adapter")
    remove(plan_removal(tmp_path, run))
    assert files(tmp_path) == set()


def test_removal_that_was_cut_off_stays_listed_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_run(tmp_path, FIRST)
    (run,) = read_runs(tmp_path / "runs")
    deleted = []

    def stop_at_third(folder: Path) -> None:
        deleted.append(folder)
        if len(deleted) == 3:
            raise OSError("cut off")
        shutil.os.rename(folder, tmp_path / f"gone-{len(deleted)}")  # type: ignore[attr-defined]

    with monkeypatch.context() as patched:
        patched.setattr(removal.shutil, "rmtree", stop_at_third)
        with pytest.raises(InputError, match=r"cannot be deleted \(cut off\).*gone already is passed over"):
            remove(plan_removal(tmp_path, run))
    (run,) = read_runs(tmp_path / "runs")
    remove(plan_removal(tmp_path, run))
    assert read_runs(tmp_path / "runs") == []
    assert not any(path.is_file() for path in (tmp_path / "data").rglob("*"))


def test_run_that_a_kept_one_was_made_from_is_not_removed(tmp_path: Path) -> None:
    made = record_run(tmp_path, FIRST)
    record_run(tmp_path, SECOND, written={}, loaded=[loads(made, "adapter")])
    record_run(tmp_path, THIRD)
    first, second, third = read_runs(tmp_path / "runs")
    with pytest.raises(InputError, match=f"{SECOND} was made from adapter of {FIRST}"):
        check_unused([second, third], [first])
    check_unused([third], [first, second])
    check_unused([first, second], [third])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"path": "s3://bucket/train/{id}/train"}, "does not reach"),
        ({"path": "/elsewhere/{id}/train"}, "outside of"),
        ({"path": "data/../../{id}/train"}, "outside of"),
        ({"path": "data/train"}, "no folder of that run alone"),
        ({"version": THIRD}, "no folder of that run alone"),
    ],
)
def test_artifact_elsewhere_is_refused_before_anything_goes(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    record_run(tmp_path, FIRST)
    (run,) = read_runs(tmp_path / "runs")
    before = files(tmp_path)
    run.manifest["outputs"][-1] |= {key: value.format(id=FIRST) for key, value in change.items()}
    with pytest.raises(InputError, match=sentence):
        plan_removal(tmp_path, run)
    assert files(tmp_path) == before


def test_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    record_run(project, FIRST)
    shutil.move(project / "data", outside)
    (project / "data").symlink_to(outside)
    (run,) = read_runs(project / "runs")
    with pytest.raises(InputError, match="outside of"):
        plan_removal(project, run)


def test_dataset_without_versions_stays(tmp_path: Path) -> None:
    record_run(tmp_path, FIRST)
    (run,) = read_runs(tmp_path / "runs")
    run.manifest["outputs"][0] |= {"version": None, "path": "data/judge_calls.jsonl"}
    (tmp_path / "data/judge_calls.jsonl").write_text("{}")
    planned = plan_removal(tmp_path, run)
    assert planned.shared == ["train"]
    remove(planned)
    assert (tmp_path / "data/judge_calls.jsonl").is_file()
