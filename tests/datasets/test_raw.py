"""Raw datasets: real layouts in small, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io.core import DatasetError

from med_lora.datasets.raw import (
    JSONRecordsDataset,
    MedQuADDataset,
    ParquetRecordsDataset,
    TextbookDataset,
    TextFilesDataset,
)
from med_lora.errors import InputError

ALPACA = ["instruction", "input", "output"]
RECORD = {"instruction": "Answer.", "input": "What causes gout?", "output": "Crystals of urate."}
DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="0000001" source="GARD" url="https://example.org">
<Focus>Gout</Focus>
<QAPairs>
  <QAPair pid="1"><Question qid="0000001-1" qtype="causes">What causes Gout ?</Question>
  <Answer>Urate &lt; 360 is <!-- a comment -->aimed at.</Answer></QAPair>
  <QAPair pid="2"><Question qid="0000001-2" qtype="treatment">How to treat it?</Question><Answer></Answer></QAPair>
</QAPairs>
</Document>"""
OLDER = """<doc docid="7" corpus="NINDS"><doctitle-focus>Ataxia</doctitle-focus><qaPairs><pair pid="1">
<question qid="7-1" qtype="information">what is it?</question><answer>Unsteady gait.</answer></pair></qaPairs></doc>"""


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def records(path: Path | str) -> pd.DataFrame:
    return JSONRecordsDataset(filepath=str(path), columns=ALPACA).load()


def write_zip(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def medquad(path: Path, **options: Any) -> pd.DataFrame:
    return MedQuADDataset(filepath=str(path), **options).load()


def pages(path: Path, *columns: str) -> pd.DataFrame:
    return ParquetRecordsDataset(filepath=str(path), columns=columns).load()


def pdf(*texts: str) -> bytes:
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
    return f"{body}trailer\n<< /Root 1 0 R /Size {len(objects) + 1} >>\n%%EOF\n".encode("latin-1")


def test_json_values_stay_text(tmp_path: Path) -> None:
    rows = [{"id": "00012", "answer": value} for value in ("NA", "nan", "1e5", "", None)]
    path = write_json(tmp_path / "a.json", rows)
    table = JSONRecordsDataset(filepath=str(path), columns=["answer", "id"]).load()
    assert list(table.columns) == ["answer", "id"]
    assert table["answer"].tolist() == ["NA", "nan", "1e5", "", ""]
    assert set(table["id"]) == {"00012"}
    assert not table.isna().to_numpy().any()


def test_json_accepts_byte_order_mark_and_further_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps([RECORD | {"extra": 3}]).encode())
    assert records(path).to_dict("records") == [RECORD]


def test_json_half_surrogate_pair_becomes_replacement_character(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"instruction": "", "input": "a\\ud83d", "output": "\\ud83d\\ude00 b"}]')
    assert records(path).to_numpy()[0, 1:].tolist() == ["a\ufffd", "\U0001f600 b"]


