"""What tuning costs elsewhere: bits per byte of general English before and after."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.session import ModelSession
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.losses.measure import check_finite, token_losses
from med_lora.pipelines.evaluation.losses.windows import WINDOW, sliding_windows
from med_lora.prompts import context_length
from med_lora.prompts.tokens import opening_tokens
from med_lora.statistics.resampling import Estimate, Resamples, resample


def measure_general_text(
    session: ModelSession, general_english: pd.DataFrame, adapter: PretrainedFolder | None = None
) -> pd.DataFrame:
    """Cross-entropy of every document, in windows of the model's context or ``WINDOW`` tokens that overlap by half.

    A document begins with what the tokenizer puts before every text, or with EOS where that is nothing, so that the
    first token counts too; white space around it does not.

    Args:
        general_english: columns file and text.

    Returns:
        Columns document (its file), tokens, nll (sum over them, nats) and bytes (UTF-8), in order of document.

    Raises:
        InputError: for a file without text, or a loss that is not finite.
    """
    documents = general_english.sort_values("file", kind="stable")
    texts = [text.strip() for text in documents["text"]]
    blank = [file for file, text in zip(documents["file"], texts, strict=True) if not text]
    if blank:
        raise InputError(f"The file {blank[0]} of the general English holds no text; write some or take it out.")
    tokenised = _tokenise(texts, session.tokenizer())
    with session.arm(adapter) as model:
        width = min(context_length(model) or WINDOW, WINDOW)
        windows = [sliding_windows(ids, width, width // 2) for ids in tokenised]
        flat = [window for of_document in windows for window in of_document]
        losses = token_losses(model, [window.ids for window in flat], session.hardware.inference_batch_size)
    sums = iter([values[-window.scored :].sum() for window, values in zip(flat, losses, strict=True)])
    table = pd.DataFrame(
        {
            "document": list(documents["file"]),
            "tokens": [len(ids) - 1 for ids in tokenised],
            "nll": [float(sum(next(sums) for _ in of_document)) for of_document in windows],
            "bytes": [len(text.encode("utf-8")) for text in texts],
        }
    )
    check_finite(table["nll"], [f"the general English file {file}" for file in table["document"]])
    return table


def _tokenise(texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
    opening = opening_tokens(tokenizer) or [tokenizer.eos_token_id]
    ids = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return [opening + found for found in ids]


def compare_general(
    base_general_losses: pd.DataFrame, tuned_general_losses: pd.DataFrame, evaluation: EvaluationParams
) -> pd.DataFrame:
    """General English before and after tuning, over the same documents.

    Returns:
        One row, columns measure ("bits_per_byte"), n (documents), base, tuned, difference (tuned - base), low, high
        (percentile interval of the difference by a paired bootstrap over documents; NaN for fewer than two) and note.

    Raises:
        InputError: if the arms were not measured on the same documents.
    """
    base, tuned = (table.set_index("document") for table in (base_general_losses, tuned_general_losses))
    if not base["bytes"].sort_index().equals(tuned["bytes"].sort_index()):
        raise InputError(
            "base_general_losses and tuned_general_losses are of different documents; run the evaluation of both again."
        )
    items = pd.DataFrame(
        {("base", "nll"): base["nll"], ("tuned", "nll"): tuned["nll"], ("both", "bytes"): base["bytes"]}
    )
    over = resample(items, items.index.to_series(), evaluation.bootstrap_samples, evaluation.seed)
    low, high = (_bits(over, "tuned") - _bits(over, "base")).interval(evaluation.confidence)
    bits = {
        arm: float(items[arm, "nll"].sum() / items["both", "bytes"].sum() / math.log(2)) for arm in ("base", "tuned")
    }
    row = {"measure": "bits_per_byte", "n": len(items), **bits, "difference": bits["tuned"] - bits["base"]}
    return pd.DataFrame([row | {"low": low, "high": high, "note": _note(low, high)}])


def _bits(over: Resamples, arm: str) -> Estimate:
    nats = over.ratio((arm, "nll"), ("both", "bytes"))
    return Estimate(nats.value / math.log(2), nats.draws / math.log(2))


def _note(low: float, high: float) -> str:
    if math.isnan(low):
        return "an interval needs two documents"
    if low > 0:
        return "tuning made general English less predictable to the model"
    return "tuning made general English more predictable to the model" if high < 0 else "no difference found"
