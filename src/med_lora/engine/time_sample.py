"""Which batches of a run are timed, and what they tell of the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

from med_lora.engine.batches import MicroBatches
from med_lora.engine.rows import Row

TRAINING, VALIDATION = 5, 2  # batches that are timed


class Sample:
    """Batches of which a few are timed, from the smallest to the largest, evenly spread; times of the others follow by
    their size.

    Attributes:
        batches: rows of each.
        sizes: tokens of each, padding included.
        chosen: batches to time.
        known: tokens of these.
    """

    def __init__(self, batches: Sequence[Sequence[Row]], most: int, packed: bool) -> None:
        """Choose at most ``most`` of ``batches``; with ``packed`` their rows share packed rows."""
        self.batches, self._packed = batches, packed
        self.sizes = [size_of(batch, packed) for batch in batches]
        order = sorted(range(len(batches)), key=self.sizes.__getitem__)
        places = sorted({round(point * (len(order) - 1) / (most - 1)) for point in range(most)}) if order else []
        chosen = {self.sizes[order[place]]: batches[order[place]] for place in places}
        self.known, self.chosen = list(chosen), list(chosen.values())

    def at_ends(self) -> Sample:
        """Of the same batches, the smallest and the largest alone."""
        return Sample(self.batches, 2, self._packed)

    def mean(self, seconds: Sequence[float]) -> float:
        """Mean seconds of all batches by those of the chosen ones; 0 where there are no batches."""
        import numpy as np

        return float(np.interp(self.sizes, self.known, seconds).mean()) if self.batches else 0.0


def size_of(batch: Sequence[Row], packed: bool) -> int:
    """Tokens of a batch's tensor, padding included; about so many where rows share packed rows."""
    lengths = [len(row["input_ids"]) for row in batch]
    longest = max(lengths)
    return math.ceil(sum(lengths) / longest) * longest if packed else len(lengths) * longest


def sample_training(train: Sequence[Row], plan: MicroBatches, packed: bool) -> Sample:
    """Of the micro-batches of one rank's epoch."""
    return Sample([[train[index] for index in micro_batch] for micro_batch in plan if micro_batch], TRAINING, packed)


def sample_validation(rows: Sequence[Row], batch_size: int, rank: int, ranks: int) -> Sample:
    """Of one rank's validation batches, as :func:`med_lora.engine.losses.measure` makes them."""
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    batches = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    return Sample(batches[rank::ranks], VALIDATION, packed=False)
