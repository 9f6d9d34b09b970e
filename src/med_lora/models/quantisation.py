"""Frozen weights of 8 or 4 bits: what a machine and a checkpoint allow, and how they are loaded."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams

if TYPE_CHECKING:
    import torch


def check_quantisation(base_model: BaseModel, quantisation: str, hardware: HardwareParams, *, frozen: bool) -> None:
    """Check before any weights are read that model.quantisation suits the method, the checkpoint and the machine.

    Raises:
        InputError: that names what does not fit.
    """
    if quantisation != "none" and not frozen:
        raise InputError(
            f"model.quantisation is {quantisation} and training.method is full, but quantised weights cannot be "
            "trained; set quantisation to none or method to lora."
        )
    stored = _stored_quantisation(base_model)
    if quantisation == "gptq":
        _check_gptq(base_model, stored)
    elif stored is not None:
        way = "set model.quantisation to gptq" if stored == "gptq" else "choose its unquantised original"
        raise InputError(
            f"The weights of {base_model.source} are already quantised ({stored}) and model.quantisation is "
            f"{quantisation}; {way}."
        )
    if quantisation in ("int8", "nf4"):
        _check_bitsandbytes(quantisation, hardware)
        mend_dequantisation()


def quantisation_options(
    quantisation: str, dtype: torch.dtype, compute: torch.dtype, hardware: HardwareParams
) -> dict[str, Any]:
    """Arguments of ``from_pretrained`` for the quantisation; none without one.

    Args:
        quantisation: as ``model.quantisation``.
        dtype: type of the weights that stay as they are.
        compute: type of the arithmetic on dequantised weights.
        hardware: under FSDP all weights must be stored in one type, as which the 4-bit ones pose.
    """
    import torch
    from transformers import BitsAndBytesConfig, GPTQConfig

    config: Any = None
    if quantisation == "int8":
        config = BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    if quantisation == "nf4":
        config = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=compute,
            bnb_4bit_quant_storage=dtype if hardware.sharding == "fsdp" and hardware.device == "cuda" else torch.uint8,
        )
    if quantisation == "gptq":  # the one kernel that can compute gradients, on a CPU too
        config = GPTQConfig(bits=4, backend="gptq_torch")
    return {} if config is None else {"quantization_config": config}


def settle_quantised(model: Any, compute: torch.dtype) -> None:
    """Undo what bitsandbytes would do to its layers on the way.

    On a chip with avx512_bf16 it repacks 4-bit weights at the first forward pass in evaluation mode, and gradients
    through them are wrong from then on, without a warning. And it rounds biases to the type it computes in at the first
    pass of any kind; done here, no value changes any more once training has begun.
    """
    from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
        if isinstance(module, Linear4bit | Linear8bitLt) and module.bias is not None:
            module.bias.data = module.bias.data.to(compute).to(module.bias.dtype)


@cache
def mend_dequantisation() -> Any:
    """Make bitsandbytes' 4-bit weights right on a CPU for rows of any width.

    Its AVX-512 kernel (0.50) takes every row to begin a new block of 64, so a matrix whose width is another multiple of
    16 comes out with 2 to 4 times the error of NF4, silently. The same numbers as one single row come out right.

    Returns:
        The registration, which lasts as long as it is kept; None where there is no such kernel.
    """
    import bitsandbytes  # noqa: F401 - registers its kernels
    import torch

    try:
        original = torch.library.get_kernel("bitsandbytes::dequantize_4bit", "CPU")
    except RuntimeError:
        return None

    def dequantise(
        keys: Any, packed: Any, absmax: Any, blocksize: int, quant_type: str, shape: Sequence[int], dtype: Any
    ) -> Any:
        whole = shape[-1] % blocksize == 0
        rows = list(shape) if whole else [1, math.prod(shape)]
        return original.call_boxed(keys, packed, absmax, blocksize, quant_type, rows, dtype).reshape(shape)

    library: Any = torch.library.Library("bitsandbytes", "IMPL")  # type: ignore[no-untyped-call]
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # torch tells of every override
        library.impl("dequantize_4bit", dequantise, "CPU", with_keyset=True, allow_override=True)
    return library


def is_quantised(model: Any) -> bool:
    """Whether a loaded model's weights are quantised, by this project or already in the checkpoint."""
    return getattr(model.config, "quantization_config", None) is not None


def _stored_quantisation(base_model: BaseModel) -> str | None:
    """The method by which the checkpoint is quantised, or None."""
    stored = getattr(base_model.config(), "quantization_config", None)
    if stored is None:
        return None
    settings = stored if isinstance(stored, dict) else stored.to_dict()
    return str(getattr(settings.get("quant_method"), "value", settings.get("quant_method", "unknown")))


def _check_gptq(base_model: BaseModel, stored: str | None) -> None:
    if stored != "gptq":
        raise InputError(
            f"model.quantisation is gptq, and {base_model.source} is no GPTQ checkpoint (its config.json has no such "
            "quantization_config); set model.id to one, or quantisation to nf4."
        )
    missing = [package for package in ("gptqmodel", "optimum") if find_spec(package) is None]
    if missing:
        raise InputError(
            f"model.quantisation gptq needs {' and '.join(missing)}; install the packages: "
            "pip install --no-deps -r requirements-gptq.lock."
        )


def _check_bitsandbytes(quantisation: str, hardware: HardwareParams) -> None:
    import torch

    if find_spec("bitsandbytes") is None:
        raise InputError(f"model.quantisation {quantisation} needs bitsandbytes; install it, or set it to none.")
    if hardware.device == "cpu":
        return
    from bitsandbytes.cextension import lib

    if not getattr(lib, "compiled_with_cuda", False):
        raise InputError(
            f"model.quantisation is {quantisation}, and the installed bitsandbytes has no library for CUDA "
            f"{torch.version.cuda} of this torch; install a wheel that has one, or set it to none."
        )
    # where the environment says so itself, a sweep goes on without the point (load_model asks)
    listed = quantisation in hardware.quantisation
    if quantisation == "int8" and listed and torch.cuda.get_device_capability() < (7, 5):
        raise InputError(
            f"model.quantisation is int8, and {torch.cuda.get_device_name()} has no 8-bit matrix instructions (they "
            "begin with compute capability 7.5); set it to nf4 or none."
        )