def test_reads_from_any_file_system(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/raw/a.json", json.dumps([RECORD]).encode())
    memory.pipe("/raw/book/001-a.md", b"# A\n\nText.")
    with memory.open("/raw/m.zip", "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("MedQuAD-master/3_GHR_QA/0000001.xml", DOCUMENT)
    assert len(records("memory:///raw/a.json")) == 1
    assert len(MedQuADDataset(filepath="memory:///raw/m.zip").load()) == 2
    assert TextbookDataset(filepath="memory:///raw").load()["book"].tolist() == ["book"]
    with pytest.raises(InputError, match=r"memory:///raw/b\.json does not exist"):
        records("memory:///raw/b.json")


@pytest.mark.parametrize("kind", [JSONRecordsDataset, ParquetRecordsDataset, MedQuADDataset, TextbookDataset])
def test_missing_path_names_it_and_the_variable(tmp_path: Path, kind: Any) -> None:
    options = {"columns": ["text"]} if kind in (JSONRecordsDataset, ParquetRecordsDataset) else {}
    dataset = kind(filepath=str(tmp_path / "nowhere"), **options)
    assert not dataset.exists()
    with pytest.raises(InputError, match=rf"{tmp_path}/nowhere does not exist.*MED_LORA_RAW"):
        dataset.load()


def test_raw_data_cannot_be_saved(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", [RECORD])
    before = path.read_bytes()
    with pytest.raises(DatasetError, match="only reads"):
        JSONRecordsDataset(filepath=str(path), columns=ALPACA).save(pd.DataFrame())  # type: ignore[arg-type]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'[{"instruction": "a",\n "input": "b", "outp', r"a\.json is not valid JSON at line 2, column 16"),
        (b"", "not valid JSON at line 1, column 1"),
        (b"[]", r"a\.json holds no records"),
        (b'{"instruction": "a"}', "must hold a JSON array of objects, not a dict"),
        (b'["SECRET"]', "record 1 is not a JSON object"),
        (b'[{"instruction": "a", "input": "b", "output": 3}]', "record 1, key 'output' must be text or null, not int"),
        (b'[{"instruction": "a", "answer": "b"}]', "record 1 lacks input, output and has answer, instruction"),
        (b'[{"instruction": "a", "input": "SECRET\xe9", "output": "b"}]', "byte 0xe9 at offset 38"),
        (b'[{"instruction": "a\x00", "input": "SECRET", "output": "b"}]', "not valid JSON at line 1, column 20"),
        (b"[" * 200_000, "nested too deeply|not valid JSON"),
    ],
    ids=["truncated", "blank", "empty", "object", "scalars", "number", "columns", "latin-1", "NUL", "depth"],
)
def test_faulty_json_ends_in_one_sentence_without_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        records(path)
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_offset_of_bad_byte_counts_the_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf["\xff"]')
    with pytest.raises(InputError, match="byte 0xff at offset 5"):
        records(path)


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        records(tmp_path)


def test_medquad_reads_both_vocabularies_in_order_of_names(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "M/6_NINDS_QA/0000007.xml": OLDER,
        "M/2_GARD_QA/0000001.xml": DOCUMENT,
        "M/readme.txt": "not XML",
        "__MACOSX/M/2_GARD_QA/._0000001.xml": b"\x00\x05\x16\x07",
    }
    table = medquad(write_zip(tmp_path / "m.zip", members))
    assert table["document"].tolist() == ["2_GARD_QA/0000001", "2_GARD_QA/0000001", "6_NINDS_QA/0000007"]
    assert table["source"].tolist() == ["GARD", "GARD", "NINDS"]
    assert table["focus"].tolist() == ["Gout", "Gout", "Ataxia"]
    assert table["question_id"].tolist() == ["0000001-1", "0000001-2", "7-1"]
    assert table["answer"].tolist() == ["Urate < 360 is aimed at.", "", "Unsteady gait."]


BOMB = '<!DOCTYPE d [<!ENTITY a "SECRET"><!ENTITY b "&a;&a;&a;">]><Document><QAPairs/>&b;</Document>'
EXTERNAL = '<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><Document><Focus>&a;</Focus><QAPairs/></Document>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "is no XML that can be read"),
        (EXTERNAL, "is no XML that can be read"),
        (DOCUMENT[:-30], "is no XML that can be read"),
        (DOCUMENT.replace("Urate", "Urat\x00e"), "is no XML that can be read"),
        (DOCUMENT.replace("UTF-8", "KLINGON"), "is no XML that can be read"),
        (DOCUMENT.replace("Gout", "Behçet").encode("latin-1"), "is no XML that can be read"),
        ("<html><body/></html>", "is no MedQuAD document"),
        ("<Document><QAPairs><QAPair pid='1'/></QAPairs></Document>", "pair 1 has no Question element"),
        ("", "is no XML that can be read"),
    ],
    ids=["bomb", "external", "truncated", "NUL", "encoding", "latin-1", "html", "question", "blank"],
)
def test_faulty_member_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write_zip(tmp_path / "m.zip", {"M/a/0000001.xml": DOCUMENT, "M/a/0000002.xml": content})
    with pytest.raises(InputError, match=rf"member M/a/0000002\.xml.* {message}|0000002\.xml, {message}") as caught:
        medquad(path)
    assert "SECRET" not in str(caught.value)


def test_broken_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.zip", {"M/a/0000001.xml": DOCUMENT})
    whole = path.read_bytes()
    for content in (whole[:-40], b"not a zip", whole.replace(whole[60:70], bytes(10))):
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{path} is no readable zip file"):
            medquad(path)


