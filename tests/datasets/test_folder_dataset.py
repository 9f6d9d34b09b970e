"""Saving and loading folders: local and remote, versioned and not."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import pytest
from kedro.io import DataCatalog, Version
from kedro.io.core import DatasetError

from med_lora.datasets import PretrainedDataset
from med_lora.errors import InputError

REMOTE = "memory:///bucket/models/adapter"


@pytest.fixture(params=["local", "memory"])
def filepath(request: pytest.FixtureRequest, tmp_path: Path, memory: fsspec.AbstractFileSystem) -> str:
    return REMOTE if request.param == "memory" else str(tmp_path / "models" / "adapter")


def listing(filepath: str) -> list[str]:
    """Files under the parent of the dataset's path, relative to it."""
    fs, path = fsspec.core.url_to_fs(filepath.rsplit("/", 1)[0])
    return sorted(name.removeprefix(path).lstrip("/") for name in fs.find(path))


def test_unversioned_folder_comes_back_and_is_replaced(filepath: str, artifact: Any, text_of: Any) -> None:
    dataset = PretrainedDataset(filepath=filepath)
    assert not dataset.exists()
    dataset.save(artifact("first"))
    first = dataset.load()
    assert text_of(first) == "first"
    dataset.save(artifact("second"))
    second = dataset.load()
    assert text_of(second) == "second"
    assert first.sha256 != second.sha256
    assert listing(filepath) == ["adapter/_SUCCESS", "adapter/model.safetensors", "adapter/sub/config.json"]


def test_versions_come_back_and_the_newest_is_the_default(filepath: str, artifact: Any, text_of: Any) -> None:
    for version in ("2026-01-01T00.00.00.000Z", "2026-01-02T00.00.00.000Z"):
        PretrainedDataset(filepath=filepath, version=Version(None, version)).save(artifact(version))
    newest = PretrainedDataset(filepath=filepath, version=Version(None, None))
    assert newest.exists()
    assert text_of(newest.load()) == "2026-01-02T00.00.00.000Z"
    assert newest.list_versions(full_path=False) == ["2026-01-02T00.00.00.000Z", "2026-01-01T00.00.00.000Z"]
    older = PretrainedDataset(filepath=filepath, version=Version("2026-01-01T00.00.00.000Z", None))
    assert text_of(older.load()) == "2026-01-01T00.00.00.000Z"


