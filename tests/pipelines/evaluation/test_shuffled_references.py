"""The control that answers with the reference of another pair."""

from __future__ import annotations

import pandas as pd
import pytest

from med_lora.pipelines.evaluation.controls.texts import shuffle_references

from .pairs import make_pairs


def shuffle(pairs: pd.DataFrame, seed: int) -> list[str]:
    return [texts[0] for texts in shuffle_references(pairs, seed)]


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


def test_the_next_references_are_of_other_groups_too() -> None:
    pairs = make_pairs(12).assign(group=[0] * 6 + [1] * 3 + [2] * 3)
    group_of = dict(zip(pairs["answer"], pairs["group"], strict=True))
    for own, texts in zip(pairs["group"], shuffle_references(pairs, 0), strict=True):
        assert len(texts) == len(set(texts)) == 4
        assert own not in {group_of[text] for text in texts}
