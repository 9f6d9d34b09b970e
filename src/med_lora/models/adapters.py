"""A fresh LoRA adapter, its saving, and what must not move while it is trained."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.models.quantisation import is_quantised
from med_lora.models.targets import resolve_targets
from med_lora.parameters import LoraParams

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

logger = logging.getLogger(__name__)


def attach_adapter(model: Any, lora: LoraParams, base_model: BaseModel | None = None) -> PeftModel:
    """The model with a fresh LoRA adapter on its target modules, all other weights frozen.

    The adapter's weights are fp32, whatever the type of the others. With PiSSA (Meng et al. 2024) the base weights
    become their residual here, so :func:`checksums` are taken afterwards and the adapter is saved by ``save_adapter``.

    Args:
        model: as ``load_model`` gives it.
        lora: rank, targets and variant.
        base_model: where ``model`` came from; needed by LoftQ alone, which reads the weights before quantisation.

    Raises:
        InputError: for target modules that do not exist, or a variant that the quantisation does not allow.
    """
    from peft import LoraConfig, get_peft_model

    from med_lora.models.initialisation import initialise_loftq, keep_initial

    _check_variant(model, lora)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=resolve_targets(model, lora.target_modules),
        fan_in_fan_out=_is_transposed(model),
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        init_lora_weights="pissa" if lora.initialisation == "pissa" else True,
    )
    adapted: Any = get_peft_model(model, config)
    if lora.initialisation == "pissa":
        keep_initial(adapted)
    if lora.initialisation == "loftq":
        initialise_loftq(adapted, base_model)
    trainable, total = adapted.get_nb_trainable_parameters()
    logger.info(
        "LoRA of rank %d: %d of %d parameters are trained (%.2f %%).", lora.r, trainable, total, 100 * trainable / total
    )
    return adapted  # type: ignore[no-any-return]


def _check_variant(model: Any, lora: LoraParams) -> None:
    method = _quantisation_method(model)
    where = "lora.initialisation is"
    if lora.initialisation == "pissa" and method is not None:
        raise InputError(
            f"{where} pissa, which changes the base weights and cannot change quantised ones; set model.quantisation "
            "to none or the initialisation to default."
        )
    if lora.initialisation == "loftq" and method != "nf4":
        raise InputError(
            f"{where} loftq, which makes up for what NF4 loses; set model.quantisation to nf4 or the initialisation "
            "to default."
        )
    if lora.initialisation != "default" and lora.use_dora:
        raise InputError(
            f"{where} {lora.initialisation}, which does not go with lora.use_dora; set one to its default."
        )
    if lora.use_dora and method == "int8" and model.device.type == "cpu":
        raise InputError(
            "lora.use_dora does not work on 8-bit weights on a CPU, where peft loses their scales; set "
            "model.quantisation to nf4 or none."
        )
    if lora.use_dora and method == "gptq":
        raise InputError("lora.use_dora needs weights that can be dequantised; GPTQ's cannot, so set nf4.")


def _quantisation_method(model: Any) -> str | None:
    if not is_quantised(model):
        return None
    config = model.config.quantization_config
    if getattr(config, "load_in_4bit", False):
        return "nf4"
    return "int8" if getattr(config, "load_in_8bit", False) else "gptq"


def _is_transposed(model: Any) -> bool:
    """Whether weights are stored as (in, out), as in GPT-2's Conv1D; quantisation turns them round."""
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in model.modules())


def checksums(model: Any) -> dict[str, str]:
    """SHA-256 of every frozen parameter's bytes, taken one at a time, and of what quantised weights are scaled with.

    Tied weights count once. Under FSDP these are the shards of this process, so compare what was taken of the same
    sharded model before and after.
    """
    return {name: _digest(tensors) for name, tensors in _frozen(model)}


def _frozen(model: Any) -> Iterator[tuple[str, list[torch.Tensor]]]:
    for name, value in model.named_parameters():
        if not value.requires_grad:
            yield name, [value, *_scales(value)]
    for name, module in model.named_modules():
        if hasattr(module, "init_8bit_state"):  # of bitsandbytes, which moves the scales at the first forward pass
            yield f"{name}.SCB", [module.weight.SCB if module.state.SCB is None else module.state.SCB]
        if hasattr(module, "qweight"):
            for buffer in ("qweight", "qzeros", "scales", "g_idx"):
                yield f"{name}.{buffer}", [getattr(module, buffer)]


def _scales(value: Any) -> list[torch.Tensor]:
    state = getattr(value, "quant_state", None)
    return [] if state is None else [tensor for _, tensor in sorted(state.as_dict(packed=True).items())]


def _digest(tensors: list[Any]) -> str:
    import torch

    digest = hashlib.sha256()
    for tensor in tensors:
        local = tensor.to_local() if hasattr(tensor, "to_local") else tensor
        values = local.detach()
        if values.ndim == 1 and values.is_floating_point():
            values = values.float()  # bitsandbytes changes the type of an 8-bit layer's bias to its input's
        digest.update(values.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
