"""Sums for perplexities as publications compute them, kept to be shown beside the sound one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

BATCH = 4  # rows of a batch in the study of GPT-2 on medical terms; the machine's batches would change the figures
PADDING_COUNTED, MEAN_OF_BATCHES = "padding_counted", "mean_of_batches"


def published_padding(lengths: Sequence[int], ids: Sequence[str]) -> list[int]:
    """Padding tokens behind each row, where batches of ``BATCH`` rows in order of their ids are padded to the longest.

    Args:
        lengths: tokens of each row.
        ids: its pair's id.
    """
    batches = _number_batches(ids)
    longest = pd.Series(lengths).groupby(batches).transform("max")
    return [int(width) - length for width, length in zip(longest, lengths, strict=True)]


def tabulate_batches(losses: pd.DataFrame, sums: Sequence[float], positions: Sequence[int]) -> pd.DataFrame:
    """Totals of the batches of :func:`published_padding`.

    Args:
        losses: columns id, tokens and nll, over the answers alone.
        sums: of each row, the cross-entropy in nats of everything in it but its first token: prompt, answer and
            padding, as where the labels are a copy of the padded input ids.
        positions: how many tokens that is.

    Returns:
        Columns variant, batch (from 0), tokens and nll (sum over them, nats). Variant ``mean_of_batches`` counts answer
        tokens, for means that weight every batch alike; ``padding_counted`` counts all positions.
    """
    batches = _number_batches(list(losses["id"]))
    parts = {
        MEAN_OF_BATCHES: losses[["tokens", "nll"]].reset_index(drop=True),
        PADDING_COUNTED: pd.DataFrame({"tokens": list(positions), "nll": list(sums)}),
    }
    tables = [
        part.groupby(batches).sum().rename_axis("batch").reset_index().assign(variant=variant)
        for variant, part in parts.items()
    ]
    return pd.concat(tables, ignore_index=True)[["variant", "batch", "tokens", "nll"]]


def _number_batches(ids: Sequence[str]) -> pd.Series:
    places = np.empty(len(ids), dtype=np.int64)
    places[np.argsort(np.asarray(ids, dtype=object), kind="stable")] = np.arange(len(ids))
    return pd.Series(places // BATCH)
