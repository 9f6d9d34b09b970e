from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Pipeline, node
from kedro_datasets.text import TextDataset

from med_lora.datasets import CallCacheDataset, TextFilesDataset, WorkFolderDataset
from med_lora.errors import InputError
from med_lora.runs import record as record_module
from med_lora.runs.manifest import RERUN, write_text
from med_lora.runs.meter import NodeMeter, Reading
from tests.runs.sessions import RUN, begin_record, chain, double, read, run_pipeline


def text(folder: Path, name: str, run: str | None = None, load: str | None = None, **options: Any) -> TextDataset:
    """A text file of a project, versioned if it has the id of the run that saves it."""
    version = Version(load, run) if run else None
    return TextDataset(filepath=str(folder / "data" / f"{name}.txt"), version=version, **options)


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw.txt").write_text("raw text")
    return DataCatalog({"raw": text(tmp_path, "raw"), "pairs": text(tmp_path, "pairs", RUN)})


def test_finished_run_names_what_it_read_and_made_with_hashes(tmp_path: Path, catalog: DataCatalog) -> None:
    run_pipeline(tmp_path, chain("raw", "in_memory", "pairs"), catalog, pipeline_names=["b", "a"], tags=("quick",))
    manifest = read(tmp_path)
    assert (manifest["status"], manifest["error"], manifest["pipelines"]) == ("finished", None, ["a", "b"])
    assert (manifest["env"], manifest["experiment"], manifest["selection"]) == ("cpu", "tiny", {"tags": ["quick"]})
    raw, pairs = hashlib.sha256(b"raw text").hexdigest(), hashlib.sha256(b"raw text" * 4).hexdigest()
    assert manifest["inputs"] == [
        {
            **{"dataset": "raw", "version": None, "path": "data/raw.txt", "sha256": raw, "bytes": 8},
            **{"files": {"": raw}, "run": None},
        }
    ]
    assert manifest["outputs"] == [
        {
            **{"dataset": "pairs", "version": RUN, "path": f"data/pairs.txt/{RUN}/pairs.txt", "sha256": pairs},
            **{"bytes": 32, "files": {"": pairs}, "node": "make_pairs", "reads_clock": False},
        }
    ]
    assert [(one["name"], one["inputs"], one["outputs"]) for one in manifest["nodes"]] == [
        ("make_in_memory", ["raw"], ["in_memory"]),
        ("make_pairs", ["in_memory"], ["pairs"]),
    ]
    assert manifest["seeds"] == {"training.optimisation.seed": 1, "training.seed": 7}
    assert manifest["seconds"] is not None
    assert manifest["settings"] == {"training": {"seed": 7}}


def test_what_a_node_works_in_is_neither_input_nor_output(tmp_path: Path, catalog: DataCatalog) -> None:
    catalog["work"] = WorkFolderDataset(filepath=str(tmp_path / "work"))
    catalog["calls"] = CallCacheDataset(filepath=str(tmp_path / "calls.jsonl"))
    catalog["params:training"] = {"seed": 7}
    inputs = ["raw", "work", "calls", "params:training"]
    run_pipeline(tmp_path, Pipeline([node(lambda raw, *_: raw, inputs, "pairs", name="make")]), catalog)
    manifest = read(tmp_path)
    assert [one["dataset"] for one in manifest["inputs"]] == ["raw"]
    assert manifest["nodes"][0]["inputs"] == ["raw", "work", "calls"]


def test_version_of_an_earlier_run_is_pinned_and_leads_to_it(tmp_path: Path, catalog: DataCatalog) -> None:
    later = "2026-12-01T00.00.00.000Z"
    run_pipeline(tmp_path, chain("raw", "pairs"), catalog)
    again = DataCatalog({"pairs": text(tmp_path, "pairs", later), "scores": text(tmp_path, "scores", later)})
    run_pipeline(tmp_path, chain("pairs", "scores"), again, run=later)
    (entry,) = read(tmp_path, later)["inputs"]
    assert (entry["dataset"], entry["version"], entry["run"]) == ("pairs", RUN, RUN)
    assert f'"load_versions": "pairs:{RUN}"' in (tmp_path / "runs" / later / "rerun.yml").read_text()
    assert '"load_versions": ""' in (tmp_path / "runs" / RUN / "rerun.yml").read_text()


