"""Which layers receive an adapter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from med_lora.errors import InputError

_IN_LAYER = re.compile(r"(?:^|\.)\d+\.")
_ATTENTION = re.compile(r"attn|attention", re.IGNORECASE)


def resolve_targets(model: Any, targets: str | Sequence[str]) -> list[str]:
    """Names of linear layers, as short as they can be, that peft finds again by their ends.

    ``all-linear`` are all but the head; ``attention-mlp`` those in the decoder's layers; ``attention`` those of them
    that stand in a module named after attention. So they are found by a model's structure: separate or fused
    projections, GPT-2's transposed ones, and quantised ones of any kind. The head is never among them.

    Args:
        model: a model of transformers.
        targets: one of the three words, or names of layers (their last parts).

    Raises:
        InputError: for a name that is no linear layer, with those that are; or a word that finds none.
    """
    layers = linear_layers(model)
    if not isinstance(targets, str):
        return _check_names(targets, layers)
    chosen = {name for name in layers if _is_meant(name, targets)}
    if not chosen:
        raise InputError(
            f"lora.target_modules {targets!r} finds no layer in this model; name some of its linear layers: "
            f"{_list_names(layers)}."
        )
    return _shorten(chosen, set(layers))


def linear_layers(model: Any) -> dict[str, Any]:
    """Linear layers by their full name: torch's, GPT-2's Conv1D, bitsandbytes' and GPTQ's; without the head."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    return {
        name: module
        for name, module in model.named_modules()
        if module is not head and (isinstance(module, torch.nn.Linear | Conv1D) or hasattr(module, "qweight"))
    }


def _is_meant(name: str, word: str) -> bool:
    if word == "all-linear":
        return True
    layer = _IN_LAYER.search(name)
    if layer is None:
        return False
    place = name[layer.end() :].rpartition(".")[0]
    return word == "attention-mlp" or bool(_ATTENTION.search(place))


def _shorten(chosen: set[str], known: set[str]) -> list[str]:
    """The last parts of the chosen names, longer where another layer's name ends alike (GPT-2's two ``c_proj``)."""
    others = known - chosen
    ends = set()
    for name in chosen:
        parts = name.split(".")
        tails = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        ends.add(next(tail for tail in tails if not any(f".{other}".endswith(f".{tail}") for other in others)))
    return sorted(ends)


def _check_names(targets: Sequence[str], layers: Mapping[str, Any]) -> list[str]:
    if not targets:
        raise InputError(
            f"lora.target_modules is an empty list; name some of this model's linear layers: {_list_names(layers)}."
        )
    for target in targets:
        if not any(f".{name}".endswith(f".{target}") for name in layers):
            near = get_close_matches(target, _names(layers), n=1)
            raise InputError(
                f"lora.target_modules names {target!r}, which is no linear layer of this model (they are "
                f"{_list_names(layers)}); {f'did you mean {near[0]!r}?' if near else 'name one of them.'}"
            )
    return list(targets)


def _names(layers: Mapping[str, Any]) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in layers})


def _list_names(layers: Mapping[str, Any]) -> str:
    return ", ".join(_names(layers))
