"""A raw corpus: local files, files of any file system, or a pinned data set of the Hugging Face hub."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import PurePosixPath
from typing import Any, NamedTuple, NoReturn

import fsspec
import pandas as pd
from fsspec.implementations.local import LocalFileSystem
from kedro.io.core import AbstractDataset, DatasetError

from med_lora.chunks import Chunks
from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.hub import download_dataset
from med_lora.datasets.readers.archives import check_name
from med_lora.datasets.readers.source import Source
from med_lora.errors import nearest
from med_lora.layouts import LAYOUTS
from med_lora.parameters import CorpusFiles

logger = logging.getLogger(__name__)

Reader = Callable[[Source], Iterator[pd.DataFrame]]


class Place(NamedTuple):
    """A file or folder: its file system, its path there, and its name in messages."""

    filesystem: Any
    path: str
    name: str


class CorpusDataset(AbstractDataset[NoReturn, Chunks]):
    """The raw records of a corpus, as its publisher ships them; nothing here writes.

    Where a corpus lies stands in the parameters ``corpora.<name>``. Records are read when the chunks are
    iterated, so a file may be larger than the memory. Every value stays text, a missing one is ``""``, and a record
    that cannot be used carries the reason in the column ``fault``. Reads the network only if the corpus has a ``hub``.
    """

    def __init__(
        self,
        *,
        name: str,
        corpora: Mapping[str, Any],
        root: str,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Point the dataset to a corpus.

        Args:
            name: key of the corpus in ``corpora``.
            corpora: for each corpus the fields of ``CorpusFiles``.
            root: folder that relative files lie in; ``protocol://`` selects any file system of fsspec.
            credentials: arguments of the fsspec file system that are secret.
            fs_args: its other arguments.
            metadata: ignored here; read by kedro-viz and other plugins.

        Raises:
            DatasetInputError: if there is no such corpus.
        """
        if name not in corpora:
            raise DatasetInputError(f"There is no corpus {name!r} in the parameter corpora{nearest(name, corpora)}")
        self._name = name
        self._corpus = CorpusFiles.model_validate(corpora[name])
        self._root = root.rstrip("/")
        self._options = {**(fs_args or {}), **(credentials or {})}
        self.metadata = metadata

    def load(self) -> Chunks:
        """Find the files; iterating the result reads them.

        Raises:
            DatasetInputError: if a file is missing. Iterating raises it for a file that is empty, damaged or of
                another layout; the message names the place.
        """
        places = self._places()
        return Chunks(lambda: self._read(places))

    def save(self, data: NoReturn) -> None:
        """Refuse: raw data stay as they came.

        Raises:
            DatasetError: always.
        """
        raise DatasetError(f"raw_{self._name} is raw data, which {type(self).__name__} only reads.")

    def _places(self) -> list[Place]:
        """Files of the corpus, from the hub where that is reachable."""
        hub = self._corpus.hub
        if hub is None:
            hint = "put the corpus there, or set the environment variable MED_LORA_RAW to the folder of the raw corpora"
            return self._expand(self._root, hint)
        root = download_dataset(hub, self._files)
        if root is not None:
            return self._expand(root, f"check corpora.{self._name}.files against the data set on the hub")
        logger.warning("%s: the hub cannot be reached for %s; reading local files.", self._name, hub.id)
        return self._expand(self._root, f"reach the hub once for {hub.id}, or put its files there")

    @property
    def _files(self) -> list[str]:
        files = self._corpus.files
        return [files] if isinstance(files, str) else files

    def _expand(self, root: str, hint: str) -> list[Place]:
        """Every file or folder that ``files`` names, in that order, those of one pattern sorted."""
        places: list[Place] = []
        for file in self._files:
            location = file if "://" in file or file.startswith("/") else f"{root}/{file}"
            filesystem, found = self._find(location)
            if not found:
                raise DatasetInputError(f"{location} does not exist; {hint}.")
            for one in found:
                check_name(one, location)
            is_local = isinstance(filesystem, LocalFileSystem)
            places += [Place(filesystem, one, one if is_local else filesystem.unstrip_protocol(one)) for one in found]
        return places

    def _find(self, location: str) -> tuple[Any, list[str]]:
        """File system of a location and its paths there, those of a pattern sorted."""
        try:
            filesystem, path = self._file_system(location)
            if any(mark in path for mark in "*?["):
                return filesystem, sorted(filesystem.glob(path))
            return filesystem, [path] if filesystem.exists(path) else []
        except OSError as error:
            raise DatasetInputError(
                f"{location} cannot be looked up ({error}); check the address, the network and the rights."
            ) from error

    def _file_system(self, location: str) -> tuple[Any, str]:
        """File system and path of a location."""
        try:
            filesystem, path = fsspec.url_to_fs(location, **self._options)
        except (ImportError, ValueError) as error:
            raise DatasetInputError(
                f"{location} is on a file system that cannot be used here ({error}); install what it needs, or copy "
                "the files to this machine."
            ) from error
        return filesystem, path

    def _read(self, places: list[Place]) -> Iterator[pd.DataFrame]:
        count = 0
        prefixes = _prefixes(places)
        for place, prefix in zip(places, prefixes, strict=True):
            try:
                for chunk in self._chunks(place):
                    count += len(chunk)
                    yield chunk.assign(row=prefix + chunk["row"]) if prefix else chunk
            except OSError as error:
                raise DatasetInputError(
                    f"{place.name} cannot be read ({error}); check the file and its rights."
                ) from error
        if not count:
            raise DatasetInputError(f"{places[0].name} holds no records; put a filled corpus in its place.")

    def _chunks(self, place: Place) -> Iterator[pd.DataFrame]:
        if self._corpus.layout == "medquad":
            from med_lora.datasets.readers.medquad import read_medquad

            return read_medquad(place.filesystem, place.path, place.name)
        if self._corpus.layout == "documents":
            from med_lora.datasets.readers.documents import read_documents

            return read_documents(place.filesystem, place.path, place.name, self._corpus.encoding, self._name)
        source = Source(
            place=place.name,
            open=lambda: place.filesystem.open(place.path, "rb"),
            layout=LAYOUTS[self._corpus.layout],
            columns=self._corpus.columns,
            encoding=self._corpus.encoding,
            corpus=self._name,
        )
        return _reader(place.name)(source)

    def _exists(self) -> bool:
        try:
            return bool(self._places())
        except DatasetInputError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"corpus": self._name, "layout": self._corpus.layout, "files": self._files, "root": self._root}


