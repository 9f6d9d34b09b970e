"""The model a run will train, on the meta device: layers, types and adapter, and no weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from med_lora.models.adapters import attach_adapter
from med_lora.models.loading import weights_dtype
from med_lora.models.targets import linear_layers
from med_lora.parameters import HardwareParams, ModelParams, TrainingParams

# Bytes a weight. NF4 with double quantisation: half a byte, an 8-bit scale for 64 weights, an fp32 one for 64 x 256.
# GPTQ: half a byte, an fp16 scale and a 4-bit zero point for 128 weights.
QUANTISED_BYTES = {"int8": 1.0, "nf4": 1 / 2 + 1 / 64 + 4 / (64 * 256), "gptq": 1 / 2 + 2.5 / 128}


def build_on_meta(config: Any, model: ModelParams, training: TrainingParams, hardware: HardwareParams) -> Any:
    """The base model without data, quantised, with its adapter and gradient checkpointing as the run will have them."""
    import torch
    from transformers import AutoModelForCausalLM

    lora = training.method == "lora"
    dtype = weights_dtype(hardware, "training", frozen=lora)
    with torch.device("meta"), quiet_adapters():
        built = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=dtype, **_attention(hardware)
        )
        if lora:
            if model.quantisation != "none":
                compute = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[hardware.precision]
                _quantise(built, model.quantisation, compute)
            # initialisations from the base weights differ in values alone
            plain = {"initialisation": "default"} | ({"use_dora": False} if model.quantisation != "none" else {})
            built = attach_adapter(built, training.lora.model_copy(update=plain))
    if hardware.gradient_checkpointing:
        built.activation_checkpointing_enable({"use_reentrant": False})
    return built


def _attention(hardware: HardwareParams) -> dict[str, str]:
    """FlashAttention holds what torch's fused kernel holds, and needs a GPU even to be built."""
    return {"attn_implementation": "eager"} if hardware.attention == "eager" else {}


def largest_layer(model: Any) -> int:
    """Bytes of the largest of the decoder's layers, which FSDP gathers one at a time, the next one ahead of its use."""
    import torch

    layers = [layer for module in model.modules() if isinstance(module, torch.nn.ModuleList) for layer in module]
    sizes = [sum(weight.numel() * weight.element_size() for weight in layer.parameters()) for layer in layers]
    return max(sizes, default=0)


def _quantise(model: Any, quantisation: str, compute: Any) -> None:
    """Replace linear layers, the head aside, by ones that hold as many bytes as the quantised layer."""
    for name, layer in linear_layers(model).items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, _make_quantised(layer, quantisation, compute))
    model.is_loaded_in_4bit, model.is_loaded_in_8bit = quantisation == "nf4", quantisation == "int8"


def _make_quantised(layer: Any, quantisation: str, compute: Any) -> Any:
    import torch
    from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt

    outputs, inputs = layer.weight.shape if hasattr(layer, "in_features") else layer.weight.shape[::-1]
    kind: Any = {"nf4": Linear4bit, "int8": Linear8bitLt, "gptq": torch.nn.Linear}[quantisation]

    class Quantised(kind):  # type: ignore[misc]
        """Poses as the layer of bitsandbytes, of which peft makes its own kind of adapter."""

        def forward(self, x: Any) -> Any:
            result = _multiply(x.to(compute), outputs, keeps_input=quantisation == "int8")
            return (result if self.bias is None else result + self.bias.to(compute)).to(x.dtype)

    posing = Quantised(inputs, outputs, bias=layer.bias is not None)
    packed = torch.empty(math.ceil(inputs * outputs * QUANTISED_BYTES[quantisation]), dtype=torch.uint8)
    given = posing.weight.__dict__
    posing.weight = torch.nn.Parameter(packed, requires_grad=False)
    posing.weight.__dict__.update({name: value for name, value in given.items() if name != "data"})
    return posing


def _multiply(x: Any, outputs: int, keeps_input: bool) -> Any:
    """Multiply by a weight that is dequantised for the moment, forwards and backwards; int8 layers keep their input."""
    import torch

    class Multiply(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            context.kept = x if keeps_input else None
            context.inputs = x.shape[-1]
            return x @ x.new_empty(x.shape[-1], outputs)

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:  # type: ignore[override]
            return gradient @ gradient.new_empty(outputs, context.inputs)

    return Multiply.apply(x)  # type: ignore[no-untyped-call]


@contextmanager
def quiet_adapters() -> Iterator[None]:
    """Attaching the adapter tells its size, which the run itself will tell."""
    adapters = logging.getLogger("med_lora.models.adapters")
    level = adapters.level
    adapters.setLevel(logging.WARNING)
    try:
        yield
    finally:
        adapters.setLevel(level)
