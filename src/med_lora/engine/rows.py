"""Rows of token ids, and the tensors they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from med_lora.prompts import IGNORED_LABEL


class Row(TypedDict):
    """One training row: token ids, and as many labels (-100 where the loss does not count)."""

    input_ids: list[int]
    labels: list[int]


def collate(rows: Sequence[Row], pad_id: int, always_mask: bool = False) -> dict[str, Any]:
    """Right-padded tensors [rows, tokens]: ``input_ids``, ``labels`` and, if rows differ, ``attention_mask``.

    TRL's fused loss, which a GPU takes, wants the mask in any case (``always_mask``).
    """
    import torch

    longest = max(len(row["input_ids"]) for row in rows)
    missing = [longest - len(row["input_ids"]) for row in rows]
    batch = {
        "input_ids": [row["input_ids"] + [pad_id] * gap for row, gap in zip(rows, missing, strict=True)],
        "labels": [row["labels"] + [IGNORED_LABEL] * gap for row, gap in zip(rows, missing, strict=True)],
    }
    if always_mask or any(missing):  # without a mask the attention kernel takes its faster causal path
        batch["attention_mask"] = [[1] * (longest - gap) + [0] * gap for gap in missing]
    return {name: torch.tensor(values) for name, values in batch.items()}
