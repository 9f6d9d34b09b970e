"""The corpora of a rehearsal: the experiment's own files where they are at hand, else those that the project has."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from importlib import resources
from itertools import chain, islice
from pathlib import Path
from typing import Any

import yaml

from med_lora.datasets.corpus import CorpusDataset
from med_lora.datasets.readers.documents import list_documents
from med_lora.errors import InputError
from med_lora.parameters import CorpusFiles, CorpusParams, ProjectParams
from med_lora.rehearsal.sizes import Size

Fields = dict[str, Any]
# Pairs that cleaning leaves of each corpus at least.
_PAIRS_CARRIED = 60
_PAIRS_PUBLISHED = 1000
_RECORDS_A_PAIR = 4  # of a corpus that nobody cleaned before


@dataclass(frozen=True)
class Shelf:
    """Where a rehearsal looks for corpora.

    Attributes:
        raw_root: folder of the raw corpora, as in ``conf/base/globals.yml``.
        carried_root: the one that the project carries, which holds ``embedded/``.
        carried: corpora of ``conf/experiments/embedded.yml`` with the fields of ``conf/base``, by name.
        exams: folder that the questions of exams are written to.
    """

    raw_root: Path
    carried_root: Path
    carried: Mapping[str, CorpusParams]
    exams: Path


def find_corpora(own: ProjectParams, size: Size, shelf: Shelf) -> tuple[dict[str, Fields], int | None]:
    """What the rehearsal changes in each corpus that the experiment uses, by name.

    A corpus of documents gives some files from the first to the last, an exam its first questions: both are read whole
    otherwise. An address is not at hand, as a rehearsal is offline.

    Returns:
        Changed fields by corpus, and a number of pairs that is left after cleaning, or None where nobody knows: a
        user's corpora are small, or the pairs have yet to be written.

    Raises:
        InputError: if a corpus is not at hand and nothing carried has its layout.
    """
    data = own.data_engineering
    terms = [name for corpus in data.corpora if (name := own.corpora[corpus].focus_terms)]
    found = {name: _locate(name, own.corpora[name], shelf) for name in dict.fromkeys([*data.corpora, *terms])}
    for name in data.corpora:
        corpus = own.corpora[name].model_copy(update=found[name])
        if corpus.layout == "documents":
            found[name] |= {"files": _some_documents(corpus, size.documents, shelf)}
    for name in data.benchmarks:
        found[name] = _write_exam(name, own.corpora[name], size.exam_items, shelf)
    wanted = size.train + size.validation + size.test
    used = {name: own.corpora[name].model_copy(update=found[name]) for name in data.corpora}
    pairs = [_count_pairs(name, corpus, wanted, shelf) for name, corpus in used.items()]
    known = sum(count for count in pairs if count is not None)
    unknown = data.question_generation is not None or (None in pairs and known < wanted)
    return {name: fields for name, fields in found.items() if fields}, None if unknown else known


def _count_pairs(name: str, corpus: CorpusParams, wanted: int, shelf: Shelf) -> int | None:
    """Pairs of a corpus that cleaning leaves at least; None of a user's corpus with few records."""
    if corpus.layout == "documents":
        return 0
    if name not in shelf.carried:
        faults = chain.from_iterable(chunk["fault"] for chunk in _open(name, corpus, shelf).load())
        usable = islice((fault for fault in faults if not fault), _RECORDS_A_PAIR * wanted)
        return wanted if len(list(usable)) == _RECORDS_A_PAIR * wanted else None
    files = corpus.files if isinstance(corpus.files, str) else corpus.files[0]
    return _PAIRS_CARRIED if "embedded" in Path(files).parts else _PAIRS_PUBLISHED


