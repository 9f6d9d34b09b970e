"""Books in markdown, plain text, PDF and EPUB, and every way in which they can be wrong."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from med_lora.datasets.readers import documents
from med_lora.datasets.readers.documents import COLUMNS, read_documents
from med_lora.errors import InputError

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
    'full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf" version="{version}"><manifest>
<item id="toc" {toc}/>
<item id="cover" href="cover.xhtml" media-type="application/xhtml+xml"/>
<item id="picture" href="picture.svg" media-type="image/svg+xml"/>
<item id="b" href="text/b%20two.xhtml" media-type="application/xhtml+xml"/>
<item id="a" href="text/a.xhtml" media-type="application/xhtml+xml"/>
<item id="c" href="text/c.xhtml" media-type="application/xhtml+xml"/>
</manifest><spine {spine}><itemref idref="cover"/><itemref idref="toc"/><itemref idref="picture"/>
<itemref idref="b"/><itemref idref="a"/><itemref idref="c"/></spine></package>"""
NAV = """<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>
<nav epub:type="landmarks"><a href="text/a.xhtml">Start</a></nav>
<nav epub:type="toc"><ol><li><a href="text/b%20two.xhtml">The <b>Hip</b></a></li>
<li><a href="text/b%20two.xhtml#part">A part</a></li></ol></nav></body></html>"""
NCX = """<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx.dtd">
<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint id="1"><navLabel><text>The Hip</text></navLabel>
<content src="text/b%20two.xhtml"/><navPoint id="2"><navLabel><text>A part</text></navLabel>
<content src="text/b%20two.xhtml#part"/></navPoint></navPoint></navMap></ncx>"""
HIP = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head>
<title>no text</title><script src="x"/><style>p {}</style></head><body><h1>Hip<br/>joint</h1>
<p>10<sup>9</sup> of
   these &amp; <em>more</em>.</p><h2 id="part">Part</h2><ul><li><p>one</p></li><li>two</li></ul>
<table><tr><td>a</td><td>b</td></tr></table></body></html>"""
KNEE = "<html><body><section><h2>Knee</h2>It bends.</section></body></html>"
PLAIN = "<html><body><p>No heading.</p></body></html>"
RIGHTS = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><EncryptedData '
    'xmlns="http://www.w3.org/2001/04/xmlenc#"><EncryptionMethod Algorithm="{}"/></EncryptedData></encryption>'
)
CHAPTERS = [
    ["The Hip", "# Hip joint\n\n10<sup>9</sup> of these & more.\n\n## Part\n\n- one\n\n- two\n\na b"],
    ["Knee", "## Knee\n\nIt bends."],
    ["c", "No heading."],
]


def epub(version: int = 3, **changes: str | bytes) -> bytes:
    """A book of three chapters; ``changes`` replace members by the stem of their names, ``rights`` adds one."""
    toc = (
        'href="toc.xhtml" media-type="application/xhtml+xml" properties="nav"'
        if version == 3
        else 'href="toc.xhtml" media-type="application/x-dtbncx+xml"'
    )
    members: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE.format(version=version, toc=toc, spine="" if version == 3 else 'toc="toc"'),
        "OEBPS/toc.xhtml": NAV if version == 3 else NCX,
        "OEBPS/cover.xhtml": '<html><body><img src="picture.svg" alt="no text"/></body></html>',
        "OEBPS/text/a.xhtml": KNEE,
        "OEBPS/text/b two.xhtml": HIP,
        "OEBPS/text/c.xhtml": PLAIN,
    }
    for stem, content in changes.items():
        name = next((name for name in members if Path(name).stem == stem), f"META-INF/{stem}.xml")
        members[name] = content
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if content:
                archive.writestr(name, content)
    return stream.getvalue()


def pdf(*texts: str, encrypt: bool = False) -> bytes:
    """A PDF with one line of text a page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(texts)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(texts)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, text in enumerate(texts):
        stream = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET"
        resources = "/Resources << /Font << /F1 3 0 R >> >> /MediaBox [0 0 612 792]"
        objects.append(f"<< /Type /Page /Parent 2 0 R {resources} /Contents {5 + 2 * number} 0 R >>")
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    body = "%PDF-1.4\n"
    for number, content in enumerate(objects, start=1):
        body += f"{number} 0 obj\n{content}\nendobj\n"
    # Keys that no password opens.
    key = "00" * 32
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <{key}> /U <{key}> >> /ID [<00> <00>]" if encrypt else ""
    return f"{body}trailer\n<< /Root 1 0 R /Size {len(objects) + 1} {lock} >>\n%%EOF\n".encode("latin-1")


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(path: Path, encoding: str = "utf-8") -> pd.DataFrame:
    tables = read_documents(fsspec.filesystem("file"), str(path), path.name, encoding, "books")
    return pd.concat(tables, ignore_index=True)


