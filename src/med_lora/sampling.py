"""The draw of test pairs that are judged or rated."""

from __future__ import annotations

import hashlib

import pandas as pd


def draw_pairs(pairs: pd.DataFrame, count: int, seed: int) -> list[str]:
    """Ids of ``count`` pairs, drawn by a hash of seed and id: neither the order of the rows nor the answers matter.

    Pairs of one group are not independent, so a group gives its second pair only when every group has given one. A
    larger count keeps the smaller draw.

    Args:
        pairs: columns id and group.
        count: pairs to draw; all where there are fewer.
        seed: of the draw.
    """
    drawn = pairs.assign(draw=[hashlib.sha256(f"{seed}:{pair}".encode()).hexdigest() for pair in pairs["id"]])
    drawn = drawn.sort_values("draw")
    turn = drawn.groupby("group").cumcount()
    return list(drawn.assign(turn=turn).sort_values(["turn", "draw"])["id"][:count])
