"""One training with its own settings, measured on the validation pairs, stored, and never done twice."""

from __future__ import annotations

import gc
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.manifest import MARKER, seal_folder
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.engine import Row
from med_lora.engine.launch import run_on_ranks
from med_lora.engine.resume_checks import describe_changes, describe_maker
from med_lora.errors import InputError
from med_lora.models.quantisation import check_quantisation
from med_lora.parameters.tree import leaves
from med_lora.parameters.trials import Objective, Setting
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.training.job import TrainingJob, describe_job, train_on_rank
from med_lora.pipelines.training.rows import limit_rows, tokenise_rows
from med_lora.prompts import PairTokeniser
from med_lora.provenance import RECORD_FILE, describe_origin, hash_pairs
from med_lora.trials.objective import direction_of, read_history, score_validation
from med_lora.trials.result import HISTORY_COLUMNS, TrialResult, read_result, store_result
from med_lora.trials.settings import TrialParams

logger = logging.getLogger(__name__)

CHECKPOINTS = "checkpoints"
LOCK_FILE = ".lock"
WEIGHTS = "weights"
Watch = Callable[[int, float], None]


class PrunedError(Exception):
    """Raised by a ``watch`` to end its trial early, without a figure."""


@dataclass(frozen=True)
class Trial:
    """What is to be trained and measured.

    Attributes:
        name: for files and namespaces.
        settings: what sets it apart from the others, by key; for tables and figures.
        parameters: the settings are laid over them already.
        objective: figure on the validation pairs.
        measured_length: tokens that validation pairs are cut to. It is the same for all trials of a comparison, or
            losses under different ``training.max_length`` would be about different tokens.
    """

    name: str
    settings: Mapping[str, Setting]
    parameters: TrialParams
    objective: Objective
    measured_length: int


def run_trial(
    trial: Trial,
    base_model: BaseModel,
    train: Split,
    validation: Split,
    work: Path,
    *,
    start: PretrainedFolder | None = None,
    watch: Watch | None = None,
    keep_weights: bool = False,
) -> TrialResult:
    """Train, measure and store ``trial`` below ``work``; a finished or pruned one is returned as it was stored.

    A trial that was cut off goes on from its last checkpoint. Checkpoints and weights are deleted once the result is
    stored, since the same parameters make the same weights again. What ends a training with an InputError (a loss that
    is no longer finite, too little memory) makes the trial ``failed``; the next call tries it again.

    Args:
        trial: settings and objective.
        base_model: handle of the base model, the same for all trials.
        train: pairs to train on.
        validation: pairs to measure on.
        work: folder of all trials; this one writes into ``work/<name>``.
        start: adapter to go on with; None for a new one.
        watch: called with (step, validation loss) after each validation; may raise PrunedError.
        keep_weights: leave those of a finished trial in ``work/<name>/weights``, sealed; one that was stored without
            them is trained again.

    Raises:
        InputError: before the training, for a split without pairs, a prompt that the tokenizer cannot render, or if
            another run is at this trial; nothing is stored then.
    """
    folder = work / trial.name
    job = make_job(trial, base_model, train, validation, folder, start, watch)
    maker = describe_trial(trial, job, validation)
    with _locked(folder):
        stored = _find_stored(trial, folder, maker)
        if stored is not None and (stored.state != "finished" or not keep_weights or (job.output / MARKER).is_file()):
            logger.info("Trial %s was %s before; it is not repeated.", trial.name, stored.state)
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)  # of a run that was killed before it did
            return stored
        result = _attempt(trial, job, train, validation)
        if keep_weights and result.state == "finished":
            seal_folder(job.output)
        else:
            shutil.rmtree(job.output, ignore_errors=True)
        store_result(folder, result, maker)
        if result.state != "failed":  # a failed one goes on from there, once its cause is mended
            shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return result


def remove_weights(folder: Path) -> None:
    """Delete the weights in a trial's ``folder``, the marker first: what a kill leaves of them is not sealed."""
    weights = folder / WEIGHTS
    (weights / MARKER).unlink(missing_ok=True)
    shutil.rmtree(weights, ignore_errors=True)


def make_job(
    trial: Trial,
    base_model: BaseModel,
    train: Split,
    validation: Split,
    folder: Path,
    start: PretrainedFolder | None,
    watch: Watch | None,
) -> TrainingJob:
    """The trial as a training job; all trials are measured on the answers of all validation pairs.

    Raises:
        InputError: for over-long training pairs that ``training.overlong`` does not allow, or a prompt that the
            tokenizer cannot render.
    """
    parameters, training = trial.parameters, trial.parameters.training
    tokeniser = PairTokeniser(parameters.prompt, base_model.tokenizer())
    tokenised = tokenise_rows(read_pairs(train, "train"), tokeniser, training.max_length)
    measured = tokenise_rows(read_pairs(validation, "validation"), tokeniser, trial.measured_length)
    train_rows = limit_rows(tokenised, "train", training)
    validation_rows = [Row(input_ids=row.input_ids, labels=row.labels) for row in measured]
    start_path = None if start is None else start.path
    return TrainingJob(
        base_model=base_model,
        model=parameters.model,
        training=training,
        hardware=parameters.hardware,
        train=train_rows,
        validation=validation_rows,
        output=folder / WEIGHTS,
        settings=describe_job(
            base_model, parameters.model, training, parameters.hardware, train_rows, validation_rows, start_path
        ),
        start=start_path,
        checkpoints=folder / CHECKPOINTS,
        watch=watch,
    )


