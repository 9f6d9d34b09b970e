"""A user's own files in every format, from one experiment file to splits that can be defended."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.datasets.readers.test_documents import epub, pdf
from tests.experiments import (
    corpus,
    outcomes,
    pair,
    read_counts,
    read_split,
    read_splits,
    run_experiment,
    write_experiment,
)
from tests.kedro_server import KedroServer
from tests.projects import artifacts, copy_project, network_attempts, newest

Ran = tuple[Path, subprocess.CompletedProcess[str]]

REPEATED = range(4, 12)
EXAM_STEM = pair(3)[0]
EXAMS = [
    {"question": EXAM_STEM, "opa": "always", "opb": "never", "opc": "at night", "opd": "in spring", "cop": 0},
    {"question": "Which bone is the longest?", "opa": "ulna", "opb": "femur", "opc": "tibia", "opd": "rib", "cop": 1},
]
ARTICLES = {
    "21645374": ("Do mitochondria shape the leaves of lace plants?", "Their motion stops before cells die.", "yes"),
    "16418930": ("Is endorectal surgery kinder than the abdominal kind?", "Continence differed in few children.", "no"),
    "9488747": ("Can syncope in swimmers point to the heart?", "One in three had a long QT interval.", "maybe"),
}
MARKDOWN = "# The calf\n\nThe calf muscle lifts the heel when we walk uphill.\n"
PDF_PAGES = ("The first page is about the liver.", "The second page is about the spleen.")


def write_corpora(raw: Path) -> dict[str, object]:
    """Files of every format, each with pairs of its own, and how an experiment names them."""
    lines = [{"key": f"{number:05d}", "ask": pair(number)[0], "reply": pair(number)[1]} for number in range(12)]
    lines += [{"key": f"again-{number}", "ask": pair(number)[0], "reply": pair(number + 40)[1]} for number in REPEATED]
    (raw / "own.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    table(12).to_csv(raw / "own.tsv", sep="\t", index=False)
    table(18).assign(id=["00012", "NA", "nan", "1e5", "TRUE", "1.10"]).to_excel(raw / "own.xlsx", index=False)
    chats = [[chat("user", question), chat("assistant", answer)] for question, answer in map(pair, range(24, 30))]
    pd.DataFrame({"messages": chats}).to_parquet(raw / "chats.parquet")
    icliniq = [{"input": pair(n)[0], "answer_icliniq": pair(n)[1], "answer_chatgpt": "No."} for n in range(30, 36)]
    (raw / "iCliniq.json").write_text(json.dumps(icliniq))
    articles = {
        key: {
            "QUESTION": question,
            "CONTEXTS": ["A trial was made."],
            "LONG_ANSWER": answer,
            "final_decision": decision,
        }
        for key, (question, answer, decision) in ARTICLES.items()
    }
    (raw / "ori_pqal.json").write_text(json.dumps(articles))
    (raw / "medmcqa.jsonl").write_text("\n".join(json.dumps(exam) for exam in EXAMS))
    write_books(raw / "books")
    return {
        "lines": corpus("pairs", "own.jsonl", columns={"id": "key", "question": "ask", "answer": "reply"}),
        "tabbed": corpus("pairs", "own.tsv"),
        "sheet": corpus("pairs", "own.xlsx", licence="CC-BY-4.0"),
        "chats": corpus("messages", "chats.parquet"),
        "icliniq": corpus("alpaca", "iCliniq.json", columns={"output": "answer_icliniq"}),
        "articles": corpus("pubmedqa", "ori_pqal.json"),
        "exams": corpus("choices", "medmcqa.jsonl", columns={"subject": "subject_name", "explanation": "exp"}),
        "books": corpus("documents", "books"),
    }


def table(first: int) -> pd.DataFrame:
    return pd.DataFrame([pair(number) for number in range(first, first + 6)], columns=["question", "answer"])


def chat(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def write_books(folder: Path) -> None:
    (folder / "anatomy").mkdir(parents=True)
    (folder / "anatomy" / "01-calf.md").write_text(MARKDOWN)
    (folder / "notes.txt").write_text("Notes say that the tongue is a muscle, too.\n")
    (folder / "joints.epub").write_bytes(epub())
    (folder / "organs.pdf").write_bytes(pdf(*PDF_PAGES))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_project(tmp_path_factory.mktemp("own"))
    (folder / "raw").mkdir()
    return folder


@pytest.fixture(scope="module")
def ran(project: Path, forked_kedro: KedroServer) -> Ran:
    corpora = write_corpora(project / "raw")
    split = {"mode": "group", "train": None, "validation": 0.1, "test": 6}
    write_experiment(project, "own", corpora, benchmarks=["exams"], split=split)
    result = run_experiment(project, "own", forked_kedro)
    assert result.returncode == 0, result.stderr[-3000:]
    return project, result


def test_every_format_gives_its_pairs_unchanged(ran: Ran) -> None:
    project, _ = ran
    pairs = read_splits(project, "own")
    expected = {f"lines:{number:05d}": pair(number) for number in range(12) if number != 3}
    expected |= {f"lines:again-{number}": (pair(number)[0], pair(number + 40)[1]) for number in REPEATED}
    for name, first in {"tabbed": 12, "chats": 24, "icliniq": 30}.items():
        expected |= {f"{name}:{row:08d}": pair(first + row) for row in range(6)}
    expected |= {f"sheet:{key}": pair(18 + n) for n, key in enumerate(["00012", "NA", "nan", "1e5", "TRUE", "1.10"])}
    for key, (question, answer, _) in ARTICLES.items():
        expected[f"articles:{key}"] = (f"{question}\n\nContext: A trial was made.", answer)
    assert dict(zip(pairs.index, zip(pairs["question"], pairs["answer"], strict=True), strict=True)) == expected
    assert pairs.loc["articles:9488747", ["document", "choice"]].tolist() == ["9488747", "maybe"]
    assert set(pairs.loc[pairs["corpus"] == "sheet", "licence"]) == {"CC-BY-4.0"}


def test_sizes_are_counts_and_fractions_of_the_kept_pairs(ran: Ran) -> None:
    project, _ = ran
    sizes = {split: len(read_split(project, "own", split)) for split in ("train", "validation", "test")}
    kept = outcomes(project, "own")["all"]["kept"]
    assert kept == 46
    assert sizes == {"train": 36, "validation": 4, "test": 6}


def test_question_of_a_benchmark_is_removed_counted_and_listed(ran: Ran) -> None:
    project, _ = ran
    found = outcomes(project, "own")
    assert found["lines"] == {"kept": 19, "in_benchmark_exams": 1, "rows_read": 20}
    assert "exams" not in found
    overlap = read_counts(project, "own", "benchmark_overlap")
    assert set(overlap["id"]) == {"lines:00003"}
    assert set(overlap["benchmark_id"]) == {"exams:00000000"}
    assert "exact_question" in set(overlap["kind"])


def test_repeated_questions_stay_on_one_side(ran: Ran) -> None:
    project, _ = ran
    sides = read_splits(project, "own")["split"]
    assert [sides[f"lines:{number:05d}"] for number in REPEATED] == [sides[f"lines:again-{n}"] for n in REPEATED]
    leakage = read_counts(project, "own", "leakage").set_index(["split", "kind"])
    assert leakage.loc[("test", "exact_question"), ["pairs", "of"]].tolist() == [0, 6]


def test_documents_become_passages_with_book_chapter_and_page(ran: Ran) -> None:
    project, _ = ran
    passages = pd.read_parquet(newest(project, "03_primary/own/passages"))
    found = {(row.book, row.chapter, row.page): row.text for row in passages.itertuples()}
    assert found["anatomy", "01-calf", 0] == "The calf\nThe calf muscle lifts the heel when we walk uphill."
    assert found["notes", "notes", 0] == "Notes say that the tongue is a muscle, too."
    assert found["joints", "Knee", 0] == "Knee\nIt bends."
    assert {("joints", "The Hip", 0), ("joints", "c", 0)} <= set(found)
    assert [PDF_PAGES[0] in text for (book, _, page), text in found.items() if (book, page) == ("organs", 1)] == [True]
    assert set(passages["licence"]) == {"CC0-1.0"}


def test_rendered_pairs_open_in_datasets_in_both_formats(ran: Ran) -> None:
    from datasets import load_dataset

    project, _ = ran
    folder = newest(project, "05_model_input/own/rendered_pairs") / "rendered_pairs"
    rendered = load_dataset(
        "arrow", data_files=str(folder / "data.arrow"), split="train", cache_dir=str(project / "cache")
    )
    pairs = read_splits(project, "own")
    assert {"prompt", "completion", "messages"} <= set(rendered.column_names)
    assert rendered["id"] == pairs.index.tolist()
    for row in rendered:
        question, answer = pairs.loc[row["id"], ["question", "answer"]]
        assert question in row["prompt"]
        assert answer in row["completion"]
        assert row["messages"] == [chat("user", question), chat("assistant", answer)]


def test_random_split_of_repeated_questions_is_measured_and_warned_of(project: Path, forked_kedro: KedroServer) -> None:
    rows = [{"question": pair(n)[0], "answer": pair(other)[1]} for n in range(12) for other in (n, n + 36)]
    (project / "raw/repeated.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    split = {"mode": "random", "train": 12, "validation": 2, "test": 10}
    write_experiment(project, "random", {"repeated": corpus("pairs", "repeated.jsonl")}, split=split)
    result = run_experiment(project, "random", forked_kedro)
    assert result.returncode == 0, result.stderr[-3000:]
    seen = set(read_split(project, "random", "train")["question"])
    leaked = sum(question in seen for question in read_split(project, "random", "test")["question"])
    assert leaked > 0
    leakage = read_counts(project, "random", "leakage").set_index(["split", "kind"])
    assert leakage.loc[("test", "exact_question"), ["pairs", "of"]].tolist() == [leaked, 10]
    log = " ".join((result.stdout + result.stderr).split())
    assert "WARNING Leakage: of 10 test pairs" in log
    assert f"{leaked} have their question in the training part" in log


def test_own_corpora_leave_no_text_in_the_log_and_reach_for_nobody(ran: Ran) -> None:
    project, result = ran
    assert artifacts(project)
    log = " ".join((result.stdout + result.stderr).split())
    assert not [number for number in range(36) if pair(number)[0] in log or pair(number)[1] in log]
    assert network_attempts(project) == ""