def test_version_without_a_run_leads_nowhere(tmp_path: Path) -> None:
    earlier = "2025-01-01T00.00.00.000Z"
    text(tmp_path, "pairs", earlier).save("from before runs left manifests")
    catalog = DataCatalog({"pairs": text(tmp_path, "pairs", RUN)})
    run_pipeline(tmp_path, chain("pairs", "in_memory"), catalog)
    (entry,) = read(tmp_path)["inputs"]
    assert (entry["version"], entry["run"]) == (earlier, None)


def test_catalog_says_what_depends_on_the_clock(tmp_path: Path, catalog: DataCatalog) -> None:
    catalog["report"] = text(tmp_path, "report", RUN, metadata={"med_lora": {"reads_clock": True}, "kedro-viz": {}})
    run_pipeline(tmp_path, chain("raw", "pairs", "report"), catalog)
    assert [one["reads_clock"] for one in read(tmp_path)["outputs"]] == [False, True]


def test_headline_is_kept(tmp_path: Path, catalog: DataCatalog) -> None:
    def write(raw: str) -> dict[str, str]:
        return {"lead": "Tuned beats base.", "sentence": "Tuned beats base by 0.1."}

    run_pipeline(tmp_path, Pipeline([node(write, "raw", "headline", name="write")]), catalog)
    assert read(tmp_path)["headline"] == "Tuned beats base."


def test_failed_run_keeps_kind_and_node_but_no_message(tmp_path: Path, catalog: DataCatalog) -> None:
    def fail(value: str) -> str:
        raise KeyError(f"a record says {value}")

    pipeline = Pipeline([*chain("raw", "pairs").nodes, node(fail, "pairs", "scores", name="score")])
    with pytest.raises(KeyError):
        run_pipeline(tmp_path, pipeline, catalog)
    manifest = read(tmp_path)
    assert (manifest["status"], manifest["error"]) == ("failed", {"kind": "KeyError", "node": "score"})
    assert [one["dataset"] for one in manifest["outputs"]] == ["pairs"]
    assert "a record says" not in json.dumps(manifest)


def test_error_that_a_user_can_mend_is_named_behind_its_wrapping(tmp_path: Path) -> None:
    record = begin_record(tmp_path)
    error = RuntimeError("wrapped")
    error.__cause__ = InputError("a file is missing")
    record.fail(error)
    assert read(tmp_path)["error"] == {"kind": "InputError", "node": None}


def test_interrupted_process_is_no_running_run(tmp_path: Path) -> None:
    record = begin_record(tmp_path)
    record.begin_node(chain("a", "b").nodes[0])
    record.interrupt()
    assert read(tmp_path)["error"] == {"kind": "Interrupted", "node": "make_b"}
    record.interrupt()
    assert not record.is_open


def test_manifest_is_written_before_the_first_node_and_after_each(tmp_path: Path, catalog: DataCatalog) -> None:
    seen = []

    def look(value: str) -> str:
        manifest = read(tmp_path)
        seen.append((manifest["status"], [one["dataset"] for one in manifest["outputs"]]))
        return value

    names = ["raw", "pairs", "scores"]
    nodes = [node(look, a, b, name=b) for a, b in pairwise(names)]
    run_pipeline(tmp_path, Pipeline(nodes), catalog)
    assert seen == [("running", []), ("running", ["pairs"])]


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(record_module, "write_text", write)


def test_full_disk_stops_a_run_before_its_first_node(
    tmp_path: Path, catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch)
    with pytest.raises(click.ClickException, match=r"manifest.json cannot be written \(No space left on device\)"):
        run_pipeline(tmp_path, chain("raw", "pairs"), catalog)
    assert not (tmp_path / "data" / "pairs.txt").exists()


def test_run_whose_record_did_not_fit_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(file: Path, text: str) -> None:
        if file.name == RERUN:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_text(file, text)

    monkeypatch.setattr(record_module, "write_text", write)
    with pytest.raises(InputError, match="free some space"):
        begin_record(tmp_path)
    assert list((tmp_path / "runs").iterdir()) == []


