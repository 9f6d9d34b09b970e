"""Training in two ranks, importable by the processes that run it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_lora.engine.fit import Fit
from tests.recipes import hardware

TWO = hardware(processes=2, micro_batch_size=2)
LAST = 12  # the last checkpoint before the run is cut off


@dataclass(frozen=True)
class Trained:
    result: Fit
    weights: Any


class CutOffError(Exception):
    """What ends a run on every rank while it saves a checkpoint."""


def train_whole_and_cut_off(job: tuple[Any, ...]) -> tuple[Trained, Trained]:
    """Of tokenizer, rows, recipe and folder: a whole run, and one that was cut off and goes on from its checkpoint."""
    from med_lora.engine import fit
    from med_lora.engine.best import BestWeights
    from med_lora.engine.checkpoints import Checkpoints
    from tests.engine.tiny import adapted, llama, make, trained

    tokenizer, train, validation, recipe, folder = job

    def run(checkpoints: Checkpoints | None = None) -> Trained:
        model = adapted(make(llama))
        result = fit(model, tokenizer, train, validation, recipe, TWO, checkpoints=checkpoints)
        return Trained(result, trained(model))

    save = BestWeights.save

    def fail(self: Any, checkpoint: Path) -> None:
        if checkpoint.name == f"checkpoint-{LAST + 1}":
            raise CutOffError
        save(self, checkpoint)

    whole = run()
    BestWeights.save = fail  # type: ignore[method-assign]
    try:
        with Checkpoints(folder, {}) as checkpoints:
            run(checkpoints)
    except CutOffError:
        BestWeights.save = save  # type: ignore[method-assign]
    with Checkpoints(folder, {}) as checkpoints:
        newest = checkpoints.newest()
        assert newest is not None
        assert newest.name == f"checkpoint-{LAST}"
        return whole, run(checkpoints)
