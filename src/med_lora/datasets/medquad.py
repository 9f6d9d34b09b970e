"""MedQuAD as its authors publish it: a zip of the repository with one XML file a document."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.raw_base import RawDataset, text_table

COLUMNS = ["document", "source", "focus", "pair", "question_id", "question_type", "question", "answer"]
MAX_UNCOMPRESSED_BYTES = 2 * 1024**3


class MedQuADDataset(RawDataset):
    """The zip of the MedQuAD repository (Ben Abacha and Demner-Fushman 2019, doi:10.1186/s12859-019-3119-4).

    One row per question-answer pair, in the order of the member names. ``document`` is ``<folder>/<file stem>``,
    since the ids inside the files repeat from source to source and within one; ``pair`` is the pair's ``pid``. An
    answer without text is ``""``. Besides ``Document``, the repository holds a few files in an older vocabulary
    (``doc``, ``doctitle-focus``, ``pair``), which are read alike.
    """

    def __init__(self, *, filepath: str, max_uncompressed_bytes: int = MAX_UNCOMPRESSED_BYTES, **options: Any) -> None:
        """Point the dataset to a zip; one that unpacks to more than ``max_uncompressed_bytes`` is refused."""
        super().__init__(filepath=filepath, **options)
        self._limit = max_uncompressed_bytes

    def _read(self) -> pd.DataFrame:
        records: list[list[str]] = []
        try:
            with self._fs.open(self._path, "rb") as stream, zipfile.ZipFile(stream) as archive:
                for member in self._members(archive):
                    records.extend(self._pairs(member, archive.read(member)))
        # RuntimeError: an encrypted member, or (NotImplementedError) an unknown compression.
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise DatasetInputError(f"{self._place} is no readable zip file ({error}); get it again.") from error
        return text_table(records, COLUMNS)

    def _members(self, archive: zipfile.ZipFile) -> list[str]:
        members = archive.infolist()
        for member in members:
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in member.filename:
                raise DatasetInputError(
                    f"{self._place} holds a member outside its own tree, {member.filename!r}; get the file again."
                )
        size = sum(member.file_size for member in members)
        if size > self._limit:
            raise DatasetInputError(
                f"{self._place} unpacks to {size} bytes, and max_uncompressed_bytes is {self._limit}; get the file "
                "again, or raise the limit in the catalog."
            )
        names = sorted(member.filename for member in members if member.filename.lower().endswith(".xml"))
        # The Finder of macOS adds a shadow tree when it zips a folder.
        return [name for name in names if not name.startswith("__MACOSX/")]

    def _pairs(self, member: str, content: bytes) -> Iterator[list[str]]:
        root = self._parse(member, content)
        path = PurePosixPath(member)
        focus = _text(_first(root, "Focus", "doctitle-focus"))
        head = [f"{path.parent.name}/{path.stem}", root.get("source") or root.get("corpus") or "", focus]
        for position, pair in enumerate([*root.iter("QAPair"), *root.iter("pair")], start=1):
            question, answer = _first(pair, "Question", "question"), _first(pair, "Answer", "answer")
            if question is None:
                raise DatasetInputError(
                    f"{self._place}, member {member}, pair {position} has no Question element; mend or remove it."
                )
            ids = [pair.get("pid") or str(position), question.get("qid") or "", question.get("qtype") or ""]
            yield [*head, *ids, _text(question), _text(answer)]

    def _parse(self, member: str, content: bytes) -> Element:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import fromstring

        try:
            root: Element = fromstring(content, forbid_dtd=True)
        # ValueError and LookupError: an encoding that the parser does not know.
        except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
            reason = " ".join(str(error).split())
            raise DatasetInputError(
                f"{self._place}, member {member} is no XML that can be read ({reason}); mend or remove it."
            ) from error
        if _first(root, "QAPairs", "qaPairs") is None:
            raise DatasetInputError(
                f"{self._place}, member {member} is no MedQuAD document: it has no QAPairs element; mend or remove it."
            )
        return root


def _first(element: Element, *tags: str) -> Element | None:
    return next((child for child in element if child.tag in tags), None)


def _text(element: Element | None) -> str:
    return "" if element is None else "".join(element.itertext()).strip()
