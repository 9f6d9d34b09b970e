"""The passages that were shown with a question, as a reader is told of them."""

from __future__ import annotations

import pandas as pd


def cite_passages(pair: str, contexts: pd.DataFrame | None) -> str:
    """``[1] book, page; [2] ...`` for the passages of one question in their order; "" where it had none.

    Args:
        pair: id of the question.
        contexts: columns id, place and citation of the passages shown; None where no question had any.
    """
    if contexts is None:
        return ""
    shown = contexts[contexts["id"] == pair].sort_values("place")
    return "; ".join(f"[{place}] {citation}" for place, citation in zip(shown["place"], shown["citation"], strict=True))
