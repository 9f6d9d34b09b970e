"""What is watched while a model trains: losses, the best weights, when to stop, when to save."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_lora.engine.best import BestWeights
from med_lora.engine.losses import measure
from med_lora.engine.machines import wait_for_all_ranks
from med_lora.engine.resume_checks import MONITOR_FILE
from med_lora.engine.rows import Row
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, OptimisationParams

if TYPE_CHECKING:
    from med_lora.engine.checkpoints import Checkpoints

logger = logging.getLogger(__name__)

Probe = Callable[[Any], Mapping[str, float]]  # of the model, figures by metric


@dataclass
class Record:
    """What a run has seen so far; it goes into every checkpoint.

    Attributes:
        rows: step, epoch, metric and value, in the order in which they were taken.
        best_loss: least validation loss in nats a token, none before the first.
        best_step: the step after which it was taken.
        worse: validation losses since then.
        tokens: tokens of the training rows passed through the model.
        seconds: wall-clock time of training, that of earlier sessions included.
    """

    rows: list[tuple[int, float, str, float]] = field(default_factory=list)
    best_loss: float | None = None
    best_step: int = 0
    worse: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def save(self, folder: Path) -> None:
        (folder / MONITOR_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Record:
        record = cls(**json.loads((folder / MONITOR_FILE).read_text(encoding="utf-8")))
        record.rows = [(step, epoch, metric, value) for step, epoch, metric, value in record.rows]
        return record

    def note_loss(self, step: int, loss: float) -> bool:
        """Whether this validation loss is the least so far."""
        if self.best_loss is None or loss < self.best_loss:
            self.best_loss, self.best_step, self.worse = loss, step, 0
            return True
        self.worse += 1
        return False


class Finished(Exception):  # noqa: N818 - no error: the checkpoint that a run goes on from was its last step
    """There is nothing left to train."""


def evenly_spaced(steps: int, times: int) -> set[int]:
    """Steps, evenly spaced up to the last, at which something is done so many times."""
    return {max(1, round(number * steps / times)) for number in range(1, times + 1)}


def validated_steps(steps: int, evaluations: int | list[int]) -> set[int]:
    """Steps at which the validation loss is taken: so many, or those listed that are reached and the last."""
    if isinstance(evaluations, list):
        return {step for step in evaluations if step < steps} | {steps}
    return evenly_spaced(steps, evaluations)


def make_monitor(
    trainer: Any,
    pad_id: int,
    validation: Sequence[Row],
    recipe: OptimisationParams,
    hardware: HardwareParams,
    checkpoints: Checkpoints | None = None,
    watch: Callable[[int, float], None] | None = None,
    resumed: Path | None = None,
    probe: Probe | None = None,
) -> Any:
    """A callback for ``make_trainer``'s trainer; ``resumed`` is the checkpoint that the run goes on from."""
    from transformers import TrainerCallback

    kind = type("MonitorCallback", (Monitor, TrainerCallback), {})
    return kind(trainer, pad_id, validation, recipe, hardware, checkpoints, watch, resumed, probe)


