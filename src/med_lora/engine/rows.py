"""Rows of token ids, and the tensors they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from med_lora.errors import InputError
from med_lora.prompts import IGNORED_LABEL


class Row(TypedDict):
    """One training row: token ids, and as many labels (-100 where the loss does not count)."""

    input_ids: list[int]
    labels: list[int]


def check_labels(rows: Sequence[Row], split: str) -> None:
    """Raise an InputError if a row has no label after its first token: the loss has nothing to count there."""
    unlabelled = sum(all(label == IGNORED_LABEL for label in row["labels"][1:]) for row in rows)
    if unlabelled:
        raise InputError(
            f"{unlabelled} of {len(rows)} {split} rows have no token that the loss counts (the prompt may fill "
            "training.max_length): raise training.max_length, or set training.overlong to drop."
        )


def collate(rows: Sequence[Row], pad_id: int) -> dict[str, Any]:
    """Right-padded tensors ``input_ids`` and ``labels``, both [rows, longest row].

    A row's first token is no label, since nothing predicts it.
    There is no attention mask: with causal attention a token never sees the padding to its right, and without a mask
    the attention kernels take their faster causal path. No rows at all become one padding token without a label.
    """
    import torch

    longest = max((len(row["input_ids"]) for row in rows), default=1)
    ids = torch.full((max(1, len(rows)), longest), pad_id)
    labels = torch.full_like(ids, IGNORED_LABEL)
    for index, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[index, :length] = torch.tensor(row["input_ids"])
        labels[index, 1:length] = torch.tensor(row["labels"][1:])
    return {"input_ids": ids, "labels": labels}


def pack(rows: Sequence[Row], pad_id: int, flat: bool) -> dict[str, Any]:
    """Tensors ``input_ids``, ``labels`` and ``position_ids`` [packed rows, tokens], in which rows share packed rows.

    Positions start again with each row, from which attention tells them apart; a row's first token is no label, since
    the token before it belongs to another row. Packed rows are as long as the longest row, filled by best fit
    decreasing (Johnson 1974, doi:10.1016/S0022-0000(74)80026-7); with ``flat`` all rows follow one another in a
    single packed row without padding, the form that kernels for rows of varying length take.
    """
    import torch

    filled = [list(rows)] if flat and rows else _best_fit(rows)
    joined = [
        Row(
            input_ids=[token for row in members for token in row["input_ids"]],
            labels=[label for row in members for label in (IGNORED_LABEL, *row["labels"][1:])],
        )
        for members in filled
    ]
    batch = collate(joined, pad_id)
    width = batch["input_ids"].shape[1]
    positions = [[place for row in members for place in range(len(row["input_ids"]))] for members in filled]
    for line, members in zip(positions, filled, strict=True):  # padding goes on with the last row, which precedes it
        last = len(members[-1]["input_ids"]) if members else 0
        line.extend(range(last, last + width - len(line)))
    batch["position_ids"] = torch.tensor(positions or [[0]])
    return batch


def _best_fit(rows: Sequence[Row]) -> list[list[Row]]:
    longest = max((len(row["input_ids"]) for row in rows), default=0)
    filled: list[list[Row]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: -len(row["input_ids"])):
        length = len(row["input_ids"])
        fitting = [index for index, left in enumerate(room) if left >= length]
        if not fitting:
            filled.append([row])
            room.append(longest - length)
            continue
        tightest = min(fitting, key=room.__getitem__)
        filled[tightest].append(row)
        room[tightest] -= length
    return filled
