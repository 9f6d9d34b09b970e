"""Fine-tuning of the base model on the training pairs."""

from __future__ import annotations

import json
import logging
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import Pretrained, PretrainedFolder, SavedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.engine.checkpoints import Checkpoints
from med_lora.engine.launch import run_on_ranks
from med_lora.errors import InputError
from med_lora.models.merging import BaseFiles
from med_lora.parameters import HardwareParams, ModelParams, PromptParams, TrainingParams
from med_lora.pipelines.canaries.insertion import count_canaries
from med_lora.pipelines.training.card import write_card
from med_lora.pipelines.training.job import TrainingJob, check_context, describe_job, train_on_rank
from med_lora.pipelines.training.rows import choose_questions, describe_lengths, limit_rows, tokenise_rows
from med_lora.prompts import PairTokeniser
from med_lora.provenance import RECORD_FILE, describe_origin

logger = logging.getLogger(__name__)


def train_adapter(
    base_model: BaseModel,
    train: Any,
    validation: Any,
    prompt: PromptParams,
    model: ModelParams,
    training: TrainingParams,
    hardware: HardwareParams,
    checkpoints: WorkFolder,
    start: PretrainedFolder | None = None,
) -> tuple[Pretrained, pd.DataFrame]:
    """Train a LoRA adapter on ``train``, or with ``training.method: full`` all weights.

    Args:
        train: pairs (columns id, question, answer) behind ``to_pandas``; ``validation`` likewise, for its losses.
        checkpoints: where a run that is cut off leaves what the next one goes on from.
        start: an adapter of the same base model to go on with; None for a fresh one.

    Returns:
        The adapter, or the whole model with its tokenizer, with a card and the record of its origin; and the history
        (columns step, epoch, metric, value): losses in nats a token, and at step 0 what became of pairs longer than
        ``training.max_length``, as :func:`describe_lengths` counts it. With ``training.epoch_answers``, also at step 0
        and after every epoch validation_<metric>: mean scores of greedy answers, cut at the length of the longest of
        their references.

    Raises:
        InputError: for an empty training set, over-long pairs that ``training.overlong`` does not allow, a prompt that
            the tokenizer cannot render, and whatever :func:`train_on_rank` refuses.
    """
    check_context(base_model, training.max_length, "training.max_length")
    tokeniser = PairTokeniser(prompt, base_model.tokenizer())
    pairs = {"train": train.to_pandas(), "validation": validation.to_pandas()}
    tokenised = {name: tokenise_rows(split, tokeniser, training.max_length) for name, split in pairs.items()}
    train_rows, validation_rows = (limit_rows(rows, name, training) for name, rows in tokenised.items())
    output, adapter = SavedFolder.below(checkpoints.path), None if start is None else start.path
    given = (base_model, model, training, hardware, train_rows, validation_rows)
    context = getattr(base_model.config().get_text_config(), "max_position_embeddings", None)
    questions = choose_questions(pairs["validation"], tokenised["validation"], tokeniser, training, context)
    settings = describe_job(*given, adapter)
    job = TrainingJob(*given, output.path, settings, adapter, checkpoints.path, questions=questions)
    outcome = run_on_ranks(train_on_rank, job, hardware)
    record = describe_origin(base_model, pairs["train"], prompt, model.quantisation)
    record["start_sha256"] = None if start is None else start.sha256
    record["canaries"] = count_canaries(pairs["train"]["id"])
    files = {
        "README.md": write_card(job, outcome, record["canaries"]),
        RECORD_FILE: json.dumps(record, indent=1) + "\n",
    }
    history = pd.concat([describe_lengths(tokenised, training.overlong), outcome.history], ignore_index=True)
    return Pretrained(output, BaseFiles(base_model) if training.method == "full" else None, files), history


def discard_checkpoints(trained: PretrainedFolder, training_history: pd.DataFrame, checkpoints: WorkFolder) -> None:
    """Delete the checkpoints, once what they led to has been saved and verified: loading it did that.

    Args:
        trained: the adapter or model.
        training_history: its history.
        checkpoints: folder that nothing is gone on from any more.
    """
    try:
        Checkpoints(checkpoints.path, {}).discard()
    except InputError as error:  # another machine or run is at them, and the result is safe
        logger.warning("The checkpoints are left as they are: %s", error)
    else:
        logger.info("Deleted the checkpoints in %s, since the result is saved.", checkpoints.path)
