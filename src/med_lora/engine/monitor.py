"""What is watched while a model trains."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from med_lora.engine.losses import mean_loss
from med_lora.engine.rows import Row
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, OptimisationParams

logger = logging.getLogger(__name__)


def validation_steps(steps: int, evaluations: int) -> set[int]:
    """The steps, evenly spaced up to the last, after which the validation loss is taken; step 0 comes on top."""
    return {max(1, round(number * steps / evaluations)) for number in range(1, evaluations + 1)}


def make_monitor(
    model: Any, validation: Sequence[Row], recipe: OptimisationParams, hardware: HardwareParams, tokenizer: Any
) -> Any:
    from tqdm.auto import tqdm
    from transformers import TrainerCallback

    class Monitor(TrainerCallback):  # type: ignore[misc]
        """Records the losses, draws the progress bar, and stops a run whose loss is no longer a number."""

        def __init__(self) -> None:
            self.rows: list[tuple[int, float, str, float]] = []
            self.bar: Any = None

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar = tqdm(total=state.max_steps, desc="training", unit="step", disable=None)
            self.due = validation_steps(state.max_steps, recipe.evaluations)
            self._validate(state)

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar.update()
            if state.global_step in self.due:
                self._validate(state)

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            logs: dict[str, float] = kwargs["logs"]
            if "loss" not in logs:
                return
            if not math.isfinite(logs["loss"]):
                raise InputError(
                    f"The training loss became {logs['loss']} at step {state.global_step}: lower "
                    "optimisation.learning_rate or optimisation.max_grad_norm; no adapter was saved."
                )
            self._record(state, "train_loss", logs["loss"])
            self._record(state, "learning_rate", logs["learning_rate"])
            self.bar.set_postfix(loss=f"{logs['loss']:.3f}")

        def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.bar.close()

        def _validate(self, state: Any) -> None:
            if validation:
                loss = mean_loss(model, validation, tokenizer.pad_token_id, hardware.inference_batch_size)
                self._record(state, "validation_loss", loss)
                logger.info("Step %d of %d: validation loss %.4f.", state.global_step, state.max_steps, loss)

        def _record(self, state: Any, metric: str, value: float) -> None:
            self.rows.append((state.global_step, float(state.epoch or 0.0), metric, value))

    return Monitor()
