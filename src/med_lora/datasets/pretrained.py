"""Models in the folder layout of Hugging Face."""

from __future__ import annotations

import inspect
import shutil
import uuid
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.folder import FolderDataset
from med_lora.datasets.manifest import is_inner_path, manifest_sha256


class Saveable(Protocol):
    """What transformers and peft save into a folder."""

    def save_pretrained(self, save_directory: str, *arguments: Any, **options: Any) -> Any:
        """Write everything that ``from_pretrained`` needs into ``save_directory``."""


@dataclass(frozen=True)
class SavedFolder:
    """What another process has saved already: a ``Saveable`` whose files are copied as they are."""

    path: Path

    @classmethod
    def below(cls, parent: Path) -> SavedFolder:
        """A folder in ``parent``, not made yet, which is deleted together with the handle."""
        folder = cls(parent / f"output-{uuid.uuid4().hex}")
        weakref.finalize(folder, shutil.rmtree, folder.path, ignore_errors=True)
        return folder

    def save_pretrained(self, save_directory: str) -> None:
        """Copy all files into ``save_directory``."""
        shutil.copytree(self.path, save_directory, dirs_exist_ok=True)


@dataclass(frozen=True)
class Pretrained:
    """What is saved: a model, its tokenizer if it has one, and text files by name.

    A file that ``save_pretrained`` writes too, such as the README.md of peft, is replaced by the one given here.
    """

    model: Saveable
    tokenizer: Saveable | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PretrainedFolder:
    """What is loaded: a verified local folder for ``from_pretrained``, and the SHA-256 of its manifest.

    Keep the handle as long as ``path`` is in use: a folder that came from a remote file system goes with it.
    """

    path: Path
    sha256: str


class PretrainedDataset(FolderDataset[Pretrained, PretrainedFolder]):
    """A model saved by ``save_pretrained``, with safetensors weights."""

    def _write(self, folder: Path, data: Pretrained) -> None:
        if not isinstance(data, Pretrained):
            raise TypeError(f"{type(self).__name__} saves a Pretrained, not a {type(data).__name__}")
        outside = [name for name in data.files if not is_inner_path(name)]
        if outside:
            raise DatasetInputError(f"{self._filepath} cannot hold a file named {outside[0]!r}; choose another name.")
        for part in (data.model, data.tokenizer):
            if part is not None:
                _save_part(part, folder)
        for name, text in data.files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        if not any(folder.rglob("*.safetensors")):
            raise DatasetInputError(
                f"{self._filepath} was not saved because the model wrote no .safetensors file; save a model whose "
                "save_pretrained writes safetensors."
            )

    def _read(self, folder: Path) -> PretrainedFolder:
        return PretrainedFolder(path=folder, sha256=manifest_sha256(folder))


def _save_part(part: Saveable, folder: Path) -> None:
    """Call ``save_pretrained``; libraries older than transformers 5 must be asked for safetensors."""
    parameters = inspect.signature(part.save_pretrained).parameters
    options = {"safe_serialization": True} if "safe_serialization" in parameters else {}
    part.save_pretrained(str(folder), **options)
