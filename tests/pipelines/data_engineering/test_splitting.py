from __future__ import annotations

import hashlib
import logging
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.errors import InputError
from med_lora.parameters import SplitParams
from med_lora.pipelines.data_engineering.grouping import Components, group_pairs
from med_lora.pipelines.data_engineering.splitting import split_pairs
from med_lora.pipelines.data_engineering.text import comparison_key
from tests.pipelines.data_engineering.conftest import make_pairs


def split(train: Any = None, validation: Any = 2, test: Any = 3, seed: int = 0) -> SplitParams:
    return SplitParams(train=train, validation=validation, test=test, seed=seed)


def distinct(count: int, corpus: str = "c") -> pd.DataFrame:
    return make_pairs([(f"question {row} {corpus}?", f"answer {row} of {corpus}") for row in range(count)], corpus)


def boilerplate(count: int) -> pd.DataFrame:
    """Pairs with answers so similar to one another that only the bound on the size of groups keeps them apart."""
    shared = " ".join(f"word{number}" for number in range(40))
    return make_pairs([(f"question {row} about topic{row}", f"{shared} number{row}") for row in range(count)])


def frames(splits: tuple[Any, ...]) -> list[pd.DataFrame]:
    return [part.to_pandas() for part in splits]


def assert_apart(parts: list[pd.DataFrame]) -> None:
    """No id, group, focus, question or answer is in two parts."""
    for column in ("id", "group", "focus", "question", "answer"):
        keys = [{comparison_key(str(value)) for value in part[column]} - {""} for part in parts]
        for later, one in enumerate(keys):
            for other in keys[:later]:
                assert not one & other, column


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


def test_similar_boilerplate_does_not_chain_without_bound() -> None:
    numbers, refused = group_pairs(boilerplate(100))
    assert numbers.value_counts().max() == 20
    assert refused == {link for link in combinations(range(100), 2) if numbers[link[0]] != numbers[link[1]]}


@pytest.mark.parametrize(("train", "validation"), [(None, 3), (45, 3), (None, 0.1)])
def test_no_near_copy_of_a_test_pair_is_drawn(train: Any, validation: Any, caplog: pytest.LogCaptureFixture) -> None:
    pairs = pd.concat([boilerplate(45), distinct(60, "d")], ignore_index=True)
    numbers, refused = group_pairs(pairs)
    assert numbers.value_counts().head(3).tolist() == [20, 20, 5]
    with caplog.at_level(logging.INFO):
        parts = frames(split_pairs(pairs, split(train=train, validation=validation, test=12)))
    assert len(refused) == 20 * 20 + 2 * 20 * 5
    assert f"{len(refused)} links between similar pairs were refused" in caplog.text
    in_test = parts[2]["id"].str.startswith("c:")
    assert in_test.sum() == 5
    assert not any(part["id"].str.startswith("c:").any() for part in parts[:2])
    left_out = re.findall(r"(\d+) pairs left out of (\w+), too similar to a test pair", caplog.text)
    assert left_out
    sizes = [len(part) for part in parts]
    if train is None:
        assert sum(int(count) for count, _ in left_out) + sum(sizes) == len(pairs)
    else:
        assert sizes == [45, 3, 12]
    assert_apart(parts)


def test_a_count_that_near_copies_leave_unmet_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    pairs = pd.concat([boilerplate(25), distinct(20, "d")], ignore_index=True)
    parts = frames(split_pairs(pairs, split(train=20, validation=2, test=10)))
    drawn = len(parts[0])
    assert (len(parts[1]), len(parts[2])) == (2, 10)
    assert drawn < 20
    assert f"train: {drawn} pairs of the 20 asked for" in caplog.text
    with pytest.raises(InputError, match="No pair is left for training"):
        split_pairs(boilerplate(25), split(validation=0, test=5))


@pytest.mark.parametrize("size", [0, 1, 0.05])
def test_a_test_set_too_small_to_evaluate_is_refused(size: Any) -> None:
    with pytest.raises(InputError, match=r"needs 2 at least; raise data_engineering\.split\.test"):
        split_pairs(distinct(20), split(test=size))


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


def test_counts_are_met_exactly_and_the_rest_is_for_training() -> None:
    train, validation, test = split_pairs(distinct(20), split())
    assert (len(train), len(validation), len(test)) == (15, 2, 3)
    assert train.column_names == [*distinct(1).columns, "group"]
    assert str(train.features["group"].dtype) == "int64"
    assert train["id"] == sorted(train["id"])


