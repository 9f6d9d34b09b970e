"""Losses of a model on rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from med_lora.engine.rows import Row, collate
from med_lora.prompts import IGNORED_LABEL


def mean_loss(model: Any, rows: Sequence[Row], pad_id: int, batch_size: int) -> float:
    """Cross-entropy in nats a label token: the sum over all rows divided by the number of their label tokens."""
    import torch

    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in _batches(sorted(rows, key=lambda row: len(row["input_ids"])), batch_size):
            inputs = {name: tensor.to(model.device) for name, tensor in collate(batch, pad_id).items()}
            labels = inputs.pop("labels")[:, 1:]
            logits = model(**inputs, use_cache=False).logits[:, :-1].float()
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED_LABEL, reduction="sum"
            )
            total += float(loss)
            count += int((labels != IGNORED_LABEL).sum())
    model.train(was_training)
    return total / count


def _batches(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
