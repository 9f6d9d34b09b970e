"""Fine-tuning of the base model with LoRA on the training pairs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import Pretrained
from med_lora.errors import InputError, nearest
from med_lora.parameters import HardwareParams, LoraParams, PromptParams, TrainingParams
from med_lora.pipelines.training.card import write_card
from med_lora.prompts import tokenise_pair
from med_lora.trainer import Row, fit

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
        The adapter as a PEFT model with its card and the base model's identity, and the loss history
        (columns step, epoch, metric, value; losses in nats an answer token).

    Raises:
        InputError: for an empty training set, target modules the model lacks, or a loss that is no longer finite.
    """
    import torch
    from transformers import set_seed

    tokenizer = base_model.tokenizer()
    train_rows = tokenise_rows(train.to_pandas(), tokenizer, prompt, training.max_length)
    validation_rows = tokenise_rows(validation.to_pandas(), tokenizer, prompt, training.max_length)
    set_seed(training.optimisation.seed)
    model = attach_adapter(base_model.model(torch.float32), training.lora)
    frozen = checksums(model)
    result = fit(model, tokenizer, train_rows, validation_rows, training.optimisation, hardware)
    if checksums(model) != frozen:
        raise RuntimeError("training moved weights of the base model, which only an adapter may change")
    identity = {"source": base_model.source, "revision": base_model.revision, "sha256": base_model.sha256}
    files = {
        "README.md": write_card(base_model.source, training, result, len(train_rows)),
        "med_lora.json": json.dumps({"base_model": identity, "prompt_template": prompt.template}, indent=1) + "\n",
    }
    return Pretrained(model, None, files), result.history


def tokenise_rows(pairs: pd.DataFrame, tokenizer: Any, prompt: PromptParams, max_length: int) -> list[Row]:
    """Rows whose loss counts on the answer alone; what the length limit cuts is logged."""
    tokenised = [
        tokenise_pair(question, answer, prompt.template, tokenizer, max_length)
        for question, answer in zip(pairs["question"], pairs["answer"], strict=True)
    ]
    cut = sum(1 for pair in tokenised if pair.prompt_cut or pair.answer_cut)
    if cut:
        lost = sum(pair.prompt_cut + pair.answer_cut for pair in tokenised)
        logger.info(
            "%d of %d pairs are longer than %d tokens; %d tokens were cut.", cut, len(tokenised), max_length, lost
        )
    return [Row(input_ids=pair.input_ids, labels=pair.labels) for pair in tokenised]


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


def checksums(model: Any) -> dict[str, int]:
    """Sum of the bytes of each frozen parameter, weighted by position: a fingerprint that copies no weights."""
    import torch

    sums = {}
    for name, value in model.named_parameters():
        if not value.requires_grad:
            data = value.detach().contiguous().flatten().view(torch.uint8)
            sums[name] = sum(
                int(part.sum(dtype=torch.int64)) * (number + 1) for number, part in enumerate(data.split(4096))
            )
    return sums
