"""Which corpora a rehearsal reads: the experiment's own where they are at hand, else the project's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from med_lora.errors import InputError
from med_lora.parameters import ProjectParams
from med_lora.rehearsal.corpora import Shelf, find_corpora
from med_lora.rehearsal.sizes import SMALLEST
from tests.conftest import ROOT

from .test_reduction import resolve

CARRIED = ROOT / "data/01_raw"


def look_up(own: ProjectParams, exams: Path, raw_root: Path = CARRIED) -> tuple[dict[str, dict[str, Any]], int | None]:
    embedded = resolve("embedded")
    carried = {name: embedded.corpora[name] for name in (*embedded.data_engineering.corpora, "genmedgpt_diseases")}
    return find_corpora(own, SMALLEST, Shelf(raw_root, CARRIED, carried, exams))


def test_carried_files_in_the_layout_of_the_experiment_come_first(tmp_path: Path) -> None:
    found, pairs = look_up(resolve("gpt2_medical_terms"), tmp_path)
    assert pairs == 60
    assert found["medical_terms"]["files"] == "embedded/medical_terms/medical_terms_llama2_format.parquet"
    assert found["medical_terms"]["licence"] == "CC-BY-4.0"


def test_diseases_come_with_the_corpus_that_names_them(tmp_path: Path) -> None:
    found, _ = look_up(resolve("medidialogue"), tmp_path)
    assert set(found) == {"genmedgpt", "genmedgpt_diseases"}


def test_unknown_documents_become_a_few_of_the_carried_book(tmp_path: Path) -> None:
    found, pairs = look_up(resolve("lund_heart_r16"), tmp_path)
    assert pairs is None
    files = found["heart_transplantation"]["files"]
    assert len(files) == SMALLEST.documents
    assert all((CARRIED / file).is_file() for file in files)


def test_own_files_are_read_where_they_are_at_hand(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for number in range(2 * SMALLEST.documents):
        book = raw / "textbooks" / f"book{number:02d}"
        book.mkdir(parents=True)
        (book / "01.md").write_text("A chapter.")
    (raw / "textbooks" / "README.md").write_text("About the books.")
    found, _ = look_up(resolve("kim2024_msk"), tmp_path / "exams", raw)
    assert found["textbooks"] == {
        "files": [f"textbooks/book{n:02d}/01.md" for n in range(0, 2 * SMALLEST.documents, 2)]
    }


def test_address_is_not_at_hand(tmp_path: Path) -> None:
    named = {"corpora": {"genmedgpt": {"files": "s3://bucket/genmedgpt.json"}}}
    found, _ = look_up(resolve("medidialogue", named), tmp_path)
    assert found["genmedgpt"]["files"] == "embedded/genmedgpt5k/chatdoctor5k.json"


def test_absolute_file_that_is_missing_is_not_at_hand(tmp_path: Path) -> None:
    own = resolve("my_corpus", {"corpora": {"mine": {"layout": "messages", "files": str(tmp_path / "nowhere.jsonl")}}})
    with pytest.raises(InputError, match=r"corpora\.mine"):
        look_up(own, tmp_path)


@pytest.mark.parametrize(("records", "pairs"), [(3, None), (4 * (40 + 4 + 10), 40 + 4 + 10)])
def test_pairs_of_a_corpus_of_ones_own_are_counted_as_far_as_needed(
    tmp_path: Path, records: int, pairs: int | None
) -> None:
    turns = [{"role": "user", "content": "What is gout?"}, {"role": "assistant", "content": "An arthritis."}]
    file = tmp_path / "mine.jsonl"
    file.write_text(f"{json.dumps({'messages': turns})}\n" * records)
    own = resolve("my_corpus", {"corpora": {"mine": {"layout": "messages", "files": str(file)}}})
    assert look_up(own, tmp_path) == ({}, pairs)


def test_files_within_the_project_are_named_from_its_raw_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "data/01_raw"
    raw.mkdir(parents=True)
    found, _ = look_up(resolve("lund_heart_r16"), tmp_path / "data/02_intermediate/exams", raw)
    assert found["medqa"]["files"] == "../02_intermediate/exams/medqa.jsonl"


def test_carried_files_are_named_absolutely_beside_another_raw_root(tmp_path: Path) -> None:
    found, _ = look_up(resolve("medidialogue"), tmp_path / "exams", tmp_path)
    assert found["genmedgpt"]["files"] == str((CARRIED / "embedded/genmedgpt5k/chatdoctor5k.json").resolve())


def test_first_questions_of_an_exam_at_hand_are_asked(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    (raw / "exams").mkdir(parents=True)
    letters = ["A", "B"]
    items = [
        {"question": f"Which is number {n}?", "options": dict.fromkeys(letters, "x"), "answer_idx": "A", "other": "z"}
        for n in range(SMALLEST.exam_items + 3)
    ]
    (raw / "exams/medqa_test.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    found, _ = look_up(resolve("lund_heart_r16"), tmp_path / "exams", raw)
    written = [json.loads(line) for line in Path(found["medqa"]["files"]).read_text().splitlines()]
    assert [item["question"] for item in written] == [item["question"] for item in items][: SMALLEST.exam_items]
    assert "title" not in found["medqa"]
    assert found["pubmedqa"]["title"] == "Questions written for rehearsals"


def test_layout_that_nothing_carried_has_is_refused_in_one_sentence(tmp_path: Path) -> None:
    own = resolve("my_corpus", {"corpora": {"mine": {"layout": "messages", "files": "nowhere.jsonl"}}})
    with pytest.raises(InputError, match=r"corpora\.mine .*layout messages"):
        look_up(own, tmp_path)
