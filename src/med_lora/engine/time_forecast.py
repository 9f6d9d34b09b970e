"""The time a training run will take, known before any weights are read."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from med_lora.engine.batches import MicroBatches
from med_lora.engine.memory import release_gpu_memory
from med_lora.engine.monitor import validated_steps
from med_lora.engine.rows import Row
from med_lora.engine.time_measure import LIMIT, Clock, time_parts
from med_lora.engine.time_model import build_first_layers, depths_to_time, from_config, shorten
from med_lora.engine.time_sample import sample_training, sample_validation
from med_lora.hardware import prepare_device
from med_lora.parameters import HardwareParams, ModelParams, TrainingParams

logger = logging.getLogger(__name__)

SHORT = 20.0  # seconds of training below which no forecast is worth its own time
# For that comparison alone, as rough as that: operations a second of a slow device of the kind, and what starting a
# forward and backward pass takes.
OPERATIONS = {"cpu": 1e11, "cuda": 1e14}
START = 0.01


@dataclass(frozen=True)
class TimeForecast:
    """Seconds that training will take, and what they follow from.

    Attributes:
        steps: optimiser steps.
        step: seconds of one, in the mean.
        validations: validation losses, the one before training included.
        validation: seconds of one.
        depths: numbers of decoder layers that were timed.
        layers: of the model.
        training: the settings.
        model: the settings.
        ranks: processes in all.
    """

    steps: int
    step: float
    validations: int
    validation: float
    depths: list[int]
    layers: int
    training: TrainingParams
    model: ModelParams
    ranks: int

    @property
    def seconds(self) -> float:
        """Of the whole run."""
        return self.steps * self.step + self.validations * self.validation

    @property
    def sentence(self) -> str:
        """What it will take, how that was found, and what is not in it."""
        parts = f"{self.steps} steps of {self.step:.3g} s"
        if self.validations:
            parts += f" and {self.validations} validations of {self.validation:.3g} s"
        timed = _join(self.depths)
        kind = "NF4 layers in the place of GPTQ's, " if self.model.quantisation == "gptq" else ""
        return (
            f"Training will take about {describe_seconds(self.seconds)} from its first step, without {self.left_out}: "
            f"{parts}, by timing {timed} of {self.layers} layers ({kind}random weights)."
        )

    @property
    def left_out(self) -> str:
        """What the run spends time on that is not in it."""
        parts = ["checkpoints"]
        parts += ["the answers after each epoch"] if self.training.epoch_answers else []
        parts += ["what processes exchange"] if self.ranks > 1 else []
        return " and ".join(parts)


def describe_seconds(seconds: float) -> str:
    """A duration in the unit in which it is read."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def tell_time(
    config: Any,
    model: ModelParams,
    training: TrainingParams,
    hardware: HardwareParams,
    train: Sequence[Row],
    validation: Sequence[Row],
) -> TimeForecast | None:
    """Log the forecast of this run, or why there is none; never stops one. Ranks call it together, as they will train.

    Random state and thread settings stay as training will find them without it.

    Returns:
        The forecast; None for a run too short to need one, and where none can be made.
    """
    found: TimeForecast | None = None
    try:
        found = forecast_time(config, model, training, hardware, train, validation)
        if found is None:
            return None
        logger.info("%s", found.sentence)
    except Exception as error:  # of a model unlike others, or memory: what stops the run itself comes again there
        reason = str(error).strip().partition("\n")[0].rstrip(".") or "no reason was given"
        logger.warning("No forecast of time: %s (%s).", reason, type(error).__name__)
    gc.collect()  # hooks hold the model in a circle
    release_gpu_memory()
    return found


