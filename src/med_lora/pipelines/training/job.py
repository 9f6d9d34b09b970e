"""One training run as a value: what a rank needs, what it does with it, and what comes back."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from med_lora.datasets.adapter import WEIGHTS
from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.manifest import describe_files
from med_lora.engine import Row, fit
from med_lora.engine.checkpoints import KEPT, Checkpoints
from med_lora.engine.epoch_answers import Questions, check_sharding, score_questions
from med_lora.engine.machines import check_agreement, share_folder, wait_for_all_ranks
from med_lora.engine.memory import MemoryForecast, available_memory, check_memory, explained_memory, forecast
from med_lora.engine.rows import check_labels
from med_lora.engine.time_forecast import tell_outcome, tell_time
from med_lora.errors import InputError
from med_lora.models.adapters import attach_adapter, checksums
from med_lora.models.attach import attach_saved
from med_lora.models.loading import load_model
from med_lora.parameters import HardwareParams, ModelParams, TrainingParams
from med_lora.parameters.tree import leaves
from med_lora.prompts import IGNORED_LABEL


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a training run depends on; it can be pickled, since every rank gets it.

    Attributes:
        base_model: handle of the model that the run starts from.
        model: its quantisation.
        training: method, adapter and recipe; its prompt-free rest, such as ``overlong``, is of no account here.
        hardware: device, precision, micro-batches, processes.
        train: rows to train on, at least one.
        validation: rows for the validation losses; none are taken without any.
        output: folder for the trained weights, made if it is missing.
        settings: flat JSON values of everything that decides the result, as :func:`describe_job` gives them: a
            checkpoint made with others is not gone on from.
        start: folder of an adapter, with its record, to go on with; None for a fresh one.
        checkpoints: folder for checkpoints; None for none.
        watch: called on rank 0 with (step, validation loss) after each validation; what it raises ends the run.
        questions: what is asked before training and after every epoch; None for nothing.
    """

    base_model: BaseModel
    model: ModelParams
    training: TrainingParams
    hardware: HardwareParams
    train: Sequence[Row]
    validation: Sequence[Row]
    output: Path
    settings: Mapping[str, Any]
    start: Path | None = None
    checkpoints: Path | None = None
    watch: Callable[[int, float], None] | None = None
    questions: Questions | None = None


@dataclass(frozen=True)
class Outcome:
    """What a run leaves beside its weights.

    Attributes:
        history: columns step, epoch, metric and value.
        seconds: wall-clock time of the training loop, validation included.
        tokens: tokens of the training rows that were passed through the model.
        step: the one whose weights were kept.
        rows: training rows.
        trainable: number of trained weights.
        parameters: number of all weights of the model, the adapter included.
    """

    history: pd.DataFrame
    seconds: float
    tokens: int
    step: int
    rows: int
    trainable: int
    parameters: int


def train_on_rank(job: TrainingJob) -> Outcome:
    """Train in this process, alone or as one of several ranks; rank 0 saves the weights into ``job.output``.

    Raises:
        InputError: for rows without anything to learn, a setting that the model or the machine cannot meet, another run
            of the same experiment, too little disk, a loss that is no longer finite, or machines that were given
            different jobs.
        RuntimeError: if a frozen weight moved.
    """
    check_rows(job)  # fit does too, but not before the weights are loaded
    check_sharding(job.questions, job.hardware)
    asked = 0 if job.questions is None else len(job.questions.prompts)
    check_agreement({**job.settings, "training.epoch_answers": asked})  # or one machine would wait for another's
    job.output.parent.mkdir(parents=True, exist_ok=True)
    recipe = job.training.optimisation
    folder = job.checkpoints if recipe.checkpoints else None
    expected = forecast_memory(job)
    check_memory(expected, available_memory(job.hardware))
    wait_for_all_ranks()  # what one has loaded already, another would count as missing
    duration = tell_time(job.base_model.config(), job.model, job.training, job.hardware, job.train, job.validation)
    opened = nullcontext() if folder is None else Checkpoints(folder, job.settings)
    with explained_memory(expected, job.hardware), opened as checkpoints:
        model = prepare_model(job)
        trainable, total = count_parameters(model)
        check_disk(model, job)
        frozen = _frozen_checksums(model, job.hardware)
        result = fit(
            model,
            job.base_model.tokenizer(),
            job.train,
            job.validation,
            recipe,
            job.hardware,
            checkpoints=checkpoints,
            watch=job.watch,
            save_to=job.output,
            probe=_make_probe(job),
        )
        if _frozen_checksums(model, job.hardware) != frozen:
            raise RuntimeError("training moved weights of the base model, which only an adapter may change")
    tell_outcome(duration, result.seconds, int(result.history["step"].max()))
    share_folder(job.output)
    return Outcome(result.history, result.seconds, result.tokens, result.step, len(job.train), trainable, total)


def _make_probe(job: TrainingJob) -> Callable[[Any], dict[str, float]] | None:
    if job.questions is None:
        return None
    return partial(
        score_questions,
        questions=job.questions,
        tokenizer=job.base_model.tokenizer(),
        batch_size=job.hardware.inference_batch_size,
    )


def forecast_memory(job: TrainingJob) -> MemoryForecast:
    """What one process of the job will need, from the base model's configuration alone."""
    rows = [*job.train, *job.validation]
    return forecast(
        job.base_model.config(),
        job.model,
        job.training,
        job.hardware,
        max(len(row["input_ids"]) for row in rows),
        job.hardware.processes * job.hardware.machines,
        labels=max(sum(label != IGNORED_LABEL for label in row["labels"]) for row in rows),
        validation_rows=len(job.validation),
    )


