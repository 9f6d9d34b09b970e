"""How surprising the reference answers are to a model."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.generation.batches import batch_by_length, pad
from med_lora.models.session import ModelSession
from med_lora.parameters import PromptParams, TrainingParams
from med_lora.pipelines.evaluation.losses.batches import published_padding, tabulate_batches
from med_lora.pipelines.evaluation.losses.windows import WINDOW, Window, sliding_windows
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.prompts import PairTokeniser, Tokenised, context_length

logger = logging.getLogger(__name__)


def measure_losses(
    session: ModelSession,
    test: Split,
    prompt: PromptParams,
    training: TrainingParams,
    adapter: PretrainedFolder | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cross-entropy of every reference answer given its question, and the sums that other ways to a perplexity need.

    Every answer counts whole: a pair longer than the model's context, or than ``training.max_length`` and 1,024 tokens,
    goes through in windows that overlap by half. With an adapter the tuned model is measured, without one the base
    model.

    Returns:
        losses: in the order of ``test``, columns id, tokens (answer tokens, EOS included), nll (sum over these tokens,
            nats), answer_bytes (UTF-8 bytes of the answer).
        batch_losses: columns variant, batch, tokens, nll, as :func:`tabulate_batches` describes them.

    Raises:
        InputError: for an empty split, or a loss that is not finite.
    """
    pairs = read_pairs(test, "test")
    tokenizer = session.tokenizer()
    tokeniser = PairTokeniser(prompt, tokenizer)
    rows = tokeniser.pairs(pairs["question"].tolist(), pairs["answer"].tolist(), sys.maxsize)
    with session.arm(adapter) as model:
        width = min(context_length(model) or sys.maxsize, max(training.max_length, WINDOW))
        windows = [sliding_windows(row.input_ids, width, width // 2) for row in rows]
        long = sum(1 for of_row in windows if len(of_row) > 1)
        if long:
            logger.info("%d of %d pairs exceed %d tokens and are scored in windows.", long, len(rows), width)
        # behind its window the padding changes nothing that stands before it, so one pass serves both tables
        padding = published_padding([len(of_row[0].ids) for of_row in windows], list(pairs["id"]))
        flat = [window.ids for of_row in windows for window in of_row]
        added = [
            extra for count, of_row in zip(padding, windows, strict=True) for extra in [count] + [0] * (len(of_row) - 1)
        ]
        padded = [[*ids, *[tokenizer.pad_token_id] * count] for ids, count in zip(flat, added, strict=True)]
        values = iter(token_losses(model, padded, session.hardware.inference_batch_size, [len(ids) for ids in flat]))
    found = [[next(values) for _ in of_row] for of_row in windows]
    table = pd.DataFrame(
        {
            "id": list(pairs["id"]),
            "tokens": [len(row.answer_ids) for row in rows],
            "nll": [_of_answer(*given) for given in zip(rows, windows, found, strict=True)],
            "answer_bytes": [len(answer.encode("utf-8")) for answer in pairs["answer"]],
        }
    )
    check_finite(table["nll"], [f"test pair {pair}" for pair in pairs["id"]])
    first = [of_row[0] for of_row in found]
    return table, tabulate_batches(table, [values.sum() for values in first], [len(values) for values in first])


def token_losses(
    model: Any, rows: Sequence[Sequence[int]], batch_size: int, real: Sequence[int] | None = None
) -> list[npt.NDArray[np.float64]]:
    """Cross-entropy in nats of every token of a row but its first, given those before it, in the order of ``rows``.

    Rows are padded on the right: a causal model does not look there.

    Args:
        model: a causal language model.
        rows: token ids.
        batch_size: rows of a forward pass.
        real: how many tokens at the beginning of each row attention may see; None for all. The others are padding that
            is scored as if it were text.

    Returns:
        For each row an array [tokens - 1], computed from logits in fp32.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from tqdm import tqdm

    seen = [len(row) for row in rows] if real is None else real
    losses = [np.empty(0)] * len(rows)
    with torch.inference_mode(), tqdm(total=len(rows), desc="losses", unit="text", disable=None) as bar:
        for batch in batch_by_length(rows, batch_size):
            input_ids = pad([rows[index] for index in batch], 0, "right").to(model.device)
            mask = pad([[1] * seen[index] for index in batch], 0, "right")
            mask = torch.nn.functional.pad(mask, (0, input_ids.shape[1] - mask.shape[1])).to(model.device)
            logits = model(input_ids=input_ids, attention_mask=mask, use_cache=False).logits
            for place, index in enumerate(batch):
                last = len(rows[index]) - 1
                # fp32 for one row at a time: a whole batch of logits would be the largest tensor of all
                values = cross_entropy(logits[place, :last].float(), input_ids[place, 1 : last + 1], reduction="none")
                losses[index] = values.double().cpu().numpy()
            bar.update(len(batch))
    return losses


def check_finite(nll: Sequence[float] | pd.Series, names: Sequence[str]) -> None:
    """Raise an InputError that names the first text whose loss is no number."""
    faults = [name for name, value in zip(names, nll, strict=True) if not np.isfinite(value)]
    if faults:
        raise InputError(
            f"The loss of {faults[0]} is not finite ({len(faults)} of {len(names)} are not); check the model's "
            "weights, lower training.optimisation.learning_rate, or take an environment of another precision."
        )


def _of_answer(row: Tokenised, windows: Sequence[Window], found: Sequence[npt.NDArray[np.float64]]) -> float:
    """The sum over the answer's tokens, each from the window that it counts in."""
    lengths = [len(window.ids) - 1 for window in windows]  # without what is behind the first one as padding
    parts = [values[:length][-window.scored :] for window, length, values in zip(windows, lengths, found, strict=True)]
    return float(np.concatenate(parts)[-len(row.answer_ids) :].sum())
