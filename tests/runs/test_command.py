"""``python -m med_lora runs`` as it is typed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from med_lora.__main__ import main
from med_lora.runs import history, removal
from med_lora.runs.history import read_runs

from .recorded import FIRST, SECOND, THIRD, WRITTEN, loads, make_project, record_run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_project(tmp_path)
    return tmp_path


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, ["runs", *arguments], input=given)


def test_no_run_is_said_and_is_no_error(project: Path) -> None:
    result = run()
    assert result.exit_code == 0
    assert "No run has left a manifest" in result.output


def test_folder_without_the_project_is_said(project: Path) -> None:
    (project / "pyproject.toml").unlink()
    result = run("list")
    assert result.exit_code == 1
    assert result.output.startswith("Error: There is no med_lora project in")


def test_list_has_the_newest_first_and_fits_100_columns(project: Path) -> None:
    record_run(project, FIRST, experiment="an_experiment_with_a_rather_long_name", headline="word " * 60)
    record_run(project, SECOND, status="running", seconds=None, headline=None)
    error = {"kind": "InputError", "node": "train_adapter"}
    record_run(project, THIRD, status="failed", headline=None, error=error, rerun_of=None, seconds=7200.0)
    run("name", FIRST, "rank-4")
    lines = run("list").output.splitlines()
    assert run().output.splitlines() == lines
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines[1::2]] == [THIRD, SECOND, "rank-4"]
    assert [line.split()[-4:] for line in lines[3:4]] == [["embedded", "cpu", "unfinished", "–"]]
    assert "unfinished" in lines[3]
    assert lines[2].strip() == "InputError in train_adapter."
    assert "2026-11-20 03:14" in lines[5]
    assert lines[5].endswith("1 min 24 s")
    assert lines[6].endswith("...")


def test_long_list_has_the_headline_whole(project: Path) -> None:
    record_run(project, FIRST, headline="It fell a lot. " * 20 + "The end.")
    result = run("list", "--long").output
    assert "The end." in result
    assert "2 x Xeon" in result
    assert max(map(len, result.splitlines())) <= 100


def test_rerun_says_of_which_run(project: Path) -> None:
    record_run(project, SECOND, rerun_of=FIRST)
    assert f"Rerun of {FIRST}. Held-out" in run().output


def test_comparison_has_explanations_before_figures_before_outputs(project: Path) -> None:
    record_run(project, FIRST)
    weights = {**WRITTEN["adapter"], "adapter_model.safetensors": "others"}
    tree = {"training": {"lora": {"r": 8, "alpha": 32}}, "sweep": {"grid": {}}}
    record_run(project, SECOND, written=WRITTEN | {"adapter": weights}, parameters=tree, packages={"torch": "2.14.0"})
    result = run("compare", FIRST, SECOND)
    assert result.exit_code == 0, result.output
    parts = [
        "parameters: 1 differ",
        "training.lora.r  4 -> 8",
        "code: the same",
        "packages: 2 differ",
        "machine: the same",
        "inputs: the same",
        "test pairs: the same.",
        "perplexity, tuned   86.6 [80, 94.1]",
        "outputs: 4 identical, 1 different",
        "different: adapter",
    ]
    places = [result.output.find(part) for part in parts]
    assert -1 not in places, result.output
    assert places == sorted(places)
    assert max(map(len, result.output.splitlines())) <= 100


def test_runs_on_other_questions_are_not_put_beside_each_other_silently(project: Path) -> None:
    record_run(project, FIRST)
    record_run(project, SECOND, written=WRITTEN | {"test": {"data.arrow": "other pairs"}})
    assert "test pairs: different" in run("compare", FIRST, "latest").output


def test_headline_that_was_changed_is_one_sentence(project: Path) -> None:
    for id in (FIRST, SECOND):
        record_run(project, id)
    (project / f"data/08_reporting/embedded/headline.json/{SECOND}/headline.json").write_text("{")
    result = run("compare", FIRST, SECOND)
    assert result.exit_code == 1
    assert f"was changed since the run {SECOND} wrote it; bring it back, or delete it." in result.output


def test_code_without_a_commit_is_not_called_the_same(project: Path) -> None:
    unknown = {"version": "0.1.0", "commit": None, "dirty": None, "changes_sha256": None, "note": "no git"}
    for id in (FIRST, SECOND):
        record_run(project, id, code=unknown)
    assert f"nobody knows the code of {FIRST} and {SECOND}" in run("compare", FIRST, SECOND).output


def test_removal_shows_what_goes_and_asks(project: Path) -> None:
    record_run(project, FIRST)
    refused = run("remove", FIRST, given="n\n")
    assert refused.exit_code == 1
    assert f"data/08_reporting/embedded/adapter/{FIRST} (9 B)" in refused.output
    assert len(read_runs(project / "runs")) == 1
    assert run("remove", FIRST, given="y\n").exit_code == 0
    assert read_runs(project / "runs") == []


def test_removal_of_what_another_run_needs_takes_force(project: Path) -> None:
    made = record_run(project, FIRST)
    record_run(project, SECOND, written={}, loaded=[loads(made, "test")])
    refused = run("remove", FIRST, "--yes")
    assert refused.exit_code == 1
    assert "was made from test" in refused.output
    assert len(read_runs(project / "runs")) == 2
    assert run("remove", FIRST, "--yes", "--force").exit_code == 0
    assert [one.id for one in read_runs(project / "runs")] == [SECOND]


def test_both_are_removed_together_each_once(project: Path) -> None:
    made = record_run(project, FIRST)
    record_run(project, SECOND, written={}, loaded=[loads(made, "test")])
    result = run("remove", FIRST, SECOND, FIRST, "--yes")
    assert result.exit_code == 0, result.output
    assert read_runs(project / "runs") == []


def test_disk_that_cannot_be_written_is_one_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: Path, text: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))

    record_run(project, FIRST)
    monkeypatch.setattr(history, "write_text", refuse)
    result = run("name", FIRST, "rank-4")
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert f"{FIRST}/name.txt cannot be read or written (Read-only file system)" in result.output


def test_removal_of_a_run_whose_record_has_to_stay_deletes_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_run(project, FIRST)
    before = {path for path in project.rglob("*") if path.is_file()}
    monkeypatch.setattr(removal.os, "access", lambda folder, mode: folder != project / "runs" / FIRST)
    result = run("remove", FIRST, "--yes")
    assert result.exit_code == 1
    assert f"{FIRST} cannot be written; make it writable" in result.output
    assert {path for path in project.rglob("*") if path.is_file()} == before


def test_removal_of_an_unfinished_run_warns(project: Path) -> None:
    record_run(project, FIRST, status="running")
    assert "make sure that it is not" in run("remove", FIRST, given="n\n").output


@pytest.mark.parametrize("command", [["name", "x", "y"], ["compare", "x", "y"], ["remove", "x"], ["verify", "x"]])
def test_unknown_run_is_one_sentence(project: Path, command: list[str]) -> None:
    record_run(project, FIRST)
    result = run(*command)
    assert result.exit_code == 1
    assert result.output.startswith("Error: There is no run 'x'")


def test_damaged_manifest_is_one_sentence(project: Path) -> None:
    record_run(project, FIRST)
    (project / "runs" / FIRST / "manifest.json").write_text("{")
    result = run()
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
