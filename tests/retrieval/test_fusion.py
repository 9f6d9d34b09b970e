"""Rankings: the best of scores with ties by place, and reciprocal-rank fusion."""

from __future__ import annotations

import numpy as np
import pytest

from med_lora.retrieval.fusion import fuse, rank_scores


def test_the_best_scores_come_first_and_the_lower_place_decides_ties() -> None:
    places, scores = np.array([4, 9, 2, 7, 5]), np.array([0.5, 0.5, 0.9, 0.5, 0.1])
    assert rank_scores(places, scores, 3) == [(2, 0.9), (4, 0.5), (7, 0.5)]
    assert rank_scores(places, scores, 1) == [(2, 0.9)]


def test_more_asked_for_than_there_are_gives_all() -> None:
    assert rank_scores(np.array([1, 0]), np.array([0.2, 0.2]), 9) == [(0, 0.2), (1, 0.2)]
    assert rank_scores(np.array([], dtype=np.int64), np.array([]), 9) == []


def test_ranking_equals_a_full_sort_of_many_ties() -> None:
    random = np.random.default_rng(0)
    for count in (1, 3, 17, 50):
        scores = random.integers(0, 6, 50) / 4
        expected = sorted(enumerate(scores.tolist()), key=lambda item: (-item[1], item[0]))[:count]
        assert rank_scores(np.arange(50), scores, count) == expected


def test_fusion_sums_reciprocal_ranks_by_hand() -> None:
    fused = fuse([[7, 3, 5], [3, 8]])
    assert [place for place, _ in fused] == [3, 7, 8, 5]
    assert [score for _, score in fused] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63], abs=1e-15)


def test_fusion_breaks_ties_by_place_whatever_the_order_of_rankings() -> None:
    assert fuse([[9, 4], [4, 9]]) == fuse([[4, 9], [9, 4]])
    assert [place for place, _ in fuse([[9, 4], [4, 9]])] == [4, 9]


def test_k_decides_between_one_good_rank_and_two_fair_ones() -> None:
    rankings = [[1, 2, 3], [4, 5, 3]]
    assert fuse(rankings, k=60)[0][0] == 3
    assert fuse(rankings, k=0)[0][0] == 1


def test_nothing_found_by_either_is_nothing() -> None:
    assert fuse([[], []]) == []
    assert fuse([[], [2]]) == [(2, pytest.approx(1 / 61))]
