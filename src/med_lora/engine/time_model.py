"""The first layers of the model a run will train, with weights of no meaning, to time a step on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from med_lora.engine.memory_model import quiet_adapters
from med_lora.models.adapters import attach_adapter
from med_lora.models.loading import weights_dtype
from med_lora.models.quantisation import mend_dequantisation, settle_quantised
from med_lora.models.targets import linear_layers
from med_lora.parameters import HardwareParams, ModelParams, TrainingParams

INT8_THRESHOLD = 6.0  # transformers' default: larger inputs are multiplied in 16 bits (Dettmers 2022, arXiv:2208.07339)


def depths_to_time(model: Any) -> tuple[list[int], int]:
    """Numbers of layers whose difference tells what further layers take, and the model's own number.

    One and two, or where layers of several kinds take turns, one turn and two; the model's own alone if it has no more.
    Kinds are told apart by the shapes of their weights, and by the names that the configuration has for them.

    Raises:
        ValueError: if the layers are not found, or are of several kinds that do not take turns.
    """
    parent, name = _find_layers(model)
    layers = getattr(parent, name)
    count = len(layers)
    names = getattr(model.config.get_text_config(), "layer_types", None) or [None] * count
    shapes = [[(name, weight.shape) for name, weight in layer.named_parameters()] for layer in layers]
    kinds = list(zip(names, shapes, strict=True))
    turn = next(size for size in range(1, count + 1) if kinds[size:] == kinds[: count - size])
    if turn == count > 2:
        raise ValueError(f"the {count} layers of a model of type {model.config.model_type} do not take turns")
    return ([turn, 2 * turn] if 2 * turn < count else [count]), count


@contextmanager
def cut_to(model: Any, depth: int) -> Iterator[None]:
    """While the model has only the first ``depth`` of its decoder's layers.

    Raises:
        ValueError: if one of the others is passed all the same.
    """

    def refuse(*_: Any) -> None:
        raise ValueError(f"a model of type {model.config.model_type} cannot be cut to {depth} layers")

    parent, name = _find_layers(model)
    layers, text = getattr(parent, name), model.config.get_text_config()
    hooks = [layer.register_forward_pre_hook(refuse) for layer in layers[depth:]]
    setattr(parent, name, layers[:depth])
    text.num_hidden_layers = depth
    try:
        yield
    finally:
        setattr(parent, name, layers)
        text.num_hidden_layers = len(layers)
        for hook in hooks:
            hook.remove()


def _find_layers(model: Any) -> tuple[Any, str]:
    """The module that holds the decoder's layers, and their name in it."""
    import torch

    text = model.config.get_text_config()
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, torch.nn.ModuleList) and len(child) == text.num_hidden_layers:
                return module, name
    raise ValueError(f"a model of type {text.model_type} has no list of {text.num_hidden_layers} layers")


def build_first_layers(
    config: Any, layers: int, model: ModelParams, training: TrainingParams, hardware: HardwareParams, device: Any
) -> Any:
    """The model with so many layers on ``device``, in the run's type, quantised, with its adapter and checkpointing.

    An adapter that starts from the base weights is of the same shape as one that does not, and GPTQ's layers need a
    checkpoint, so NF4's stand for them.

    Args:
        config: transformers' configuration of the base model; stays as it is.
        layers: of the decoder.
        model: its quantisation.
        training: method and adapter.
        hardware: precision, attention, checkpointing.
        device: a ``torch.device``.

    Returns:
        The model in training mode.
    """
    import torch
    from transformers.initialization import no_init_weights

    lora = training.method == "lora"
    with torch.device(device), no_init_weights():
        dtype = weights_dtype(hardware, "training", frozen=lora)
        built = from_config(shorten(config, layers), dtype, hardware.attention)
    with torch.no_grad():
        for weight in built.parameters():
            weight.uniform_(-0.05, 0.05) if weight.ndim > 1 else weight.fill_(1.0)
    if lora:
        if model.quantisation != "none":
            compute = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[hardware.precision]
            _quantise(built, model.quantisation, compute, device)
        with quiet_adapters():
            built = attach_adapter(built, training.lora.model_copy(update={"initialisation": "default"}))
    if hardware.gradient_checkpointing:
        built.activation_checkpointing_enable({"use_reentrant": False})
    return built.train()


def from_config(config: Any, dtype: Any, attention: str = "sdpa") -> Any:
    """A causal language model on the device of the context."""
    from transformers import AutoModelForCausalLM

    kernel = {} if attention == "sdpa" else {"attn_implementation": attention}  # as load_model has it
    return AutoModelForCausalLM.from_config(config, dtype=dtype, **kernel)  # type: ignore[no-untyped-call]


def shorten(config: Any, layers: int | None = None) -> Any:
    """A copy of the configuration, of a model that is not quantised, with so many layers, or with all."""
    shorter = copy.deepcopy(config)
    if hasattr(shorter, "quantization_config"):
        del shorter.quantization_config
    text = shorter.get_text_config()
    if layers is not None:
        if getattr(text, "layer_types", None):
            text.layer_types = text.layer_types[:layers]
        text.num_hidden_layers = layers
    return shorter


def _quantise(model: Any, quantisation: str, compute: Any, device: Any) -> None:
    """Replace linear layers, the head aside, by bitsandbytes' layers of the same weights."""
    mend_dequantisation()
    for name, layer in linear_layers(model).items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, _make_quantised(layer, quantisation, compute).to(device))
    model.is_loaded_in_8bit = quantisation == "int8"
    model.is_loaded_in_4bit = not model.is_loaded_in_8bit
    settle_quantised(model, compute)
    model.requires_grad_(False)


def _make_quantised(layer: Any, quantisation: str, compute: Any) -> Any:
    from bitsandbytes.nn import modules

    kinds: Any = modules  # without type hints
    weight = layer.weight.data if hasattr(layer, "in_features") else layer.weight.data.t().contiguous()  # GPT-2's
    outputs, inputs = weight.shape
    shape = {"input_features": inputs, "output_features": outputs, "bias": layer.bias is not None, "device": "meta"}
    if quantisation == "int8":
        made = kinds.Linear8bitLt(**shape, has_fp16_weights=False, threshold=INT8_THRESHOLD)
        made.weight = kinds.Int8Params(weight.cpu(), requires_grad=False, has_fp16_weights=False)
    else:
        nf4 = {"compress_statistics": True, "quant_type": "nf4"}
        made = kinds.Linear4bit(**shape, **nf4, compute_dtype=compute)
        made.weight = kinds.Params4bit(weight, requires_grad=False, module=made, **nf4)
    made.bias = layer.bias
    return made
