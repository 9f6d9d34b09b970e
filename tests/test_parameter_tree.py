"""Nested parameters by dotted key."""

from __future__ import annotations

import pytest

from med_lora.parameters.tree import is_seed, leaves


def test_lists_and_empty_mappings_are_values_in_the_order_of_the_tree() -> None:
    tree = {"training": {"lora": {"r": 4, "targets": ["q", "v"]}, "seed": 1}, "sweep": {"grid": {}}, "rerun_of": None}
    assert list(leaves(tree)) == [
        ("training.lora.r", 4),
        ("training.lora.targets", ["q", "v"]),
        ("training.seed", 1),
        ("sweep.grid", {}),
        ("rerun_of", None),
    ]


@pytest.mark.parametrize(
    ("key", "expected"),
    [("seed", True), ("training.optimisation.seed", True), ("data_seed", True), ("seeds", False), ("seed.size", False)],
)
def test_seed_is_known_by_the_last_part_of_its_key(key: str, expected: bool) -> None:
    assert is_seed(key) is expected
