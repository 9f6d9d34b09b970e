"""What the parts of a training step take, by the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from med_lora.engine.losses import LabelLoss
from med_lora.engine.rows import Row, collate, pack
from med_lora.engine.time_model import cut_to
from med_lora.parameters import HardwareParams, OptimisationParams

ROUNDS = 3  # timed at least, after one that is not
ENOUGH = 1.0  # seconds of timing up to which further rounds follow
LIMIT = 10.0  # seconds after which none does, even if they were fewer
SLOW = 30.0  # seconds from which on the first round counts, and no other follows: what is fetched in it is little then

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timed:
    """Median seconds: forward and backward pass of each training batch, forward pass of each validation batch, and the
    optimiser's step."""

    training: list[float]
    validation: list[float]
    update: float


def time_parts(
    model: Any,
    depths: Sequence[int],
    training: Sequence[Sequence[Row]],
    validation: Sequence[Sequence[Row]],
    recipe: OptimisationParams,
    hardware: HardwareParams,
    clock: Clock,
) -> list[Timed]:
    """Median seconds of the parts of training ``model``, whose weights move, cut to each depth.

    Depths and parts take turns, so that other work on the machine meets each alike.

    Args:
        model: on its device, in training mode.
        depths: numbers of its first decoder layers.
        training: rows of the micro-batches to time, at least one.
        validation: rows of the validation batches to time.
        recipe: of the optimiser's step.
        hardware: precision and packing.
        clock: seconds.
    """
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
    passes = _Passes(model, hardware)

    def update() -> None:
        torch.nn.utils.clip_grad_norm_(weights, recipe.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()

    train: list[Callable[[], None]] = [*(partial(passes.train, rows) for rows in training), update]
    validate: list[Callable[[], None]] = [partial(passes.validate, rows) for rows in validation]
    # one after the other, as they differ in size and the memory that the larger gives back has to be fetched anew
    trained, validated = (_medians(parts, model, depths, clock) for parts in (train, validate))
    return [Timed(one[:-1], other, one[-1]) for one, other in zip(trained, validated, strict=True)]


def _medians(parts: Sequence[Callable[[], None]], model: Any, depths: Sequence[int], clock: Clock) -> list[list[float]]:
    """Median seconds of each part at each depth."""
    import numpy as np

    if not parts:
        return [[] for _ in depths]
    rounds: list[list[list[float]]] = []
    began = clock()
    while _is_wanting(len(rounds), clock() - began):
        rounds.append([])
        for depth in depths:
            with cut_to(model, depth):
                rounds[-1].append([_seconds(part, model.device, clock) for part in parts])
    return np.median(rounds[1:] or rounds, axis=0).tolist()  # type: ignore[no-any-return]


def _is_wanting(rounds: int, spent: float) -> bool:
    """Whether a further round is to follow so many."""
    if rounds < 2:
        return rounds == 0 or spent < SLOW
    return spent < LIMIT and (rounds <= ROUNDS or spent < ENOUGH)


class _Passes:
    """One batch through the model, as the trainer takes it: collated, moved, under autocast, with the run's loss."""

    def __init__(self, model: Any, hardware: HardwareParams) -> None:
        import torch

        self.model, self.hardware, self.loss = model, hardware, LabelLoss(model)
        self.half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(hardware.precision)

    def train(self, rows: Sequence[Row]) -> None:
        packed = self.hardware.packing
        batch = pack(rows, 0, self.hardware.attention == "flash_attention_2") if packed else collate(rows, 0)
        (self._sum(batch) / sum(len(row["input_ids"]) for row in rows)).float().backward()

    def validate(self, rows: Sequence[Row]) -> None:
        import torch

        self.model.eval()
        with torch.no_grad():
            self._sum(collate(rows, 0))
        self.model.train()

    def _sum(self, batch: dict[str, Any]) -> Any:
        import torch

        device = self.model.device
        inputs = {name: tensor.to(device) for name, tensor in batch.items()}
        with torch.autocast(device.type, self.half, enabled=self.half is not None):
            return self.loss(self.model, inputs)[0]


def _seconds(part: Callable[[], None], device: Any, clock: Clock) -> float:
    import torch

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    began = now()
    part()
    return now() - began