def _reader(name: str) -> Reader:
    """The reader for the ending of a file."""
    from med_lora.datasets.readers import json_records, tables

    readers: dict[str, Reader] = {
        ".json": json_records.read_json,
        ".jsonl": json_records.read_json_lines,
        ".ndjson": json_records.read_json_lines,
        ".csv": tables.read_csv,
        ".tsv": partial(tables.read_csv, separator="\t"),
        ".xlsx": tables.read_excel,
        ".parquet": tables.read_parquet,
    }
    ending = PurePosixPath(name.lower().removesuffix(".gz")).suffix
    if ending not in readers:
        raise DatasetInputError(
            f"{name} has an ending that tells no format; known are {', '.join(readers)} (JSON lines, CSV also as .gz)."
        )
    return readers[ending]


def _prefixes(places: list[Place]) -> list[str]:
    """What tells the rows of several files apart: the shortest end of each path that no other shares."""
    if len(places) == 1:
        return [""]
    paths = [PurePosixPath(place.path) for place in places]
    depth = 1
    while len({path.with_suffix("").parts[-depth:] for path in paths}) < len(paths):
        depth += 1
        if depth > max(len(path.parts) for path in paths):
            return [f"{path.name}-" for path in paths]  # the same name with several endings
    return ["/".join(path.with_suffix("").parts[-depth:]) + "-" for path in paths]