def test_a_count_is_met_by_cutting_the_last_group(caplog: pytest.LogCaptureFixture) -> None:
    pairs = make_pairs([(f"q{row}", f"a{row}") for row in range(12)], focus=[f"topic{row // 4}" for row in range(12)])
    with caplog.at_level(logging.INFO):
        train, validation, test = frames(split_pairs(pairs, split(validation=1, test=3)))
    assert (len(train), len(validation), len(test)) == (4, 1, 3)
    assert_apart([train, validation, test])
    assert "test: 1 pairs left out (split_surplus)" in caplog.text
    assert "validation: 3 pairs left out (split_surplus)" in caplog.text


def test_fractions_keep_groups_whole() -> None:
    pairs = make_pairs([(f"q{row}", f"a{row}") for row in range(100)], focus=[f"topic{row // 4}" for row in range(100)])
    train, validation, test = frames(split_pairs(pairs, split(validation=0.05, test=0.29)))
    assert (len(train), len(validation), len(test)) == (68, 4, 28)
    train, validation, test = frames(split_pairs(pairs, split(train=0.5, validation=0.01, test=2)))
    assert (len(train), len(validation), len(test)) == (48, 4, 2)


def test_corpora_keep_their_shares() -> None:
    pairs = pd.concat([distinct(300, "big"), distinct(100, "small")], ignore_index=True)
    for part in frames(split_pairs(pairs, split(train=40, validation=8, test=80))):
        assert (part["corpus"] == "small").sum() * 4 == len(part)


def test_the_test_set_stays_when_other_sizes_change_and_differs_by_seed() -> None:
    pairs = distinct(60)
    test = split_pairs(pairs, split(train=10, test=20))[2]["id"]
    assert split_pairs(pairs, split(validation=9, test=20))[2]["id"] == test
    assert split_pairs(pairs, split(test=20, seed=1))[2]["id"] != test
    assert split_pairs(pairs, split(test=20))[2]["id"] == test


def test_the_draw_is_the_same_on_every_machine() -> None:
    parts = split_pairs(distinct(200), split(train=50, validation=20, test=40, seed=7))
    digest = hashlib.sha256("\n".join(identifier for part in parts for identifier in part["id"]).encode())
    assert digest.hexdigest()[:16] == "0a8b9fab5ab7fb50"


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"train": 6}, r"asks for test 3 \+ validation 2 \+ train 6 pairs, but only 10 were kept; .*set train to null"),
        ({"test": 8}, r"asks for test 8 \+ validation 2 pairs and some to train on, but only 10 were kept"),
        ({"train": 0.9}, "asks for test 3 .* but only 10 were kept"),
    ],
)
def test_more_pairs_asked_than_kept(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_pairs(distinct(10), split(**sizes))


def test_whole_groups_can_leave_too_few() -> None:
    pairs = make_pairs([(f"q{row}", f"a{row}") for row in range(10)], focus=["one topic"] * 10)
    with pytest.raises(InputError, match="No pair is left for training"):
        split_pairs(pairs, split(validation=0))
    with pytest.raises(InputError, match=r"split\.validation asks for 2 pairs, but whole groups leave 0"):
        split_pairs(pairs, split())


def test_arrow_dataset_saves_the_splits(tmp_path: Path) -> None:
    from med_lora.datasets import ArrowDataset

    for name, part in zip(("train", "validation", "test"), split_pairs(distinct(9), split(validation=0)), strict=True):
        dataset = ArrowDataset(filepath=str(tmp_path / name))
        dataset.save(part)
        assert dataset.load().to_pandas().equals(part.to_pandas())


CHOICES = st.sampled_from(["", "gout", "asthma", "stroke"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CHOICES, st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=40),
    st.integers(0, 8),
    st.integers(2, 8),
    st.integers(0, 3),
)
def test_splits_never_share_and_never_invent(
    rows: list[tuple[str, int, int]], validation: int, test: int, seed: int
) -> None:
    pairs = make_pairs([(f"q{question}", f"a{answer}") for _, question, answer in rows], focus=[row[0] for row in rows])
    try:
        parts = frames(split_pairs(pairs, split(validation=validation, test=test, seed=seed)))
    except InputError:
        return
    assert (len(parts[1]), len(parts[2])) == (validation, test)
    assert_apart(parts)
    for part in parts:
        original = pairs[pairs["id"].isin(part["id"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(part.drop(columns="group").astype("str"), original)
