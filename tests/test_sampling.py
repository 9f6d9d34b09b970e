"""The draw of pairs for judge and people."""

from __future__ import annotations

import pandas as pd

from med_lora.sampling import draw_pairs

PAIRS = pd.DataFrame({"id": [f"p{number}" for number in range(12)], "group": [number // 3 for number in range(12)]})


def test_a_group_gives_its_second_pair_only_after_every_group_has_given_one() -> None:
    groups = PAIRS.set_index("id")["group"]
    assert set(groups[draw_pairs(PAIRS, 4, 1)]) == {0, 1, 2, 3}
    assert sorted(groups[draw_pairs(PAIRS, 8, 1)]) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_larger_draw_keeps_the_smaller_one_and_row_order_does_not_matter() -> None:
    shuffled = PAIRS.sample(frac=1, random_state=3)
    assert draw_pairs(PAIRS, 7, 5) == draw_pairs(shuffled, 9, 5)[:7]
    assert draw_pairs(PAIRS, 100, 5) == draw_pairs(PAIRS, 12, 5)
    assert draw_pairs(PAIRS, 7, 5) != draw_pairs(PAIRS, 7, 6)
