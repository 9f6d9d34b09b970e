from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from med_lora.errors import InputError
from med_lora.parameters import SplitParams
from med_lora.pipelines.data_engineering.grouping import group_pairs
from med_lora.pipelines.data_engineering.splitting import split_pairs
from med_lora.pipelines.data_engineering.text import comparison_key
from tests.pipelines.data_engineering import saved_draw
from tests.pipelines.data_engineering.conftest import make_pairs


def split(train: Any = None, validation: Any = 2, test: Any = 3, seed: int = 0, mode: Any = "group") -> SplitParams:
    return SplitParams(mode=mode, train=train, validation=validation, test=test, seed=seed)


def distinct(count: int, corpus: str = "c") -> pd.DataFrame:
    return make_pairs([(f"question {row} {corpus}?", f"answer {row} of {corpus}") for row in range(count)], corpus)


def boilerplate(count: int) -> pd.DataFrame:
    """Pairs with answers so similar to one another that only the bound on the size of groups keeps them apart."""
    shared = " ".join(f"word{number}" for number in range(40))
    return make_pairs([(f"question {row} about topic{row}", f"{shared} number{row}") for row in range(count)])


def frames(splits: tuple[Any, ...]) -> list[pd.DataFrame]:
    return [part.to_pandas() for part in splits[:3]]


def assert_apart(parts: list[pd.DataFrame]) -> None:
    """No id, group, focus, document, set of concepts, question or answer is in two parts."""
    for column in ("id", "group", "focus", "document", "concepts", "question", "answer"):
        keys = [{comparison_key(str(value)) for value in part[column]} - {""} for part in parts]
        for later, one in enumerate(keys):
            for other in keys[:later]:
                assert not one & other, column


@pytest.mark.parametrize(("train", "validation"), [(None, 3), (45, 3), (None, 0.1)])
def test_no_near_copy_of_a_test_pair_is_drawn(train: Any, validation: Any, caplog: pytest.LogCaptureFixture) -> None:
    pairs = pd.concat([boilerplate(45), distinct(60, "d")], ignore_index=True)
    numbers, refused = group_pairs(pairs)
    assert numbers.value_counts().head(3).tolist() == [20, 20, 5]
    with caplog.at_level(logging.INFO):
        *splits, unused = split_pairs(pairs, split(train=train, validation=validation, test=12))
    parts = frames(tuple(splits))
    assert len(refused) == 20 * 20 + 2 * 20 * 5
    assert f"{len(refused)} links between similar pairs were refused" in caplog.text
    in_test = parts[2]["id"].str.startswith("c:")
    assert in_test.sum() == 5
    assert not any(part["id"].str.startswith("c:").any() for part in parts[:2])
    left_out = re.findall(r"(\d+) pairs left out of (\w+), too similar to a test pair", caplog.text)
    assert sum(int(count) for count, _ in left_out) == (unused["reason"] == "near_test").sum() > 0
    sizes = [len(part) for part in parts]
    assert sum(sizes) + len(unused) == len(pairs)
    if train is None:
        assert set(unused["reason"]) == {"near_test"}
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
    with pytest.raises(InputError, match=r"needs 2 pairs at least; raise data_engineering\.split\.test"):
        split_pairs(distinct(20), split(test=size))


def test_counts_are_met_exactly_and_the_rest_is_for_training() -> None:
    train, validation, test, unused = split_pairs(distinct(20), split())
    assert list(unused.columns) == ["id", "corpus", "reason"]
    assert unused.empty
    assert (len(train), len(validation), len(test)) == (15, 2, 3)
    assert train.column_names == [*distinct(1).columns, "group"]
    assert str(train.features["group"].dtype) == "int64"
    assert train["id"] == sorted(train["id"])


def test_a_count_is_met_by_cutting_the_last_group(caplog: pytest.LogCaptureFixture) -> None:
    pairs = make_pairs([(f"q{row}", f"a{row}") for row in range(12)], focus=[f"topic{row // 4}" for row in range(12)])
    with caplog.at_level(logging.INFO):
        *splits, unused = split_pairs(pairs, split(validation=1, test=3))
    train, validation, test = frames(tuple(splits))
    assert unused["reason"].tolist() == ["split_surplus"] * 4
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


def test_the_publishers_of_a_corpus_keep_their_shares() -> None:
    pairs = distinct(400)
    pairs["source"] = ["NIDDK" if row % 4 == 0 else "GHR" for row in range(400)]
    for mode in ("group", "random"):
        for part in frames(split_pairs(pairs, split(train=40, validation=8, test=80, mode=mode))):
            assert (part["source"] == "NIDDK").sum() * 4 == len(part)


def test_counts_are_met_exactly_with_a_publisher_a_pair() -> None:
    pairs = distinct(60)
    pairs["source"] = [f"publisher {row}" for row in range(60)]
    assert [len(part) for part in frames(split_pairs(pairs, split(train=20, validation=7, test=13)))] == [20, 7, 13]


