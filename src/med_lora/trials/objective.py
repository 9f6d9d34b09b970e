"""The figure by which trials are ranked, measured on the validation pairs and never on test pairs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.metrics.lexical import score_pair
from med_lora.models.session import open_session
from med_lora.parameters.trials import Objective
from med_lora.pipelines.evaluation.answers.generation import generate_answers
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.stages import as_base_model
from med_lora.trials.settings import TrialParams

# figure of a trial -> text metric of the evaluation, both means over the validation pairs
GENERATED = {"rouge_l": "rougeL", "bleu": "bleu", "token_f1": "token_f1"}
FROM_HISTORY = ("validation_loss", "validation_perplexity", "validation_token_accuracy")
Direction = Literal["lower", "higher"]


def direction_of(objective: Objective) -> Direction:
    """Which values are better."""
    return "lower" if objective == "validation_loss" else "higher"


def read_history(history: pd.DataFrame, step: int) -> dict[str, float]:
    """The validation figures of the kept weights, and the loss before training as ``validation_loss_before``.

    Args:
        history: columns step, metric, value, as a training leaves it.
        step: whose weights were kept.

    Raises:
        InputError: if no validation loss was taken at that step.
    """
    figures = _at(history, step)
    if "validation_loss" not in figures:
        raise InputError(f"No validation loss was taken at step {step}, so the trial has no objective; train it again.")
    return figures | {"validation_loss_before": _at(history, 0)["validation_loss"]}


def score_validation(
    parameters: TrialParams, base_model: BaseModel, weights: Path, validation: Split
) -> dict[str, float]:
    """Means of ROUGE-L F1, BLEU and token F1 over the answers that the trained model gives to the validation pairs.

    Answers are generated as ``evaluation`` says. No pair is left out: an empty answer scores 0. ``answer_cut`` is the
    share of answers that reached the limit of tokens.

    Args:
        parameters: of the trial.
        base_model: what was trained.
        weights: folder with the adapter; or the whole model with its tokenizer, where ``training.method`` is full.
        validation: the pairs.
    """
    pairs = read_pairs(validation, "validation")
    base, adapter = _trained(parameters, base_model, weights)
    session = open_session(base, parameters.model, parameters.hardware)
    with TemporaryDirectory(dir=weights.parent) as journal:  # a trial that is cut off answers again from the beginning
        folder = WorkFolder(Path(journal))
        answers = generate_answers(session, validation, parameters.prompt, parameters.evaluation, folder, adapter)
    beta = parameters.evaluation.rouge_beta
    rows = zip(answers["answer"], pairs["answer"], strict=True)
    means = pd.DataFrame([score_pair(answer, reference, beta) for answer, reference in rows]).mean()
    figures = {name: float(means[metric]) for name, metric in GENERATED.items()}
    return figures | {"answer_cut": float((answers["finish_reason"] == "length").mean())}


def _trained(
    parameters: TrialParams, base_model: BaseModel, weights: Path
) -> tuple[BaseModel, PretrainedFolder | None]:
    """The base model with its adapter, or the fully trained model alone."""
    folder = PretrainedFolder(weights, sha256="")
    if parameters.training.method == "full":
        return as_base_model(folder), None
    return base_model, folder


def _at(history: pd.DataFrame, step: int) -> dict[str, float]:
    rows = history[(history["step"] == step) & history["metric"].isin(FROM_HISTORY)]
    return {str(metric): float(value) for metric, value in zip(rows["metric"], rows["value"], strict=True)}
