"""Null controls."""

from __future__ import annotations

import math
import random

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.evaluation import controls
from med_lora.pipelines.evaluation.controls import (
    choose_typical,
    common_subsequence,
    control_answers,
    copy_nearest,
    shuffle_references,
)


def make_pairs(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"p{number:03d}" for number in range(count)],
            "question": [f"question {number}" for number in range(count)],
            "answer": [f"answer {number}" for number in range(count)],
            "group": range(count),
        }
    )


@pytest.mark.parametrize("count", [2, 3, 10, 101])
@pytest.mark.parametrize("seed", [0, 1, 20240501])
def test_no_pair_keeps_its_own_reference(count: int, seed: int) -> None:
    pairs = make_pairs(count)
    shuffled = shuffle_references(pairs, seed)
    assert sorted(shuffled) == sorted(pairs["answer"])
    assert all(given != own for given, own in zip(shuffled, pairs["answer"], strict=True))


def test_the_shuffle_follows_the_seed_and_not_the_order() -> None:
    pairs = make_pairs(30)
    shuffled = dict(zip(pairs["id"], shuffle_references(pairs, 3), strict=True))
    turned = pairs.sample(frac=1, random_state=0)
    assert dict(zip(turned["id"], shuffle_references(turned, 3), strict=True)) == shuffled
    assert shuffle_references(pairs, 4) != list(shuffled.values())


@pytest.mark.parametrize("seed", range(5))
def test_no_pair_is_given_a_reference_of_its_own_group(seed: int) -> None:
    pairs = make_pairs(40).assign(group=[0] * 25 + [1] * 5 + list(range(2, 12)))  # most pairs are of one group
    group_of = dict(zip(pairs["answer"], pairs["group"], strict=True))
    shuffled = shuffle_references(pairs, seed)
    assert all(group_of[given] != own for given, own in zip(shuffled, pairs["group"], strict=True))
    turned = pairs.iloc[::-1]
    assert shuffle_references(turned, seed) == shuffled[::-1]


def test_where_there_is_but_one_group_another_pair_serves() -> None:
    pairs = make_pairs(10)
    assert shuffle_references(pairs.assign(group=3), 1) == shuffle_references(pairs, 1)


def test_a_single_pair_cannot_be_shuffled() -> None:
    with pytest.raises(InputError, match="at least two test pairs"):
        shuffle_references(make_pairs(1), 0)


TRAIN = pd.DataFrame(
    {
        "id": ["d", "c", "b", "a"],
        "question": ["What is asthma?", "What is gout?", "What is gout?", "Which foods raise the blood pressure?"],
        "answer": ["airways", "late gout", "early gout", "salt"],
    }
)


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
    assert copy_nearest([question], TRAIN) == [answer]
    assert copy_nearest([question], TRAIN.iloc[::-1]) == [answer]


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
        assert copy_nearest([question], train) == [max(texts, key=lambda answer: cosine(asked, texts[answer]))]


def test_rare_words_decide() -> None:
    train = pd.DataFrame(
        {
            "id": list("abcd"),
            # counts alone tie the first two: one of three words each
            "question": ["what is gout", "botulism symptoms list", "what is pain", "what is asthma"],
            "answer": ["gout", "botulism", "pain", "asthma"],
        }
    )
    assert copy_nearest(["what botulism"], train) == ["botulism"]


def test_blocks_do_not_change_what_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [f"{word} {other}" for word in ("gout", "asthma", "blood") for other in ("is", "foods", "zzz")]
    whole = copy_nearest(questions, TRAIN)
    monkeypatch.setattr(controls, "BLOCK", 2)
    assert copy_nearest(questions, TRAIN) == whole


def test_the_common_subsequence_is_that_of_rouge() -> None:
    from rouge_score.rouge_scorer import _score_lcs

    generator = random.Random(0)
    for _ in range(200):
        left, right = (generator.choices("abcdef", k=generator.randrange(90)) for _ in range(2))
        length = common_subsequence(left, right)
        expected = _score_lcs(left, right).fmeasure
        assert 2 * length / max(1, len(left) + len(right)) == pytest.approx(expected)


def test_the_typical_answer_is_most_like_the_others() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    generator, scorer = random.Random(1), RougeScorer(["rougeL"], use_stemmer=False)
    answers = [" ".join(generator.choices(["Rest,", "see", "a", "doctor", "soon"], k=12)) for _ in range(30)]
    train = make_pairs(30).assign(answer=answers)

    def mean(answer: str) -> float:
        return sum(scorer.score(other, answer)["rougeL"].fmeasure for other in answers if other is not answer)

    assert choose_typical(train, 0) == max(answers, key=mean)
    assert choose_typical(train.iloc[::-1], 5) == max(answers, key=mean)


def test_the_typical_answer_is_chosen_from_a_seeded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "SAMPLE", 2)
    train = make_pairs(50)
    assert choose_typical(train, 3) == choose_typical(train.iloc[::-1], 3)
    assert len({choose_typical(train, seed) for seed in range(20)}) > 5
    assert choose_typical(train.head(1), 0) == train["answer"][0]


def test_all_controls_answer_every_pair() -> None:
    pairs = make_pairs(5)
    answers = control_answers(pairs, TRAIN, 0)
    assert list(answers) == [
        "shuffled_reference",
        "echoed_question",
        "nearest_training_answer",
        "constant_training_answer",
    ]
    assert answers["echoed_question"] == list(pairs["question"])
    assert {len(texts) for texts in answers.values()} == {5}