@pytest.mark.filterwarnings("error")
def test_a_drawn_version_is_the_one_saved(
    filepath: str, artifact: Any, text_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = (f"2026-01-01T00.00.00.{number:03}Z" for number in itertools.count())
    monkeypatch.setattr("kedro.io.core.generate_timestamp", lambda: next(drawn))
    dataset = PretrainedDataset(filepath=filepath, version=Version(None, None))
    for text in ("first", "second"):
        dataset.save(artifact(text))
        assert dataset.resolve_save_version() == dataset.resolve_load_version()
        assert text_of(dataset.load()) == text
    assert len(dataset.list_versions()) == 2


def test_a_complete_version_is_never_written_again(filepath: str, artifact: Any) -> None:
    dataset = PretrainedDataset(filepath=filepath, version=Version("v1", "v1"))
    dataset.save(artifact("once"))
    with pytest.raises(DatasetError, match="must not exist if versioning is enabled"):
        dataset.save(artifact("twice"))


def test_equal_content_has_an_equal_manifest(filepath: str, artifact: Any) -> None:
    handles = []
    for version in ("v1", "v2"):
        dataset = PretrainedDataset(filepath=filepath, version=Version(version, version))
        dataset.save(artifact("same"))
        handles.append(dataset.load())
    assert handles[0].sha256 == handles[1].sha256
    manifest = json.loads((handles[0].path / "_SUCCESS").read_text())
    assert manifest["files"]["sub/config.json"]["size"] == 4
    assert set(manifest["files"]) == {"model.safetensors", "sub/config.json"}


def test_nothing_saved_is_one_sentence(filepath: str) -> None:
    versioned = PretrainedDataset(filepath=filepath, version=Version(None, None))
    assert not versioned.exists()
    with pytest.raises(InputError, match=r"adapter has no complete version; run the pipeline that writes it\.$"):
        versioned.load()
    for version in (None, Version("2026-01-01T00.00.00.000Z", None)):
        with pytest.raises(InputError, match="does not exist or was not saved to the end"):
            PretrainedDataset(filepath=filepath, version=version).load()


def test_removed_marker_makes_the_version_before_the_newest(filepath: str, artifact: Any, text_of: Any) -> None:
    for version in ("v1", "v2"):
        PretrainedDataset(filepath=filepath, version=Version(None, version)).save(artifact(version))
    fs, path = fsspec.core.url_to_fs(filepath)
    fs.rm_file(f"{path}/v2/adapter/_SUCCESS")
    dataset = PretrainedDataset(filepath=filepath, version=Version(None, None))
    assert text_of(dataset.load()) == "v1"
    assert not PretrainedDataset(filepath=filepath, version=Version("v2", None)).exists()
    PretrainedDataset(filepath=filepath, version=Version(None, "v2")).save(artifact("again"))
    dataset.release()
    assert text_of(dataset.load()) == "again"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda fs, path: fs.pipe_file(f"{path}/model.safetensors", b"x"),
            "model.safetensors has 1 bytes instead of 4000",
        ),
        (lambda fs, path: fs.pipe_file(f"{path}/sub/config.json", b"TEXT"), "sub/config.json has changed since"),
        (lambda fs, path: fs.rm_file(f"{path}/sub/config.json"), "sub/config.json is missing"),
        (lambda fs, path: fs.pipe_file(f"{path}/_SUCCESS", b'{"files": '), "_SUCCESS is not a manifest"),
        (lambda fs, path: fs.pipe_file(f"{path}/_SUCCESS", b"[]"), "_SUCCESS is not a manifest"),
        (
            lambda fs, path: fs.pipe_file(f"{path}/_SUCCESS", b'{"files": {"../x": {"sha256": "", "size": 1}}}'),
            "names a file outside of its folder",
        ),
    ],
    ids=["truncated", "changed", "missing", "truncated marker", "wrong marker", "escaping marker"],
)
def test_damage_is_found_when_loading(
    filepath: str, artifact: Any, damage: Any, message: str, temporary_folder: Path
) -> None:
    dataset = PretrainedDataset(filepath=filepath)
    dataset.save(artifact("text"))
    fs, path = fsspec.core.url_to_fs(filepath)
    damage(fs, path)
    with pytest.raises(InputError, match=message) as caught:
        dataset.load()
    assert str(caught.value).startswith(filepath)
    assert list(temporary_folder.iterdir()) == []


def test_file_that_was_not_saved_is_refused_but_a_hidden_one_is_not(tmp_path: Path, artifact: Any) -> None:
    dataset = PretrainedDataset(filepath=str(tmp_path / "model"))
    dataset.save(artifact("text"))
    (tmp_path / "model" / ".DS_Store").touch()
    dataset.load()
    (tmp_path / "model" / "chat_template.jinja").touch()
    with pytest.raises(InputError, match=r"chat_template\.jinja is not part of what was saved"):
        dataset.load()


def test_saving_never_deletes_what_it_did_not_write(filepath: str, artifact: Any) -> None:
    fs, path = fsspec.core.url_to_fs(filepath)
    fs.makedirs(path)
    fs.pipe_file(f"{path}/thesis.txt", b"precious")
    dataset = PretrainedDataset(filepath=filepath)
    with pytest.raises(InputError, match=r"holds thesis\.txt, which this dataset did not write"):
        dataset.save(artifact("text"))
    fs.rm_file(f"{path}/thesis.txt")
    dataset.save(artifact("text"))
    fs.pipe_file(f"{path}/thesis.txt", b"precious")
    with pytest.raises(InputError, match=r"holds thesis\.txt"):
        dataset.save(artifact("text"))
    assert fs.cat_file(f"{path}/thesis.txt") == b"precious"


