"""Null controls."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.metrics.lexical import score_pair
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.controls import constants, nearest
from med_lora.pipelines.evaluation.controls.constants import rank_constants
from med_lora.pipelines.evaluation.controls.nearest import copy_nearest
from med_lora.pipelines.evaluation.controls.texts import (
    collect_texts,
    control_answers,
    match_length,
    shuffle_references,
)

from .conftest import Table

CONTROLS = ["shuffled_reference", "echoed_question", "nearest_training_answer", "constant_best_answer"]


def shuffle(pairs: pd.DataFrame, seed: int) -> list[str]:
    return [texts[0] for texts in shuffle_references(pairs, seed)]


def nearest_answers(questions: list[str], train: pd.DataFrame) -> list[str]:
    return [texts[0] for texts in copy_nearest(questions, train, 1)]


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
    shuffled = shuffle(pairs, seed)
    assert sorted(shuffled) == sorted(pairs["answer"])
    assert all(given != own for given, own in zip(shuffled, pairs["answer"], strict=True))


def test_the_shuffle_follows_the_seed_and_not_the_order() -> None:
    pairs = make_pairs(30)
    shuffled = dict(zip(pairs["id"], shuffle(pairs, 3), strict=True))
    turned = pairs.sample(frac=1, random_state=0)
    assert dict(zip(turned["id"], shuffle(turned, 3), strict=True)) == shuffled
    assert shuffle(pairs, 4) != list(shuffled.values())


@pytest.mark.parametrize("seed", range(5))
def test_no_pair_is_given_a_reference_of_its_own_group(seed: int) -> None:
    pairs = make_pairs(40).assign(group=[0] * 25 + [1] * 5 + list(range(2, 12)))  # most pairs are of one group
    group_of = dict(zip(pairs["answer"], pairs["group"], strict=True))
    shuffled = shuffle(pairs, seed)
    assert all(group_of[given] != own for given, own in zip(shuffled, pairs["group"], strict=True))
    turned = pairs.iloc[::-1]
    assert shuffle(turned, seed) == shuffled[::-1]


def test_where_there_is_but_one_group_another_pair_serves() -> None:
    pairs = make_pairs(10)
    assert shuffle(pairs.assign(group=3), 1) == shuffle(pairs, 1)


def test_a_single_pair_has_no_shuffled_reference() -> None:
    assert "shuffled_reference" not in control_answers(make_pairs(1), TRAIN, {"p000": 3}, 0)


def test_the_next_references_are_of_other_groups_too() -> None:
    pairs = make_pairs(12).assign(group=[0] * 6 + [1] * 3 + [2] * 3)
    group_of = dict(zip(pairs["answer"], pairs["group"], strict=True))
    for own, texts in zip(pairs["group"], shuffle_references(pairs, 0), strict=True):
        assert len(texts) == len(set(texts)) == 4
        assert own not in {group_of[text] for text in texts}


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


def test_the_best_constant_is_most_like_the_other_answers() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    generator, scorer = random.Random(1), RougeScorer(["rougeL"], use_stemmer=False)
    words = ["rest,", "see", "a", "doctor", "soon", "drink", "water"]
    answers = [
        " ".join(" ".join(generator.choices(words, k=generator.randrange(3, 9))) + "." for _ in range(3))
        for _ in range(30)
    ]
    train = make_pairs(30).assign(answer=answers)
    sources = {text: place for place in range(29, -1, -1) for text in (answers[place], *sentences(answers[place]))}

    def mean(text: str) -> float:
        others = [answer for place, answer in enumerate(answers) if place != sources[text]]
        return sum(scorer.score(answer, text)["rougeL"].fmeasure for answer in others) / 29

    best = max(sources, key=mean)
    assert rank_constants(train, 4, 0)[0] == best
    assert rank_constants(train.iloc[::-1], 1, 5) == [best]


def sentences(answer: str) -> list[str]:
    return [f"{sentence}." for sentence in answer.removesuffix(".").split(". ")]


def test_a_sentence_serves_where_whole_answers_differ() -> None:
    answers = [f"You should see a doctor soon. {word * 3} {word}{word}" for word in ("la ", "be ", "do ", "mi ", "so ")]
    train = make_pairs(5).assign(answer=answers)
    assert rank_constants(train, 1, 0) == ["You should see a doctor soon."]


def test_what_continues_a_constant_says_something_else() -> None:
    answers = ["See a doctor soon.", "See a doctor now.", "See a doctor.", "Drink more water.", "Drink water."] * 3
    ranked = rank_constants(make_pairs(15).assign(answer=answers), 4, 0)
    assert len(ranked) == 2
    assert ranked[0].startswith("See a doctor")
    assert "water" in ranked[1]


def test_the_constant_is_chosen_on_a_seeded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "SOURCES", 2)
    train = make_pairs(50)
    assert rank_constants(train, 4, 3) == rank_constants(train.iloc[::-1], 4, 3)
    assert len({rank_constants(train, 1, seed)[0] for seed in range(20)}) > 5
    assert rank_constants(train.head(1), 4, 0) == [train["answer"][0]]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (0, ""),
        (2, "one two"),
        (3, "one two three"),
        (5, "one two three four five"),
        (7, "one two three four five one two"),
    ],
)
def test_a_matched_text_is_cut_or_goes_on_with_the_next(words: int, expected: str) -> None:
    assert match_length(["one two\nthree", " four five "], words) == expected


def test_nothing_stays_nothing_at_any_length() -> None:
    assert match_length(["", " "], 5) == ""


def make_answers(pairs: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": list(pairs["id"]), "answer": texts})


def collect(test: Table, train: Table, tuned: list[str], evaluation: EvaluationParams) -> pd.DataFrame:
    pairs = test.frame
    return collect_texts(
        test, train, make_answers(pairs, ["Base."] * len(pairs)), make_answers(pairs, tuned), evaluation
    )


def test_every_arm_has_a_text_for_every_pair(test_split: Table, train_split: Table, evaluation: Any) -> None:
    tuned = [" ".join(["word"] * count) for count in range(7)]
    texts = collect(test_split, train_split, tuned, evaluation)
    assert list(texts.columns) == ["id", "arm", "kind", "answer"]
    matched = [f"{name}_matched" for name in CONTROLS]
    assert list(texts["arm"].unique()) == ["base", "tuned", *CONTROLS, "empty_answer", *matched, "gold"]
    kinds = texts.groupby("arm")["kind"].first()
    assert (kinds["base"], kinds["tuned"], kinds["gold"]) == ("model", "model", "gold")
    assert set(kinds.drop(["base", "tuned", "gold"])) == {"control"}
    wide = texts.pivot(index="id", columns="arm", values="answer").loc[list(test_split.frame["id"])]
    assert wide.notna().all(axis=None)
    assert list(wide["tuned"]) == tuned
    assert list(wide["gold"]) == list(test_split.frame["answer"])
    assert list(wide["echoed_question"]) == list(test_split.frame["question"])
    assert set(wide["empty_answer"]) == {""}
    assert wide["constant_best_answer"].nunique() == 1
    for name in matched:
        assert [len(answer.split()) for answer in wide[name]] == list(range(7))
    long = " ".join([test_split.frame["question"].iloc[5]] * 9).split()
    assert wide["echoed_question_matched"].iloc[5].split() == long[:5]


def test_rows_in_another_order_give_the_same_texts(test_split: Table, train_split: Table, evaluation: Any) -> None:
    tuned = [" ".join(["word"] * count) for count in range(7)]
    texts = collect(test_split, train_split, tuned, evaluation)
    turned = Table(test_split.frame.iloc[::-1]), Table(train_split.frame.iloc[::-1])
    pd.testing.assert_frame_equal(collect(*turned, tuned[::-1], evaluation), texts)


def test_answers_to_other_pairs_are_refused(test_split: Table, train_split: Table, evaluation: Any) -> None:
    other = Table(test_split.frame.assign(id=test_split.frame["id"] + "x"))
    answers = make_answers(test_split.frame, ["a"] * 7)
    with pytest.raises(InputError, match="tuned_answers is not about the 7 pairs"):
        collect_texts(test_split, train_split, answers, make_answers(other.frame, ["a"] * 7), evaluation)


def test_a_reference_without_words_is_refused(test_split: Table, train_split: Table, evaluation: Any) -> None:
    blank = Table(test_split.frame.assign(answer=["  ", *test_split.frame["answer"].iloc[1:]]))
    with pytest.raises(InputError, match="corpus:03 has no reference answer"):
        collect(blank, train_split, ["a"] * 7, evaluation)


def test_one_constant_sentence_scores_above_published_tuned_figures(real_corpora: Path) -> None:
    """Study C (MediDialogue 2024), tuned: ROUGE-1 .2211, ROUGE-2 .0549, ROUGE-L .2061, BLEU .0216 on 84 items."""
    rows = json.loads((real_corpora / "genmedgpt5k" / "chatdoctor5k.json").read_text(encoding="utf-8"))
    pairs = pd.DataFrame(
        [
            {"id": f"p{place:05d}", "answer": row["output"]}
            for place, row in enumerate(rows)
            if row["input"].strip() and row["output"].strip()
        ]
    ).sample(frac=1, random_state=0)
    constant = rank_constants(pairs.iloc[120:], 1, 0)[0]
    scores = pd.DataFrame([score_pair(constant, reference) for reference in pairs["answer"].head(120)]).mean()
    assert scores["rouge1"] > 0.28
    assert scores["rouge2"] > 0.14
    assert scores["rougeL"] > 0.25
    assert scores["bleu"] > 5  # of 100