def rows(path: Path) -> list[list[str]]:
    return read(path)[["book", "chapter", "page", "text"]].to_numpy().tolist()


def test_books_of_a_folder_in_order_of_names(tmp_path: Path) -> None:
    files = {
        "b/002-x.md": b"second",
        "b/001-y.md": b"\xef\xbb\xbffirst",
        "b/003-z.PDF": pdf("page one", "page two"),
        "b/part/004.txt": b"fourth",
        "b/notes.docx": b"ignored",
        "a/1.md": b"other book",
        "c.txt": b"a file is a book",
        "README.md": b"ignored",
        ".git/d/x.md": b"ignored",
    }
    assert rows(write(tmp_path, files)) == [
        ["a", "1", "0", "other book"],
        ["b", "001-y", "0", "first"],
        ["b", "002-x", "0", "second"],
        ["b", "003-z", "1", "page one"],
        ["b", "003-z", "2", "page two"],
        ["b", "part/004", "0", "fourth"],
        ["c", "c", "0", "a file is a book"],
    ]


def test_one_table_a_file_with_numbered_rows(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.pdf": pdf("one", "two"), "b.md": b"three"})
    tables = list(read_documents(fsspec.filesystem("file"), str(folder), "p", "utf-8", "books"))
    assert [table["row"].tolist() for table in tables] == [["00000000", "00000001"], ["00000002"]]
    assert all(list(table.columns) == COLUMNS for table in tables)
    assert {str(kind) for table in tables for kind in table.dtypes} == {"str"}
    assert all((table["fault"] == "").all() for table in tables)


def test_a_folder_of_numbered_files_is_one_book(tmp_path: Path) -> None:
    folder = tmp_path / "nutrition"
    folder.mkdir()
    for name in ("001-preface.md", "002-fats.md"):
        (folder / name).write_text(name)
    assert [row[:2] for row in rows(folder)] == [["nutrition", "001-preface"], ["nutrition", "002-fats"]]
    (folder / "fats.md").write_text("loose")
    assert [row[0] for row in rows(folder)] == ["001-preface", "002-fats", "fats"]


def test_a_single_file_is_a_book(tmp_path: Path) -> None:
    assert rows(write(tmp_path, {"gout.md": b"text"}) / "gout.md") == [["gout", "gout", "0", "text"]]


def test_reads_from_any_file_system(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe({"/raw/b/a.md": b"first", "/raw/b/b.pdf": pdf("second"), "/raw/b/c.epub": epub()})
    table = pd.concat(read_documents(memory, "/raw", "p", "utf-8", "books"))
    assert table["chapter"].tolist() == ["a", "b", "The Hip", "Knee", "c"]
    assert set(table["book"]) == {"b"}


@pytest.mark.parametrize("version", [2, 3])
def test_epub_in_the_order_of_its_spine(tmp_path: Path, version: int) -> None:
    table = read(write(tmp_path, {"joints.epub": epub(version)}) / "joints.epub")
    assert table[["chapter", "text"]].to_numpy().tolist() == CHAPTERS
    assert set(table["book"]) == {"joints"}
    assert set(table["page"]) == {"0"}


def test_epub_with_obfuscated_fonts_is_read(tmp_path: Path) -> None:
    content = epub(encryption=RIGHTS.format("http://www.idpf.org/2008/embedding"))
    assert len(read(write(tmp_path, {"a.epub": content}))) == 3


def test_epub_member_in_its_declared_encoding(tmp_path: Path) -> None:
    latin = '<?xml version="1.0" encoding="iso-8859-1"?>' + PLAIN.replace("No heading", "Ménière")
    content = epub(a=latin.encode("latin-1"), c=PLAIN.replace("No heading", "Ménière").encode("utf-16"))
    assert read(write(tmp_path, {"a.epub": content}))["text"].tolist()[1:] == ["Ménière."] * 2


ENTITIES = '<!DOCTYPE d [<!ENTITY a "SECRET"><!ENTITY b "&a;&a;&a;">]>'
EXTERNAL = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (epub(encryption=RIGHTS.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")), "a rights management"),
        (epub(encryption=RIGHTS.format("").replace("<EncryptionMethod", "<Other")), "a rights management"),
        (epub(container=""), "lacks its member 'META-INF/container.xml'"),
        (epub(container="<container/>"), "is no EPUB: its container names no package"),
        (
            epub(container=CONTAINER.replace("OEBPS/book", "../../etc/passwd")),
            "lacks its member '../../etc/passwd.opf'",
        ),
        (epub(container=ENTITIES + "<c>&b;</c>"), "container.xml is no XML that can be read"),
        (epub(book=EXTERNAL + "<package>&a;</package>"), "book.opf is no XML that can be read"),
        (epub(book="<package"), "book.opf is no XML that can be read"),
        (epub(version=2, toc=ENTITIES + "<ncx/>"), "toc.xhtml is no XML that can be read"),
        (epub(a=ENTITIES + "<html><body>&b;</body></html>"), "a.xhtml declares entities of its own"),
        (epub(a=""), "lacks its member 'OEBPS/text/a.xhtml'"),
        (epub(a=b"<html><body>SECRET \xff</body></html>"), "a.xhtml is not in the encoding utf-8 at byte offset 19"),
        (epub(a='<?xml version="1.0" encoding="klingon"?>' + PLAIN), "a.xhtml is not in the encoding klingon"),
        (epub(book=PACKAGE.format(version=3, toc="", spine="").replace('id="a"', 'id="z"')), "spine that names what"),
        (epub(book="<package><manifest/><spine/></package>"), "holds no text"),
        (epub(a=bytes(65 * 1024**2)), "a.xhtml unpacks to more than the limit"),
        (epub()[:-60], "is no readable zip file"),
        (b"", "is no readable zip file"),
    ],
)
def test_faulty_epub_ends_in_one_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(write(tmp_path, {"b/a.epub": content}))
    sentence = str(caught.value)
    assert sentence.startswith(f"{tmp_path.name}/b/a.epub")
    assert message in sentence
    assert "SECRET" not in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b/a.pdf", b"%PDF-1.4 broken", r"b/a\.pdf is no PDF that can be read"),
        ("b/a.pdf", pdf(" "), r"b/a\.pdf holds no text, only images"),
        ("b/a.pdf", pdf("text", encrypt=True), r"b/a\.pdf is encrypted; save it without a password"),
        ("b/a.md", b"caf\xe9", r"b/a\.md is not utf-8: byte 0xe9 at offset 3"),
        ("b/a.docx", b"text", "holds no document"),
    ],
)
def test_faulty_file_ends_in_one_sentence(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, {name: content}))


