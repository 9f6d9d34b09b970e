"""Choices of hand-made answers."""

from __future__ import annotations

import pytest

from med_lora.metrics.choices import choice_metrics, list_options, read_choice, read_options

QUESTION = "Which drug suits?\nA. Ampicillin\nB. Ceftriaxone\nC. Ciprofloxacin\nD. Nitrofurantoin\nE. E. coli vaccine"
OPTIONS = list_options(QUESTION, "D")
DECISIONS = list_options("Does rest help?", "yes")
LETTERS = [
    ("B", "B"),
    (" b) ", "B"),
    ("(B)", "B"),
    ("B. Ceftriaxone", "B"),
    ("B) Ceftriaxone, because it is safe.", "B"),
    ("Option B", "B"),
    ("The answer is B", "B"),
    ("The correct answer is (D).", "D"),
    ("The answer is d.", "D"),
    ("The best option would be D: nitrofurantoin", "D"),
    ("Answer: C", "C"),
    ("**Answer:** **C**", "C"),
    (r"Final answer: \boxed{A}", "A"),
    ("I would go with option C.", "C"),
    ("Option B is correct.", "B"),
    ("Because of the pregnancy, it is (D).", "D"),
    ("Both are used. The drug of choice is D.", "D"),
    ("I first thought the answer is A, but the answer is B.", "B"),
    ("A. Ampicillin\nB. Ceftriaxone\nThe answer is B.", "B"),
    ("Nitrofurantoin", "D"),
    ("Nitrofurantoin is safe in pregnancy.", "D"),
    ("The correct answer is nitrofurantoin, since it is safe.", "D"),
    # two choices, or none
    ("The answer is A or B.", None),
    ("A and B are the best.", None),
    ("A. Ampicillin\nB. Ceftriaxone\nC. Ciprofloxacin", None),
    ("B. This one. Rather (C).", None),
    ("The answer is not A.", None),
    ("Option A is incorrect.", None),
    ("The answer is a combination of drugs.", None),
    ("A patient like this needs rest.", None),
    ("Vitamin B12 is low.", None),
    ("B-cells are the cause.", None),
    ("F. Something else", None),
    ("I do not know.", None),
    ("", None),
]
WORDS = [
    ("yes", "yes"),
    ("Yes, because it works.", "yes"),
    ("Yes it does", "yes"),
    ("No.", "no"),
    ("No, it does not help.", "no"),
    ("No because of harm", "no"),
    ("Maybe", "maybe"),
    ("The answer is no.", "no"),
    ("The answer is: Yes", "yes"),
    ("Final decision: maybe", "maybe"),
    ("It helps in most. So, yes.", "yes"),
    ("The trial showed no effect. No.", "no"),
    ("No evidence was found.", None),
    ("Rest is no longer used.", None),
    ("Yes and no.", None),
    ("Yes. Later it did not. No.", None),
    ("The answer is yes or no.", None),
    ("There is a benefit.", None),
]


@pytest.mark.parametrize(("answer", "choice"), LETTERS)
def test_the_letter_that_an_answer_chooses(answer: str, choice: str | None) -> None:
    assert read_choice(answer, OPTIONS) == choice


@pytest.mark.parametrize(("answer", "choice"), WORDS)
def test_the_decision_that_an_answer_makes(answer: str, choice: str | None) -> None:
    assert read_choice(answer, DECISIONS) == choice


def test_options_are_the_lines_of_the_question() -> None:
    assert OPTIONS["D"] == "Nitrofurantoin"
    assert list("".join(OPTIONS)) == ["A", "B", "C", "D", "E"]
    assert list(DECISIONS) == ["yes", "no", "maybe"]


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("H. pylori was found.\nWhich drug?\n", {"A": "Iron", "C": "Zinc"}),
        ("Which drug?\nH. pylori was found.\n", {"A": "Iron", "C": "Zinc"}),
        ("Which drug?\nA. baumannii was found.\n", {"A": "Iron", "C": "Zinc"}),
        ("Which drug? ", {}),
    ],
)
def test_a_line_of_the_stem_is_no_option(stem: str, expected: dict[str, str]) -> None:
    options = read_options(f"{stem}A. Iron\nC. Zinc")
    assert options == expected
    assert list(options) == sorted(expected)


@pytest.mark.parametrize("question", ["", "What is gout?", "H. pylori was found.", "Which?\nA. Iron\nB. Zinc\nWhy?"])
def test_without_option_lines_at_its_end_a_question_has_no_options(question: str) -> None:
    assert read_options(question) == {}


def test_the_name_of_a_bacterium_in_the_stem_is_not_chosen() -> None:
    options = list_options("H. pylori was found.\nWhat is next?\nA. Its eradication\nB. Rest", "A")
    assert read_choice("H. pylori eradication", options) is None


def test_a_question_without_option_lines_may_be_answered_with_a_to_e() -> None:
    assert list(list_options("Which of those above?", "B")) == ["A", "B", "C", "D", "E"]
    assert read_choice("The answer is G.", list_options("Which?", "G")) == "G"


def test_of_options_that_begin_alike_the_longer_fits() -> None:
    options = {"A": "Iron", "B": "Iron and folate"}
    assert read_choice("Iron and folate, daily", options) == "B"
    assert read_choice("Iron alone", options) == "A"


def test_a_letter_against_the_text_of_another_option_is_no_choice() -> None:
    assert read_choice("E. coli", {"A": "E. coli", "E": "Klebsiella"}) is None


def test_accuracy_is_tested_and_the_unparsed_rate_described() -> None:
    assert [(metric.name, metric.better, metric.tested) for metric in choice_metrics()] == [
        ("choice_accuracy", "higher", True),
        ("choice_unparsed", "lower", False),
    ]