def _frozen_checksums(model: Any, hardware: HardwareParams) -> dict[str, str]:
    """Checksums of what must not move; none of a sharded model, whose shards compare with nothing taken before."""
    is_sharded = hardware.sharding == "fsdp" and hardware.processes * hardware.machines > 1
    return {} if is_sharded else checksums(model)


def prepare_model(job: TrainingJob) -> Any:
    """The model on its device, with the weights that are trained: an adapter's, fresh or saved, or all of them."""
    from transformers import set_seed

    is_full = job.training.method == "full"
    model: Any = load_model(job.base_model, job.model, job.hardware, purpose="training", frozen=not is_full)
    set_seed(job.training.optimisation.seed)  # the adapter's initial weights
    if is_full:
        return model
    if job.start is not None:
        return attach_saved(model, job.start, job.base_model, trainable=True)
    return attach_adapter(model, job.training.lora, job.base_model)


def count_parameters(model: Any) -> tuple[int, int]:
    """Trained weights, and all; peft counts the two 4-bit weights that one stored number holds."""
    if hasattr(model, "get_nb_trainable_parameters"):
        trainable, total = model.get_nb_trainable_parameters()
        return int(trainable), int(total)
    total = sum(parameter.numel() for parameter in model.parameters())
    return total, total


def check_context(base_model: BaseModel, length: int, setting: str) -> None:
    """Raise an InputError, naming ``setting``, where rows of ``length`` tokens need more positions than there are."""
    context = getattr(base_model.config().get_text_config(), "max_position_embeddings", None)
    if context is not None and length > context:
        raise InputError(
            f"{setting} is {length} and the base model has {context} positions; set it to {context} or less."
        )


def check_rows(job: TrainingJob) -> None:
    """Raise an InputError if there is nothing to train on, or a row has no token that the loss counts."""
    if not job.train:
        raise InputError("The training set is empty: choose another corpus or a smaller validation and test split.")
    check_labels(job.train, "training")
    check_labels(job.validation, "validation")


def check_disk(model: Any, job: TrainingJob) -> None:
    """Raise an InputError if the disk has no room for the checkpoints and the result.

    A checkpoint holds the trained weights, AdamW's two moments and, with ``keep: best``, the best weights; one is
    written before an older one goes. What earlier runs left of them need not be found again. The result is there twice
    while it is published.
    """
    trained = sum(value.numel() * value.element_size() for value in model.parameters() if value.requires_grad)
    recipe = job.training.optimisation
    needed = 2 * trained
    if job.checkpoints is not None:
        copies = min(recipe.checkpoints, KEPT + 1) * (4 if recipe.keep == "best" else 3)
        needed += max(0, copies * trained - _stored(job.checkpoints))
    free = shutil.disk_usage(job.output.parent).free
    if needed > free:
        raise InputError(
            f"Training needs about {_size(needed)} for checkpoints and result and {job.output.parent} has "
            f"{_size(free)} left; free some space, lower lora.r or set optimisation.checkpoints to 0."
        )


def _stored(checkpoints: Path) -> int:
    """Bytes of the checkpoints that lie there already."""
    total = 0
    for checkpoint in checkpoints.glob("*/checkpoint-*"):
        for folder, _, names in os.walk(checkpoint):
            for name in names:
                with suppress(FileNotFoundError):  # the first rank clears away what is of no use
                    total += (Path(folder) / name).stat().st_size
    return total


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def describe_job(
    base_model: BaseModel,
    model: ModelParams,
    training: TrainingParams,
    hardware: HardwareParams,
    train: Sequence[Row],
    validation: Sequence[Row],
    start: Path | None = None,
) -> dict[str, Any]:
    """Flat JSON values of everything that decides a run's result, for ``TrainingJob.settings``.

    Left out are what changes nothing but rounding between machines (threads, GPU), and the numbers of checkpoints and
    of epoch answers: a run may go on with others, and each score stands in the history beside its number of answers.
    """
    parts: dict[str, Mapping[str, Any]] = {
        "base_model": {
            # a folder may move, a hub model is known by its commit
            "source": base_model.source if base_model.sha256 is None else None,
            "revision": base_model.revision,
            "sha256": base_model.sha256,
            "tokenizer_sha256": base_model.tokenizer_sha256(),
            "quantisation": model.quantisation,
        },
        "data": {"train_sha256": hash_rows(train), "validation_sha256": hash_rows(validation)},
        "training": training.model_dump(exclude={"epoch_answers": True, "optimisation": {"checkpoints"}}),
        "hardware": hardware.model_dump(exclude={"gpu", "rendezvous", "threads"}),
        "start": {"sha256": start and describe_files(start, [WEIGHTS])[WEIGHTS]["sha256"]},
    }
    return dict(leaves(parts))


def hash_rows(rows: Sequence[Row]) -> str:
    """SHA-256 over the token ids and labels of ``rows`` in their order; no text can be read from it."""
    digest = hashlib.sha256()
    for row in rows:
        for values in (row["input_ids"], row["labels"]):
            digest.update(len(values).to_bytes(8, "big") + np.asarray(values, dtype=">i8").tobytes())
    return digest.hexdigest()