def test_text_in_the_encoding_of_the_corpus(tmp_path: Path) -> None:
    folder = write(tmp_path, {"a.md": "Ménière".encode("cp1252")})
    assert read(folder, "cp1252")["text"].tolist() == ["Ménière"]
    with pytest.raises(InputError, match=r"a\.md is not ascii: byte 0xe9 at offset 1; set corpora\.books\.encoding"):
        read(folder, "ascii")


def test_page_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    content = pdf("one", "two", "three").replace(b"6 0 obj\n<< /Type /Page", b"6 0 obj\n[ /Type /Pag_")
    table = read(write(tmp_path, {"a.pdf": content}))
    assert table["fault"].tolist() == ["", "unreadable_page", ""]
    assert table["text"].tolist() == ["one", "", "three"]


def test_file_of_another_kind_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.docx is none of the documents that can be read"):
        read(write(tmp_path, {"a.docx": b""}) / "a.docx")


@pytest.mark.parametrize("name", ["a.md", "a.pdf", "a.epub"])
def test_text_over_the_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    content = {"a.md": b"eleven byte", "a.pdf": pdf("eleven", " byte"), "a.epub": epub()}[name]
    monkeypatch.setattr(documents, "TEXT_LIMIT", 10)
    with pytest.raises(InputError, match=rf"{name} holds more than the limit of 10 "):
        read(write(tmp_path, {name: content}))


def test_published_textbooks(real_corpora: Path) -> None:
    table = read(real_corpora / "textbooks")
    assert table["book"].nunique() == 4
    assert len(table) == 679
    assert (table["fault"] == "").all()
