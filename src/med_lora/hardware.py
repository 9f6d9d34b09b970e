"""What an environment promises of the machine, checked and put to use."""

from __future__ import annotations

import os
from typing import Any

from med_lora.errors import InputError
from med_lora.parameters import HardwareParams


def prepare_device(hardware: HardwareParams) -> Any:
    """Set torch's threads and return the ``torch.device`` that the environment names, of a rank its own GPU.

    Raises:
        InputError: if this machine has no such device.
    """
    import torch

    if hardware.threads:
        torch.set_num_threads(hardware.threads)
    check_device(hardware)
    if hardware.device == "cpu":
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def check_device(hardware: HardwareParams) -> None:
    """Raise an InputError that names what the machine lacks and the way out, if it cannot do what is asked."""
    if hardware.device == "cpu":
        _check_cpu(hardware)
    else:
        _check_gpus(hardware)


def check_chip_quantisation(quantisation: str, hardware: HardwareParams) -> None:
    """Raise an InputError if ``model.quantisation`` is not among the kinds that the environment's chip computes with.

    Asks neither torch nor the machine, so that a run can stop before anything is read.
    """
    kinds = hardware.quantisation
    if quantisation not in kinds:
        raise InputError(
            f"model.quantisation is {quantisation} and the chip of this environment ({hardware.gpu or 'CPU'}) computes "
            f"with {', '.join(kinds)} (hardware.quantisation); set model.quantisation to one of these, or choose the "
            "environment of another card."
        )


def _check_cpu(hardware: HardwareParams) -> None:
    if hardware.precision == "fp16":
        raise InputError("hardware.precision fp16 needs a GPU; use --env=cpu, or bf16 where the CPU has it.")
    if hardware.sharding == "fsdp":
        raise InputError("hardware.sharding fsdp needs GPUs; on a CPU set it to ddp.")
    if hardware.precision == "bf16" and not _cpu_has_bf16():
        raise InputError("This CPU has no bf16 instructions (avx512_bf16 or amx_bf16); use --env=cpu for fp32.")


def _check_gpus(hardware: HardwareParams) -> None:
    import torch

    if not torch.cuda.is_available():
        raise InputError(
            f"This environment needs a GPU ({hardware.gpu}) and torch finds none here; use --env=cpu, "
            "or install a CUDA build of torch."
        )
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    wanted = hardware.processes
    if len(names) != wanted:
        hide = "show it fewer with the environment variable CUDA_VISIBLE_DEVICES, or "
        raise InputError(
            f"This environment is for {_count(wanted)} and {len(names)} are visible ({', '.join(names)}); "
            f"{hide if len(names) > wanted else ''}set hardware.processes to {len(names)}."
        )
    for name in names:
        if hardware.gpu not in name:
            raise InputError(
                f"This environment needs a GPU named {hardware.gpu!r} and this machine has {name}; "
                "choose the environment of that card, or --env=cpu."
            )
    # torch.cuda.is_bf16_supported says yes where bf16 is only emulated
    if hardware.precision == "bf16" and torch.cuda.get_device_capability(0) < (8, 0):
        raise InputError(
            f"{names[0]} has no bf16 instructions (compute capability 8.0); set hardware.precision to fp16."
        )


def _count(gpus: int) -> str:
    return "one GPU" if gpus == 1 else f"{gpus} GPUs"


def _cpu_has_bf16() -> bool:
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
