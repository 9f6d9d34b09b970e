"""Fine-tuning of the base model with LoRA on the training pairs."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import Pretrained
from med_lora.engine import fit
from med_lora.errors import InputError, nearest
from med_lora.parameters import HardwareParams, LoraParams, PromptParams, TrainingParams
from med_lora.pipelines.training.card import write_card
from med_lora.pipelines.training.rows import describe_lengths, limit_rows, tokenise_rows
from med_lora.prompts import PairTokeniser, context_length
from med_lora.provenance import RECORD_FILE, describe_origin

logger = logging.getLogger(__name__)


def train_adapter(
    base_model: BaseModel,
    train: Any,
    validation: Any,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
) -> tuple[Pretrained, pd.DataFrame]:
    """Train a LoRA adapter on the answers of ``train``; the base weights stay as they are.

    Returns:
        The adapter as a PEFT model with its card and the base model's identity, and the history (columns step, epoch,
        metric, value): losses in nats an answer token, and at step 0 what became of pairs longer than
        ``training.max_length``, as :func:`describe_lengths` counts it.

    Raises:
        InputError: for an empty training set, over-long pairs that ``training.overlong`` does not allow, a prompt that
            the tokenizer cannot render, target modules the model lacks, or a loss that is no longer finite.
    """
    import torch
    from transformers import set_seed

    tokenizer = base_model.tokenizer()
    loaded = base_model.model(torch.float32)
    check_length(loaded, training.max_length)
    tokeniser = PairTokeniser(prompt, tokenizer)
    tokenised = {
        name: tokenise_rows(split.to_pandas(), tokeniser, training.max_length)
        for name, split in (("train", train), ("validation", validation))
    }
    train_rows, validation_rows = (limit_rows(rows, name, training) for name, rows in tokenised.items())
    set_seed(training.optimisation.seed)
    model = attach_adapter(loaded, training.lora)
    frozen = checksums(model)
    result = fit(model, tokenizer, train_rows, validation_rows, training.optimisation, hardware)
    if checksums(model) != frozen:
        raise RuntimeError("training moved weights of the base model, which only an adapter may change")
    record = describe_origin(base_model, train.to_pandas(), prompt)
    files = {
        "README.md": write_card(base_model.source, training, result, len(train_rows)),
        RECORD_FILE: json.dumps(record, indent=1) + "\n",
    }
    history = pd.concat([describe_lengths(tokenised, training.overlong), result.history], ignore_index=True)
    return Pretrained(model, None, files), history


def check_length(model: Any, max_length: int) -> None:
    """Raise an InputError where rows could be longer than the model has positions for."""
    context = context_length(model)
    if context is not None and max_length > context:
        raise InputError(
            f"training.max_length is {max_length} and the base model has {context} positions; "
            f"set it to {context} or less."
        )


def attach_adapter(model: Any, lora: LoraParams) -> Any:
    """The model with a fresh LoRA adapter on its target modules, all other weights frozen."""
    from peft import LoraConfig, get_peft_model

    if not isinstance(lora.target_modules, str):
        _check_targets(model, lora.target_modules)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        use_rslora=lora.use_rslora,
    )
    adapted = get_peft_model(model, config)
    trainable, total = adapted.get_nb_trainable_parameters()
    logger.info(
        "LoRA of rank %d: %d of %d parameters are trained (%.2f %%).", lora.r, trainable, total, 100 * trainable / total
    )
    return adapted


def _check_targets(model: Any, targets: Sequence[str]) -> None:
    import torch

    known = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    for target in targets:
        if target not in known:
            raise InputError(
                f"training.lora.target_modules names {target!r}, which is no linear layer of this model"
                f"{nearest(target, known)}"
            )


def checksums(model: Any) -> dict[str, str]:
    """BLAKE2 digest of each frozen parameter's bytes, taken one parameter at a time."""
    import torch

    return {
        name: hashlib.blake2b(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()).hexdigest()
        for name, value in model.named_parameters()
        if not value.requires_grad
    }
