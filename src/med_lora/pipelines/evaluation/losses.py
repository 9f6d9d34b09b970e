"""How surprising the reference answers are to a model."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, ModelParams, PromptParams, TrainingParams
from med_lora.pipelines.evaluation.arms import load_arm
from med_lora.pipelines.evaluation.batches import batch_by_length, pad
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.prompts import IGNORED_LABEL, PairTokeniser, Tokenised, context_length

logger = logging.getLogger(__name__)


def measure_losses(
    base_model: BaseModel,
    test: Split,
    prompt: PromptParams,
    training: TrainingParams,
    hardware: HardwareParams,
    model: ModelParams,
    adapter: PretrainedFolder | None = None,
) -> pd.DataFrame:
    """Cross-entropy of every reference answer given its question, in the order of ``test``.

    A pair longer than ``training.max_length``, or than the model's context, is cut as ``training.overlong: truncate``
    does, whatever the setting is; the columns then speak of the part that was scored. With an adapter the tuned model
    is measured, without one the base model, quantised as ``model`` says.

    Returns:
        Columns id, tokens (answer tokens, EOS included), nll (sum over these tokens, nats), answer_bytes (UTF-8 bytes
        of the answer; exact to a character where it was cut).

    Raises:
        InputError: for an empty split, or a loss that is not finite.
    """
    pairs = read_pairs(test, "test")
    tokenizer = base_model.tokenizer()
    loaded = load_arm(base_model, adapter, hardware, model)
    limit = min(training.max_length, context_length(loaded) or training.max_length)
    tokeniser = PairTokeniser(prompt, tokenizer)
    rows = tokeniser.pairs(pairs["question"].tolist(), pairs["answer"].tolist(), limit)
    cut = sum(1 for row in rows if row.answer_cut)
    if cut:
        logger.warning("%d of %d answers exceed %d tokens; only their beginning is scored.", cut, len(rows), limit)
    nll = sum_losses(loaded, rows, hardware.inference_batch_size)
    _check_finite(nll, list(pairs["id"]))
    sizes = [_count_bytes(row, answer, tokenizer) for row, answer in zip(rows, pairs["answer"], strict=True)]
    tokens = [len(row.answer_ids) for row in rows]
    return pd.DataFrame({"id": list(pairs["id"]), "tokens": tokens, "nll": nll, "answer_bytes": sizes})


def sum_losses(model: Any, rows: Sequence[Tokenised], batch_size: int) -> list[float]:
    """Summed cross-entropy of each row's answer tokens in nats, in the order of ``rows``.

    Rows are padded on the right: a causal model does not look there, and the labels leave it out.
    """
    import torch
    from tqdm import tqdm

    sums = [math.nan] * len(rows)
    with torch.inference_mode(), tqdm(total=len(rows), desc="losses", unit="pair", disable=None) as bar:
        for batch in batch_by_length([row.input_ids for row in rows], batch_size):
            for index, value in zip(batch, _batch_losses(model, [rows[index] for index in batch]), strict=True):
                sums[index] = value
            bar.update(len(batch))
    return sums


def _batch_losses(model: Any, rows: Sequence[Tokenised]) -> list[float]:
    import torch
    from torch.nn.functional import cross_entropy

    input_ids = pad([row.input_ids for row in rows], 0, "right").to(model.device)
    mask = pad([[1] * len(row.input_ids) for row in rows], 0, "right").to(model.device)
    targets = pad([row.labels for row in rows], IGNORED_LABEL, "right").to(model.device)[:, 1:]
    logits = model(input_ids=input_ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    scored = targets != IGNORED_LABEL
    # fp32 for the answer's positions alone: a whole batch of logits would be the largest tensor of all
    losses = cross_entropy(logits[scored].float(), targets[scored], reduction="none")
    row_of_token = scored.nonzero()[:, 0]
    sums = torch.zeros(len(rows), dtype=torch.float64, device=losses.device)
    values: list[float] = sums.index_add(0, row_of_token, losses.double()).tolist()
    return values


def _check_finite(nll: Sequence[float], ids: Sequence[str]) -> None:
    faults = [pair for pair, value in zip(ids, nll, strict=True) if not math.isfinite(value)]
    if faults:
        raise InputError(
            f"The loss of test pair {faults[0]} is not finite ({len(faults)} of {len(ids)} pairs); check the model's "
            "weights, lower training.optimisation.learning_rate, or take an environment of another precision."
        )


def _count_bytes(row: Tokenised, answer: str, tokenizer: Any) -> int:
    scored = tokenizer.decode(row.answer_ids, skip_special_tokens=True).strip() if row.answer_cut else answer
    return len(scored.encode("utf-8"))
