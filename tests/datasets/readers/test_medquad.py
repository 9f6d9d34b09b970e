"""MedQuAD from a zip, a folder and a checkout."""

from __future__ import annotations

import zipfile
from pathlib import Path

import fsspec
import pandas as pd
import pytest

from med_lora.datasets.readers import medquad
from med_lora.datasets.readers.medquad import COLUMNS, read_medquad
from med_lora.errors import InputError

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<Document id="0000001" source="GARD" url="https://example.org">
<Focus>Gout</Focus>
<FocusAnnotations><UMLS><CUIs><CUI>C0018099</CUI><CUI>C0003868</CUI><CUI/></CUIs>
<SemanticTypes><SemanticType>T047</SemanticType></SemanticTypes></UMLS></FocusAnnotations>
<QAPairs>
  <QAPair pid="1"><Question qid="0000001-1" qtype="causes">What causes Gout ?</Question>
  <Answer>Urate &lt; 360 is <!-- a comment -->aimed at.</Answer></QAPair>
  <QAPair pid="2"><Question qid="0000001-2" qtype="treatment">How to treat it?</Question><Answer></Answer></QAPair>
</QAPairs>
</Document>"""
OLDER = """<doc docid="7" corpus="NINDS"><doctitle-focus>Ataxia</doctitle-focus><umls><cui>C0004134</cui></umls>
<qaPairs><pair pid="1"><question qid="7-1" qtype="information">what is it?</question>
<answer>Unsteady gait.</answer></pair></qaPairs></doc>"""
MEMBERS = {
    "MedQuAD-master/6_NINDS_QA/0000007.xml": OLDER,
    "MedQuAD-master/2_GARD_QA/0000001.xml": DOCUMENT,
    "MedQuAD-master/10_MPlus_QA/0000002.xml": DOCUMENT,
    "MedQuAD-master/readme.txt": "not XML",
    "MedQuAD-master/.git/config.xml": "not XML",
    "__MACOSX/MedQuAD-master/2_GARD_QA/._0000001.xml": "\x00\x05",
}


def write_zip(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_folder(path: Path, members: dict[str, str]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content)
    return path


def read(path: Path) -> pd.DataFrame:
    return pd.concat(read_medquad(fsspec.filesystem("file"), str(path), path.name), ignore_index=True)


def one(path: Path, content: str) -> pd.DataFrame:
    return read(write_zip(path / "m.zip", {"M/a/0000001.xml": DOCUMENT, "M/a/0000002.xml": content}))


def test_pairs_in_order_of_names_in_all_vocabularies(tmp_path: Path) -> None:
    table = read(write_zip(tmp_path / "m.zip", MEMBERS))
    assert list(table.columns) == COLUMNS
    assert set(table.dtypes.astype(str)) == {"str"}
    assert table["row"].tolist() == [
        "10_MPlus_QA/0000002-1",
        "10_MPlus_QA/0000002-2",
        "2_GARD_QA/0000001-1",
        "2_GARD_QA/0000001-2",
        "6_NINDS_QA/0000007-1",
    ]
    assert table["source"].tolist() == ["GARD"] * 4 + ["NINDS"]
    assert table["focus"].tolist() == ["Gout"] * 4 + ["Ataxia"]
    assert table["concepts"].tolist() == ["C0003868;C0018099"] * 4 + ["C0004134"]
    assert table["question_type"].tolist()[2:] == ["causes", "treatment", "information"]
    assert table["answer"].tolist()[2:] == ["Urate < 360 is aimed at.", "", "Unsteady gait."]
    assert (table["fault"] == "").all()


def test_zip_folder_and_checkout_give_the_same_table(tmp_path: Path) -> None:
    table = read(write_zip(tmp_path / "m.zip", MEMBERS))
    folder = write_folder(tmp_path / "unpacked", MEMBERS)
    pd.testing.assert_frame_equal(table, read(folder))
    pd.testing.assert_frame_equal(table, read(folder / "MedQuAD-master"))


def test_reads_from_any_file_system(memory: fsspec.AbstractFileSystem) -> None:
    memory.pipe("/raw/M/3_GHR_QA/0000001.xml", DOCUMENT.encode())
    with memory.open("/raw/m.zip", "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("M/3_GHR_QA/0000001.xml", DOCUMENT)
    folder, packed = (pd.concat(read_medquad(memory, path, "p")) for path in ("/raw/M", "/raw/m.zip"))
    assert len(folder) == 2
    pd.testing.assert_frame_equal(folder, packed)


def test_chunks_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zip(tmp_path / "m.zip", MEMBERS)
    whole = read(path)
    monkeypatch.setattr(medquad, "CHUNK_ROWS", 2)
    chunks = list(read_medquad(fsspec.filesystem("file"), str(path), "m.zip"))
    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), whole)
    monkeypatch.setattr(medquad, "CHUNK_CHARACTERS", 1)
    assert len(list(read_medquad(fsspec.filesystem("file"), str(path), "m.zip"))) == 5


def test_pair_without_a_question_is_a_fault(tmp_path: Path) -> None:
    table = one(tmp_path, "<Document><QAPairs><QAPair pid='9'><Answer>a</Answer></QAPair></QAPairs></Document>")
    assert table[["row", "answer", "fault"]].to_numpy().tolist()[-1] == ["a/0000002-9", "", "missing_question"]


def test_rows_are_unique_where_a_number_comes_twice_or_not_at_all(tmp_path: Path) -> None:
    pair = "<QAPair pid='1'><Question>q</Question></QAPair>"
    table = one(tmp_path, f"<Document><QAPairs>{pair}{pair}{pair.replace(' pid=', ' id=')}</QAPairs></Document>")
    assert table["row"].tolist()[2:] == ["a/0000002-1", "a/0000002-1-2", "a/0000002-3"]
    assert table["pair"].tolist()[2:] == ["1", "1", "3"]


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
        ("<html><body/></html>", "is no MedQuAD document"),
        ("", "is no XML that can be read"),
    ],
    ids=["bomb", "external", "truncated", "NUL", "encoding", "html", "blank"],
)
def test_faulty_document_is_named_without_its_text(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"m\.zip, member M/a/0000002\.xml {message}") as caught:
        one(tmp_path, content)
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_document_that_comes_twice_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "m.zip", {"M/a/1.xml": DOCUMENT, "N/a/1.xml": DOCUMENT})
    with pytest.raises(InputError, match=r"holds the document a/1 twice, as M/a/1\.xml and N/a/1\.xml"):
        read(path)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no XML document of MedQuAD"):
        read(write_zip(tmp_path / "m.zip", {"M/readme.txt": "nothing"}))
    with pytest.raises(InputError, match="holds no XML document of MedQuAD"):
        read(write_folder(tmp_path / "f", {"M/readme.txt": "nothing"}))


def test_file_over_the_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "f", {"a/1.xml": DOCUMENT})
    monkeypatch.setattr(medquad, "MEMBER_LIMIT", 100)
    with pytest.raises(InputError, match=r"f, member a/1\.xml has \d+ bytes, over the limit of 100"):
        read(folder)


def test_published_zip(real_corpora: Path) -> None:
    table = read(real_corpora / "medquad" / "MedQuAD-master.zip")
    assert len(table) == 42731
    assert (table["answer"] == "").sum() == 27894
    assert table["row"].is_unique
    assert (table["fault"] == "").all()
    assert (table["concepts"] != "").mean() > 0.6
