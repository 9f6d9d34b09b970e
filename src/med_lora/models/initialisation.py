"""Adapters that do not begin at zero, and how they are saved."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from med_lora.datasets.base_model import BaseModel

if TYPE_CHECKING:
    import torch

_INITIAL = "initial_adapter"


def keep_initial(model: Any) -> None:
    """Remember the A and B that PiSSA took out of the base weights: without them it could not be put back."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(model)
    setattr(model, _INITIAL, {name: value.detach().cpu().clone() for name, value in state.items()})


def initialise_loftq(model: Any, base_model: BaseModel | None) -> None:
    """Let the adapter begin at the best rank-r approximation of what quantisation lost.

    One step of LoftQ (Li et al. 2023, arXiv:2310.08659, algorithm 1 with T = 1): the base stays NF4(W), and B A scaled
    is the truncated SVD of W - NF4(W). More steps would change the base, which an adapter's folder does not hold.

    Args:
        model: a PEFT model over an NF4 base, changed in place.
        base_model: its origin; the weights are read once more, unquantised, into main memory.
    """
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from transformers.pytorch_utils import Conv1D

    if base_model is None:
        raise ValueError("LoftQ needs the base model's handle")
    original = base_model.model("auto")
    with torch.no_grad():
        for name, layer in model.get_base_model().named_modules():
            if not hasattr(layer, "lora_A"):
                continue
            source: Any = original.get_submodule(name)
            weight = source.weight.T if isinstance(source, Conv1D) else source.weight
            quantised = layer.get_base_layer().weight
            lost = weight.to(quantised.device, torch.float32)
            lost = lost - dequantize_4bit(quantised.data, quantised.quant_state).float()
            _set_product(layer, lost / layer.scaling["default"])


def _set_product(layer: Any, product: torch.Tensor) -> None:
    """Make B A of a layer the truncated SVD of ``product`` [out, in], its scale shared evenly."""
    import torch

    rank = layer.r["default"]
    left, values, right = torch.linalg.svd(product, full_matrices=False)
    root = values[:rank].sqrt()
    first, second = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    count = root.numel()  # fewer than the rank where a side of the matrix is shorter
    first.zero_()
    second.zero_()
    first[:count] = root[:, None] * right[:rank]
    second[:, :count] = left[:, :rank] * root


def save_adapter(model: Any, folder: Path, state: dict[str, torch.Tensor] | None = None) -> None:
    """Save the adapter so that it fits the original base model.

    One that began by PiSSA is saved as plain LoRA of twice the rank: W + B A - B0 A0 is what was trained, since W - B0
    A0 was its base.

    Args:
        model: a PEFT model; any other is saved as it is.
        folder: where to; files there are replaced.
        state: the whole model's weights, where this process holds only a shard of them.
    """
    import torch
    from safetensors.torch import load_file, save_file

    model.save_pretrained(str(folder), state_dict=state)
    initial = getattr(model, _INITIAL, None)
    if initial is None:
        return
    weights = folder / "adapter_model.safetensors"
    joined = {}
    for name, value in load_file(weights).items():
        first = initial[name].to(value.dtype)
        joined[name] = torch.cat([value, first], dim=0) if ".lora_A." in name else torch.cat([value, -first], dim=1)
    save_file(joined, weights, metadata={"format": "pt"})
    config = copy.deepcopy(model.peft_config["default"])
    scale = config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)
    config.r, config.lora_alpha, config.use_rslora = 2 * config.r, 2 * config.r * scale, False
    config.init_lora_weights, config.inference_mode = True, True
    config.save_pretrained(str(folder))
