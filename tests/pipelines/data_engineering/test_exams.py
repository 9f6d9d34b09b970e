from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from tests.pipelines.data_engineering.test_parsing import chunk, parsed


def choices(**record: Any) -> dict[str, str]:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}
    return {"question": "Which vitamin?", **texts}


@pytest.mark.parametrize(
    "contexts", ['["One.", "Two."]', '{"contexts": ["One.", "Two."], "labels": ["A", "B"]}', "One.\nTwo."]
)
def test_pubmedqa_asks_with_the_abstract(contexts: str) -> None:
    record = {
        "row": "21645374",
        "QUESTION": "Do they?",
        "CONTEXTS": contexts,
        "LONG_ANSWER": "They do.",
        "final_decision": "Yes",
    }
    pairs = parsed("pubmedqa", chunk([record]))
    assert pairs["id"].iat[0] == "c:21645374"
    assert pairs["document"].iat[0] == "21645374"
    assert pairs["question"].iat[0] == "Do they?\n\nContext: One.\nTwo."
    assert pairs.loc[0, ["answer", "choice", "fault"]].tolist() == ["They do.", "yes", ""]


def test_pubmedqa_takes_the_article_from_the_hubs_column_and_goes_without_decision() -> None:
    pairs = parsed("pubmedqa", chunk([{"QUESTION": "Do they?", "LONG_ANSWER": "Yes.", "pubid": "123"}]))
    assert pairs.loc[0, ["id", "document", "question", "choice"]].tolist() == ["c:00000000", "123", "Do they?", ""]


def test_pubmedqa_faults_are_named() -> None:
    common = {"QUESTION": "q", "LONG_ANSWER": "a"}
    records = [
        {**common, "CONTEXTS": "[1]", "final_decision": "no"},
        {**common, "CONTEXTS": "['numpy' 'array']", "final_decision": "no"},
        {**common, "CONTEXTS": "x", "final_decision": "perhaps"},
        {**common, "CONTEXTS": "x", "final_decision": "maybe"},
    ]
    pairs = parsed("pubmedqa", chunk(records))
    assert pairs["fault"].tolist() == ["not_in_layout", "not_in_layout", "unknown_decision", ""]
    assert pairs["question"].tolist() == ["", "", "q\n\nContext: x", "q\n\nContext: x"]
    assert pairs["answer"].tolist() == ["", "", "", "a"]


LISTED = ["B12", "C", "D", "K"]
QUESTION = "Which vitamin?\nA. B12\nB. C\nC. D\nD. K"


@pytest.mark.parametrize(
    "record",
    [
        choices(options={"D": "K", "A": "B12", "B": "C", "C": "D"}, answer_idx="B", answer="C"),
        choices(options=["B12", " C\n", "D", "K"], answer_idx="b"),
        choices(
            options=[{"key": key, "value": text} for key, text in zip("ABCD", LISTED, strict=True)], answer_idx="B"
        ),
        choices(choices=LISTED, answer=1),
        choices(A="B12", B="C", C="D", D="K", answer="B"),
        choices(opa="B12", opb="C", opc="D", opd="K", answer="1.0"),
        choices(options=["A. B12", "B) C", "(c) D", "D.K"], answer_idx="B", answer="B. C"),
        choices(opa="A. B12", opb="B. C", opc="C. D", opd="D. K", cop=1, answer="C"),
    ],
)
def test_every_form_of_options_gives_the_same_question(record: dict[str, str]) -> None:
    first = choices(choices=["x", "y"], answer=0)
    pairs = parsed("choices", chunk([record, first]))
    assert pairs.loc[0, ["question", "answer", "choice", "fault"]].tolist() == [QUESTION, "B. C", "B", ""]


def test_an_explanation_follows_the_answer_and_the_subject_is_the_type() -> None:
    record = choices(options={"A": "yes", "B": "no"}, answer_idx="A", explanation="Because.", subject="Anatomy")
    pairs = parsed("choices", chunk([record]))
    assert pairs.loc[0, ["answer", "question_type", "focus"]].tolist() == ["A. yes\n\nBecause.", "Anatomy", ""]


def test_an_empty_option_is_not_shown_and_moves_no_letter() -> None:
    pairs = parsed("choices", chunk([choices(choices=["x", "", None, 4], answer=3), choices(choices=[1, 2], answer=0)]))
    assert pairs.loc[0, ["question", "answer"]].tolist() == ["Which vitamin?\nA. x\nD. 4", "D. 4"]


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (choices(options="", answer_idx="A"), "no_options"),
        (choices(options="['x', 'y']", answer_idx="A"), "no_options"),
        (choices(options=["x"], answer_idx="A"), "no_options"),
        (choices(options={"A": "x", "a": "y"}, answer_idx="A"), "no_options"),
        (choices(options={"first": "x", "second": "y"}, answer_idx="A"), "no_options"),
        (choices(options=[["x"], ["y"]], answer_idx="A"), "no_options"),
        (choices(options=[str(place) for place in range(27)], answer_idx="A"), "no_options"),
        (choices(options=["x", "y"]), "no_answer"),
        (choices(options=["x", "y"], answer_idx="C"), "answer_not_among_options"),
        (choices(options=["x", "y", ""], answer_idx="C"), "answer_not_among_options"),
        (choices(options=["x", "y"], answer=3), "answer_not_among_options"),
        (choices(options=["x", "y"], answer="x or y"), "answer_not_among_options"),
        (choices(options=["x", "y"], answer_idx="A", answer="y"), "conflicting_answers"),
        (choices(options=["x", "y"], answer_idx="A", answer="B"), "conflicting_answers"),
        (choices(options=["A. x", "B. y"], answer_idx="A", answer="B. y"), "conflicting_answers"),
    ],
)
def test_a_question_without_one_right_option_is_a_fault(record: dict[str, str], fault: str) -> None:
    pairs = parsed("choices", chunk([choices(options=["x", "y"], answer_idx="A"), record]))
    assert pairs["fault"].tolist() == ["", fault]
    assert pairs.loc[1, ["answer", "choice"]].tolist() == ["", ""]
    # of a benchmark the question counts, whatever its answer
    assert pairs["question"].iat[1].split("\n")[0] == "Which vitamin?"


