"""Zip files and folders as members with names, read one by one; nothing is unpacked to a disk."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element, ParseError

from med_lora.datasets.errors import DatasetInputError

MEMBER_LIMIT = 64 * 1024**2
ARCHIVE_LIMIT = 2 * 1024**3
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Archive:
    """A zip file whose members are read into memory, within limits.

    The sizes that a zip declares need not be true, so what is counted is what comes out. Only stored and deflated
    members are read, the two compressions whose output Python bounds while it reads.
    """

    def __init__(
        self, stream: BinaryIO, place: str, *, member_limit: int = MEMBER_LIMIT, limit: int = ARCHIVE_LIMIT
    ) -> None:
        """Open a zip.

        Args:
            stream: the zip; it can seek.
            place: its name in messages.
            member_limit: most bytes that one member may hold.
            limit: most bytes that the members read may hold together.

        Raises:
            DatasetInputError: if it is no zip, or a member lies outside its tree.
        """
        self.place, self._member_limit, self._limit, self._read = place, member_limit, limit, 0
        try:
            self._zip = zipfile.ZipFile(stream)
        # ValueError, NotImplementedError: damaged fields of the central directory.
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
            raise self._damaged(error) from error
        self.names = [member.filename for member in self._zip.infolist() if not member.is_dir()]
        for name in self.names:
            path = PurePosixPath(name.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in name:
                raise DatasetInputError(
                    f"{place} holds a member outside its own tree, {name!r}; get the file again from its publisher."
                )

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def read(self, name: str) -> bytes:
        """Content of a member.

        Raises:
            DatasetInputError: if it is damaged, encrypted, or over a limit.
            KeyError: if there is no such member.
        """
        member = self._zip.getinfo(name)
        if member.flag_bits & 1:
            raise DatasetInputError(f"{self.place}, member {name} is encrypted; save the file without a password.")
        if member.compress_type not in _COMPRESSIONS:
            raise DatasetInputError(
                f"{self.place}, member {name} is compressed by another method than deflate; zip the file anew."
            )
        room = min(self._member_limit, self._limit - self._read)
        try:
            with self._zip.open(member) as stream:
                content = stream.read(room + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
            raise self._damaged(error) from error
        if len(content) > room:
            bound = f"{self._member_limit} bytes" if room == self._member_limit else f"{self._limit} bytes in all"
            raise DatasetInputError(
                f"{self.place}, member {name} unpacks to more than the limit of {bound}; get the file again, or take "
                "the member out if it is not meant to be read."
            )
        self._read += len(content)
        return content

    def _damaged(self, error: Exception) -> DatasetInputError:
        reason = " ".join(str(error).split()) or type(error).__name__
        return DatasetInputError(f"{self.place} is no readable zip file ({reason}); get it again.")


def read_xml(content: bytes, place: str) -> Element:
    """Root element of an XML document; no DTD is fetched, and one that declares entities is refused.

    Raises:
        DatasetInputError: if it is no XML, declares entities, or is in an encoding that the parser does not know.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(content)
    # ValueError and LookupError: an encoding that the parser does not know.
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        reason = " ".join(str(error).split())
        raise DatasetInputError(
            f"{place} is no XML that can be read ({reason}); mend it, or get the file again."
        ) from error
    return root


def is_content(name: str) -> bool:
    """Whether a member is part of the data: nothing hidden (``.git``), no shadow tree of a zip made by macOS."""
    return not any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def list_files(filesystem: Any, path: str, place: str) -> list[str]:
    """Names of the files below a folder, relative to it, sorted by their parts; hidden folders are not entered.

    Raises:
        DatasetInputError: if a name is not UTF-8, which no table can hold.
        OSError: if a folder cannot be listed (the ``walk`` of fsspec would leave it out).
    """
    root = PurePosixPath(filesystem._strip_protocol(path))
    found: list[PurePosixPath] = []
    folders = [str(root)]
    while folders:
        for entry in filesystem.ls(folders.pop(), detail=True):
            file = PurePosixPath(entry["name"]).relative_to(root)
            if not is_content(file.name):
                continue
            if entry["type"] == "directory":
                folders.append(entry["name"])
            else:
                found.append(file)
    for file in found:
        check_name(str(file), place)
    return [str(file) for file in sorted(found)]


def check_name(name: str, place: str) -> None:
    """Refuse the name of a file in ``place`` if no table can hold it.

    Raises:
        DatasetInputError: if it is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DatasetInputError(
            f"{place} holds a file whose name is not UTF-8, {os.fsencode(name)!r}; rename it."
        ) from error
