"""The machine and the software of a run. Nothing heavy is imported: what the run has imported is asked."""

from __future__ import annotations

import os
import platform
import resource
import sys
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from med_lora.runs.manifest import GpuEntry, MachineEntry, PeakMemoryEntry

GIB = 2**30


def describe_machine(device: str, processor_file: Path = Path("/proc/cpuinfo")) -> MachineEntry:
    """The machine as this process sees it; GPUs only once the run has imported torch.

    Args:
        device: ``cpu`` or ``cuda``: what the run computes on, which names the kind of machine.
        processor_file: Linux's description of the processors.
    """
    cpu, cores = _cpu_model(processor_file), _usable_cores()
    gpus = _gpus() if device != "cpu" else []  # asking for them takes GPU memory
    names = sorted({gpu["name"] for gpu in gpus})
    torch = sys.modules.get("torch")
    return MachineEntry(
        kind=" + ".join(f"{sum(gpu['name'] == name for gpu in gpus)} x {name}" for name in names)
        if gpus
        else f"{cores} x {cpu}",
        system=f"{platform.system()} {platform.release()}",
        cpu=cpu,
        cores=cores,
        threads=int(torch.get_num_threads()) if torch else cores,
        memory_gib=_memory_gib(),
        gpus=gpus,
        driver=_driver() if gpus else None,
    )


@cache  # reading them takes about 0.2 s
def describe_packages() -> dict[str, str]:
    """Version of every installed Python package, sorted by name."""
    found: dict[str, str] = {}
    for one in distributions():
        if one.name:
            found.setdefault(one.name, one.version)  # of two, the one that is imported comes first
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def peak_memory() -> PeakMemoryEntry:
    """The most memory so far of one process, this or an ended child (GiB); of the GPUs, what torch took in this one."""
    # kibibytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    torch, gpu_gib = sys.modules.get("torch"), None
    if torch is not None and torch.cuda.is_initialized():
        gpu_gib = sum(torch.cuda.max_memory_allocated(index) for index in range(torch.cuda.device_count())) / GIB
    return PeakMemoryEntry(
        ram_gib=round(max(peaks) * unit / GIB, 3), gpu_gib=None if gpu_gib is None else round(gpu_gib, 3)
    )


def _gpus() -> list[GpuEntry]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return []
    properties = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return [GpuEntry(name=one.name, memory_gib=round(one.total_memory / GIB, 1)) for one in properties]


def _driver() -> str | None:
    """Version of the NVIDIA driver; None where there is none, or nvidia-ml-py is not installed."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return None


@cache
def _cpu_model(file: Path) -> str:
    """Model name of the processor; the architecture where the system does not say."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join(models[0].split()) if models else platform.processor() or platform.machine()


def _usable_cores() -> int:
    """Cores that this process may use, which a container or a batch system can limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1)
    except (ValueError, OSError):  # not known to this system
        return None