def forecast_time(
    config: Any,
    model: ModelParams,
    training: TrainingParams,
    hardware: HardwareParams,
    train: Sequence[Row],
    validation: Sequence[Row],
    clock: Clock = time.perf_counter,
) -> TimeForecast | None:
    """The time of this rank's share, from steps of a model of the first layers and random weights.

    Takes seconds on a GPU, and on a CPU minutes where a step does.

    It is timed with one layer and with two; what the layers beyond take comes from the difference. Micro-batches of the
    run's own plan are timed, the smallest, the largest and some between; the others' times are interpolated by size.

    Args:
        config: transformers' configuration of the base model.
        model: its quantisation.
        training: method, adapter and recipe.
        hardware: device, precision, micro-batches.
        train: rows to train on, at least one.
        validation: rows for the validation losses.
        clock: seconds.

    Returns:
        None where training takes less than about ``SHORT`` seconds.

    Raises:
        ValueError: for a model whose layers do not repeat, or times that do not grow with them.
    """
    import torch

    rank, ranks = _place()
    recipe = training.optimisation
    plan = MicroBatches([len(row["input_ids"]) for row in train], recipe, hardware, rank, ranks)
    batches = sample_training(train, plan, hardware.packing)
    checked = sample_validation(validation, hardware.inference_batch_size, rank, ranks)
    with torch.device("meta"):
        whole = from_config(shorten(config), torch.float32)
        if _roughly(whole, batches.sizes, hardware) * plan.total_steps / plan.steps < SHORT:
            return None
        depths, layers = depths_to_time(whole)
        cut = from_config(shorten(config, depths[-1]), torch.float32)
    if len(depths) * _roughly(cut, batches.known, hardware) > LIMIT:
        batches = batches.at_ends()
    logger.info("Timing %s of %d layers, to forecast the time of training.", _join(depths), layers)
    device = prepare_device(hardware)
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        first = build_first_layers(config, depths[-1], model, training, hardware, device)
        timed = time_parts(first, depths, batches.chosen, checked.chosen, recipe, hardware, clock)
    micro_batches = len(batches.batches) / plan.steps
    step = [batches.mean(of.training) * micro_batches + of.update for of in timed]
    one = [checked.mean(of.validation) * len(checked.batches) for of in timed]
    return TimeForecast(
        steps=plan.total_steps,
        step=_extrapolate(step, depths, layers),
        validations=len(validated_steps(plan.total_steps, recipe.evaluations)) + 1 if validation else 0,
        validation=_extrapolate(one, depths, layers),
        depths=depths,
        layers=layers,
        training=training,
        model=model,
        ranks=ranks,
    )


def tell_outcome(forecast: TimeForecast | None, seconds: float, steps: int) -> None:
    """Log what training took, against its forecast if there was one.

    Args:
        forecast: of this run.
        seconds: that training took, those of sessions before it included.
        steps: optimiser steps that were made.
    """
    if forecast is None:
        return
    took, expected = (describe_seconds(duration) for duration in (seconds, forecast.seconds))
    if steps < forecast.steps:
        logger.info("Training took %s for %d of %d steps; forecast for all: %s.", took, steps, forecast.steps, expected)
        return
    error = f"{forecast.seconds / seconds - 1:+.0%}"
    logger.info("Training took %s; the forecast was %s (%s) without %s.", took, expected, error, forecast.left_out)


def _place() -> tuple[int, int]:
    """Rank and number of processes."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _roughly(model: Any, sizes: Sequence[int], hardware: HardwareParams) -> float:
    """Seconds that training on batches of so many tokens takes, to an order of magnitude, by 6 operations a token and
    weight (Kaplan et al. 2020, arXiv:2001.08361).
    """
    weights = sum(weight.numel() for weight in model.parameters())
    return float(len(sizes) * START + 6 * weights * sum(sizes) / OPERATIONS[hardware.device])


def _join(depths: Sequence[int]) -> str:
    return " and ".join(map(str, depths))


def _extrapolate(seconds: Sequence[float], depths: Sequence[int], layers: int) -> float:
    """What all layers take, by a straight line."""
    if len(depths) == 1:
        return seconds[0]
    slope = (seconds[1] - seconds[0]) / (depths[1] - depths[0])
    if slope < 0:
        raise ValueError(
            f"the time of {layers} layers cannot be told, as {depths[1]} took {seconds[1]:.3g} s and {depths[0]} took "
            f"{seconds[0]:.3g} s; something else may be using the machine"
        )
    return seconds[1] + slope * (layers - depths[1])
