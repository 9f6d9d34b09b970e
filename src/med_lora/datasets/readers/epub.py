"""EPUB 2 and 3 books to chapters of markdown."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import BinaryIO
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.readers.archives import Archive, read_xml

# Font obfuscation, which leaves the text readable; all other encryption is a rights management.
_FONT_ALGORITHMS = {"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}
_TEXT_TYPES = {"application/xhtml+xml", "text/html", "text/x-oeb1-document"}
_HIDDEN = {"head", "script", "style", "svg", "template", "nav"}
_BLOCK = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6]|"
    "header|hr|li|main|ol|p|pre|section|table|tbody|tfoot|thead|tr|ul"
)
_HEADING = re.compile(r"h[1-6]")
_XML_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.:-]{1,40})[\"']")


def read_epub(stream: BinaryIO, place: str) -> Iterator[tuple[str, str]]:
    """Chapters of a book without rights management (EPUB 2.0.1 and 3.3), in the order of its spine.

    Args:
        stream: the file; it can seek.
        place: its name in messages.

    Yields:
        Title and text of each content document that holds text. The title is that of the document's first entry in
        the table of contents (``nav`` or NCX), else its first heading, else the stem of its name. The text is
        markdown: headings with ``#``, lists with ``-``; ``sub`` and ``sup`` stay as they are.

    Raises:
        DatasetInputError: if the book is damaged, encrypted, or over the limits of ``Archive``.
    """
    with Archive(stream, place) as archive:
        _refuse_encryption(archive)
        package = _package_name(archive)
        root = _xml(archive, package)
        items = {item.get("id"): item for item in _all(root, "item")}
        folder = posixpath.dirname(package)
        titles = _titles(archive, root, items, folder)
        for reference in _all(root, "itemref"):
            item = items.get(reference.get("idref"))
            if item is None:
                raise DatasetInputError(f"{place} has a spine that names what its manifest lacks; get the book again.")
            if item.get("media-type") not in _TEXT_TYPES or "nav" in (item.get("properties") or "").split():
                continue
            name = _resolve(folder, item.get("href") or "")
            page = _Markdown()
            page.feed(_text(archive, name))
            page.close()
            if text := page.text():
                yield titles.get(name) or page.heading or PurePosixPath(name).stem, text


class _Markdown(HTMLParser):
    """Text of a content document; entities that it declares itself are never expanded."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.heading = ""
        self._blocks: list[str] = []
        self._words: list[str] = []
        self._mark = ""
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._hidden = 0
        self._hidden += tag in _HIDDEN
        if _BLOCK.fullmatch(tag):
            self._end_block()
            if _HEADING.fullmatch(tag):
                self._mark = "#" * int(tag[1]) + " "
            elif tag == "li":
                self._mark = "- "
        elif tag in ("br", "td", "th"):
            self._words.append(" ")
        elif tag in ("sub", "sup"):
            self._words.append(f"<{tag}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif _BLOCK.fullmatch(tag):
            self._end_block()
            self._mark = ""
        elif tag in ("sub", "sup"):
            self._words.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._words.append(data)

    def text(self) -> str:
        self._end_block()
        return "\n\n".join(self._blocks)

    def _end_block(self) -> None:
        text = " ".join("".join(self._words).split())
        self._words = []
        if text:
            self._blocks.append(self._mark + text)
            if self._mark.startswith("#"):
                self.heading = self.heading or text
            self._mark = ""


class _Navigation(HTMLParser):
    """Targets and texts of the links of an EPUB 3 table of contents."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[str, str]] = []
        self._inside = self._in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "nav":
            self._inside = "toc" in (values.get("epub:type") or "toc").split()
        elif tag == "a" and self._inside and values.get("href"):
            self.links.append((str(values["href"]), ""))
            self._in_link = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "nav":
            self._inside = False
        if tag in ("a", "nav"):
            self._in_link = False

    def handle_data(self, data: str) -> None:
        if self._in_link:
            target, text = self.links[-1]
            self.links[-1] = target, text + data


def _titles(archive: Archive, root: Element, items: dict[str | None, Element], folder: str) -> dict[str, str]:
    """Title of each member with an entry in the table of contents."""
    links: list[tuple[str, str]] = []
    contents = ""
    ncx = items.get(next((spine.get("toc") for spine in _all(root, "spine")), None))
    for item in items.values():
        if "nav" in (item.get("properties") or "").split():
            contents = _resolve(folder, item.get("href") or "")
            navigation = _Navigation()
            navigation.feed(_text(archive, contents))
            navigation.close()
            links = navigation.links
    if not links and ncx is not None:
        contents = _resolve(folder, ncx.get("href") or "")
        for point in _all(_xml(archive, contents), "navPoint"):
            label, target = next(_all(point, "text"), None), next(_all(point, "content"), None)
            if label is not None and target is not None:
                links.append((target.get("src") or "", label.text or ""))
    titles: dict[str, str] = {}
    for link, title in links:
        name = _resolve(posixpath.dirname(contents), link)
        titles[name] = titles.get(name) or " ".join(title.split())
    return titles


def _refuse_encryption(archive: Archive) -> None:
    if "META-INF/encryption.xml" not in archive.names:
        return
    for data in _all(_xml(archive, "META-INF/encryption.xml"), "EncryptedData"):
        method = next(_all(data, "EncryptionMethod"), None)
        if method is None or method.get("Algorithm") not in _FONT_ALGORITHMS:
            raise DatasetInputError(
                f"{archive.place} is protected by a rights management; put a copy without it there, or take it out."
            )


def _package_name(archive: Archive) -> str:
    root = _xml(archive, "META-INF/container.xml")
    name = next((file.get("full-path") for file in _all(root, "rootfile")), None)
    if not name:
        raise DatasetInputError(f"{archive.place} is no EPUB: its container names no package; get the book again.")
    return name


def _read(archive: Archive, name: str) -> bytes:
    try:
        return archive.read(name)
    except KeyError as error:
        raise DatasetInputError(f"{archive.place} lacks its member {name!r}; get the book again.") from error


def _xml(archive: Archive, name: str) -> Element:
    return read_xml(_read(archive, name), f"{archive.place}, member {name}")


def _text(archive: Archive, name: str) -> str:
    """Source of a content document, decoded as it declares."""
    content = _read(archive, name)
    declared = _XML_ENCODING.match(content.removeprefix(b"\xef\xbb\xbf"))
    encoding = declared[1].decode() if declared else "utf-8"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    try:
        source = content.decode(encoding).removeprefix("\ufeff")
    except (UnicodeError, LookupError) as error:
        place = f" at byte offset {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise DatasetInputError(
            f"{archive.place}, member {name} is not in the encoding {encoding}{place}; get the book again."
        ) from error
    if "<!ENTITY" in source:
        raise DatasetInputError(
            f"{archive.place}, member {name} declares entities of its own, which are not expanded; get another copy."
        )
    return source


def _all(root: Element, tag: str) -> Iterator[Element]:
    """Elements of that name in any namespace, in the order of the document."""
    return (element for element in root.iter() if str(element.tag).rpartition("}")[2] == tag)


def _resolve(folder: str, target: str) -> str:
    """Name of the member that a link from a folder leads to."""
    return posixpath.normpath(posixpath.join(folder, unquote(target.partition("#")[0])))
