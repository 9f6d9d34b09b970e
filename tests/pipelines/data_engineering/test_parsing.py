from __future__ import annotations

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.parameters import CorpusParams
from med_lora.pipelines.data_engineering.parsing import PAIR_COLUMNS, parse_corpus, strip_wiki_markup
from med_lora.pipelines.data_engineering.topics import question_topic


def corpus(layout: str) -> CorpusParams:
    return CorpusParams(layout=layout, title="A corpus", licence="CC-BY-4.0")  # type: ignore[arg-type]


def test_alpaca_takes_the_instruction_where_the_input_is_empty() -> None:
    records = pd.DataFrame(
        {
            "instruction": ["Answer truthfully", "What causes Gout?", ""],
            "input": ["Who is at highest risk for Gout ?", "  ", ""],
            "output": ["00012", "NA", ""],
        }
    )
    pairs = parse_corpus(records, corpus("alpaca"), "wikidoc")
    assert list(pairs.columns) == PAIR_COLUMNS
    assert pairs["id"].tolist() == ["wikidoc:00000", "wikidoc:00001", "wikidoc:00002"]
    assert pairs["question"].tolist() == ["Who is at highest risk for Gout ?", "What causes Gout?", ""]
    assert pairs["focus"].tolist() == ["Gout", "Gout", ""]
    assert pairs["question_type"].tolist() == ["susceptibility", "causes", ""]
    assert pairs["answer"].tolist() == ["00012", "NA", ""]
    assert set(pairs["licence"]) == {"CC-BY-4.0"}
    assert not pairs.isna().any(axis=None)


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


def test_medquad_ids_name_the_document() -> None:
    records = pd.DataFrame(
        {
            "document": ["1_A_QA/0000001_1", "2_B_QA/0000001_1"],
            "source": ["A", "B"],
            "focus": ["Gout &amp; friends", ""],
            "pair": ["3", "3"],
            "question_id": ["0000001_1-3", "0000001_1-3"],
            "question_type": ["causes", "outlook"],
            "question": ["What causes Gout ?", "q"],
            "answer": ["", "a"],
        }
    )
    pairs = parse_corpus(records, corpus("medquad"), "medquad")
    assert pairs["id"].tolist() == ["medquad:1_A_QA/0000001_1-3", "medquad:2_B_QA/0000001_1-3"]
    assert pairs["focus"].tolist() == ["Gout & friends", ""]
    with pytest.raises(InputError, match="raw_medquad holds 1 ids twice"):
        parse_corpus(records.assign(document="d"), corpus("medquad"), "medquad")


def test_pages_ask_what_their_title_is() -> None:
    pages = pd.DataFrame(
        {"page_title": ["Gout", " "], "page_text": ["'''Gout''' is [[arthritis|a joint disease]].", "x"]}
    )
    pairs = parse_corpus(pages, corpus("pages"), "terms")
    assert pairs["question"].tolist() == ["What is Gout?", ""]
    assert pairs["focus"].tolist() == ["Gout", ""]
    assert pairs["answer"].tolist() == ["Gout is a joint disease.", "x"]


def test_pages_in_the_llama_form_read_alike() -> None:
    pages = pd.DataFrame({"text": ["<s>[INST] Gout [/INST] A joint\ndisease. </s>", "no marks"]})
    pairs = parse_corpus(pages, corpus("pages"), "terms")
    assert pairs["question"].tolist() == ["What is Gout?", ""]
    assert pairs["answer"].str.strip().tolist() == ["A joint\ndisease.", ""]
    with pytest.raises(InputError, match="No row of raw_terms has the form"):
        parse_corpus(pages.iloc[1:], corpus("pages"), "terms")


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


@pytest.mark.parametrize("layout", ["alpaca", "medquad", "pages"])
def test_wrong_columns_are_named(layout: str) -> None:
    with pytest.raises(InputError, match=r"raw_c lacks .* and has a, b; .* corpora\.c\.layout"):
        parse_corpus(pd.DataFrame({"a": ["1"], "b": ["2"]}), corpus(layout), "c")


def test_a_book_holds_no_pairs() -> None:
    with pytest.raises(InputError, match=r"corpora\.c\.layout is book"):
        parse_corpus(pd.DataFrame({"a": ["1"]}), corpus("book"), "c")
