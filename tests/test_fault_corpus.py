"""Bad input, as whole runs: rejected rows with reasons, or one sentence that names file and place."""

from __future__ import annotations

import importlib.util
import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd
import pytest

from tests.experiments import corpus, end_sentence, outcomes, pair, read_splits, run_experiment, write_experiment
from tests.faulty_rows import ARTICLE_OUTCOMES, ARTICLES, CHATS, EXAMS, LINES, TABLE, line
from tests.kedro_server import KedroServer
from tests.projects import copy_project, network_attempts

MARK = "a sentence of a record that no message may show"


def count(expected: list[str]) -> dict[str, int]:
    counts = pd.Series(expected).value_counts().to_dict()
    return {str(outcome): rows for outcome, rows in counts.items()} | {"rows_read": len(expected)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "project"
    folder.mkdir()
    (folder / "raw").mkdir()
    return copy_project(folder)


@pytest.fixture(scope="module")
def faulty(project: Path, forked_kedro: KedroServer) -> Path:
    """The project after a run over files with every fault that a row can have."""
    raw = project / "raw"
    (raw / "lines.jsonl").write_bytes(b"\n".join(content for content, _ in LINES))
    (raw / "table.csv").write_text("id,question,answer\n" + "\n".join(row for row, _ in TABLE))
    (raw / "chats.jsonl").write_text("\n".join(json.dumps({"messages": messages}) for messages, _ in CHATS))
    (raw / "exams.jsonl").write_text("\n".join(json.dumps(record) for record, _ in EXAMS))
    (raw / "articles.json").write_text(ARTICLES)
    corpora = {
        "lines": corpus("pairs", "lines.jsonl"),
        "NA": corpus("pairs", "table.csv"),
        "chats": corpus("messages", "chats.jsonl"),
        "exams": corpus("choices", "exams.jsonl"),
        "articles": corpus("pubmedqa", "articles.json"),
    }
    write_experiment(project, "faulty", corpora, cleaning={"min_answer_words": 1})
    result = run_experiment(project, "faulty", forked_kedro)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "rest helps" not in (result.stdout + result.stderr).lower()
    return project


def test_every_row_has_one_outcome_with_its_reason(faulty: Path) -> None:
    expected = {
        "lines": count([outcome for _, outcome in LINES]),
        "NA": count([outcome for _, outcome in TABLE]),
        "chats": count([outcome for _, outcome in CHATS]),
        "exams": count([outcome for _, outcome in EXAMS]),
        "articles": count(ARTICLE_OUTCOMES),
    }
    found = outcomes(faulty, "faulty")
    assert {name: found[name] for name in expected} == expected
    for name, counts in found.items():
        assert counts.pop("rows_read") == sum(counts.values()), name
    assert found["all"]["kept"] == sum(counts["kept"] for counts in expected.values())


def test_good_rows_among_bad_ones_keep_their_exact_values(faulty: Path) -> None:
    pairs = read_splits(faulty, "faulty")
    answers = pairs["answer"].to_dict()
    assert {name: answers[f"lines:{name}"] for name in ("00012", "7", "12", "null", "nul", "00007")} == {
        "00012": "NA",
        "7": "nan",
        "12": "12.5",
        "null": "null",
        "nul": "Rest helps.",
        "00007": pair(8)[1],
    }
    assert answers["lines:raw-nul"] == pair(6)[1]
    assert answers["lines:lone"] == "Half a pair \ufffd stays out."
    assert pairs.loc["lines:00012", "question"] == pair(0)[0]
    assert answers["NA:00012"] == "NA"
    assert answers["NA:00013"] == 'He said "rest", and left.'
    assert {text for name, text in answers.items() if name.startswith("chats:")} == {"It does.", "Read as well."}
    assert pairs.loc["exams:00000000", ["question", "answer", "choice"]].tolist() == [
        "Which of these is cold?\nA. rest\nB. ice",
        "B. ice",
        "B",
    ]
    assert pairs.loc["articles:1", "question"] == "Do trials end?\n\nContext: They end."
    assert answers["articles:\ufffd"] == "It is not."
    assert len(pairs) == outcomes(faulty, "faulty")["all"]["kept"]


class Fault(NamedTuple):
    """Files that a run must refuse, how they are asked for, and words of the sentence that says so."""

    make: Callable[[Path], None]
    corpus: dict[str, Any]
    words: tuple[str, ...]
    changes: Mapping[str, Any] = MappingProxyType({})
    name: str = "bad"


def writes(name: str, content: str | bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def zips(*members: tuple[str, bytes]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with zipfile.ZipFile(folder / "medquad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)

    return write


def names_outside_utf8(folder: Path, ending: bytes) -> None:
    content = "# Knee\n\nThe knee bends.\n" if ending == b".md" else line(0).decode()
    for name in (b"good", b"caf\xe9"):
        with open(os.path.join(os.fsencode(folder), name + ending), "w") as file:
            file.write(content)


LETTERS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMB = f'<!DOCTYPE Document [<!ENTITY l0 "{MARK}">{LETTERS}]><Document><QAPairs>&l11;</QAPairs></Document>'
EXTERNAL = (
    '<!DOCTYPE Document [<!ENTITY secret SYSTEM "file:///etc/passwd">]><Document><QAPairs><QAPair><Question>Who?'
    "</Question><Answer>&secret;</Answer></QAPair></QAPairs></Document>"
)
HUB = {"id": "nobody/no-such-data", "revision": "0" * 40}
NOWHERE = writes("unrelated.txt", "")
PAIRS = writes("pairs.jsonl", b"\n".join(line(number) for number in range(8)))
FAULTS: dict[str, Fault] = {
    "truncated array": Fault(
        writes("pairs.json", f'[\n{{"question": "Q?", "answer": "{MARK}"}},\n{{"question": "{MARK}'),
        corpus("pairs", "pairs.json"),
        ("{raw}/pairs.json", "line 3", "truncated"),
    ),
    "XML bomb": Fault(
        writes("medquad/1_A/0001.xml", BOMB), corpus("medquad", "medquad"), ("{raw}/medquad, member 1_A/0001.xml",)
    ),
    "external entity": Fault(
        writes("medquad/1_A/0002.xml", EXTERNAL), corpus("medquad", "medquad"), ("{raw}/medquad, member 1_A/0002.xml",)
    ),
    "zip bomb": Fault(
        zips(("MedQuAD/1_A/0001.xml", bytes(64 * 2**20 + 1))),
        corpus("medquad", "medquad.zip"),
        ("{raw}/medquad.zip, member MedQuAD/1_A/0001.xml", "67108864 bytes"),
    ),
    "zip path traversal": Fault(
        zips(("../outside.xml", b"<Document/>")),
        corpus("medquad", "medquad.zip"),
        ("{raw}/medquad.zip", "'../outside.xml'"),
    ),
    "wrong encoding": Fault(
        writes("pairs.csv", f"question,answer\n{MARK},caf\xe9\n".encode("latin-1")),
        corpus("pairs", "pairs.csv"),
        ("{raw}/pairs.csv is not utf-8", "0xe9 at offset 67"),
    ),
    "UTF-16 unannounced": Fault(
        writes("pairs.tsv", f"question\tanswer\n{MARK}\tNo.\n".encode("utf-16")),
        corpus("pairs", "pairs.tsv"),
        ("{raw}/pairs.tsv is UTF-16", "corpora.bad.encoding"),
    ),
    "no row fits": Fault(
        writes("pairs.jsonl", f'["{MARK}"]\n{{"question": "{MARK}"}}\n'),
        corpus("pairs", "pairs.jsonl"),
        ("None of the 2 records of raw_bad", "1 missing_answer, 1 not_an_object", "corpora.bad"),
    ),
    "header without a column": Fault(
        writes("pairs.csv", f"Question,reply\nQ?,{MARK}\n"),
        corpus("pairs", "pairs.csv"),
        ("{raw}/pairs.csv has no column 'question'", "nearest: 'Question'"),
    ),
    "unknown licence": Fault(
        NOWHERE, corpus("pairs", "nowhere.jsonl", licence="unknown"), ("data_engineering.allow_licences", "unknown")
    ),
    "non-commercial licence": Fault(
        NOWHERE,
        corpus("pairs", "nowhere.jsonl", licence="CC-BY-NC-4.0"),
        ("data_engineering.allow_licences", "CC-BY-NC-4.0 forbids commercial use"),
    ),
    "hub out of reach": Fault(
        NOWHERE, corpus("pairs", "pairs.jsonl", hub=HUB), ("{raw}/pairs.jsonl does not exist", "nobody/no-such-data")
    ),
    "presidio not installed": Fault(
        PAIRS,
        corpus("pairs", "pairs.jsonl"),
        ("data_engineering.screening.presidio",),
        {"screening": {"presidio": True}},
    ),
    "unknown language": Fault(
        PAIRS,
        corpus("pairs", "pairs.jsonl"),
        ("data_engineering.cleaning.language is 'xq'",),
        {"cleaning": {"language": "xq"}},
    ),
    "unknown benchmark": Fault(
        PAIRS,
        corpus("pairs", "pairs.jsonl"),
        ("data_engineering.benchmarks names 'medqua'", "'medquad'"),
        {"benchmarks": ["medqua"]},
    ),
    "no file": Fault(NOWHERE, corpus("pairs", []), ("corpora.bad.files", "names no file")),
    "unknown file system": Fault(
        NOWHERE, corpus("pairs", "nowhere://pairs.jsonl"), ("nowhere://pairs.jsonl is on a file system", "not known")
    ),
    "corpus name no file can have": Fault(PAIRS, corpus("pairs", "pairs.jsonl"), ("'../../bad'",), name="../../bad"),
    "corpus name taken": Fault(PAIRS, corpus("pairs", "pairs.jsonl"), ("'general'",), name="general"),
    "document named outside UTF-8": Fault(
        lambda folder: names_outside_utf8(folder, b".md"), corpus("documents", "."), ("{raw}", "b'caf\\xe9.md'")
    ),
    "file named outside UTF-8": Fault(
        lambda folder: names_outside_utf8(folder, b".jsonl"), corpus("pairs", "*.jsonl"), ("{raw}", "caf\\xe9.jsonl")
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_of_a_whole_file_ends_in_one_sentence(
    project: Path, tmp_path: Path, name: str, forked_kedro: KedroServer
) -> None:
    fault = FAULTS[name]
    if name == "presidio not installed" and importlib.util.find_spec("presidio_analyzer"):
        pytest.skip("presidio is installed")
    experiment = name.replace(" ", "_")
    raw = project / "raw" / experiment
    raw.mkdir()
    fault.make(raw)
    before = outside(project)
    write_experiment(project, experiment, {fault.name: fault.corpus}, **fault.changes)
    if "hub" in fault.corpus:
        # offline, since the client of the hub tries for 23 seconds; the server's, already imported, would not be
        variables = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
        result = run_experiment(project, experiment, MED_LORA_RAW=str(raw), **variables)
    else:
        result = run_experiment(project, experiment, forked_kedro, MED_LORA_RAW=str(raw))
    sentence = end_sentence(result)
    for words in fault.words:
        assert words.format(raw=raw) in sentence
    assert "\n" not in sentence
    for text in (MARK, "root:"):
        assert text not in result.stdout + result.stderr
    for layer in ("03_primary", "05_model_input"):
        assert not (project / "data" / layer / experiment).exists()
    assert outside(project) - before == {project / "conf/experiments" / f"{experiment}.yml"}


def outside(project: Path) -> set[Path]:
    """Every file in and beside the project but those below data/ and runs/, and what kedro-viz and Python keep."""
    kept = {project / "data", project / "runs"}
    found = {path for path in project.parent.rglob("*") if path.is_file() and not kept & {*path.parents}}
    return {path for path in found if not {"__pycache__", ".viz"} & set(path.parts) and path.name != "attempts.txt"}


def test_no_fault_makes_a_run_reach_for_another_machine(project: Path) -> None:
    assert network_attempts(project) == ""
