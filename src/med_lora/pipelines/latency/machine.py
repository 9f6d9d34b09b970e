"""The machine that figures are of: its name, and the most memory that a piece of work takes on it."""

from __future__ import annotations

import math
import platform
from pathlib import Path
from typing import Any

CPU_INFO = Path("/proc/cpuinfo")
CLEAR_REFS = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


def name_device(device: Any) -> str:
    """Product name of a ``torch.device``: of the GPU, or of the processor."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), "") or platform.processor() or platform.machine()


class PeakMemory:
    """The most memory in use since ``start``: allocated by torch on a GPU, else resident, of the whole process."""

    def __init__(self, device: Any) -> None:
        """Name the ``torch.device``."""
        self._device = device
        self._known = False

    def start(self) -> None:
        """Forget what was in use before."""
        import torch

        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            return
        try:
            CLEAR_REFS.write_text("5", encoding="ascii")  # sets the high-water mark to what is resident now
            self._known = True
        except OSError:
            self._known = False

    def read(self) -> float:
        """MiB; NaN where the kernel keeps no high-water mark, or does not let this process reset it."""
        import torch

        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        if not self._known:
            return math.nan
        try:
            lines = STATUS.read_text(encoding="utf-8").splitlines()
        except OSError:
            return math.nan
        marks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return int(marks[0]) / 1024 if marks else math.nan