def test_disk_that_fills_later_loses_the_record_and_not_the_run(
    tmp_path: Path, catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fill(value: str) -> str:
        refuse(monkeypatch)
        return value

    run_pipeline(tmp_path, Pipeline([node(fill, "raw", "pairs", name="fill")]), catalog)
    assert (tmp_path / "data" / "pairs.txt" / RUN / "pairs.txt").read_text() == "raw text"
    assert read(tmp_path)["status"] == "running"
    assert [one.message for one in caplog.records if "stays behind" in one.message] != []


def test_file_whose_name_is_not_utf8_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    name = os.fsdecode(b"Gr\xf6\xdfe.txt")
    try:
        (tmp_path / "raw" / name).write_text("latin")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    record = begin_record(tmp_path)
    dataset = TextFilesDataset(filepath=str(tmp_path / "raw"))
    record.add_input("raw", dataset, None, node(double, "raw", "pairs", name="make"))
    record.finish()
    assert list(read(tmp_path)["inputs"][0]["files"]) == [name]


class Hub:
    """The handle of a model of the hub, of which the tokenizer can be had from the second time on."""

    source, revision, sha256, asked = "openai-community/gpt2", "0" * 40, None, 0

    def tokenizer_sha256(self) -> str:
        self.asked += 1
        if self.asked == 1:
            raise InputError("the hub cannot be reached")
        return "hash of the tokenizer"


def test_base_model_is_described_once_its_tokenizer_can_be_had(
    tmp_path: Path, catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", ModuleType("transformers"))
    record, hub, one = begin_record(tmp_path), Hub(), node(double, "base_model", "pairs", name="make")
    seen = []
    for _ in range(3):
        record.add_input("base_model", MemoryDataset(), hub, one)
        base = record.manifest["base_model"]
        assert base is not None
        seen.append((base["id"], base["revision"], base["tokenizer_sha256"]))
    assert [hash for _, _, hash in seen] == [None, "hash of the tokenizer", "hash of the tokenizer"]
    assert seen[0][:2] == ("openai-community/gpt2", "0" * 40)
    assert hub.asked == 2


def test_value_of_a_secret_variable_is_not_written(
    tmp_path: Path, catalog: DataCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {name: f"secret-value-{name}" for name in ("MY_API_KEY", "HF_TOKEN", "A_SECRET", "DB_PASSWORD")}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    run_pipeline(tmp_path, chain("raw", "pairs"), catalog, parameters={"judge": {"endpoint": {"key": "MY_API_KEY"}}})
    written = "".join(path.read_text() for path in (tmp_path / "runs" / RUN).iterdir())
    assert "MY_API_KEY" in written
    assert not [value for value in secrets.values() if value in written]


def test_node_is_not_charged_for_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([Reading(0.0, 0.0, 0.0), Reading(5.0, 4.0, 50.0), Reading(7.0, 6.0, 60.0), Reading(8.0, 6.5, 70.0)])
    monkeypatch.setattr("med_lora.runs.meter.read_meters", lambda _: next(readings))
    meter: Any = NodeMeter(None)  # type: ignore[arg-type]
    meter.pause()
    assert meter.read() == Reading(5.0, 4.0, 50.0)
    meter.resume()
    assert meter.read() == Reading(6.0, 4.5, 60.0)


def test_joules_are_unknown_as_soon_as_one_reading_is() -> None:
    assert (Reading(2.0, 1.0, 9.0) - Reading(1.0, 0.5, None)).joules is None


def test_a_node_saved_in_parts_is_one_output(tmp_path: Path, catalog: DataCatalog) -> None:
    record = begin_record(tmp_path)
    one = node(double, "raw", "pairs", name="make")
    for content in ("first", "second"):
        (tmp_path / "data" / "raw.txt").write_text(content)
        record.add_output("pairs", text(tmp_path, "raw"), content, one)
    (entry,) = read(tmp_path)["outputs"]
    assert entry["sha256"] == hashlib.sha256(b"second").hexdigest()
