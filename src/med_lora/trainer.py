"""The training engine: TRL's SFTTrainer over rows that are already tokens, for fine-tuning and pre-training alike."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

import pandas as pd

from med_lora.errors import InputError
from med_lora.hardware import prepare_device
from med_lora.parameters import HardwareParams, OptimisationParams
from med_lora.prompts import IGNORED_LABEL

logger = logging.getLogger(__name__)


class Row(TypedDict):
    """One training row: token ids, and as many labels (-100 where the loss does not count)."""

    input_ids: list[int]
    labels: list[int]


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
    monitor = _make_monitor(model, validation, recipe, hardware, tokenizer)
    with TemporaryDirectory() as folder:
        trainer = _make_trainer(model, tokenizer, train, recipe, hardware, folder)
        trainer.add_callback(monitor)
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    history = pd.DataFrame(monitor.rows, columns=["step", "epoch", "metric", "value"])
    tokens = round(sum(len(row["input_ids"]) for row in train) * recipe.epochs)
    logger.info("Trained %d rows, %d tokens in %.1f s (%.0f tokens/s).", len(train), tokens, seconds, tokens / seconds)
    return Fit(history, seconds, tokens)


def micro_batch_size(recipe: OptimisationParams, hardware: HardwareParams) -> int:
    """The largest divisor of the effective batch size that the hardware allows at once."""
    total = recipe.effective_batch_size
    return max(size for size in range(1, min(total, hardware.micro_batch_size) + 1) if total % size == 0)


def validation_steps(steps: int, evaluations: int) -> set[int]:
    """The steps, evenly spaced up to the last, after which the validation loss is taken; step 0 comes on top."""
    return {max(1, round(number * steps / evaluations)) for number in range(1, evaluations + 1)}


def mean_loss(model: Any, rows: Sequence[Row], pad_id: int, batch_size: int) -> float:
    """Cross-entropy in nats a label token: the sum over all rows divided by the number of their label tokens."""
    import torch

    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in _batches(sorted(rows, key=lambda row: len(row["input_ids"])), batch_size):
            inputs = {name: tensor.to(model.device) for name, tensor in collate(batch, pad_id).items()}
            labels = inputs.pop("labels")[:, 1:]
            logits = model(**inputs, use_cache=False).logits[:, :-1].float()
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED_LABEL, reduction="sum"
            )
            total += float(loss)
            count += int((labels != IGNORED_LABEL).sum())
    model.train(was_training)
    return total / count


def collate(rows: Sequence[Row], pad_id: int, always_mask: bool = False) -> dict[str, Any]:
    """Right-padded tensors [rows, tokens]: ``input_ids``, ``labels`` and, if rows differ, ``attention_mask``.

    TRL's fused loss, which a GPU takes, wants the mask in any case (``always_mask``).
    """
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    missing = [longest - len(row["input_ids"]) for row in rows]
    batch = {
        "input_ids": [row["input_ids"] + [pad_id] * gap for row, gap in zip(rows, missing, strict=True)],
        "labels": [row["labels"] + [IGNORED_LABEL] * gap for row, gap in zip(rows, missing, strict=True)],
    }
    if always_mask or any(missing):  # without a mask the attention kernel takes its faster causal path
        batch["attention_mask"] = [[1] * (longest - gap) + [0] * gap for gap in missing]
    return {name: torch.tensor(values) for name, values in batch.items()}


def _batches(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _make_trainer(
    model: Any, tokenizer: Any, train: Sequence[Row], recipe: OptimisationParams, hardware: HardwareParams, folder: str
) -> Any:
    from datasets import Dataset
    from transformers import ProgressCallback, Trainer
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    class PlainLossTrainer(SFTTrainer):  # type: ignore[misc]
        """SFTTrainer with the model's own cross-entropy: TRL's tiled LM head costs several times as much on a CPU."""

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            if hardware.device == "cpu":
                return Trainer.compute_loss(self, *args, **kwargs)
            return super().compute_loss(*args, **kwargs)  # type: ignore[no-untyped-call]

    micro = micro_batch_size(recipe, hardware)
    accumulation = recipe.effective_batch_size // micro
    steps = math.ceil(math.ceil(len(train) / recipe.effective_batch_size) * recipe.epochs)
    arguments = SFTConfig(
        output_dir=folder,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=math.ceil(steps * recipe.warmup_ratio),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=hardware.device == "cpu",
        bf16=hardware.precision == "bf16",
        fp16=hardware.precision == "fp16",
        gradient_checkpointing=False,
        train_sampling_strategy="group_by_length",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=hardware.device == "cuda",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = PlainLossTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([dict(row) for row in train]),
        data_collator=lambda rows: collate(rows, tokenizer.pad_token_id, always_mask=hardware.device == "cuda"),
        processing_class=tokenizer,
    )
    for printing in (ProgressCallback, PrinterCallback):  # the monitor's bar replaces both
        trainer.remove_callback(printing)
    return trainer


def _make_monitor(
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
