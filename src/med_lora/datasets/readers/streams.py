"""Bytes and lines of text files, plain or gzip, in bounded memory."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Generator, Iterable, Iterator
from typing import BinaryIO

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.readers.source import Source

BLOCK_BYTES = 2**20
_GZIP = b"\x1f\x8b"
_WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


def line_encoding(source: Source) -> str:
    """Encoding of what ``blocks`` yields: the corpus' own where a line end is one byte in it, else UTF-8."""
    return source.encoding if b"{\r\n}".decode(source.encoding, "replace") == "{\r\n}" else "utf-8"


def blocks(source: Source) -> Generator[bytes, None, None]:
    """The file in blocks of about 1 MiB, unpacked if it is gzip, in the encoding ``line_encoding``.

    A byte order mark stays.

    Raises:
        DatasetInputError: if the file is a damaged gzip file, or UTF-16 or UTF-32 and ``encoding`` is another.
    """
    with source.open() as stream:
        packed = stream.read(len(_GZIP)) == _GZIP
        stream.seek(0)
        raw = _read(source, gzip.GzipFile(fileobj=stream, mode="rb") if packed else stream)
        narrow = line_encoding(source) == source.encoding
        yield from _checked(source, raw) if narrow else _transcoded(source, raw)


def _read(source: Source, stream: gzip.GzipFile | BinaryIO) -> Iterator[bytes]:
    try:
        while block := stream.read(BLOCK_BYTES):
            yield block
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetInputError(f"{source.place} is a damaged gzip file ({error}); get it again.") from error


def _checked(source: Source, raw: Iterator[bytes]) -> Iterator[bytes]:
    head = next(raw, b"")
    # Without a mark, ASCII text in UTF-16 shows by a NUL in every other byte.
    zeros = [byte == 0 for byte in head[:4]]
    if head.startswith(_WIDE_MARKS) or zeros in ([False, True, False, True], [True, False, True, False]):
        raise DatasetInputError(
            f"{source.place} is UTF-16 or UTF-32, not {source.encoding}; set corpora.{source.corpus}.encoding to "
            "utf-16 (or utf-32), or convert the file to UTF-8."
        )
    if head:
        yield head
    yield from raw


def _transcoded(source: Source, raw: Iterator[bytes]) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(source.encoding)()
    offset = 0
    for block in raw:
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            # The decoder puts the unfinished end of the block before in front.
            start = offset - len(error.object) + len(block)
            raise wrong_encoding(source.place, source.encoding, source.corpus, error, start) from error
        offset += len(block)
        yield text.encode()
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        start = offset - len(error.object)
        raise wrong_encoding(source.place, source.encoding, source.corpus, error, start) from error


def wrong_encoding(
    place: str, encoding: str, corpus: str, error: UnicodeDecodeError, offset: int = 0
) -> DatasetInputError:
    """The error of bytes that are not in the corpus' encoding; ``offset`` is where what was decoded begins."""
    return DatasetInputError(
        f"{place} is not {encoding}: byte {error.object[error.start]:#04x} at offset {offset + error.start}; set "
        f"corpora.{corpus}.encoding to the file's own, or convert the file to UTF-8."
    )


def lines(pieces: Iterable[bytes], limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their ends (LF, CR or CR LF), each with its offset in bytes; none for one of more than ``limit``.

    A leading UTF-8 byte order mark is left out. No more than ``limit`` bytes of a line are held; of CR LF between two
    pieces, LF comes as a line of its own.
    """
    held: list[bytes] = []
    start = size = 0
    for piece in pieces:
        for line in piece.splitlines(keepends=True):
            held.append(line)
            size += len(line)
            if size > limit:
                held.clear()
            if line.endswith((b"\n", b"\r")):
                yield _line(start, held, size > limit)
                held.clear()
                start, size = start + size, 0
    if size:
        yield _line(start, held, size > limit)


def _line(start: int, held: list[bytes], too_long: bool) -> tuple[int, bytes | None]:
    if too_long:
        return start, None
    line = held[0] if len(held) == 1 else b"".join(held)
    mark = len(codecs.BOM_UTF8) if start == 0 and line.startswith(codecs.BOM_UTF8) else 0
    return start + mark, line[mark:]
