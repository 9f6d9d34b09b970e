"""The control that copies the training answer to the most similar question."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from med_lora.pipelines.evaluation.controls import nearest
from med_lora.pipelines.evaluation.controls.nearest import copy_nearest

TRAIN = pd.DataFrame(
    {
        "id": ["d", "c", "b", "a"],
        "question": ["What is asthma?", "What is gout?", "What is gout?", "Which foods raise the blood pressure?"],
        "answer": ["airways", "late gout", "early gout", "salt"],
    }
)


def nearest_answers(questions: list[str], train: pd.DataFrame) -> list[str]:
    return [texts[0] for texts in copy_nearest(questions, train, 1)]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what is ASTHMA", "airways"),
        ("Is asthma what?", "airways"),  # a bag of words has no order
        ("Is gout a disease?", "early gout"),  # a tie goes to the first id
        ("Blood pressure and salt", "salt"),
        ("What?", "early gout"),  # 'what' weighs more in shorter questions; the first id of three equals
        ("Zzz", "salt"),  # nothing shared: the first id
    ],
)
def test_copying_takes_the_answer_of_the_most_similar_question(question: str, answer: str) -> None:
    assert nearest_answers([question], TRAIN) == [answer]
    assert nearest_answers([question], TRAIN.iloc[::-1]) == [answer]


def test_similarity_is_the_cosine_of_tf_idf_vectors_computed_by_hand() -> None:
    train = pd.DataFrame(
        {"id": list("abc"), "question": ["pain pain knee", "pain toe", "knee toe toe"], "answer": list("xyz")}
    )
    idf = math.log(4 / 3) + 1  # every word is in two of three questions
    texts = {"x": {"pain": 2, "knee": 1}, "y": {"pain": 1, "toe": 1}, "z": {"knee": 1, "toe": 2}}

    def cosine(left: dict[str, int], right: dict[str, int]) -> float:
        def norm(counts: dict[str, int]) -> float:
            return math.sqrt(sum((idf * count) ** 2 for count in counts.values()))

        return sum(idf**2 * count * right.get(word, 0) for word, count in left.items()) / norm(left) / norm(right)

    for asked in ({"pain": 3, "knee": 1}, {"pain": 1, "toe": 2}, {"knee": 1, "toe": 1}, {"pain": 3, "toe": 2}):
        question = " ".join(word for word, count in asked.items() for _ in range(count))
        assert nearest_answers([question], train) == [max(texts, key=lambda answer: cosine(asked, texts[answer]))]


def test_rare_words_decide() -> None:
    train = pd.DataFrame(
        {
            "id": list("abcd"),
            # counts alone tie the first two: one of three words each
            "question": ["what is gout", "botulism symptoms list", "what is pain", "what is asthma"],
            "answer": ["gout", "botulism", "pain", "asthma"],
        }
    )
    assert nearest_answers(["what botulism"], train) == ["botulism"]


def test_blocks_do_not_change_what_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [f"{word} {other}" for word in ("gout", "asthma", "blood") for other in ("is", "foods", "zzz")]
    whole = nearest_answers(questions, TRAIN)
    monkeypatch.setattr(nearest, "BLOCK", 2)
    assert nearest_answers(questions, TRAIN) == whole


def test_further_copies_are_those_of_the_next_questions() -> None:
    assert copy_nearest(["What is gout?"], TRAIN, 3) == [["early gout", "late gout", "airways"]]
    assert copy_nearest(["What is gout?"], TRAIN, 9) == [["early gout", "late gout", "airways", "salt"]]
