"""Where the files of a dataset lie, and what they hold."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from fsspec.implementations.local import LocalFileSystem
from kedro.io import CachedDataset, MemoryDataset
from kedro.io.core import AbstractVersionedDataset

from med_lora.datasets import (
    BaseModelDataset,
    CallCacheDataset,
    CorpusDataset,
    EncoderDataset,
    RunsDataset,
    WorkFolderDataset,
)
from med_lora.datasets.base_model import HASHED_FILES, BaseModel, hash_model_file
from med_lora.datasets.encoder import MODULE_FILES
from med_lora.datasets.manifest import MARKER
from med_lora.datasets.raw_folder import RawFolderDataset
from med_lora.errors import InputError
from med_lora.runs.hashing import hash_file, hash_together
from med_lora.runs.manifest import MANIFEST, BaseModelEntry, Content

# Changed while a node runs, so they are neither its input nor its output.
_WORKED_IN = (MemoryDataset, WorkFolderDataset, CallCacheDataset)
# Office programs and operating systems leave them beside the data, and no dataset reads them.
_PASSED_OVER = (".", "~$")


class File(NamedTuple):
    """A file of a file system of fsspec."""

    filesystem: Any
    path: str


class Files(NamedTuple):
    """Files by their names below one place, which is written as a manifest writes it."""

    place: str
    files: dict[str, File]


def is_recorded(dataset: Any) -> bool:
    """Whether a dataset has content that a run starts from or leaves behind."""
    return not isinstance(_unwrap(dataset), _WORKED_IN)


def describe_content(dataset: Any, project: Path, saved: bool = False) -> Content:
    """Hash what a dataset loads, or what it has just ``saved``.

    Raises:
        InputError: if a corpus, model or version cannot be found.
        OSError: if a file cannot be read.
    """
    dataset = _unwrap(dataset)
    if isinstance(dataset, BaseModelDataset):
        return _describe_model(dataset, project)
    version = None
    if isinstance(dataset, CorpusDataset):
        found = _corpus_files(dataset, project)
    elif isinstance(dataset, RunsDataset):
        found = _run_files(dataset, project)
    elif isinstance(dataset, RawFolderDataset):
        found = _files_below(dataset._fs, dataset._path, project)
    elif hasattr(dataset, "_filepath") and hasattr(dataset, "_fs"):
        version, path = _versioned_path(dataset, saved)
        found = _files_below(dataset._fs, path, project)
    else:
        return Content(version=None, path=type(dataset).__name__, sha256=None, bytes=0, files={})
    hashed = {name: hash_file(*file) for name, file in found.files.items()}
    files = {name: one.sha256 for name, one in hashed.items()}
    size = sum(one.size for one in hashed.values())
    return Content(version=version, path=found.place, sha256=hash_together(files), bytes=size, files=files)


def show_path(filesystem: Any, path: str, project: Path) -> str:
    """A path as a manifest writes it: relative to the project where it lies there, and never with a password."""
    if not isinstance(filesystem, LocalFileSystem):
        return re.sub(r"://[^/@]*@", "://", filesystem.unstrip_protocol(path))
    local = Path(os.path.abspath(project / path))
    return local.relative_to(project).as_posix() if local.is_relative_to(project) else local.as_posix()


def _unwrap(dataset: Any) -> Any:
    return dataset._dataset if isinstance(dataset, CachedDataset) else dataset


def _versioned_path(dataset: Any, saved: bool) -> tuple[str | None, str]:
    if not isinstance(dataset, AbstractVersionedDataset) or dataset._version is None:
        return None, str(dataset._filepath)
    version = dataset.resolve_save_version() if saved else dataset.resolve_load_version()
    # not `_get_save_path`, which refuses a version that exists
    return version, str(dataset._get_versioned_path(version))  # type: ignore[arg-type]


def _files_below(filesystem: Any, path: str, project: Path) -> Files:
    """A file itself, or every file of a folder but the marker and hidden ones, sorted."""
    place = show_path(filesystem, path, project)
    if not filesystem.exists(path):  # where nothing is an input, too: nobody has returned a rating sheet
        return Files(place, {})
    if not filesystem.isdir(path):
        return Files(place, {"": File(filesystem, path)})
    root = filesystem._strip_protocol(path).rstrip("/")
    paths = {str(one).removeprefix(root).lstrip("/"): str(one) for one in sorted(filesystem.find(path))}
    kept = {name: File(filesystem, one) for name, one in paths.items() if name != MARKER and not _is_hidden(name)}
    return Files(place, kept)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(_PASSED_OVER) for part in PurePosixPath(name).parts)


def _corpus_files(dataset: CorpusDataset, project: Path) -> Files:
    """The files of a corpus: one, those of one folder, or those below the folder that holds them all."""
    parts = [_files_below(place.filesystem, place.path, project) for place in dataset._places()]
    hub = dataset._corpus.hub
    place, files = parts[0]
    if len(parts) > 1:
        shown = {_join(part.place, name): file for part in parts for name, file in part.files.items()}
        levels = zip(*(name.split("/")[:-1] for name in shown), strict=False)
        place = "/".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
        files = {name.removeprefix(place).lstrip("/"): file for name, file in shown.items()}
    return Files(f"hf://datasets/{hub.id}@{hub.revision}" if hub else place, files)


def _run_files(dataset: RunsDataset, project: Path) -> Files:
    """The manifests of the runs that are compared, which name all that is read of these."""
    filesystem = LocalFileSystem()
    manifests = {
        f"{one.id}/{MANIFEST}": File(filesystem, str(one.run.folder / MANIFEST)) for one in dataset.load().runs
    }
    return Files(show_path(filesystem, str(dataset._folder), project), manifests)


def _describe_model(dataset: BaseModelDataset, project: Path) -> Content:
    """A model or encoder: what its handle hashed, and each of those files, which is hashed once a process."""
    model = dataset.load()
    if model.revision is not None:
        return Content(version=None, path=f"hf://{model.source}@{model.revision}", sha256=None, bytes=0, files={})
    folder = Path(model.source)
    patterns = [*HASHED_FILES, *(MODULE_FILES if isinstance(dataset, EncoderDataset) else ())]
    entries = {}
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()}):
        status = file.stat()
        entries[file.relative_to(folder).as_posix()] = hash_model_file(file, status.st_size, status.st_mtime_ns)
    packaged = getattr(model, "packaged", None)
    return Content(
        version=None,
        path=f"package:{packaged}" if packaged else show_path(LocalFileSystem(), str(folder), project),
        sha256=model.sha256,
        bytes=sum(entry["size"] for entry in entries.values()),
        files={name: entry["sha256"] for name, entry in entries.items()},
    )


def identify_base(model: BaseModel) -> BaseModelEntry:
    """The base model of an experiment; what decides the tokens of one from the hub is asked once it was loaded."""
    tokenizer_sha256 = None
    if model.revision is None or "transformers" in sys.modules:
        with suppress(InputError):  # the hub's cannot be had, and a node that needs it says so
            tokenizer_sha256 = model.tokenizer_sha256()
    return BaseModelEntry(
        id=model.source, revision=model.revision, sha256=model.sha256, tokenizer_sha256=tokenizer_sha256
    )


def _join(root: str, name: str) -> str:
    return f"{root}/{name}" if name else root
