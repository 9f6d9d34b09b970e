"""Members of zips and files of folders."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from pathlib import Path

import fsspec
import pytest

from med_lora.datasets.readers.archives import Archive, list_files
from med_lora.errors import InputError


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_members_are_read_by_name() -> None:
    with Archive(io.BytesIO(zipped({"a/1.xml": b"one", "a/": b"", "b.txt": b"two"})), "z.zip") as archive:
        assert archive.names == ["a/1.xml", "b.txt"]
        assert archive.read("a/1.xml") == b"one"
        with pytest.raises(KeyError):
            archive.read("c")


@pytest.mark.parametrize("name", ["../e.xml", "/etc/e.xml", "a/../../e.xml", "C:\\e.xml", "a\\..\\..\\e.xml"])
def test_member_outside_the_tree_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"z\.zip holds a member outside its own tree"):
        Archive(io.BytesIO(zipped({name: b"x"})), "z.zip")


def test_member_over_the_limit_is_refused_without_unpacking_it_all() -> None:
    archive = Archive(io.BytesIO(zipped({"a": bytes(5_000_000)})), "z.zip", member_limit=1_000)
    with pytest.raises(InputError, match=r"z\.zip, member a unpacks to more than the limit of 1000 bytes"):
        archive.read("a")


def test_members_together_have_a_limit() -> None:
    archive = Archive(io.BytesIO(zipped({"a": bytes(600), "b": bytes(600)})), "z.zip", limit=1_000)
    assert len(archive.read("a")) == 600
    with pytest.raises(InputError, match="member b unpacks to more than the limit of 1000 bytes in all"):
        archive.read("b")


def test_declared_size_that_lies_does_not_lift_the_limit() -> None:
    content = zipped({"a": bytes(5_000_000)})
    size = struct.pack("<L", 5_000_000)
    for declared in (10, 2**31):
        stream = io.BytesIO(content.replace(size, struct.pack("<L", declared)))
        with pytest.raises(InputError, match=r"is no readable zip file|more than the limit of 1000 bytes"):
            Archive(stream, "z.zip", member_limit=1_000).read("a")


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(compression: int) -> None:
    with pytest.raises(InputError, match="member a is compressed by another method than deflate"):
        Archive(io.BytesIO(zipped({"a": b"x"}, compression)), "z.zip").read("a")


def test_encrypted_member_is_named() -> None:
    content = bytearray(zipped({"a": b"x"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(InputError, match="member a is encrypted"):
        Archive(io.BytesIO(bytes(content)), "z.zip").read("a")


def test_damaged_zip_is_named() -> None:
    whole = zipped({"a": os.urandom(100)})
    for content in (whole[:-40], b"", b"not a zip", whole.replace(whole[40:50], bytes(10))):
        with pytest.raises(InputError, match=r"z\.zip is no readable zip file"):
            Archive(io.BytesIO(content), "z.zip").read("a")


def test_files_are_sorted_and_hidden_folders_left_out(tmp_path: Path) -> None:
    for name in ("b/1.md", "a-b/2.md", "a/3.md", ".git/4.md", "b/.hidden.md", "__MACOSX/b/1.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list_files(fsspec.filesystem("file"), str(tmp_path), "p") == ["a/3.md", "a-b/2.md", "b/1.md"]


def test_file_name_outside_utf8_is_named(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).touch()
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(InputError, match=r"folder holds a file whose name is not UTF-8, b'caf\\xe9\.md'"):
        list_files(fsspec.filesystem("file"), str(tmp_path), "folder")