def test_the_test_set_stays_when_other_sizes_change_and_differs_by_seed() -> None:
    pairs = distinct(60)
    test = split_pairs(pairs, split(train=10, test=20))[2]["id"]
    assert split_pairs(pairs, split(validation=9, test=20))[2]["id"] == test
    assert split_pairs(pairs, split(test=20, seed=1))[2]["id"] != test
    assert split_pairs(pairs, split(test=20))[2]["id"] == test


def test_the_draw_is_the_same_on_every_machine() -> None:
    parts = split_pairs(distinct(200), split(train=50, validation=20, test=40, seed=7))[:3]
    digest = hashlib.sha256("\n".join(identifier for part in parts for identifier in part["id"]).encode())
    assert digest.hexdigest()[:16] == "3c2c1c30c3a8149b"


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

    for name, part in zip(("train", "validation", "test"), split_pairs(distinct(9), split(validation=0)), strict=False):
        dataset = ArrowDataset(filepath=str(tmp_path / name))
        dataset.save(part)
        assert dataset.load().to_pandas().equals(part.to_pandas())


CHOICES = st.sampled_from(["", "gout", "asthma", "stroke"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CHOICES, st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=40),
    st.none() | st.integers(1, 9),
    st.integers(0, 8),
    st.integers(2, 8),
    st.integers(0, 3),
)
def test_splits_never_share_and_never_invent(
    rows: list[tuple[str, int, int]], train: int | None, validation: int, test: int, seed: int
) -> None:
    pairs = make_pairs([(f"q{question}", f"a{answer}") for _, question, answer in rows], focus=[row[0] for row in rows])
    try:
        *splits, unused = split_pairs(pairs, split(train, validation, test, seed))
    except InputError:
        return
    parts = frames(tuple(splits))
    assert (len(parts[1]), len(parts[2])) == (validation, test)
    assert_apart(parts)
    assert sorted(pd.concat([*parts, unused])["id"]) == pairs["id"].tolist()
    assert set(unused["reason"]) <= {"split_surplus", "not_needed", "near_test", "near_validation"}
    for part in parts:
        original = pairs[pairs["id"].isin(part["id"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(part.drop(columns="group").astype("str"), original)


def test_pairs_that_are_not_needed_are_listed() -> None:
    *splits, unused = split_pairs(distinct(20), split(train=5))
    assert unused["reason"].tolist() == ["not_needed"] * 10
    assert not set(unused["id"]) & {identifier for part in splits for identifier in part["id"]}


def test_similar_pairs_kept_in_different_groups_straddle_no_split() -> None:
    pairs = pd.concat([boilerplate(45), distinct(60, "d")], ignore_index=True)
    rows = {identifier: row for row, identifier in enumerate(pairs["id"])}
    refused = group_pairs(pairs).refused
    reasons: set[str] = set()
    for test in (2, 12):
        *splits, unused = split_pairs(pairs, split(validation=12, test=test))
        parts = [{rows[identifier] for identifier in part["id"]} for part in splits]
        for one, other in combinations(parts, 2):
            assert not [link for link in refused if set(link) & one and set(link) & other]
        reasons |= set(unused["reason"])
    assert reasons == {"near_test", "near_validation"}


def test_random_splits_are_exact_stratified_and_ignore_groups() -> None:
    pairs = pd.concat([distinct(300, "big"), distinct(100, "small")], ignore_index=True)
    pairs["focus"] = [f"topic{row % 3}" for row in range(400)]
    *splits, unused = split_pairs(pairs, split(train=0.5, validation=40, test=0.2, mode="random"))
    train, validation, test = frames(tuple(splits))
    assert (len(train), len(validation), len(test)) == (200, 40, 80)
    assert unused["reason"].tolist() == ["not_needed"] * 80
    for part in (train, validation, test):
        assert (part["corpus"] == "small").sum() * 4 == len(part)
        assert set(part["group"]) == {0, 1, 2}
    again = split_pairs(pairs, split(train=0.5, validation=40, test=0.2, mode="random", seed=1))
    assert again[2]["id"] != test["id"].tolist()


def test_the_saved_bytes_do_not_depend_on_the_order_of_sets(tmp_path: Path, root: Path) -> None:
    pairs = tmp_path / "pairs.parquet"
    pd.concat([boilerplate(45), distinct(60, "d")], ignore_index=True).to_parquet(pairs)
    saved_draw.save_draw(str(pairs), str(tmp_path / "here"))
    other_seed = "1" if os.environ.get("PYTHONHASHSEED") == "0" else "0"
    subprocess.run(
        [sys.executable, saved_draw.__file__, pairs, tmp_path / "there"],
        env={**os.environ, "PYTHONHASHSEED": other_seed, "PYTHONPATH": f"{root}/src"},
        check=True,
    )
    here, there = (
        [(tmp_path / place / name / "data.arrow").read_bytes() for name in ("train", "validation", "test")]
        for place in ("here", "there")
    )
    assert here == there
    assert min(map(len, here)) > 1000