@pytest.mark.parametrize(
    "name", ["../evil.xml", "/etc/evil.xml", "M/../../evil.xml", "C:\\evil.xml", "a\\..\\..\\e.xml"]
)
def test_member_outside_the_tree_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="holds a member outside its own tree"):
        medquad(write_zip(tmp_path / "m.zip", {name: DOCUMENT}))


def test_zip_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.zip", {f"M/a/{number}.xml": bytes(1_000_000) for number in range(5)})
    assert path.stat().st_size < 50_000
    with pytest.raises(InputError, match="unpacks to 5000000 bytes, and max_uncompressed_bytes is 4000000"):
        medquad(path, max_uncompressed_bytes=4_000_000)


def test_zip_without_documents(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no records"):
        medquad(write_zip(tmp_path / "m.zip", {"M/readme.txt": "nothing"}))


def test_parquet_keeps_text_and_fills_nulls(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1, 2, 3], "title": ["001", None, "NA"], "text": ["a", "b", ""]}), path)
    assert pages(path, "text", "title").to_dict("list") == {"text": ["a", "b", ""], "title": ["001", "", "NA"]}


def test_faulty_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1], "text": ["a"]}), path)
    with pytest.raises(InputError, match="lacks page_title and has n, text"):
        pages(path, "page_title")
    with pytest.raises(InputError, match="column 'n' must hold text, not int64"):
        pages(path, "n")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="is no readable parquet file"):
        pages(path, "text")
    text = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    pq.write_table(pa.table({"text": text}), path)
    with pytest.raises(InputError, match="is no readable parquet file of UTF-8 text"):
        pages(path, "text")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    with pytest.raises(InputError, match="holds no records"):
        pages(path, "text")


def test_textbooks_in_order_of_names(tmp_path: Path) -> None:
    for name, content in {
        "b/002-x.md": b"second",
        "b/001-y.md": b"\xef\xbb\xbffirst",
        "b/003-z.pdf": pdf("page one", "page two"),
        "b/notes.txt": b"ignored",
        "a/1.md": b"other book",
        "stray.md": b"ignored",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    table = TextbookDataset(filepath=str(tmp_path)).load()
    assert table.to_numpy().tolist() == [
        ["a", "1", 0, "other book"],
        ["b", "001-y", 0, "first"],
        ["b", "002-x", 0, "second"],
        ["b", "003-z", 1, "page one"],
        ["b", "003-z", 2, "page two"],
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("b/a.pdf", b"%PDF-1.4 broken", r"b/a\.pdf is no PDF that can be read"),
        ("b/a.pdf", pdf(" "), r"b/a\.pdf holds no text, only images"),
        ("b/a.md", b"caf\xe9", r"b/a\.md is not UTF-8: byte 0xe9 at offset 3"),
        ("b/a.txt", b"text", "holds no records"),
    ],
)
def test_faulty_textbooks(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        TextbookDataset(filepath=str(tmp_path)).load()


def test_textbooks_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a folder"):
        TextbookDataset(filepath=str(write_json(tmp_path / "a.json", []))).load()


def test_text_files_by_name(tmp_path: Path) -> None:
    for name, content in {"b.md": "second", "a.txt": "\ufefffirst", "c.json": "ignored"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    table = TextFilesDataset(filepath=str(tmp_path)).load()
    assert table.to_numpy().tolist() == [["a.txt", "first"], ["b.md", "second"]]


def test_text_files_of_a_remote_file_system() -> None:
    fsspec.filesystem("memory").pipe_file("/general/a.md", b"first")
    table = TextFilesDataset(filepath="memory:///general").load()
    assert table.to_numpy().tolist() == [["a.md", "first"]]


def test_faulty_text_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no records"):
        TextFilesDataset(filepath=str(tmp_path)).load()
    (tmp_path / "a.md").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"a\.md is not UTF-8: byte 0xe9 at offset 3"):
        TextFilesDataset(filepath=str(tmp_path)).load()
    with pytest.raises(InputError, match="must be a folder"):
        TextFilesDataset(filepath=str(tmp_path / "a.md")).load()