def test_a_plain_file_in_the_place_of_the_folder_is_kept(filepath: str, artifact: Any) -> None:
    fs, path = fsspec.core.url_to_fs(filepath)
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    fs.pipe_file(path, b"precious")
    with pytest.raises(InputError, match="holds a file of that name"):
        PretrainedDataset(filepath=filepath).save(artifact("text"))
    assert fs.cat_file(path) == b"precious"


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path, artifact: Any, text_of: Any) -> None:
    (tmp_path / "large-disk" / "model").mkdir(parents=True)
    (tmp_path / "model").symlink_to(tmp_path / "large-disk" / "model")
    dataset = PretrainedDataset(filepath=str(tmp_path / "model"))
    for text in ("first", "second"):
        dataset.save(artifact(text))
        assert text_of(dataset.load()) == text
    assert (tmp_path / "model").is_symlink()
    assert [path.name for path in (tmp_path / "large-disk").iterdir()] == ["model"]


def test_staging_folders_are_never_versions(filepath: str, artifact: Any, text_of: Any) -> None:
    fs, path = fsspec.core.url_to_fs(filepath)
    dataset = PretrainedDataset(filepath=filepath, version=Version(None, "v1"))
    dataset.save(artifact("whole"))
    for place in (f"{path}/v2/.tmp-0123", f"{path}/.tmp-0123"):
        fs.makedirs(place)
        fs.pipe_file(f"{place}/_SUCCESS", b"")
    newest = PretrainedDataset(filepath=filepath, version=Version(None, None))
    assert newest.list_versions(full_path=False) == ["v1"]
    assert text_of(newest.load()) == "whole"


def test_catalog_with_versions_credentials_and_metadata(
    tmp_path: Path, artifact: Any, text_of: Any, memory: fsspec.AbstractFileSystem
) -> None:
    entry = {
        "type": "med_lora.datasets.PretrainedDataset",
        "filepath": REMOTE,
        "versioned": True,
        "credentials": "store",
        "fs_args": {"use_listings_cache": False},
        "metadata": {"kedro-viz": {"layer": "models"}},
    }
    catalog = DataCatalog.from_config(
        {"adapter": entry}, credentials={"store": {"secret": "hush"}}, save_version="2026-01-01T00.00.00.000Z"
    )
    catalog.save("adapter", artifact("text"))
    assert text_of(catalog.load("adapter")) == "text"
    assert catalog.get("adapter").metadata == {"kedro-viz": {"layer": "models"}}
    assert memory.isfile("/bucket/models/adapter/2026-01-01T00.00.00.000Z/adapter/_SUCCESS")
    assert "hush" not in repr(catalog.get("adapter"))


def test_a_copied_dataset_looks_for_itself(tmp_path: Path, artifact: Any) -> None:
    dataset = PretrainedDataset(filepath=str(tmp_path / "model"), version=Version(None, "v1"))
    dataset.save(artifact("text"))
    assert copy.deepcopy(dataset).exists()
    assert dataset._copy(_version=Version("v1", None)).load().sha256 == dataset.load().sha256


def test_import_is_light(environment: dict[str, str]) -> None:
    script = """
import sys, time
start = time.perf_counter()
import med_lora.datasets as package
assert time.perf_counter() - start < 0.3
package.AdapterDataset, package.ArrowDataset, package.BaseModelDataset
print(sorted({"torch", "transformers", "pyarrow", "datasets"} & set(sys.modules)))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.strip() == "[]"


def test_every_exported_name_resolves() -> None:
    import med_lora.datasets as package

    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Missing'"):
        package.Missing  # noqa: B018
