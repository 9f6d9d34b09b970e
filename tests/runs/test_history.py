"""Runs are read from their manifests, found by what people type, and named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from kedro.framework.cli.utils import _split_params

from med_lora.errors import InputError
from med_lora.runs.history import find_run, name_run, read_runs

from .recorded import FIRST, SECOND, THIRD, WRITTEN, record_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for run in (SECOND, FIRST, THIRD):
        record_run(tmp_path, run)
    return tmp_path / "runs"


def test_runs_come_oldest_first(folder: Path) -> None:
    assert [run.id for run in read_runs(folder)] == [FIRST, SECOND, THIRD]


def test_no_folder_is_no_run(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "runs") == []


def test_folder_without_a_manifest_is_no_run(folder: Path) -> None:
    (folder / SECOND / "manifest.json").unlink()
    assert [run.id for run in read_runs(folder)] == [FIRST, THIRD]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"id": "x"}', "\xff"])
def test_unreadable_manifest_is_named(folder: Path, content: str) -> None:
    (folder / FIRST / "manifest.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=rf"{FIRST}/manifest.json"):
        read_runs(folder)


def test_manifest_in_the_folder_of_another_run_is_named(folder: Path) -> None:
    shutil.copy(folder / FIRST / "manifest.json", folder / SECOND / "manifest.json")
    with pytest.raises(InputError, match=f"{SECOND}/manifest.json is the manifest of {FIRST}"):
        read_runs(folder)


def test_what_a_run_wrote_goes_before_what_it_read(tmp_path: Path) -> None:
    older = record_run(tmp_path, FIRST)["outputs"]
    written = {"adapter": WRITTEN["adapter"]}
    record_run(tmp_path, SECOND, written=written, loaded=older, nodes=[{"name": "train", "outputs": ["adapter"]}])
    run = read_runs(tmp_path / "runs")[1]
    found = {name: run.entry(name) for name in ("adapter", "test", "scores")}
    versions = {name: entry and entry["version"] for name, entry in found.items()}
    assert versions == {"adapter": SECOND, "test": FIRST, "scores": None}
    assert run.maker("adapter") == {"name": "train", "outputs": ["adapter"]}
    assert run.maker("test") is None


def test_run_is_found_by_id_name_beginning_and_latest(folder: Path) -> None:
    runs = read_runs(folder)
    name_run(runs, runs[0], "rank-4")
    runs = read_runs(folder)
    assert runs[0].label == "rank-4"
    assert find_run(runs, FIRST) is find_run(runs, "rank-4") is find_run(runs, "2026-11-20") is runs[0]
    assert find_run(runs, "latest").id == THIRD


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("2026-11-2", "3 runs begin with '2026-11-2'"), ("rank-5", "did you mean 'rank-4'"), ("", "There is no run ''")],
)
def test_what_matches_no_run_or_several_is_one_sentence(folder: Path, text: str, sentence: str) -> None:
    runs = read_runs(folder)
    name_run(runs, runs[0], "rank-4")
    with pytest.raises(InputError, match=sentence):
        find_run(read_runs(folder), text)


def test_find_in_no_runs_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run has left a manifest yet"):
        find_run([], "latest")


def test_latest_is_no_rerun(tmp_path: Path) -> None:
    record_run(tmp_path, FIRST)
    record_run(tmp_path, SECOND, rerun_of=FIRST)
    runs = read_runs(tmp_path / "runs")
    assert find_run(runs, "latest").id == FIRST
    with pytest.raises(InputError, match="There is no run 'latest'"):
        find_run(runs[1:], "latest")


@pytest.mark.parametrize(
    "name", ["", "two words", "../up", "latest", "2026-11-20", "näme", "16", "-x", "1e5", "true", "NULL", "off"]
)
def test_name_that_could_mislead_is_refused(folder: Path, name: str) -> None:
    runs = read_runs(folder)
    with pytest.raises(InputError, match="choose another"):
        name_run(runs, runs[0], name)
    assert not (folder / FIRST / "name.txt").exists()


def test_name_is_of_one_run_and_can_be_given_again_to_it(folder: Path) -> None:
    runs = read_runs(folder)
    name_run(runs, runs[0], "a")
    name_run(read_runs(folder), runs[0], "a")
    with pytest.raises(InputError, match=f"{FIRST} is already called 'a'"):
        name_run(read_runs(folder), runs[1], "a")
    name_run(read_runs(folder), runs[0], "b")
    name_run(read_runs(folder), runs[1], "a")
    assert [run.name for run in read_runs(folder)] == ["b", "a", ""]


@pytest.mark.parametrize("name", ["rank-16", "trues", "None", "e5", "nan", "A.b_c"])
def test_name_reaches_a_comparison_as_it_was_given(folder: Path, name: str) -> None:
    runs = read_runs(folder)
    name_run(runs, runs[0], name)
    assert _split_params(None, None, f"comparison.runs={name}") == {"comparison": {"runs": name}}


def test_run_that_was_cut_off_is_unfinished(tmp_path: Path) -> None:
    record_run(tmp_path, FIRST, status="running", seconds=None, headline=None)
    assert read_runs(tmp_path / "runs")[0].status == "unfinished"
