"""Whether a model can be trained on packed rows."""

from __future__ import annotations

from typing import Any

from med_lora.engine.rows import Row, pack
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, OptimisationParams

LEAK = 0.02  # standard deviations of the logits: int8 rounds with the batch and stays below, other words far above


def check_packing(model: Any, recipe: OptimisationParams, hardware: HardwareParams) -> None:
    """Raise an InputError if a row's logits depend on the rows that share its packed row.

    Families differ in what they make of position ids, so this model is asked.
    """
    flat = hardware.attention == "flash_attention_2"
    if flat and recipe.neftune_alpha is not None:
        raise InputError(
            "optimisation.neftune_alpha scales its noise by the length of a row, which hardware.packing with "
            "flash_attention_2 changes; set hardware.packing to false."
        )
    if leakage(model) > LEAK:
        raise InputError(
            f"hardware.packing would let pairs see one another in a model of type {model.config.model_type}, which "
            "does not tell packed rows apart by their positions; set hardware.packing to false."
        )


def leakage(model: Any) -> float:
    """Largest change of a row's logits, in standard deviations of the logits, when the row in front of it changes.

    Both packed rows have the same shape, so that without a leak even half precision rounds alike.
    """
    import torch

    was_training = model.training
    model.eval()
    seen = []
    for first in (range(2, 14), range(30, 18, -1)):
        rows = [Row(input_ids=list(ids), labels=list(ids)) for ids in (first, range(10, 20))]
        packed = pack(rows, 0, flat=True)
        inputs = {name: packed[name].to(model.device) for name in ("input_ids", "position_ids")}
        with torch.no_grad():
            seen.append(model(**inputs, use_cache=False).logits[0, len(first) :].float())
    model.train(was_training)
    return float((seen[0] - seen[1]).abs().max() / seen[0].std())
