from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.errors import InputError
from med_lora.pipelines.data_engineering.layouts.encyclopaedia import strip_wiki_markup
from med_lora.pipelines.data_engineering.layouts.instructions import instruction_varies
from med_lora.pipelines.data_engineering.topics import question_topic
from tests.pipelines.data_engineering.conftest import raw_corpus
from tests.pipelines.data_engineering.test_parsing import chunk, parsed


def messages(*turns: tuple[str, Any], names: tuple[str, str] = ("role", "content")) -> dict[str, str]:
    listed = [dict(zip(names, turn, strict=True)) for turn in turns]
    return {"messages": json.dumps(listed)}


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


def alpaca(*rows: tuple[str, str]) -> list[dict[str, str]]:
    return [{"instruction": instruction, "input": text, "output": "a"} for instruction, text in rows]


def test_alpaca_leaves_an_instruction_out_that_stands_beside_every_input() -> None:
    first = chunk(alpaca(("Answer truthfully", "Rest?"), ("What causes Gout?", " "), ("Answer truthfully ", "Ice?")))
    faulty = chunk([{"instruction": "", "input": "", "output": "", "fault": "not_utf8"}], 3)
    last = chunk(alpaca(("Answer truthfully", "Heat?")), 4)
    assert parsed("alpaca", first, faulty, last)["question"].tolist() == [
        "Rest?",
        "What causes Gout?",
        "Ice?",
        "",
        "Heat?",
    ]


def test_alpaca_asks_with_instructions_that_vary() -> None:
    first = chunk(alpaca(("Translate into Spanish.", "Rest helps."), ("What causes Gout?", "")))
    last = chunk(alpaca(("Translate into French. ", "Rest helps.")), 2)
    expected = [
        "Translate into Spanish.\n\nRest helps.",
        "What causes Gout?",
        "Translate into French.\n\nRest helps.",
    ]
    assert parsed("alpaca", first, last)["question"].tolist() == expected
    without = chunk(alpaca(("", "Ice?")), 3)
    assert parsed("alpaca", first, last, without)["question"].tolist() == [*expected, "Ice?"]


def test_alpaca_reads_no_further_than_the_second_instruction() -> None:
    def chunks() -> Iterator[pd.DataFrame]:
        yield chunk(alpaca(("a", "x"), ("b", "y")))
        raise AssertionError

    assert instruction_varies(Chunks(chunks))


@pytest.mark.parametrize(
    "file", ["genmedgpt5k/chatdoctor5k.json", "wikidoc/medical_meadow_wikidoc_patient_information.json"]
)
def test_instructions_of_the_real_sets_stay_out(real_corpora: Path, file: str) -> None:
    records = raw_corpus(real_corpora, "alpaca", file)
    pairs = parsed("alpaca", records)
    has_input = records["input"].str.strip() != ""
    assert pairs.loc[has_input, "question"].tolist() == records.loc[has_input, "input"].tolist()
    assert has_input.sum() > 4000


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
    common = {"source": "A", "question_type": "causes", "question": "What causes Gout ?"}
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
