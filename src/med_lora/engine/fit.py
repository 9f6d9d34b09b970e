"""One training run in this process, alone or as one rank of several."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from med_lora.engine.disk import told_if_full
from med_lora.engine.machines import wait_for_all_ranks
from med_lora.engine.monitor import Finished, Probe, make_monitor
from med_lora.engine.packing import check_packing
from med_lora.engine.rows import Row, check_labels
from med_lora.engine.sft import forward_as_found, make_trainer
from med_lora.errors import InputError
from med_lora.hardware import prepare_device
from med_lora.models.initialisation import save_adapter
from med_lora.parameters import HardwareParams, OptimisationParams

if TYPE_CHECKING:
    from med_lora.engine.checkpoints import Checkpoints

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """What a training run leaves beside the changed model.

    Attributes:
        history: columns step, epoch, metric and value: train_loss, learning_rate and gradient_norm of every step;
            validation_loss, validation_token_accuracy and validation_perplexity at step 0 and at the validations; what
            a probe measures at step 0 and after each epoch.
            Losses are in nats a label token, of a training step over its whole effective batch.
        seconds: wall-clock time of the training loop, validation and checkpoints included; of a run that was cut off,
            that up to the checkpoint it went on from too.
        tokens: tokens of the training rows that were passed through the model.
        step: the step whose weights were kept; 0 if no step lowered the validation loss.
    """

    history: pd.DataFrame
    seconds: float
    tokens: int
    step: int


def fit(
    model: Any,
    tokenizer: Any,
    train: Sequence[Row],
    validation: Sequence[Row],
    recipe: OptimisationParams,
    hardware: HardwareParams,
    *,
    checkpoints: Checkpoints | None = None,
    watch: Callable[[int, float], None] | None = None,
    save_to: Path | None = None,
    probe: Probe | None = None,
) -> Fit:
    """Train ``model`` in place by the recipe; the hardware decides only how a batch is cut into micro-batches.

    Args:
        checkpoints: where the run saves its state and goes on from; none writes nothing.
        watch: called with the step and the validation loss on rank 0; it may raise to stop the run.
        save_to: folder into which rank 0 saves the kept weights, the adapter or the whole model.
        probe: called with the model on every rank before training, at the end of every epoch and of training; its
            figures enter the history as validation_<metric>.

    Raises:
        InputError: if the rows, the recipe or the hardware cannot be trained with, a loss or gradient norm stops being
            finite, or the disk is full.
    """
    _check(model, train, validation, recipe, hardware)
    resumed = checkpoints.newest() if checkpoints is not None else None
    with TemporaryDirectory() as temporary, _left_as_found(model):
        folder = checkpoints.folder if checkpoints is not None else temporary
        trainer = make_trainer(model, tokenizer, train, recipe, hardware, str(folder))
        monitor = make_monitor(
            trainer, tokenizer.pad_token_id, validation, recipe, hardware, checkpoints, watch, resumed, probe
        )
        trainer.add_callback(monitor)
        if checkpoints is not None:
            trainer.saving = checkpoints.saving
        _train(trainer, monitor, resumed)
        result = _result(monitor, trainer, recipe)
        if save_to is not None:
            _save(trainer, save_to)
    return result


def _check(
    model: Any, train: Sequence[Row], validation: Sequence[Row], recipe: OptimisationParams, hardware: HardwareParams
) -> None:
    prepare_device(hardware)
    if not train:
        raise InputError("The training set is empty: choose another corpus or a smaller validation and test split.")
    check_labels(train, "training")
    check_labels(validation, "validation")
    needs = "keep: best" if recipe.keep == "best" else "patience" if recipe.patience is not None else None
    if needs and not validation:
        raise InputError(
            f"optimisation.{needs} goes by the validation loss and there are no validation rows; unset it."
        )
    if hardware.packing:
        check_packing(model, recipe, hardware)


def _train(trainer: Any, monitor: Any, resumed: Path | None) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    except Finished:
        logger.info("The newest checkpoint is of the last step: nothing is left to train.")
    finally:
        monitor.close()


def _result(monitor: Any, trainer: Any, recipe: OptimisationParams) -> Fit:
    record, step = monitor.record, trainer.state.global_step
    seconds = monitor.seconds()
    if recipe.keep == "best":
        monitor.best.put_back()
        step = record.best_step
        logger.info("Kept the weights of step %d: validation loss %.4f.", step, record.best_loss)
    logger.info("Trained on %d tokens in %.1f s (%.0f tokens/s).", record.tokens, seconds, record.tokens / seconds)
    history = pd.DataFrame(record.rows, columns=["step", "epoch", "metric", "value"])
    return Fit(history, seconds, record.tokens, step)


def _save(trainer: Any, folder: Path) -> None:
    """Rank 0 saves the adapter, or the whole model; a sharded one is gathered first."""
    sharded = trainer.is_fsdp_enabled
    state = trainer.accelerator.get_state_dict(trainer.model) if sharded else None  # all ranks take part
    if trainer.is_world_process_zero():
        lost = (
            f"the trained weights could not be saved in {folder}; free some space and run again, which goes on from "
            "the newest checkpoint where there is one"
        )
        with told_if_full(folder.parent, lost):
            save_adapter(trainer.accelerator.unwrap_model(trainer.model), folder, state)
    wait_for_all_ranks()


@contextmanager
def _left_as_found(model: Any) -> Iterator[None]:
    """The weights change, and nothing else that training sets on a model stays."""
    use_cache, embeddings = model.config.use_cache, model.get_input_embeddings()
    hooks, noise = dict(embeddings._forward_hooks), vars(embeddings).get("neftune_noise_alpha")
    try:
        with forward_as_found(model):
            yield
    finally:
        model.config.use_cache = use_cache
        if model.is_gradient_checkpointing:
            model.gradient_checkpointing_disable()
        # gradient checkpointing leaves its hooks there, and NEFTune its own where training does not reach its end
        embeddings._forward_hooks.clear()
        embeddings._forward_hooks.update(hooks)
        vars(embeddings).pop("neftune_noise_alpha", None)
        if noise is not None:
            embeddings.neftune_noise_alpha = noise
