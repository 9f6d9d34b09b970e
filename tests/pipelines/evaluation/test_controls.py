"""The texts of all arms: lengths, and which there are."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.controls.texts import collect_texts, control_answers, match_length

from .conftest import Table
from .pairs import make_pairs

CONTROLS = ["shuffled_reference", "echoed_question", "nearest_training_answer", "constant_best_answer"]


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
        test,
        train,
        evaluation,
        base=make_answers(pairs, ["Base."] * len(pairs)),
        tuned=make_answers(pairs, tuned),
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


def test_what_was_retrieved_is_a_control_where_passages_were_given(
    test_split: Table, train_split: Table, evaluation: Any
) -> None:
    ids = list(test_split.frame["id"])
    shown = [(ids[0], 2, "Of gout too."), (ids[0], 1, "All about gout."), (ids[1], 1, "Knees.")]
    contexts = pd.DataFrame(shown, columns=["id", "place", "text"]).assign(passage="p", tokens=3, cut=False)
    answers = {arm: make_answers(test_split.frame, ["one two three four"] * 7) for arm in ("base", "tuned")}
    further = {f"{arm}_rag": table.assign(answer="Grounded.") for arm, table in answers.items()}
    texts = collect_texts(test_split, train_split, evaluation, contexts, **answers, **further)
    without = collect_texts(test_split, train_split, evaluation, **answers)
    controls = [*CONTROLS, "retrieved_passage"]
    matched = [f"{name}_matched" for name in controls]
    arms = ["base", "tuned", "base_rag", "tuned_rag", *controls, "empty_answer", *matched, "gold"]
    assert list(texts["arm"].unique()) == arms
    rows = texts[texts["arm"].isin(without["arm"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, without)
    kinds = texts.groupby("arm")["kind"].first()
    assert (kinds["base_rag"], kinds["retrieved_passage"], kinds["retrieved_passage_matched"]) == (
        ("model", "control", "control")
    )
    wide = texts.pivot(index="id", columns="arm", values="answer").loc[ids]
    assert set(wide["tuned_rag"]) == {"Grounded."}
    assert list(wide["retrieved_passage"]) == ["All about gout.", "Knees.", *[""] * 5]
    assert list(wide["retrieved_passage_matched"]) == [
        *("All about gout. Of", "Knees. Knees. Knees. Knees."),  # the next passage, or the same again
        *[""] * 5,
    ]
    turned = collect_texts(test_split, train_split, evaluation, contexts.iloc[::-1], **answers, **further)
    pd.testing.assert_frame_equal(turned, texts)


def test_no_passage_for_any_question_is_an_empty_control(
    test_split: Table, train_split: Table, evaluation: Any
) -> None:
    answers = {arm: make_answers(test_split.frame, ["one"] * 7) for arm in ("base", "tuned")}
    none = pd.DataFrame(
        {"id": pd.Series(dtype="str"), "place": pd.Series(dtype="int64"), "text": pd.Series(dtype="str")}
    )
    texts = collect_texts(test_split, train_split, evaluation, none, **answers)
    assert set(texts["answer"][texts["arm"].str.startswith("retrieved_passage")]) == {""}


def test_passages_for_other_pairs_are_refused(test_split: Table, train_split: Table, evaluation: Any) -> None:
    answers = {arm: make_answers(test_split.frame, ["one"] * 7) for arm in ("base", "tuned")}
    contexts = pd.DataFrame({"id": ["elsewhere:1"], "place": 1, "text": "secret"})
    with pytest.raises(InputError, match="contexts holds passages for elsewhere:1") as raised:
        collect_texts(test_split, train_split, evaluation, contexts, **answers)
    assert "secret" not in str(raised.value)


def test_rows_in_another_order_give_the_same_texts(test_split: Table, train_split: Table, evaluation: Any) -> None:
    tuned = [" ".join(["word"] * count) for count in range(7)]
    texts = collect(test_split, train_split, tuned, evaluation)
    turned = Table(test_split.frame.iloc[::-1]), Table(train_split.frame.iloc[::-1])
    pd.testing.assert_frame_equal(collect(*turned, tuned[::-1], evaluation), texts)


def test_answers_to_other_pairs_are_refused(test_split: Table, train_split: Table, evaluation: Any) -> None:
    other = Table(test_split.frame.assign(id=test_split.frame["id"] + "x"))
    answers = make_answers(test_split.frame, ["a"] * 7)
    with pytest.raises(InputError, match="tuned_answers is not about the 7 pairs"):
        collect_texts(test_split, train_split, evaluation, base=answers, tuned=make_answers(other.frame, ["a"] * 7))


def test_a_reference_without_words_is_refused(test_split: Table, train_split: Table, evaluation: Any) -> None:
    blank = Table(test_split.frame.assign(answer=["  ", *test_split.frame["answer"].iloc[1:]]))
    with pytest.raises(InputError, match="corpus:03 has no reference answer"):
        collect(blank, train_split, ["a"] * 7, evaluation)


def test_a_single_pair_has_no_shuffled_reference() -> None:
    assert "shuffled_reference" not in control_answers(make_pairs(1), make_pairs(4), {"p000": 3}, 0)
