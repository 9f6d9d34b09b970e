"""Which rows make an optimiser step, and how a step is cut into what fits a forward pass."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise

from med_lora.parameters import HardwareParams, OptimisationParams

WINDOW = 50  # steps whose rows are sorted by length together: enough to pad little, few enough to keep mixing rows


def rows_of_steps(lengths: Sequence[int], recipe: OptimisationParams, epoch: int) -> list[list[int]]:
    """Row numbers of each optimiser step of an epoch, shortest row first within a step.

    The recipe, its seed and the epoch alone decide: not the ranks, nor the micro-batches. Every row occurs once. Rows
    that fill no whole step come last, so that a grouped epoch too ends with rows of any length.
    """
    size = recipe.effective_batch_size
    draw = random.Random(f"{recipe.seed} {epoch}")
    order = list(range(len(lengths)))
    draw.shuffle(order)
    whole = len(order) - len(order) % size
    steps = [order[start : start + size] for start in range(0, whole, size)]
    if recipe.batches == "grouped":
        windows = [order[start : min(start + WINDOW * size, whole)] for start in range(0, whole, WINDOW * size)]
        alike = [row for window in windows for row in sorted(window, key=lengths.__getitem__)]
        steps = [alike[start : start + size] for start in range(0, whole, size)]
        draw.shuffle(steps)
    rest = [order[whole:]] if whole < len(order) else []
    return [sorted(step, key=lengths.__getitem__) for step in steps + rest]


def micro_batches(step: Sequence[int], largest: int, ranks: int) -> list[list[int]]:
    """A step's rows in their order, cut evenly into as few micro-batches as hold at most ``largest`` rows each.

    Their number is a multiple of ``ranks``; where a short step has fewer rows than that, the last ones are empty.
    """
    count = ranks * math.ceil(len(step) / (largest * ranks))
    size, longer = divmod(len(step), count)
    starts = [number * size + min(number, longer) for number in range(count + 1)]
    return [list(step[start:end]) for start, end in pairwise(starts)]


def accumulation(recipe: OptimisationParams, hardware: HardwareParams, ranks: int = 1) -> int:
    """Micro-batches of one rank in a full optimiser step."""
    return math.ceil(recipe.effective_batch_size / (hardware.micro_batch_size * ranks))


def micro_batch_size(recipe: OptimisationParams, hardware: HardwareParams, ranks: int = 1) -> int:
    """Rows of the largest micro-batch."""
    return math.ceil(recipe.effective_batch_size / (accumulation(recipe, hardware, ranks) * ranks))


class MicroBatches:
    """A batch sampler: the row numbers of one rank's micro-batches in an epoch.

    Of each step's micro-batches, rank r takes those whose place is r modulo the ranks, so that all ranks make the
    same number of forward passes in a step.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        recipe: OptimisationParams,
        hardware: HardwareParams,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.lengths, self.recipe, self.rank, self.ranks = lengths, recipe, rank, ranks
        self.largest = hardware.micro_batch_size
        self.accumulation = accumulation(recipe, hardware, ranks)
        self.steps = math.ceil(len(lengths) / recipe.effective_batch_size)
        self.total_steps = math.ceil(self.steps * recipe.epochs)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self._plan = rows_of_steps(self.lengths, self.recipe, epoch)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._plan:
            yield from micro_batches(step, self.largest, self.ranks)[self.rank :: self.ranks]

    def __len__(self) -> int:
        last = len(self.lengths) - (self.steps - 1) * self.recipe.effective_batch_size
        return (self.steps - 1) * self.accumulation + math.ceil(last / (self.largest * self.ranks))

    def tokens(self, step: int) -> int:
        """Tokens of all ranks in the optimiser step that ends with step number ``step`` (from 1) of the run."""
        epoch, place = divmod(step - 1, self.steps)
        if epoch != self.epoch:
            self.set_epoch(epoch)
        return sum(self.lengths[row] for row in self._plan[place])
