"""Books and other documents as their publishers ship them: markdown, plain text, PDF, EPUB."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import pandas as pd

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.readers.archives import list_files
from med_lora.datasets.readers.epub import read_epub
from med_lora.datasets.readers.streams import wrong_encoding

COLUMNS = ["row", "book", "chapter", "page", "text", "fault"]
ENDINGS = (".epub", ".md", ".pdf", ".txt")
TEXT_LIMIT = 256 * 1024**2
_NUMBERED_FILE = re.compile(r"\d+[^\w/][^/]*")
# What lies beside books and is none.
_ABOUT = ("readme", "licence", "license")


def read_documents(filesystem: Any, path: str, place: str, encoding: str, corpus: str) -> Iterator[pd.DataFrame]:
    """Text of documents, in the order of their names.

    A folder holds books, each a folder of files (``book`` is its name, ``chapter`` a file's name below it without the
    ending) or a file (both are its name without the ending); a path may also be one file. A folder of nothing but files
    whose names begin with a number is one book. In an EPUB the chapters are
    those of the book. Hidden files and those of other endings than .epub, .md, .pdf and .txt are left out, and so are
    README and LICENSE files beside the books.

    Args:
        filesystem: the fsspec file system that holds the documents.
        path: a file or a folder.
        place: its name in messages.
        encoding: of markdown and plain text.
        corpus: name of the corpus, for messages that name its parameters.

    Yields:
        A table of ``COLUMNS``, all text, for each file: one row for a markdown or text file or a chapter of an EPUB
        (``page`` "0"), one for each page of a PDF (``page`` "1" and up). ``row`` counts through all of them. A page of
        a PDF that cannot be read has the fault ``unreadable_page``.

    Raises:
        DatasetInputError: if there is no document, or one is damaged, encrypted, without text, in another encoding or
            over 256 MiB of text.
    """
    numbers = count()
    files = list_documents(filesystem, path, place)
    is_one_book = len(files) > 1 and all(_NUMBERED_FILE.fullmatch(name) for _, name in files)
    for file, name in files:
        where = f"{place}/{name}" if name else place
        relative = PurePosixPath(name or file)
        chapter = "/".join([*relative.parts[1:-1], relative.stem]) if name else relative.stem
        book = relative.parts[0] if len(relative.parts) > 1 and name else relative.stem
        if is_one_book:
            book = PurePosixPath(path).name
        with filesystem.open(file, "rb") as stream:
            rows = [
                (f"{next(numbers):08d}", book, title or chapter, page, text, fault)
                for title, page, text, fault in _read(stream, relative.suffix.lower(), where, encoding, corpus)
            ]
        yield pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def list_documents(filesystem: Any, path: str, place: str) -> list[tuple[str, str]]:
    """Path of each document that :func:`read_documents` reads, and its name below the folder (``""`` for ``path``).

    Raises:
        DatasetInputError: if there is none.
    """
    endings = ", ".join(ENDINGS)
    if not filesystem.isdir(path):
        if not path.lower().endswith(ENDINGS):
            raise DatasetInputError(f"{place} is none of the documents that can be read ({endings}); convert it.")
        return [(path, "")]
    root = filesystem._strip_protocol(path).rstrip("/")
    names = [name for name in list_files(filesystem, path, place) if name.lower().endswith(ENDINGS)]
    names = [name for name in names if "/" in name or PurePosixPath(name).stem.lower() not in _ABOUT]
    if not names:
        raise DatasetInputError(f"{place} holds no document ({endings}); put some there.")
    return [(f"{root}/{name}", name) for name in names]


def _read(stream: BinaryIO, ending: str, place: str, encoding: str, corpus: str) -> Iterator[tuple[str, str, str, str]]:
    """Title of the chapter (``""`` where only the file has a name), page, text and fault of each part of a file."""
    if ending == ".pdf":
        parts = (("", page, text, fault) for page, text, fault in _pdf_pages(stream, place))
    elif ending == ".epub":
        parts = ((title, "0", text, "") for title, text in read_epub(stream, place))
    else:
        yield "", "0", _decode(stream, place, encoding, corpus), ""
        return
    size, filled = 0, False
    for part in parts:
        size += len(part[2])
        filled = filled or bool(part[2].strip())
        if size > TEXT_LIMIT:
            raise DatasetInputError(f"{place} holds more than the limit of {TEXT_LIMIT} characters; divide it.")
        yield part
    if not filled:
        raise DatasetInputError(
            f"{place} holds no text, only images or nothing; run a text recognition on it, or remove it."
        )


def _decode(stream: BinaryIO, place: str, encoding: str, corpus: str) -> str:
    content = stream.read(TEXT_LIMIT + 1)
    if len(content) > TEXT_LIMIT:
        raise DatasetInputError(f"{place} holds more than the limit of {TEXT_LIMIT} bytes; divide it into chapters.")
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise wrong_encoding(place, encoding, corpus, error) from error


def _pdf_pages(stream: BinaryIO, place: str) -> Iterator[tuple[str, str, str]]:
    """Number, text and fault of each page."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(stream)
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower():
            raise DatasetInputError(f"{place} is encrypted; save it without a password, or remove it.") from error
        raise DatasetInputError(f"{place} is no PDF that can be read ({error}); mend or remove it.") from error
    with document:
        for number in range(len(document)):
            try:
                page = document[number]
                text = page.get_textpage().get_text_range()
                page.close()
            except pdfium.PdfiumError:
                yield str(number + 1), "", "unreadable_page"
            else:
                yield str(number + 1), text, ""