def _locate(name: str, corpus: CorpusParams, shelf: Shelf) -> Fields:
    local = {"hub": None} if corpus.hub is not None else {}
    if _is_there(corpus.files, shelf.raw_root):
        return local
    files = [corpus.files] if isinstance(corpus.files, str) else corpus.files
    embedded = [f"embedded/{file}" for file in files]
    if _is_there(embedded, shelf.carried_root):
        other = shelf.carried.get(name)
        named = {"title": other.title, "licence": other.licence} if other else {}
        return {**local, **named, "files": _path(embedded, shelf)}
    likely = [shelf.carried[name]] if name in shelf.carried else []
    for other in [*likely, *shelf.carried.values()]:
        if other.layout == corpus.layout and not corpus.columns:
            files = [other.files] if isinstance(other.files, str) else other.files
            return {**local, "title": other.title, "licence": other.licence, "files": _path(files, shelf)}
    raise InputError(
        f"The files of corpora.{name} are not in {shelf.raw_root}, and the project carries none of layout "
        f"{corpus.layout} with its columns; put them there, or set MED_LORA_RAW to the folder that holds them."
    )


def _is_there(files: str | list[str], root: Path) -> bool:
    names = [files] if isinstance(files, str) else files
    return all("://" not in name and _glob(root, name) for name in names)


def _glob(root: Path, name: str) -> list[str]:
    return sorted(glob(str(root / name), recursive=True))  # an absolute name stays what it is


def _path(files: list[str], shelf: Shelf) -> str | list[str]:
    """Names of carried files, from the raw root."""
    names = [_from_root(shelf.carried_root / file, shelf) for file in files]
    return names[0] if len(names) == 1 else names


def _from_root(file: Path, shelf: Shelf) -> str:
    """Relative to the raw root where that lies in the project too, so that no path of this machine is recorded."""
    root, file = shelf.raw_root.resolve(), file.resolve()
    is_near = root.is_relative_to(Path.cwd().resolve()) and file.is_relative_to(Path.cwd().resolve())
    return Path(os.path.relpath(file, root)).as_posix() if is_near else str(file)


def _some_documents(corpus: CorpusParams, count: int, shelf: Shelf) -> str | list[str]:
    files = [corpus.files] if isinstance(corpus.files, str) else corpus.files
    documents = [file for name in files for file in _documents(shelf.raw_root, name)]
    if len(documents) <= count:
        return corpus.files
    return [documents[number * len(documents) // count] for number in range(count)]


def _documents(root: Path, name: str) -> Iterator[str]:
    from fsspec.implementations.local import LocalFileSystem

    for place in _glob(root, name):
        for _, inner in list_documents(LocalFileSystem(), place, place):
            file = Path(place, inner)
            yield str(file) if Path(name).is_absolute() else file.relative_to(root).as_posix()


def _open(name: str, corpus: CorpusParams, shelf: Shelf) -> CorpusDataset:
    files = corpus.model_dump(include=set(CorpusFiles.model_fields)) | {"hub": None}
    return CorpusDataset(name=name, corpora={name: files}, root=str(shelf.raw_root))


def _write_exam(name: str, corpus: CorpusParams, count: int, shelf: Shelf) -> Fields:
    """The first questions of an exam as a file of their own, or of those that the package carries."""
    changes: Fields = {"hub": None} if corpus.hub is not None else {}
    if _is_there(corpus.files, shelf.raw_root):
        read = (row for chunk in _open(name, corpus, shelf).load() for row in chunk.to_dict("records"))
        items = [dict(row) for row, _ in zip(read, range(count), strict=False)]
        columns = corpus.columns
        items = [{columns.get(str(key), key): value for key, value in item.items() if value} for item in items]
    else:
        carried = yaml.safe_load(resources.files(__package__).joinpath("exams.yml").read_text(encoding="utf-8"))
        if corpus.layout not in carried or corpus.columns:
            raise InputError(
                f"The files of corpora.{name} are not in {shelf.raw_root}; put them there, or take it out of "
                "data_engineering.benchmarks."
            )
        items = carried[corpus.layout][:count]
        changes |= {"title": "Questions written for rehearsals", "licence": "CC-BY-4.0"}
    shelf.exams.mkdir(parents=True, exist_ok=True)
    file = shelf.exams / f"{name}.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return {**changes, "files": _from_root(file, shelf)}
