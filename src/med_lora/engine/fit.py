"""One training run in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from med_lora.engine.monitor import make_monitor
from med_lora.engine.rows import Row
from med_lora.engine.sft import make_trainer
from med_lora.errors import InputError
from med_lora.hardware import prepare_device
from med_lora.parameters import HardwareParams, OptimisationParams

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """What a training run leaves beside the changed model.

    Attributes:
        history: columns step, epoch, metric (train_loss, validation_loss, learning_rate) and value; losses in nats
            a token.
        seconds: wall-clock time of the training loop, validation included.
        tokens: tokens of the training rows that were passed through the model.
    """

    history: pd.DataFrame
    seconds: float
    tokens: int


def fit(
    model: Any,
    tokenizer: Any,
    train: Sequence[Row],
    validation: Sequence[Row],
    recipe: OptimisationParams,
    hardware: HardwareParams,
) -> Fit:
    """Train ``model`` in place by the recipe; the hardware decides only how a batch is cut into micro-batches.

    Raises:
        InputError: if there is nothing to train on, or the loss stops being finite.
    """
    if not train:
        raise InputError("The training set is empty: choose another corpus or a smaller validation and test split.")
    device = prepare_device(hardware)
    model.to(device)
    monitor = make_monitor(model, validation, recipe, hardware, tokenizer)
    with TemporaryDirectory() as folder:
        trainer = make_trainer(model, tokenizer, train, recipe, hardware, folder)
        trainer.add_callback(monitor)
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    history = pd.DataFrame(monitor.rows, columns=["step", "epoch", "metric", "value"])
    tokens = round(sum(len(row["input_ids"]) for row in train) * recipe.epochs)
    logger.info("Trained %d rows, %d tokens in %.1f s (%.0f tokens/s).", len(train), tokens, seconds, tokens / seconds)
    return Fit(history, seconds, tokens)
