from __future__ import annotations

from itertools import combinations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_lora.pipelines.data_engineering.grouping import Components, group_pairs
from med_lora.pipelines.data_engineering.layouts.encyclopaedia import parse_pages
from med_lora.pipelines.data_engineering.topics import focus_from_terms
from med_lora.pipelines.question_generation.nodes import _row
from tests.pipelines.data_engineering.conftest import make_pairs
from tests.pipelines.data_engineering.test_splitting import boilerplate


def test_groups_join_focus_question_answer_and_similar_texts() -> None:
    text = "gout comes from crystals of urate in a joint and hurts a lot at night in the big toe"
    rows = [
        ("q a", "answer one"),
        ("q b", "answer two"),
        ("Q A?", "answer three"),
        ("q c", "Answer two."),
        ("q d", text),
        ("q e", text.replace("toe", "foot")),
        ("I have had a red swollen toe for two days now", "urate"),
        ("I have had a red swollen toe for three days now", "no idea"),
        ("q f", "other"),
    ]
    focus = ["", "", "", "", "", "Gout", "", "", "gout"]
    grouping = group_pairs(make_pairs(rows, focus=focus))
    assert grouping.numbers.tolist() == [0, 1, 0, 1, 2, 2, 3, 3, 2]
    assert not grouping.refused


@pytest.mark.parametrize(
    ("column", "values", "groups"),
    [
        ("document", ["NIH/1", "nih/1", "NIH/2", ""], [0, 0, 1, 2]),
        ("concepts", ["C1", "C1", "C1;C2", "C2;C1"], [0, 0, 1, 1]),
        ("concepts", ["C1", "C1;C9", "C9", ""], [0, 1, 2, 3]),
    ],
)
def test_groups_join_documents_and_equal_sets_of_concepts(column: str, values: list[str], groups: list[int]) -> None:
    pairs = make_pairs([(f"question {row}", f"answer {row}") for row in range(4)], **{column: values})
    assert group_pairs(pairs).numbers.tolist() == groups


def test_synonyms_with_one_concept_stay_together() -> None:
    rows = [("What is heart attack?", "a muscle dies"), ("What is myocardial infarction?", "an artery closes")]
    pairs = make_pairs(rows, focus=["Heart attack", "Myocardial infarction"], concepts=["C0027051"] * 2)
    assert group_pairs(pairs).numbers.tolist() == [0, 0]


def test_answers_of_exams_join_nothing() -> None:
    pairs = make_pairs([("stem one", "B"), ("stem two", "B"), ("stem three", "b")], choice=["B", "B", ""])
    assert group_pairs(pairs).numbers.tolist() == [0, 1, 2]


def test_only_questions_that_follow_no_template_are_compared() -> None:
    wording = "What are the best known treatments for {} and all of its many kin?"
    rows = [(wording.format(focus), f"remedy {focus}") for focus in ("gout", "scurvy")]
    typed = {"question_type": ["treatment"] * 2}
    assert group_pairs(make_pairs(rows, focus=["gout", "scurvy"], **typed)).numbers.tolist() == [0, 1]
    assert group_pairs(make_pairs(rows, focus=["gout", "scurvy"])).numbers.tolist() == [0, 0]
    assert group_pairs(make_pairs(rows, **typed)).numbers.tolist() == [0, 0]
    assert group_pairs(make_pairs(rows, focus=["podagra", "scorbutus"], **typed)).numbers.tolist() == [0, 0]


def test_a_free_question_is_compared_with_templates() -> None:
    template = "What are the best known treatments for gout and all of its many kin?"
    rows = [
        (template, "rest"),
        (template.replace("gout", "scurvy"), "lemons"),
        (template.replace("the best", "your best"), "ice"),
    ]
    focus, kinds = ["gout", "scurvy", ""], ["treatment", "treatment", ""]
    grouped = group_pairs(make_pairs(rows, focus=focus, question_type=kinds)).numbers
    assert grouped[0] == grouped[2]
    reverse = group_pairs(make_pairs(rows[::-1], focus=focus[::-1], question_type=kinds[::-1])).numbers
    assert reverse[0] == reverse[2]
    assert group_pairs(make_pairs(rows[:2], focus=focus[:2], question_type=kinds[:2])).numbers.nunique() == 2


def test_similar_boilerplate_of_different_diseases_stays_on_one_side() -> None:
    text = " ".join(f"word{number}" for number in range(30))
    rows = [(f"What is {focus}?", f"{text} {focus}") for focus in ("gout", "scurvy")]
    pairs = make_pairs(rows, focus=["gout", "scurvy"], question_type=["information"] * 2)
    assert group_pairs(pairs).numbers.tolist() == [0, 0]


def test_generated_and_ready_pairs_of_a_page_stay_together() -> None:
    passage = {
        "id": "terms:terms/Gout#0001",
        "corpus": "terms",
        "book": "terms",
        "chapter": "Gout",
        "licence": "CC0-1.0",
    }
    made = _row(passage, "short", 1, question="Which acid makes crystals?", answer="Urate.")
    page = parse_pages(pd.DataFrame({"page_title": ["Gout"], "page_text": ["A painful arthritis."]}))
    pairs = pd.concat([pd.DataFrame([made]), page.assign(id="terms:00000000", corpus="terms")]).fillna("")
    for column in ("document", "focus"):
        others = pairs.assign(**{name: "" for name in ("document", "focus") if name != column})
        assert group_pairs(others.reset_index(drop=True)).numbers.tolist() == [0, 0], column


def test_similar_boilerplate_does_not_chain_without_bound() -> None:
    numbers, refused = group_pairs(boilerplate(100))
    assert numbers.value_counts().max() == 20
    assert refused == {link for link in combinations(range(100), 2) if numbers[link[0]] != numbers[link[1]]}


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40))
def test_components_equal_a_plain_search(links: list[tuple[int, int]]) -> None:
    components = Components(20)
    plain = [{number} for number in range(20)]
    for left, right in links:
        assert components.joint_size(left, right) == len(plain[left] | plain[right])
        components.join(left, right)
        union = plain[left] | plain[right]
        for number in union:
            plain[number] = union
    assert [components.root(number) for number in range(20)] == [min(members) for members in plain]


def test_an_answer_that_names_one_term_gets_it_as_focus() -> None:
    answers = [
        "This may be Gout.",
        "Pseudogout, I fear",
        "It could be iron deficiency anemia; ANEMIA is common",
        "iron deficiency anemia",
        "gout",
    ]
    pairs = make_pairs([("q", answer) for answer in answers], focus=["", "", "", "", "scurvy"])
    named = focus_from_terms(pairs, ["gout", "anemia", "Iron deficiency anemia", "--"])
    assert named["focus"].tolist() == ["gout", "", "", "Iron deficiency anemia", "scurvy"]
    assert named.drop(columns="focus").equals(pairs.drop(columns="focus"))
    assert focus_from_terms(pairs, [])["focus"].equals(pairs["focus"])


def test_words_of_a_template_make_no_questions_alike() -> None:
    """They would also make a comparison of all questions with each other, whose time grows with the square."""
    rows = [(f"What is the best treatment of illness{row} now?", f"remedy{row}") for row in range(60)]
    assert group_pairs(make_pairs(rows)).numbers.nunique() == 60
    assert group_pairs(make_pairs(rows[:20])).numbers.nunique() == 1
