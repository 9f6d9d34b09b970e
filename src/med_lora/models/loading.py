"""The base model on its device: type of the weights, quantisation, attention kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.hardware import check_chip_quantisation, prepare_device
from med_lora.models.quantisation import check_quantisation, quantisation_options, settle_quantised
from med_lora.parameters import HardwareParams, ModelParams

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

Purpose = Literal["training", "inference"]


def load_model(
    base_model: BaseModel, model: ModelParams, hardware: HardwareParams, *, purpose: Purpose, frozen: bool = True
) -> PreTrainedModel:
    """The base model on the environment's device, quantised as ``model.quantisation`` says.

    Norms and embeddings of a quantised model are not widened to fp32, as peft's preparation does: they are frozen, and
    norms compute in fp32 whatever the type of their weights.

    Args:
        base_model: where the weights are.
        model: its quantisation.
        hardware: device, precision and attention kernel.
        purpose: ``inference`` returns the model in evaluation mode.
        frozen: its weights stay as they are, so they can be of 16 bits or quantised; False for full fine-tuning.

    Raises:
        InputError: if the machine lacks the device, the kernel or a library, the checkpoint does not suit the
            quantisation, or its files cannot be had.
    """
    check_chip_quantisation(model.quantisation, hardware)
    device = prepare_device(hardware)
    check_attention(hardware)
    check_quantisation(base_model, model.quantisation, hardware, frozen=frozen)
    dtype = weights_dtype(hardware, purpose, frozen=frozen)
    compute = _precision(hardware) if purpose == "training" else dtype
    options = quantisation_options(model.quantisation, dtype, compute, hardware)
    if hardware.attention != "sdpa":  # the default of every model that has it; the others fall back to eager
        options["attn_implementation"] = hardware.attention
    # FSDP takes the whole model from main memory and puts no more than a shard on each card
    sharded = purpose == "training" and hardware.sharding == "fsdp" and hardware.processes * hardware.machines > 1
    if not sharded and (hardware.device == "cuda" or model.quantisation != "none"):
        options["device_map"] = {"": str(device)}  # straight to the device, never twice in memory
    loaded: Any = base_model.model(dtype, **options)
    if model.quantisation in ("int8", "nf4"):
        settle_quantised(loaded, compute)
    return loaded.eval() if purpose == "inference" else loaded  # type: ignore[no-any-return]


def weights_dtype(hardware: HardwareParams, purpose: Purpose, *, frozen: bool = True) -> torch.dtype:
    """Type of the weights in memory, or of those that quantisation leaves alone.

    fp32 on a CPU, where batches must not change an answer and autocast does the rest of training, and for weights that
    are trained themselves: steps smaller than their rounding would be lost. Else the environment's precision.
    """
    import torch

    if hardware.device == "cpu" or (purpose == "training" and not frozen):
        return torch.float32
    return _precision(hardware)


def check_attention(hardware: HardwareParams) -> None:
    """Raise an InputError if the attention kernel cannot run here."""
    from transformers.utils.import_utils import is_flash_attn_2_available

    if hardware.attention != "flash_attention_2":
        return
    if hardware.device == "cpu" or hardware.precision == "fp32":
        raise InputError(
            "hardware.attention is flash_attention_2, which needs a GPU and 16 bits, and the environment asks for "
            f"{hardware.precision} on {hardware.device}; set it to sdpa."
        )
    if not is_flash_attn_2_available():
        raise InputError(
            "hardware.attention is flash_attention_2 and the package flash-attn is not usable here; install it for "
            "this torch and this GPU, or set it to sdpa."
        )


def _precision(hardware: HardwareParams) -> torch.dtype:
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[hardware.precision]
