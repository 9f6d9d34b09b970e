"""What an environment promises of the machine, checked and put to use."""

from __future__ import annotations

from typing import Any

from med_lora.errors import InputError
from med_lora.parameters import HardwareParams


def prepare_device(hardware: HardwareParams) -> Any:
    """Set torch's threads and return the ``torch.device`` that the environment names.

    Raises:
        InputError: if this machine has no such device.
    """
    import torch

    if hardware.threads:
        torch.set_num_threads(hardware.threads)
    check_device(hardware)
    return torch.device(hardware.device)


def check_device(hardware: HardwareParams) -> None:
    """Raise an InputError that names the missing device and the way out, if the machine lacks it."""
    import torch

    if hardware.device == "cpu":
        if hardware.precision == "bf16" and not _cpu_has_bf16():
            raise InputError("This CPU has no bf16 instructions (avx512_bf16 or amx_bf16); use --env=cpu for fp32.")
        return
    if not torch.cuda.is_available():
        raise InputError(
            f"This environment needs a GPU ({hardware.gpu}) and torch finds none here; use --env=cpu, "
            "or install a CUDA build of torch."
        )
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    if len(names) > 1:
        raise InputError(
            f"This environment is for one GPU and {len(names)} are visible ({', '.join(names)}); show it one with the "
            "environment variable CUDA_VISIBLE_DEVICES."
        )
    if hardware.gpu not in names[0]:
        raise InputError(
            f"This environment needs a GPU named {hardware.gpu!r} and this machine has {names[0]}; "
            "choose the environment of that card, or --env=cpu."
        )


def _cpu_has_bf16() -> bool:
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
