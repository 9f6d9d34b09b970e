"""MedQuAD as its authors publish it: one XML file a document, in a zip, a folder or a checkout of the repository."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.readers.archives import MEMBER_LIMIT, Archive, is_content, list_files, read_xml

COLUMNS = [
    "row",
    "document",
    "source",
    "focus",
    "concepts",
    "pair",
    "question_type",
    "question",
    "answer",
    "fault",
]
CHUNK_ROWS = 5_000
CHUNK_CHARACTERS = 16 * 1024**2
_CONCEPT = re.compile(r"\bC\d{7}\b")


def read_medquad(filesystem: Any, path: str, place: str) -> Iterator[pd.DataFrame]:
    """Question-answer pairs of MedQuAD (Ben Abacha and Demner-Fushman 2019, doi:10.1186/s12859-019-3119-4).

    The same documents give the same table from a zip, a folder and a checkout. They are sorted by the names of their
    folder and file; hidden files, ``__MACOSX`` and what is not XML are left out. ``document`` is
    ``<folder>/<file stem>``, since the ids inside the files repeat from source to source and within one; ``pair`` is
    the pair's ``pid``, or its position where it has none. ``concepts`` are the UMLS concepts (CUIs) of the focus,
    sorted and joined by ";". An answer without text is ``""``. Besides ``Document``, the repository holds a few files
    in older vocabularies (``DiseaseFile``; ``doc``, ``doctitle-focus``, ``pair``), which are read alike.

    Args:
        filesystem: the fsspec file system that holds the corpus.
        path: a zip or a folder.
        place: its name in messages.

    Yields:
        Tables of ``COLUMNS``, all text, 5,000 rows or 16 Mi characters each; ``row`` is ``<document>-<pair>``. A pair
        without a question has the fault ``missing_question``.

    Raises:
        DatasetInputError: if the zip or a document cannot be read, is over a limit, or comes twice.
    """
    if filesystem.isdir(path):
        root = filesystem._strip_protocol(path).rstrip("/")

        def read_file(name: str) -> bytes:
            size = filesystem.size(f"{root}/{name}")
            if size > MEMBER_LIMIT:
                raise DatasetInputError(
                    f"{place}, member {name} has {size} bytes, over the limit of {MEMBER_LIMIT}; take it out."
                )
            return bytes(filesystem.cat_file(f"{root}/{name}"))

        yield from _chunks(list_files(filesystem, path, place), read_file, place)
        return
    with filesystem.open(path, "rb") as stream, Archive(stream, place) as archive:
        yield from _chunks([name for name in archive.names if is_content(name)], archive.read, place)


def _chunks(names: Iterable[str], read: Callable[[str], bytes], place: str) -> Iterator[pd.DataFrame]:
    rows: list[list[str]] = []
    size = 0
    for document, name in _documents(names, place):
        for row in _pairs(_parse(read(name), name, place), document):
            rows.append(row)
            size += sum(map(len, row))
            if len(rows) == CHUNK_ROWS or size >= CHUNK_CHARACTERS:
                yield pd.DataFrame(rows, columns=COLUMNS, dtype="str")
                rows, size = [], 0
    if rows:
        yield pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def _documents(names: Iterable[str], place: str) -> list[tuple[str, str]]:
    """Name of the document and of its member; sorted by folder and file, wherever these lie."""
    members: dict[str, str] = {}
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.suffix.lower() != ".xml":
            continue
        document = "/".join([*path.parts[-2:-1], path.stem])
        if document in members:
            raise DatasetInputError(
                f"{place} holds the document {document} twice, as {members[document]} and {name}; take one out."
            )
        members[document] = name
    if not members:
        raise DatasetInputError(f"{place} holds no XML document of MedQuAD; put the zip or the folder there.")
    return sorted(members.items(), key=lambda item: item[0].split("/"))


def _parse(content: bytes, name: str, place: str) -> Element:
    root = read_xml(content, f"{place}, member {name}")
    if _first(root, "QAPairs", "qaPairs") is None:
        raise DatasetInputError(
            f"{place}, member {name} is no MedQuAD document: it has no QAPairs element; mend or remove it."
        )
    return root


def _pairs(root: Element, document: str) -> Iterator[list[str]]:
    codes = " ".join(element.text or "" for tag in ("CUI", "cui") for element in root.iter(tag))
    head = [
        document,
        root.get("source") or root.get("corpus") or "",
        _text(_first(root, "Focus", "doctitle-focus")),
        ";".join(sorted(set(_CONCEPT.findall(codes)))),
    ]
    rows: set[str] = set()
    for position, pair in enumerate([*root.iter("QAPair"), *root.iter("pair")], start=1):
        number = pair.get("pid") or str(position)
        row = f"{document}-{number}"
        while row in rows:
            row += f"-{position}"
        rows.add(row)
        question, answer = _first(pair, "Question", "question"), _first(pair, "Answer", "answer")
        if question is None:
            yield [row, *[""] * (len(COLUMNS) - 2), "missing_question"]
            continue
        yield [row, *head, number, question.get("qtype") or "", _text(question), _text(answer), ""]


def _first(element: Element, *tags: str) -> Element | None:
    return next((child for child in element if child.tag in tags), None)


def _text(element: Element | None) -> str:
    return "" if element is None else "".join(element.itertext()).strip()
