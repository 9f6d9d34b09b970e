from __future__ import annotations

import logging
import string

import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.pipelines.data_engineering.benchmarks import find_benchmark_overlap, remove_benchmark_overlap
from tests.pipelines.data_engineering.conftest import make_pairs

WORDS = " ".join(string.ascii_lowercase[:20])
STEM = f"A patient comes with a hot joint. {WORDS}"
OPTIONS = "\nA. rest and wait for it\nB. run"
EXAM = make_pairs([(STEM + OPTIONS, "B"), ("Does rest help?", "yes"), ("", "")], "exam")
ROWS = [
    ("What is gout?", "crystals"),
    ("does rest help", "It may"),
    ("q", f"so {' '.join(WORDS.split()[:12])} other"),
    ("q two", f"so {' '.join(WORDS.split()[3:16])} other"),
    (STEM.replace("hot", "warm") + OPTIONS.replace("run", "walk"), "B"),
    ("rest and wait", "for it B run"),
]


def kinds(overlap: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(zip(overlap["id"].str[-1], overlap["benchmark_id"].str[-1], overlap["kind"], strict=True))


def test_equal_questions_shared_13_grams_and_near_questions_are_found(caplog: pytest.LogCaptureFixture) -> None:
    pairs = make_pairs(ROWS)
    with caplog.at_level(logging.INFO):
        kept, overlap, rejected = find_benchmark_overlap(pairs, "remove", EXAM)
    assert list(overlap.columns) == ["id", "corpus", "benchmark", "benchmark_id", "kind"]
    assert kinds(overlap) == [
        ("1", "1", "exact_question"),
        ("3", "0", "shared_13_gram"),
        ("4", "0", "shared_13_gram"),
        ("1", "1", "near_question"),
        ("4", "0", "near_question"),
    ]
    assert set(overlap["benchmark"]) == {"exam"}
    assert rejected.to_dict("list") == {
        "id": ["c:00000001", "c:00000003", "c:00000004"],
        "corpus": ["c"] * 3,
        "stage": ["decontaminate"] * 3,
        "reason": ["in_benchmark_exam"] * 3,
    }
    assert kept["id"].tolist() == ["c:00000000", "c:00000002", "c:00000005"]
    assert kept.equals(pairs.iloc[[0, 2, 5]].reset_index(drop=True))
    assert "exam: 3 pairs overlap with its 2 questions (1 exact_question, 2 shared_13_gram, 2 near_q" in caplog.text
    assert "rest" not in caplog.text


def test_a_question_with_its_options_equals_the_stem() -> None:
    _, overlap, _ = find_benchmark_overlap(make_pairs([(STEM, "B"), (f"{STEM}{OPTIONS}", "B")]), "report", EXAM)
    assert kinds(overlap) == [
        ("0", "0", "exact_question"),
        ("1", "0", "exact_question"),
        ("0", "0", "shared_13_gram"),
        ("1", "0", "shared_13_gram"),
        ("0", "0", "near_question"),
        ("1", "0", "near_question"),
    ]


def test_report_keeps_every_pair() -> None:
    pairs = make_pairs(ROWS)
    kept, overlap, rejected = find_benchmark_overlap(pairs, "report", EXAM)
    assert kept.equals(pairs)
    assert len(overlap) == 5
    assert rejected.empty


def test_the_first_benchmark_gives_the_reason_and_earlier_rejections_stay() -> None:
    other = make_pairs([("does rest help", "no"), ("What is gout?", "x")], "second")
    before = pd.DataFrame(
        [["c:9", "c", "clean", "empty_answer"]], columns=["id", "corpus", "stage", "reason"], dtype="str"
    )
    # A benchmark comes in chunks, which may be cut anywhere.
    benchmarks = [Chunks(lambda table=table: (table.iloc[:1], table.iloc[1:])) for table in (EXAM, other)]
    kept, rejected, overlap = remove_benchmark_overlap(make_pairs(ROWS), before, "remove", *benchmarks)
    reasons = dict(zip(rejected["id"], rejected["reason"], strict=True))
    assert reasons.pop("c:9") == "empty_answer"
    assert reasons["c:00000001"] == "in_benchmark_exam"
    assert reasons["c:00000000"] == "in_benchmark_second"
    assert set(overlap["benchmark"]) == {"exam", "second"}
    assert len(kept) + len(reasons) == len(ROWS)


def test_without_benchmarks_nothing_changes() -> None:
    pairs = make_pairs(ROWS)
    kept, overlap, rejected = find_benchmark_overlap(pairs, "remove")
    assert kept.equals(pairs)
    assert overlap.empty
    assert rejected.empty
    assert find_benchmark_overlap(pairs, "remove", EXAM.iloc[:0])[0].equals(pairs)
