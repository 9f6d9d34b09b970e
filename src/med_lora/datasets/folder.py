"""Base of the datasets whose artifact is a folder of files."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
import weakref
from abc import abstractmethod
from copy import deepcopy
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem
from kedro.io.core import (
    AbstractVersionedDataset,
    DatasetError,
    Version,
    VersionNotFoundError,
    get_protocol_and_path,
)

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.manifest import MARKER, parse_manifest, seal_folder, verify_folder
from med_lora.datasets.publication import download, publish_locally, publish_remotely, staging_name

Saved = TypeVar("Saved")
Loaded = TypeVar("Loaded")


class FolderDataset(AbstractVersionedDataset[Saved, Loaded]):
    """A folder that appears whole or not at all, and is checked each time it is read.

    Saving writes into ``.tmp-<unique>`` beside the target, then the manifest ``_SUCCESS`` (SHA-256 and size of every
    file), and moves the folder into place. A folder without the manifest does not exist for Kedro, so a killed
    or failed save never becomes the newest version; what a killed one leaves under ``.tmp-`` may be deleted at will.
    Loading verifies the manifest first. A folder of a remote file system is downloaded into a temporary one, which
    lives as long as the loaded object, and as long as the dataset has neither been released nor loaded again.

    Subclasses implement ``_write`` and ``_read`` for a local folder; what ``_read`` returns must allow weak references.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point the dataset to a folder.

        Args:
            filepath: the folder; ``protocol://`` selects any file system of fsspec, none means local.
            version: version to load and to save; set by Kedro for ``versioned: true``.
            credentials: arguments of the fsspec file system that are secret.
            fs_args: its other arguments.
            metadata: ignored here; read by kedro-viz and other plugins.
        """
        self._protocol, path = get_protocol_and_path(filepath, version)
        self._fs = fsspec.filesystem(self._protocol, **deepcopy(credentials or {}), **deepcopy(fs_args or {}))
        self._is_local = isinstance(self._fs, LocalFileSystem)
        self._held: Loaded | None = None
        self.metadata = metadata
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._is_complete,
            glob_function=self._fs.glob,
        )

    def __init_subclass__(cls, **options: Any) -> None:
        # Kedro 1.7 wraps an inherited versioned `save` once more, and each layer would draw a version of its own.
        cls.save = inspect.unwrap(cls.save)  # type: ignore[method-assign]
        super().__init_subclass__(**options)

    @abstractmethod
    def _write(self, folder: Path, data: Saved) -> None:
        """Write ``data`` into the empty local ``folder``."""

    @abstractmethod
    def _read(self, folder: Path) -> Loaded:
        """Read the verified local ``folder``."""

    def save(self, data: Saved) -> None:
        """Save ``data`` as a folder that appears only when it is complete.

        Raises:
            DatasetInputError: if the disk is full, or the unversioned target holds files that are not from here.
            DatasetError: for every other failure; what was saved before is still there.
        """
        target = self._get_save_path().as_posix()
        try:
            if self._version is None:
                self._refuse_foreign_files(target)
            if self._is_local:
                # A link to a folder stays a link: the folder behind it is the one replaced.
                self._save_locally(Path(target).resolve(), data)
            else:
                self._save_remotely(target, data)
        except Exception as error:
            if not _is_disk_full(error):
                raise
            raise DatasetInputError(
                f"The disk is full: {self._place(target)} was not saved, and nothing older was lost; free some "
                "space and run again."
            ) from error
        finally:
            self._fs.invalidate_cache(self._filepath.as_posix())

    def load(self) -> Loaded:
        """Verify the folder and read it.

        Raises:
            DatasetInputError: if nothing complete was saved, or a file is missing, truncated, changed or foreign.
        """
        source = self._find()
        if self._is_local:
            folder = Path(source)
            verify_folder(folder, source)
            return self._read(folder)
        return self._load_remotely(source)

    def _save_locally(self, target: Path, data: Saved) -> None:
        staging = target.parent / staging_name()
        staging.mkdir(parents=True)
        try:
            self._write(staging, data)
            seal_folder(staging)
            publish_locally(staging, target)
        finally:
            if staging.exists():
                shutil.rmtree(staging)
            if self._version is not None and not any(target.parent.iterdir()):
                target.parent.rmdir()

    def _save_remotely(self, target: str, data: Saved) -> None:
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            self._write(folder, data)
            seal_folder(folder)
            publish_remotely(self._fs, folder, target)

    def _load_remotely(self, source: str) -> Loaded:
        place = self._place(source)
        marker = self._fs.cat_file(f"{source}/{MARKER}")
        temporary = TemporaryDirectory()
        try:
            folder = Path(temporary.name) / self._filepath.name
            download(self._fs, source, parse_manifest(marker, place), marker, folder)
            verify_folder(folder, place)
            loaded = self._read(folder)
            weakref.finalize(loaded, temporary.cleanup)
        except BaseException:
            temporary.cleanup()
            raise
        self._held = loaded  # so that `dataset.load().path` does not vanish before its first use
        return loaded

    def _find(self) -> str:
        """Path of what a load reads."""
        try:
            source = self._get_load_path().as_posix()
        except VersionNotFoundError as error:
            place = self._place(self._filepath.as_posix())
            raise DatasetInputError(f"{place} has no complete version; run the pipeline that writes it.") from error
        if not self._is_complete(source):
            raise DatasetInputError(
                f"{self._place(source)} does not exist or was not saved to the end (it has no {MARKER}); run the "
                "pipeline that writes it."
            )
        return source

    def _refuse_foreign_files(self, target: str) -> None:
        """Raise if replacing the folder ``target`` would delete more than its manifest lists."""
        if not self._fs.exists(target):
            return
        place = self._place(target)
        known = {MARKER}
        if self._is_complete(target):
            known.update(parse_manifest(self._fs.cat_file(f"{target}/{MARKER}"), place))
        root = self._fs._strip_protocol(target)
        found = [name.removeprefix(root).lstrip("/") for name in self._fs.find(target)]
        foreign = sorted(name or "a file of that name" for name in found if name not in known)
        if foreign:
            raise DatasetInputError(
                f"{place} holds {foreign[0]}, which this dataset did not write and saving would delete; move it away "
                "or choose another filepath."
            )

    def _is_complete(self, path: str) -> bool:
        return bool(self._fs.isfile(f"{path}/{MARKER}"))

    def _place(self, path: str) -> str:
        """``path`` as messages show it: with the protocol of a remote file system."""
        return path if self._is_local else self._fs.unstrip_protocol(path)

    def _exists(self) -> bool:
        try:
            return self._is_complete(self._get_load_path().as_posix())
        except DatasetError:
            return False

    def _release(self) -> None:
        super()._release()
        self._held = None
        self._fs.invalidate_cache(self._filepath.as_posix())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "protocol": self._protocol, "version": self._version}


def _is_disk_full(error: BaseException) -> bool:
    """Whether the cause is a full disk; Rust writers such as safetensors say so in the text alone."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error)