def test_an_option_may_be_a_number_or_letter_that_is_not_its_own() -> None:
    records = [
        choices(choices=["1", "2", "3", "4"], answer=1),
        choices(choices=["1", "2", "3", "4"], answer=0),
        choices(choices=["AB", "A", "O", "B"], answer="A"),
        choices(choices=["AB", "A", "O", "B"], answer_idx="B", answer="B"),
        choices(choices=["S. aureus", "E. coli", "C. difficile", "B. cereus"], answer_idx="C"),
    ]
    pairs = parsed("choices", chunk(records))
    assert pairs["answer"].tolist() == ["B. 2", "A. 1", "A. AB", "B. A", "C. C. difficile"]


@pytest.mark.parametrize("column", ["answer_idx", "cop", "answer"])
def test_every_column_of_numbers_is_asked_where_it_starts(column: str) -> None:
    options = ["liver", "spleen", "x", "y"]
    from_1, from_0 = ([choices(options=options, **{column: n}) for n in numbers] for numbers in ((1, 4), (1, 0)))
    assert parsed("choices", chunk(from_1))["answer"].tolist() == ["A. liver", "D. y"]
    assert parsed("choices", chunk(from_0))["answer"].tolist() == ["B. spleen", "A. liver"]
    with pytest.raises(InputError, match=rf"^{column} in raw_c is never 0 .* letters in a column answer_idx"):
        parsed("choices", chunk(from_1[:1]))
    with pytest.raises(InputError, match=rf"^{column} in raw_c counts options from 0 in some .* row 00000003"):
        parsed("choices", chunk(from_0 + from_1))


def test_one_number_outside_the_options_leaves_the_letters_alone() -> None:
    pairs = parsed("choices", chunk([choices(options=["x", "y"], answer_idx=given) for given in ("B", "9", "-1")]))
    assert pairs["choice"].tolist() == ["B", "", ""]
    assert pairs["fault"].tolist() == ["", "answer_not_among_options", "no_answer"]


def test_a_test_part_without_answers_keeps_its_questions() -> None:
    pairs = parsed("choices", medmcqa("-1", "-1"))
    assert pairs["fault"].tolist() == ["no_answer"] * 2
    assert pairs["question"].tolist() == ["Which?\nA. p\nB. q\nC. r\nD. s"] * 2
    assert pairs["answer"].tolist() == ["", ""]


def test_an_exam_whose_answers_are_all_wrong_stops_the_run() -> None:
    records = [choices(options=["x", "y"], answer="x and y")] * 2
    with pytest.raises(InputError, match=r"None of the 2 records .* choices \(2 answer_not_among_options\)"):
        parsed("choices", chunk(records))


def medmcqa(*numbers: str) -> pd.DataFrame:
    options = {"opa": "p", "opb": "q", "opc": "r", "opd": "s"}
    return chunk([{"question": "Which?", **options, "cop": number} for number in numbers])


def test_numbers_of_options_count_from_0_where_one_is_0() -> None:
    pairs = parsed("choices", medmcqa("2", "3", "-1", "0", "7", "", "x"))
    assert pairs["choice"].tolist() == ["C", "D", "", "A", "", "", ""]
    wrong = "answer_not_among_options"
    assert pairs["fault"].tolist() == ["", "", "no_answer", "", wrong, "no_answer", wrong]


def test_numbers_of_options_count_from_1_where_one_is_the_number_of_options() -> None:
    assert parsed("choices", medmcqa("2", "3"), medmcqa("4", "1"))["choice"].tolist() == ["B", "C", "D", "A"]


@pytest.mark.parametrize("numbers", [("0", "1", "4"), ("4", "1", "0")])
def test_numbers_counted_in_two_ways_stop_the_run(numbers: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="from 0 in some records and from 1 in others, such as row 00000002"):
        parsed("choices", medmcqa(*numbers))


def test_numbers_that_could_count_either_way_stop_the_run() -> None:
    with pytest.raises(InputError, match=r"^cop in raw_c is never 0 and never .* answer_idx of corpora\.c\.$"):
        parsed("choices", medmcqa("1", "2", "3"))


def test_real_exams_have_no_faults(real_corpora: Path) -> None:
    with (real_corpora / "exams" / "medqa_test.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    columns = ["question", "options", "answer", "answer_idx"]
    pairs = parsed("choices", chunk([choices(**{name: record[name] for name in columns}) for record in records]))
    assert set(pairs["fault"]) == {""}
    expected = [f"{record['answer_idx']}. {' '.join(record['answer'].split())}" for record in records]
    assert pairs["answer"].tolist() == expected
