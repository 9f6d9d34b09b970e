from __future__ import annotations

import logging
import string
from pathlib import Path

import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.pipelines.data_engineering.decontamination import find_benchmark_overlap, remove_benchmark_overlap
from tests.pipelines.data_engineering.conftest import make_pairs, raw_corpus
from tests.pipelines.data_engineering.test_parsing import chunk, parsed

WORDS = " ".join(string.ascii_lowercase[:20])
STEM = f"A patient comes with a hot joint. {WORDS}"
OPTIONS = "\nA. rest and wait for it\nB. run"
OPTION_LISTS = (["\nA. one\nB. two"], ["\nA. one\nB. two", "\nA. red\nB. blue"])
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


def test_equal_questions_shared_words_and_near_questions_are_found(caplog: pytest.LogCaptureFixture) -> None:
    pairs = make_pairs(ROWS)
    with caplog.at_level(logging.INFO):
        kept, overlap, rejected = find_benchmark_overlap(pairs, "remove", EXAM)
    assert list(overlap.columns) == ["id", "corpus", "benchmark", "benchmark_id", "kind"]
    assert kinds(overlap) == [
        ("1", "1", "exact_question"),
        ("3", "0", "shared_words"),
        ("4", "0", "shared_words"),
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
    assert "exam: 3 pairs overlap with its 2 questions (1 exact_question, 2 shared_words, 2 near_q" in caplog.text
    assert "exam: 1 rows have no question and could not be compared." in caplog.text
    assert "rest" not in caplog.text


def test_a_question_with_its_options_equals_the_stem() -> None:
    _, overlap, _ = find_benchmark_overlap(make_pairs([(STEM, "B"), (f"{STEM}{OPTIONS}", "B")]), "report", EXAM)
    assert kinds(overlap) == [
        ("0", "0", "exact_question"),
        ("1", "0", "exact_question"),
        ("0", "0", "shared_words"),
        ("1", "0", "shared_words"),
        ("0", "0", "near_question"),
        ("1", "0", "near_question"),
    ]


SHORT = "Do cold packs ease acute gout at night?"


@pytest.mark.parametrize(
    ("stem", "found"), [(SHORT, True), ("Do packs ease gout at night?", True), ("Do packs ease acute gout?", False)]
)
def test_a_question_of_6_to_12_words_is_found_in_full_inside_a_pair(stem: str, found: bool) -> None:
    rows = [("Doctor, my toe hurts.", f"You ask: {stem.lower()} They do."), ("q", f"You ask: {stem[:-2]} They do.")]
    _, overlap, _ = find_benchmark_overlap(make_pairs(rows), "remove", make_pairs([(stem, "yes")], "exam"))
    assert kinds(overlap) == ([("0", "0", "shared_words")] if found else [])


def test_a_short_stem_that_comes_twice_marks_no_question() -> None:
    stem = "Which of the following is true?"
    pairs = make_pairs([("How long?", f"A page asks: {stem} and goes on.")])
    once, twice = (make_pairs([(stem + options, "B") for options in listed], "exam") for listed in OPTION_LISTS)
    assert find_benchmark_overlap(pairs, "remove", once)[1]["kind"].tolist() == ["shared_words"]
    assert find_benchmark_overlap(pairs, "remove", twice)[1].empty


def test_a_question_about_an_abstract_is_found_without_it_and_the_pairs_own_is_searched() -> None:
    articles = make_pairs([(f"{SHORT}\n\nContext: {WORDS}", "yes")], "articles")
    other = " ".join(reversed(WORDS.split()))
    rows = [(SHORT, "a"), (f"{SHORT}\n\nContext: {other}", "b"), (f"Is it so?\n\nContext: He asked: {SHORT}", "c")]
    _, overlap, _ = find_benchmark_overlap(make_pairs([*rows, ("q", WORDS)]), "remove", articles)
    assert kinds(overlap) == [
        ("0", "0", "exact_question"),
        ("1", "0", "exact_question"),
        ("0", "0", "shared_words"),
        ("1", "0", "shared_words"),
        ("2", "0", "shared_words"),
        ("0", "0", "near_question"),
        ("1", "0", "near_question"),
    ]


def test_a_benchmark_is_compared_as_clean_text() -> None:
    exam = make_pairs([("Isn&#39;t it <b>gout</b>?", "yes")], "exam")
    _, overlap, _ = find_benchmark_overlap(make_pairs([("Isn't it gout?", "It is.")]), "remove", exam)
    assert kinds(overlap)[0] == ("0", "0", "exact_question")


def test_questions_of_an_exam_without_answers_are_found() -> None:
    options = {"opa": "p", "opb": "q", "opc": "r", "opd": "s"}
    exam = parsed("choices", chunk([{"question": SHORT, **options, "cop": "-1"}]))
    _, overlap, _ = find_benchmark_overlap(make_pairs([(SHORT, "They do.")]), "remove", exam)
    assert kinds(overlap)[0] == ("0", "0", "exact_question")


def test_every_real_question_about_an_abstract_is_found(real_corpora: Path) -> None:
    records = raw_corpus(real_corpora, "pubmedqa", "pubmedqa/ori_pqal.json")[:300]
    pairs = make_pairs(list(zip(records["QUESTION"], records["LONG_ANSWER"], strict=True)))
    kept, _, _ = find_benchmark_overlap(pairs, "remove", parsed("pubmedqa", records))
    assert len(kept) == 0


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
