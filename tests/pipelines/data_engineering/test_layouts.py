from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.layouts.encyclopaedia import strip_wiki_markup
from med_lora.pipelines.data_engineering.topics import question_topic
from tests.pipelines.data_engineering.test_parsing import chunk, parsed


def messages(*turns: tuple[str, Any], names: tuple[str, str] = ("role", "content")) -> dict[str, str]:
    listed = [dict(zip(names, turn, strict=True)) for turn in turns]
    return {"messages": json.dumps(listed)}


def choices(**record: Any) -> dict[str, str]:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in record.items()}
    return {"question": "Which vitamin?", **texts}


def test_alpaca_takes_the_instruction_where_the_input_is_empty() -> None:
    fields = ("instruction", "input", "output")
    rows = [
        ("Answer truthfully", "Who is at highest risk for Gout ?", "00012"),
        ("What causes Gout?", "  ", "NA"),
        ("", "", ""),
    ]
    pairs = parsed("alpaca", chunk([dict(zip(fields, row, strict=True)) for row in rows]))
    assert pairs["question"].tolist() == ["Who is at highest risk for Gout ?", "What causes Gout?", ""]
    assert pairs["focus"].tolist() == ["Gout", "Gout", ""]
    assert pairs["question_type"].tolist() == ["susceptibility", "causes", ""]
    assert pairs["answer"].tolist() == ["00012", "NA", ""]
    assert set(pairs["fault"]) == {""}


@pytest.mark.parametrize("missing", ["input", "instruction"])
def test_alpaca_needs_one_of_instruction_and_input(missing: str) -> None:
    present = "input" if missing == "instruction" else "instruction"
    pairs = parsed("alpaca", chunk([{present: "What causes Gout?", "output": "Urate."}]))
    assert pairs.loc[0, ["question", "answer", "focus"]].tolist() == ["What causes Gout?", "Urate.", "Gout"]


def test_pairs_keep_what_the_file_says_about_them() -> None:
    named = {"id": "00012", "document": "d", "focus": "Asthma", "question_type": "faq"}
    pairs = parsed(
        "pairs",
        chunk(
            [
                {"question": "What causes Gout?", "answer": "Urate.", "id": "b"},
                {"question": "What causes Gout?", "answer": "NA", **named},
            ]
        ),
    )
    assert pairs["id"].tolist() == ["c:b", "c:00012"]
    assert pairs["document"].tolist() == ["", "d"]
    assert pairs["focus"].tolist() == ["Gout", "Asthma"]
    assert pairs["question_type"].tolist() == ["causes", "faq"]


def test_one_exchange_is_a_question_and_an_answer() -> None:
    openai = messages(("system", "You are a doctor."), ("user", "What causes Gout?"), ("assistant", "Urate."))
    sharegpt = messages(("human", "q"), ("gpt", "a"), names=("from", "value"))
    pairs = parsed("messages", chunk([openai, sharegpt]))
    assert pairs["question"].tolist() == ["What causes Gout?", "q"]
    assert pairs["answer"].tolist() == ["Urate.", "a"]
    assert pairs["focus"].tolist() == ["Gout", ""]


def test_the_last_answer_of_a_conversation_is_asked_with_all_before_it() -> None:
    turns = [
        ("assistant", "Hello."),
        ("user", "My toe"),
        ("user", "hurts."),
        ("assistant", "Since when?"),
        ("user", "Today."),
    ]
    pairs = parsed("messages", chunk([messages(*turns, ("assistant", "It may be gout."), ("user", "Thanks."))]))
    assert pairs["question"].iat[0] == ("Assistant: Hello.\nUser: My toe\nhurts.\nAssistant: Since when?\nUser: Today.")
    assert pairs["answer"].iat[0] == "It may be gout."


