"""Continued pre-training on the passages, and its adapter merged into the base model."""

from __future__ import annotations

import json
import logging
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import Pretrained, PretrainedFolder, SavedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.engine.launch import run_on_ranks
from med_lora.models.merging import merge
from med_lora.parameters import (
    ContinuedPretrainingParams,
    HardwareParams,
    MergingParams,
    ModelParams,
    TrainingParams,
)
from med_lora.pipelines.continued_pretraining.blocks import hold_out, make_blocks
from med_lora.pipelines.continued_pretraining.card import write_card
from med_lora.pipelines.evaluation.origin import check_passages
from med_lora.pipelines.merging.nodes import CHECKED_ROWS, CHECKED_TOKENS, whole_model
from med_lora.pipelines.training.job import TrainingJob, check_context, describe_job, train_on_rank
from med_lora.provenance import RECORD_FILE, describe_base, hash_passages

logger = logging.getLogger(__name__)


def train_domain_adapter(
    base_model: BaseModel,
    passages: pd.DataFrame,
    model: ModelParams,
    params: ContinuedPretrainingParams,
    hardware: HardwareParams,
    checkpoints: WorkFolder,
) -> tuple[Pretrained, pd.DataFrame]:
    """Train a LoRA adapter on the plain text of ``passages``, every token of it.

    Neighbouring passages share ``data_engineering.passages.overlap`` tokens at most, which an epoch sees twice.

    What a passage says may be asked in a test pair: that is what the stage is for. The leakage tables compare test
    pairs with training *pairs* and do not look into passages, so where pairs were written from the same passages
    (question generation), or a test answer was copied from the same page, scores tell of recall and not of transfer.

    Args:
        base_model: what training starts from.
        passages: columns id, corpus, book, chapter, licence, text.
        model: quantisation of the base model.
        params: block length, held-out part, adapter, recipe.
        hardware: device, precision, processes.
        checkpoints: where a run that is cut off leaves what the next one goes on from.

    Returns:
        The adapter with its card and the record of its origin, and the history (columns step, epoch, metric, value;
        losses in nats a token).

    Raises:
        InputError: for fewer than two passages, blocks longer than the model's context, and whatever
            :func:`train_on_rank` refuses.
    """
    check_context(base_model, params.block_length, "continued_pretraining.block_length")
    tokenizer = base_model.tokenizer()
    train, validation = (
        make_blocks(part["text"].tolist(), tokenizer, params.block_length)
        for part in hold_out(passages, params.validation_fraction)
    )
    logger.info(
        "Continued pre-training: %d passages make %d rows of %d tokens, %d of them for the validation loss.",
        *(len(passages), len(train) + len(validation), params.block_length, len(validation)),
    )
    training = _as_training(params)
    output = SavedFolder.below(checkpoints.path)
    job = TrainingJob(
        base_model=base_model,
        model=model,
        training=training,
        hardware=hardware,
        train=train,
        validation=validation,
        output=output.path,
        settings=describe_job(base_model, model, training, hardware, train, validation),
        checkpoints=checkpoints.path,
    )
    outcome = run_on_ranks(train_on_rank, job, hardware)
    record = describe_base(base_model, model.quantisation) | {"passages_sha256": hash_passages(passages)}
    files = {
        "README.md": write_card(job, params.validation_fraction, outcome, passages),
        RECORD_FILE: json.dumps(record, indent=1) + "\n",
    }
    return Pretrained(output, None, files), outcome.history


def _as_training(params: ContinuedPretrainingParams) -> TrainingParams:
    return TrainingParams(
        method="lora",
        loss_on="all",
        max_length=params.block_length,
        overlong="stop",
        epoch_answers=0,
        lora=params.lora,
        optimisation=params.optimisation,
    )


def merge_domain_adapter(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    passages: pd.DataFrame,
    model: ModelParams,
    hardware: HardwareParams,
    merging: MergingParams,
) -> tuple[Pretrained, dict[str, Any]]:
    """The model that instruction tuning starts from; see :func:`med_lora.models.merging.merge`.

    With a quantised base the merged weights are quantised anew when instruction tuning loads them.

    Returns:
        The whole model, and the check on the beginnings of the first passages as JSON values.

    Raises:
        InputError: if the adapter was trained on other passages, or whatever :func:`merge` refuses.
    """
    check_passages(adapter, passages)
    texts = passages["text"].head(CHECKED_ROWS).tolist()
    tokenizer = base_model.tokenizer()
    rows = [make_blocks([text], tokenizer, CHECKED_TOKENS)[0]["input_ids"] for text in texts]
    merged = merge(base_model, adapter.path, model, hardware, merging, rows)
    made_of = "which continued its pre-training on plain text"
    return whole_model(base_model, adapter, merged.model, merging, merged.check, made_of), merged.check
