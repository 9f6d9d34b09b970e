"""What differs between two runs, by their manifests alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from med_lora.runs.differences import (
    ABSENT,
    ArtifactComparison,
    Difference,
    compare_inputs,
    compare_outputs,
    compare_settings,
    compare_surroundings,
    same_pairs,
)
from med_lora.runs.history import Run, read_runs

from .recorded import FIRST, MANIFEST, SECOND, WRITTEN, record_run


def two_runs(project: Path, **second: Any) -> list[Run]:
    record_run(project, FIRST)
    record_run(project, SECOND, **second)
    return read_runs(project / "runs")


def test_settings_differ_by_key_with_both_values(tmp_path: Path) -> None:
    tree = {
        "training": {"lora": {"r": 8}, "method": "lora"},
        "sweep": {"grid": {"training.lora.r": [1]}},
        "rerun_of": FIRST,
    }
    assert compare_settings(*two_runs(tmp_path, parameters=tree)) == [
        Difference("sweep.grid", {}, ABSENT),
        Difference("sweep.grid.training.lora.r", ABSENT, [1]),
        Difference("training.lora.alpha", 32, ABSENT),
        Difference("training.lora.r", 4, 8),
        Difference("training.method", ABSENT, "lora"),
    ]


def test_surroundings_name_commit_package_and_processor() -> None:
    other = MANIFEST | {
        "code": MANIFEST["code"] | {"commit": "def", "note": "anything"},
        "packages": {"torch": "2.14.0", "peft": "0.21.2"},
        "machine": MANIFEST["machine"] | {"cpu": "EPYC"},
    }
    found = compare_surroundings(MANIFEST, other)
    assert [one.key for kind in found.values() for one in kind] == ["commit", "torch", "cpu"]
    assert not any(compare_surroundings(MANIFEST, MANIFEST).values())


def test_equal_runs_have_identical_outputs_and_the_same_pairs(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path)
    assert {one.state for one in compare_outputs(first, second)} == {"identical"}
    assert same_pairs(first, second) is True
    assert compare_inputs(first, second) == []


def test_outputs_come_in_the_order_saved_and_name_the_file(tmp_path: Path) -> None:
    written: dict[str, dict[str, str]] = {**WRITTEN, "canaries": {"": "x"}}
    written["adapter"] = {**WRITTEN["adapter"], "adapter_model.safetensors": "others"}
    written["report.html"] = {"": "<html lang=en>"}
    del written["train"]
    found = compare_outputs(*two_runs(tmp_path, written=written))
    assert found == [
        ArtifactComparison("train", "only in the first", "", False),
        ArtifactComparison("test", "identical", "", False),
        ArtifactComparison("adapter", "different", "adapter_model.safetensors", False),
        ArtifactComparison("headline", "identical", "", False),
        ArtifactComparison("report", "different", "", True),
        ArtifactComparison("canaries", "only in the second", "", False),
    ]


def test_artifact_without_a_hash_is_not_called_identical(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path)
    unhashed = {"sha256": None, "path": "JSONDataset", "files": {}}
    first.manifest["outputs"][0] |= unhashed
    for run in (first, second):
        run.manifest["outputs"][1] |= unhashed
    states = {one.dataset: one.state for one in compare_outputs(first, second)}
    assert (states["train"], states["test"], states["adapter"]) == ("not hashed", "not hashed", "identical")
    assert same_pairs(first, second) is None


def test_pairs_are_compared_wherever_they_came_from(tmp_path: Path) -> None:
    test = record_run(tmp_path, FIRST)["outputs"][1]
    record_run(tmp_path, SECOND, written={}, loaded=[test])
    first, second = read_runs(tmp_path / "runs")
    assert same_pairs(first, second) is True
    second.manifest["inputs"] = [test | {"sha256": "other"}]
    assert same_pairs(first, second) is False
    second.manifest["inputs"] = []
    assert same_pairs(first, second) is None


def test_changed_corpus_is_an_input_that_differs(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path)
    second.manifest["inputs"][0]["sha256"] = "s"
    assert compare_inputs(first, second) == [Difference("raw_wikidoc", "r", "s")]


def test_model_of_the_hub_differs_by_its_commit(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path)
    for run, commit in ((first, "a"), (second, "b")):
        run.manifest["inputs"] = [{"dataset": "base_model", "sha256": None, "path": f"hf://m@{commit}"}]
    assert compare_inputs(first, second) == [Difference("base_model", "hf://m@a", "hf://m@b")]