def describe_trial(trial: Trial, job: TrainingJob, validation: Split) -> dict[str, Any]:
    """Flat JSON values of all that decides a trial's result; equal ones mean that it need not be repeated."""
    described = {**job.settings, "objective": trial.objective}
    if trial.objective != "validation_loss":
        described |= leaves({"evaluation": trial.parameters.evaluation.model_dump()})
        described["references_sha256"] = hash_pairs(read_pairs(validation, "validation"))
    return describe_maker(described, job.hardware.processes * job.hardware.machines)


def check_trial(trial: Trial, base_model: BaseModel) -> None:
    """Raise an InputError for what a trial's parameters and the base model's configuration already rule out."""
    parameters = trial.parameters
    frozen = parameters.training.method != "full"
    check_quantisation(base_model, parameters.model.quantisation, parameters.hardware, frozen=frozen)
    context = getattr(base_model.config().get_text_config(), "max_position_embeddings", None)
    wanted = parameters.training.max_length
    if context is not None and wanted > context:
        raise InputError(
            f"Trial {trial.name} asks for training.max_length {wanted} and the base model has {context} positions; "
            "leave out what is longer."
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a trial's ``folder``, which they would clear of the weights that this one measures."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"Another run is at the trial in {folder}; wait for its end, or stop it.") from error
    try:
        yield
    finally:
        lock.release()


def _find_stored(trial: Trial, folder: Path, maker: Mapping[str, Any]) -> TrialResult | None:
    stored = read_result(folder)
    if stored is None:
        return None
    result, made_with = stored
    if made_with != maker:
        changes = describe_changes(made_with, maker)
        logger.warning(
            "Trial %s in %s was made with other settings (%s); it is done again.", trial.name, folder, changes
        )
        return None
    if result.state == "failed":
        logger.info("Trial %s failed before (%s); it is tried again.", trial.name, result.reason)
        return None
    return result


def _attempt(trial: Trial, job: TrainingJob, train: Split, validation: Split) -> TrialResult:
    shutil.rmtree(job.output, ignore_errors=True)
    try:
        return _train(trial, job, train, validation)
    except PrunedError:
        result = _without_figures(trial, len(job.validation), "pruned", "")
    except InputError as error:
        reason = str(error)
        logger.warning("Trial %s failed: %s", trial.name, reason)  # a handler may keep what it is given
        result = _without_figures(trial, len(job.validation), "failed", reason)
    gc.collect()  # an exception may keep the frames of the training in a cycle, and these the model
    return result


def _train(trial: Trial, job: TrainingJob, train: Split, validation: Split) -> TrialResult:
    try:
        outcome = run_on_ranks(train_on_rank, job, job.hardware)
    except RuntimeError as error:  # what a rank of several raises arrives as its cause
        if isinstance(error.__cause__, PrunedError):
            raise error.__cause__ from error
        raise
    figures = read_history(outcome.history, outcome.step) | {"trained_parameters": float(outcome.trainable)}
    parameters = trial.parameters
    pairs = read_pairs(train, "train")
    origin = describe_origin(job.base_model, pairs, parameters.prompt, parameters.model.quantisation)
    # an adapter is not attached without it
    (job.output / RECORD_FILE).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")
    if parameters.training.method == "full":  # these weights are a model of their own
        job.base_model.tokenizer().save_pretrained(str(job.output))
    if trial.objective != "validation_loss":
        figures |= score_validation(parameters, job.base_model, job.output, validation)
    return TrialResult(
        name=trial.name,
        settings=dict(trial.settings),
        state="finished",
        objective=trial.objective,
        direction=direction_of(trial.objective),
        value=figures[trial.objective],
        # in the order in which a stored result comes back
        figures=dict(sorted((figures | {"step": float(outcome.step)}).items())),
        pairs=len(job.validation),
        seconds=outcome.seconds,
        tokens=outcome.tokens,
        history=outcome.history[HISTORY_COLUMNS],
    )


def _without_figures(trial: Trial, pairs: int, state: Literal["failed", "pruned"], reason: str) -> TrialResult:
    return TrialResult(
        name=trial.name,
        settings=dict(trial.settings),
        state=state,
        objective=trial.objective,
        direction=direction_of(trial.objective),
        value=None,
        figures={},
        pairs=pairs,
        reason=reason,
    )