class Monitor:
    """Records, validates, keeps the best weights, stops and saves; the same on every rank.

    The methods are those of a ``TrainerCallback``, as which ``make_monitor`` returns it.
    """

    def __init__(
        self,
        trainer: Any,
        pad_id: int,
        validation: Sequence[Row],
        recipe: OptimisationParams,
        hardware: HardwareParams,
        checkpoints: Checkpoints | None,
        watch: Callable[[int, float], None] | None,
        resumed: Path | None,
        probe: Probe | None,
    ) -> None:
        self.model, self.batches, self.loss = trainer.model, trainer.batches, trainer.loss
        self.pad_id, self.validation, self.recipe, self.hardware = pad_id, validation, recipe, hardware
        self.checkpoints, self.watch, self.resumed, self.probe = checkpoints, watch, resumed, probe
        self.record = Record.load(resumed) if resumed else Record()
        self.best = BestWeights(self.model) if self.recipe.keep == "best" else None
        self.bar: Any = None
        self.started = time.perf_counter()
        self.earlier_seconds, self.earlier_tokens = self.record.seconds, self.record.tokens

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.due = validated_steps(state.max_steps, self.recipe.evaluations) if self.validation else set()
        self.saves = evenly_spaced(state.max_steps, self.recipe.checkpoints) if self.checkpoints is not None else set()
        self.bar = _progress_bar(state)
        self.started = time.perf_counter()
        if self.resumed and self.best:
            self.best.load(self.resumed)
        if state.global_step == 0 and self.validation:
            self._validate(state, control)
        if state.global_step == 0:
            self._measure_probe(state)
        if state.global_step >= state.max_steps or self._out_of_patience():
            raise Finished

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # of a data loader that skips what a checkpoint has seen, accelerate tells the sampler of no epoch
        self.batches.set_epoch(state.global_step // self.batches.steps)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        logs: dict[str, float] = kwargs["logs"]
        if "loss" not in logs:  # the summary at the end
            return
        _check_finite(logs, state.global_step, self.hardware)
        self._note(state, "train_loss", logs["loss"])
        self._note(state, "learning_rate", logs["learning_rate"])
        self._note(state, "gradient_norm", logs["grad_norm"])
        self.record.tokens += self.batches.tokens(state.global_step)
        self._show(logs["loss"])
        if state.global_step in self.due:
            self._validate(state, control)
        # here and not in on_epoch_end, which comes after the checkpoint of the same step and never in a resumed run
        if (
            state.global_step % self.batches.steps == 0
            or state.global_step == state.max_steps
            or control.should_training_stop
        ):
            self._measure_probe(state)
        control.should_save = state.global_step in self.saves

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.checkpoints is not None
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.record.seconds = self.seconds()
        with self.checkpoints.saving():
            if self.best:
                self.best.save(folder)
            if state.is_world_process_zero:
                self.record.save(folder)
        wait_for_all_ranks()  # the others write their random state, and maybe their part of the weights
        if state.is_world_process_zero:
            self.checkpoints.seal(folder)
        wait_for_all_ranks()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

    def seconds(self) -> float:
        """Of this session and of those before it."""
        return self.earlier_seconds + time.perf_counter() - self.started

    def _validate(self, state: Any, control: Any) -> None:
        found = measure(
            self.model, self.validation, self.pad_id, self.hardware.inference_batch_size, self.loss, shared=True
        )
        self._note(state, "validation_loss", found.loss)
        self._note(state, "validation_token_accuracy", found.accuracy)
        self._note(state, "validation_perplexity", found.perplexity)
        if not math.isfinite(found.loss):
            raise _no_number("validation loss", found.loss, state.global_step)
        if self.record.note_loss(state.global_step, found.loss) and self.best:
            self.best.take()
        if state.is_world_process_zero:
            logger.info("Step %d of %d: validation loss %.4f.", state.global_step, state.max_steps, found.loss)
            if self.watch is not None:
                self.watch(state.global_step, found.loss)
        if self._out_of_patience():
            if state.is_world_process_zero:
                logger.info("No lower validation loss for %d validations: training stops.", self.record.worse)
            control.should_training_stop = True

    def _measure_probe(self, state: Any) -> None:
        for metric, value in (self.probe(self.model) if self.probe is not None else {}).items():
            self._note(state, f"validation_{metric}", value)

    def _out_of_patience(self) -> bool:
        return self.recipe.patience is not None and self.record.worse >= self.recipe.patience

    def _note(self, state: Any, metric: str, value: float) -> None:
        self.record.rows.append((state.global_step, state.global_step / self.batches.steps, metric, value))

    def _show(self, loss: float) -> None:
        if not self.bar.disable:
            rate = (self.record.tokens - self.earlier_tokens) / (time.perf_counter() - self.started)
            self.bar.set_postfix_str(f"loss {loss:.3f}, {rate:,.0f} tokens/s", refresh=False)
        self.bar.update()


def _progress_bar(state: Any) -> Any:
    from tqdm.auto import tqdm

    shown = None if state.is_world_process_zero else True  # None leaves it to tqdm, which draws on terminals alone
    return tqdm(total=state.max_steps, initial=state.global_step, desc="training", unit="step", disable=shown)


def _check_finite(logs: dict[str, float], step: int, hardware: HardwareParams) -> None:
    if not math.isfinite(logs["loss"]):
        raise _no_number("training loss", logs["loss"], step)
    # in fp16 the scaler finds overflowing gradients itself, skips the step and scales less
    if hardware.precision != "fp16" and not math.isfinite(logs["grad_norm"]):
        raise _no_number("gradient norm", logs["grad_norm"], step)


def _no_number(what: str, value: float, step: int) -> InputError:
    return InputError(
        f"The {what} became {value} at step {step}: lower optimisation.learning_rate or optimisation.max_grad_norm; "
        "nothing was saved."
    )
