"""Nested parameters by dotted key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(tree: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its dotted key, in the tree's order; a list and an empty mapping are values.

    Args:
        tree: nested mappings.
        above: what the keys begin with, such as ``training.``.
    """
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def is_seed(key: str) -> bool:
    """Whether a dotted key is that of a seed."""
    last = key.rpartition(".")[2]
    return last == "seed" or last.endswith("_seed")