@pytest.mark.parametrize(
    "record",
    [
        {"messages": "no json"},
        {"messages": "[" * 100_000},
        {"messages": '{"role": "user"}'},
        {"messages": '["user", "assistant"]'},
        messages(("user", "q")),
        messages(("assistant", "a")),
        messages(("system", "s"), ("assistant", "a")),
        messages(("user", "q"), ("tool", "t"), ("assistant", "a")),
        messages(("user", "q"), ("assistant", None)),
        messages(("user", "q"), ("assistant", ["a"])),
        messages((["user"], "q"), ("assistant", "a")),
        {"messages": ""},
    ],
)
def test_what_is_no_conversation_is_a_fault(record: dict[str, str]) -> None:
    pairs = parsed("messages", chunk([record, messages(("user", "q"), ("assistant", "a"))]))
    assert pairs["fault"].tolist() == ["not_in_layout", ""]
    assert pairs["question"].iat[0] == pairs["answer"].iat[0] == ""


def test_medquad_ids_name_the_document() -> None:
    common = {"source": "A", "question_id": "0000001_1-3", "question_type": "causes", "question": "What causes Gout ?"}
    records = [
        {**common, "document": "1_A/1", "pair": "3", "focus": "Gout &amp; more", "concepts": "C1;C2", "answer": ""},
        {**common, "document": "2_B/1", "pair": "3", "focus": "", "concepts": "", "answer": "a"},
        {**common, "document": "2_B/1", "pair": "3", "focus": "", "concepts": "", "answer": "b"},
    ]
    pairs = parsed("medquad", chunk(records))
    assert pairs["id"].tolist() == ["c:1_A/1-3", "c:2_B/1-3", "c:2_B/1-3~2"]
    assert pairs["fault"].tolist() == ["", "", "duplicate_id"]
    assert pairs["focus"].tolist() == ["Gout & more", "", ""]
    assert pairs.loc[0, ["source", "document", "concepts", "question_type"]].tolist() == [
        "A",
        "1_A/1",
        "C1;C2",
        "causes",
    ]


def test_pages_ask_what_their_title_is() -> None:
    pages = [
        {"page_title": "Gout", "page_text": "'''Gout''' is [[arthritis|a joint disease]]."},
        {"page_title": " ", "page_text": "x"},
    ]
    pairs = parsed("pages", chunk(pages))
    assert pairs["question"].tolist() == ["What is Gout?", ""]
    assert pairs["focus"].tolist() == pairs["document"].tolist() == ["Gout", ""]
    assert pairs["answer"].tolist() == ["Gout is a joint disease.", "x"]
    assert set(pairs["question_type"]) == {"information"}


def test_pages_in_the_llama_form_read_alike() -> None:
    pages = [{"text": "<s>[INST] Gout [/INST] A joint\ndisease. </s>"}, {"text": "no marks"}]
    pairs = parsed("pages", chunk(pages))
    assert pairs["question"].tolist() == ["What is Gout?", ""]
    assert pairs["answer"].str.strip().tolist() == ["A joint\ndisease.", ""]
    assert pairs["fault"].tolist() == ["", "not_in_layout"]
    with pytest.raises(InputError, match=r"None of the 1 records of raw_c \(x\) fits the layout pages"):
        parsed("pages", chunk(pages[1:]))


def test_wiki_markup_goes_and_its_words_stay() -> None:
    text = (
        "== Signs ==\n'''Gout''' or ''podagra'' of [[Greece]]{{citation needed}} [https://example.org site] 5'' and 3''"
    )
    assert strip_wiki_markup(text).startswith("Signs\nGout or podagra of Greece site")
    assert strip_wiki_markup("a 5'' incision, Crick's") == "a 5'' incision, Crick's"
    assert strip_wiki_markup("[[File:x.png|thumb|a]]text") == "text"


