"""The file that repeats a run, and what is checked before it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kedro.framework.cli.project import run
from kedro.framework.cli.utils import _config_file_callback, _split_load_versions, split_node_names, split_string
from kedro.io import DataCatalog, Version
from kedro.pipeline import Pipeline, node
from kedro_datasets.text import TextDataset
from omegaconf import OmegaConf

from med_lora.datasets import RunsDataset
from med_lora.errors import InputError
from med_lora.runs import rerun
from med_lora.runs.manifest import Manifest
from med_lora.runs.rerun import check_inputs, read_original, write_rerun
from tests.runs.recorded import FIRST, SECOND, THIRD, record_run
from tests.runs.sessions import RUN, chain, read, run_pipeline

VALUES: dict[str, Any] = {
    **{"null": None, "list": [1, "1", 1.5, None, [], {}], "mapping": {}, "nested": {"a": {"b": [{"c": 1}]}}},
    **{"rate": 2e-4, "tiny": 1e-12, "huge": 1e300, "whole": 1.0, "number": 3, "flag": True, "text of a flag": "true"},
    **{
        "text of a rate": "2e-4",
        "text of null": "null",
        "text of a number": "007",
        "date": "2026-11-22",
        "time": "1:30",
    },
    **{"underscores": "1_000", "octal": "0o17", "yes": "yes", "empty": "", "space": " padded ", "tilde": "~"},
    **{"template": "{question}: {answer}", "reference": "${training.seed}", "escaped": r"\${x}", "twice": r"\\${x}"},
    **{
        "open": "costs ${",
        "resolver": "${oc.env:HOME}",
        "nested reference": "${a:${b}}",
        "ends": "x\\",
        "missing": "??",
    },
    **{
        "lines": "one\ntwo\n",
        "tabs": "a\tb",
        "quote": "'\"",
        "colon": "a: b # c",
        "unicode": "Größe – 𝛼\u2028",
        "at": "@x",
    },
    **{"comma": "a,b=c", "key: with, ${marks}": 1, "bell": "\x07", "dash": "- x", "percent": "%x", "star": "*x"},
}


def manifest(**parts: Any) -> Manifest:
    given: dict[str, Any] = {
        **{"id": RUN, "env": "cpu", "pipelines": ["training"], "selection": {}, "parameters": {}, "inputs": []},
        **{"nodes": []},
    }
    return {**given, **parts}  # type: ignore[typeddict-item]


def options(text: str, folder: Path) -> dict[str, Any]:
    """What `kedro run --config` takes from the file."""
    file = folder / "rerun.yml"
    file.write_text(text, encoding="utf-8")
    context = run.make_context("run", [], resilient_parsing=True)
    _config_file_callback(context, None, str(file))
    return dict(context.default_map or {})


def test_every_value_of_a_parameter_comes_back(tmp_path: Path) -> None:
    given = options(write_rerun(manifest(parameters={"values": VALUES})), tmp_path)
    # as the configuration loader does: merged under the files of conf/, then resolved
    resolved = OmegaConf.to_container(OmegaConf.merge({"values": {"rate": 1}}, given["params"]), resolve=True)
    assert resolved == {"values": {**VALUES}, "rerun_of": RUN}
    assert {key: type(value) for key, value in resolved["values"].items()} == {k: type(v) for k, v in VALUES.items()}


def test_options_of_the_command_come_back(tmp_path: Path) -> None:
    selection = {"tags": ["a", "b"], "node_names": ["one.x", "f([a,b]) -> [c]"], "load_versions": {"pairs": "1"}}
    given = options(write_rerun(manifest(selection=selection, pipelines=["people", "training"])), tmp_path)
    assert (given["env"], split_string(None, None, given["pipelines"])) == ("cpu", ["people", "training"])  # type: ignore[arg-type]
    assert split_string(None, None, given["tags"]) == ["a", "b"]  # type: ignore[arg-type]
    assert split_node_names(None, None, given["node_names"]) == selection["node_names"]  # type: ignore[arg-type]
    assert _split_load_versions(None, None, given["load_versions"]) == {}  # type: ignore[arg-type]


def test_versions_that_were_read_are_pinned(tmp_path: Path) -> None:
    inputs = [{"dataset": "test", "version": RUN}, {"dataset": "raw", "version": None}]
    given = options(write_rerun(manifest(inputs=inputs)), tmp_path)
    assert _split_load_versions(None, None, given["load_versions"]) == {"test": RUN}  # type: ignore[arg-type]


def test_runs_that_a_comparison_read_are_pinned(tmp_path: Path) -> None:
    for id in (FIRST, SECOND):
        record_run(tmp_path, id, written={"scores.csv": {"": "1"}, "metrics.csv": {"": "1"}})
    runs = RunsDataset(filepath=str(tmp_path / "runs"))
    summary = TextDataset(filepath=str(tmp_path / "summary.txt"))
    join = node(lambda runs: " ".join(one.id for one in runs.runs), "runs", "summary", name="join")
    comparison = {"runs": "", "metrics": ["rougeL"]}
    run_pipeline(
        tmp_path,
        Pipeline([join]),
        DataCatalog({"runs": runs, "summary": summary}),
        run=THIRD,
        parameters={"comparison": comparison},
    )
    given = options((tmp_path / "runs" / THIRD / "rerun.yml").read_text(), tmp_path)
    assert given["params"]["comparison"] == {**comparison, "runs": f"{FIRST} {SECOND}"}
    record = read(tmp_path, THIRD)
    assert record["parameters"]["comparison"] == comparison
    pinned = DataCatalog({"runs": RunsDataset(filepath=str(tmp_path / "runs"), selected=f"{FIRST} {SECOND}")})
    record_run(tmp_path, "2026-11-23T00.00.00.000Z", written={"scores.csv": {"": "1"}, "metrics.csv": {"": "1"}})
    check_inputs(record, pinned, tmp_path)
    manifest_file = tmp_path / "runs" / FIRST / "manifest.json"
    manifest_file.write_text(manifest_file.read_text() + " ")
    with pytest.raises(InputError, match=f"^runs: runs/{FIRST}/manifest.json was changed since run {THIRD}"):
        check_inputs(record, pinned, tmp_path)


def test_run_of_missing_outputs_names_what_it_ran(tmp_path: Path) -> None:
    parts = {"selection": {"only_missing_outputs": True}, "nodes": [{"name": "split"}, {"name": "score"}]}
    given = options(write_rerun(manifest(**parts)), tmp_path)
    assert given["node_names"] == "split,score"
    assert "only_missing_outputs" not in given


@pytest.fixture
def original(tmp_path: Path) -> Manifest:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.txt").write_text(name)
    run_pipeline(tmp_path, chain("general", "pairs"), raw(tmp_path))
    return read(tmp_path)


def raw(project: Path) -> DataCatalog:
    class Texts(TextDataset):  # a folder, of which the node gets nothing
        def load(self) -> str:
            return ""

    return DataCatalog({"general": Texts(filepath=str(project / "raw"))})


def test_unchanged_inputs_pass(tmp_path: Path, original: Manifest) -> None:
    assert list(original["inputs"][0]["files"]) == ["a.txt", "b.txt"]
    check_inputs(original, raw(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "b.txt").write_text("changed"), "raw/b.txt was changed"),
        (lambda folder: (folder / "b.txt").unlink(), "raw/b.txt is missing"),
        (lambda folder: (folder / "c.txt").write_text(""), "raw/c.txt was added"),
        (lambda folder: folder.rename(folder.with_name("moved")), "raw/a.txt is missing"),
    ],
)
def test_changed_input_is_named(tmp_path: Path, original: Manifest, change: Any, sentence: str) -> None:
    change(tmp_path / "raw")
    with pytest.raises(InputError, match=f"^general: {sentence} since run {RUN}; bring the old file back"):
        check_inputs(original, raw(tmp_path), tmp_path)


def test_input_that_cannot_be_read_is_named(
    tmp_path: Path, original: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(rerun, "describe_content", refuse)
    with pytest.raises(InputError, match=r"^general: raw cannot be read \(Permission denied\); make it readable"):
        check_inputs(original, raw(tmp_path), tmp_path)


def test_artifact_of_an_earlier_run_is_compared_where_it_is_loaded(tmp_path: Path) -> None:
    def pairs(load: str | None) -> DataCatalog:
        file = str(tmp_path / "pairs.txt")
        return DataCatalog({"pairs": TextDataset(filepath=file, version=Version(load, RUN))})

    for version in ("2025", "2026"):
        TextDataset(filepath=str(tmp_path / "pairs.txt"), version=Version(None, version)).save(version)
    run_pipeline(tmp_path, chain("pairs", "in_memory"), pairs("2025"))
    (tmp_path / "pairs.txt" / "2025" / "pairs.txt").write_text("changed by hand")
    check_inputs(read(tmp_path), pairs("2026"), tmp_path)
    with pytest.raises(InputError, match=r"^pairs: pairs.txt/2025/pairs.txt was changed since run"):
        check_inputs(read(tmp_path), pairs("2025"), tmp_path)


def test_original_without_a_manifest_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^runs/2020/manifest.json.*missing or damaged; bring it back"):
        read_original(tmp_path, "2020")