def test_nested_wiki_markup_leaves_no_remnant() -> None:
    assert strip_wiki_markup("a{{x{{y|{{z}}}}|w}} joint") == "a joint"
    assert strip_wiki_markup("[[File:x.png|thumb|of [[Greece]]]]text") == "text"
    assert strip_wiki_markup("{{" * 1500 + "x" + "}}" * 1500) == ""


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
    faults = parsed("pubmedqa", chunk(records))["fault"].tolist()
    assert faults == ["not_in_layout", "not_in_layout", "unknown_decision", ""]


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
    ],
)
def test_every_form_of_options_gives_the_same_question(record: dict[str, str]) -> None:
    pairs = parsed("choices", chunk([record]))
    assert pairs.loc[0, ["question", "answer", "choice", "fault"]].tolist() == [QUESTION, "B. C", "B", ""]


def test_an_explanation_follows_the_answer_and_the_subject_is_the_type() -> None:
    record = choices(options={"A": "yes", "B": "no"}, answer_idx="A", explanation="Because.", subject="Anatomy")
    pairs = parsed("choices", chunk([record]))
    assert pairs.loc[0, ["answer", "question_type", "focus"]].tolist() == ["A. yes\n\nBecause.", "Anatomy", ""]


def test_an_empty_option_is_not_shown_and_moves_no_letter() -> None:
    pairs = parsed("choices", chunk([choices(choices=["x", "", None, 4], answer=3)]))
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
        (choices(options=["x", "y"], answer=2), "answer_not_among_options"),
        (choices(options=["x", "y"], answer="x or y"), "answer_not_among_options"),
        (choices(options=["x", "y"], answer_idx="A", answer="y"), "conflicting_answers"),
    ],
)
def test_a_question_without_one_right_option_is_a_fault(record: dict[str, str], fault: str) -> None:
    pairs = parsed("choices", chunk([choices(options=["x", "y"], answer_idx="A"), record]))
    assert pairs["fault"].tolist() == ["", fault]
    assert pairs.loc[1, ["question", "answer"]].tolist() == ["", ""]


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
    with pytest.raises(InputError, match=r"never 0 and never .*`answer: cop` in corpora\.c\.columns"):
        parsed("choices", medmcqa("1", "2", "3"))


def test_real_exams_have_no_faults(real_corpora: Path) -> None:
    with (real_corpora / "exams" / "medqa_test.jsonl").open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    columns = ["question", "options", "answer", "answer_idx"]
    pairs = parsed("choices", chunk([choices(**{name: record[name] for name in columns}) for record in records]))
    assert set(pairs["fault"]) == {""}
    expected = [f"{record['answer_idx']}. {' '.join(record['answer'].split())}" for record in records]
    assert pairs["answer"].tolist() == expected


@pytest.mark.parametrize(
    ("question", "topic"),
    [
        ("What causes Guillain-Barré syndrome?", "Guillain-Barré syndrome"),
        ("What are the Symptoms of the Common cold ?", "Common cold"),
        ("What to expect if I have Osteoporosis  (Outlook/Prognosis)?", "Osteoporosis"),
        ("What to expect if I have Coma?", "Coma"),
        ("When to seek urgent medical care when I have Gout ?", "Gout"),
        ("When should I seek urgent medical care with Stroke?", "Stroke"),
        ("How to know you have Pyloric stenosis (Diagnosis)?", "Pyloric stenosis"),
        ("How is Crohn disease diagnosed?", "Crohn disease"),
        ("Who are at high risk for lung abscess?", "lung abscess"),
        ("Where To Find Medical Care For Hirsutism?", "Hirsutism"),
        ("Who needs an Amputation?", "Amputation"),
        ("What are the risks of surgery?", ""),
        ("What causes it?", ""),
        ("What causes (disease name)?", ""),
        ("What are the risks?", ""),
        ("Doctor, my knee hurts. What causes Gout?", ""),
        ("How is my disease treated? And who needs Appendectomy?", ""),
        ("", ""),
    ],
)
def test_topic_comes_from_fixed_wordings_only(question: str, topic: str) -> None:
    assert question_topic(question)[0] == topic
