"""Energy that the machine's own counters measure: CPU packages by RAPL, NVIDIA GPUs by NVML.

RAPL: Linux powercap interface, ``/sys/class/powercap/intel-rapl:N`` (AMD's, too): microjoules since an arbitrary time,
that start again from 0 at ``max_energy_range_uj``; since 2020 (CVE-2020-8694) only root reads them by default. NVML:
``nvmlDeviceGetTotalEnergyConsumption``, millijoules since the driver was loaded, from the Volta generation on.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from med_lora.runs.manifest import EnergyEntry

POWERCAP = Path("/sys/class/powercap")
# A package at 400 W fills a small counter (65 kJ) in 160 s.
SECONDS_BETWEEN_READINGS = 30.0


class CounterError(Exception):
    """A counter cannot be read; the message says why in a clause."""


class Counter:
    """A count of joules since the meter was made, from one that may start again from 0."""

    def __init__(self, read: Callable[[], float], range_joules: float | None = None) -> None:
        """Begin at 0.

        Args:
            read: the machine's counter, in joules.
            range_joules: where it starts again from 0; None for never.
        """
        self._read = read
        self._range = range_joules
        self._last = read()
        self._joules = 0.0

    def joules(self) -> float:
        """Joules so far; to be asked at least once while the machine's counter goes round."""
        now = self._read()
        if now < self._last and self._range:
            self._joules += self._range
        self._joules += now - self._last
        self._last = now
        return self._joules


class EnergyMeter:
    """Joules of the machine since the meter was made, where it says so.

    On a GPU machine both the packages and the visible GPUs count. What other processes use meanwhile is included, and
    memory, disks and cooling are not: the counters cannot tell.
    """

    def __init__(self, device: str, powercap: Path = POWERCAP) -> None:
        """Look for counters.

        Args:
            device: ``cpu`` or ``cuda``, which counts the GPUs as well.
            powercap: folder of the kernel's interface to RAPL.
        """
        self._counters: dict[str, list[Counter]] = {}
        self._missing: list[str] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        looked_up: dict[str, Callable[[], list[Counter]]] = {"CPU packages (RAPL)": lambda: _find_packages(powercap)}
        if device != "cpu":
            looked_up["GPUs (NVML)"] = _find_gpus
        for source, find in looked_up.items():
            try:
                self._counters[source] = find()
            except CounterError as error:
                self._missing.append(f"no {source}: {error}")
        if self._counters:
            threading.Thread(target=self._keep_reading, name="energy", daemon=True).start()

    def joules(self) -> float | None:
        """Joules so far; None where no counter can be read."""
        with self._lock:
            try:
                values = [counter.joules() for counters in self._counters.values() for counter in counters]
            except CounterError as error:  # from here on the sum would be wrong
                self._missing.append(f"counting stopped: {error}")
                self._counters = {}
            return sum(values) if self._counters else None

    def describe(self) -> EnergyEntry:
        """Joules so far, what they are from, and what they include or why there are none."""
        joules = self.joules()
        notes = [one[0].upper() + one[1:] + "." for one in self._missing]
        if joules is not None:
            notes.append("Includes what other processes on this machine used; leaves out memory, disks and cooling.")
        return EnergyEntry(
            joules=None if joules is None else round(joules, 1),
            source=" + ".join(self._counters),
            note=" ".join(notes),
        )

    def stop(self) -> None:
        """End the readings in the background."""
        self._stopped.set()

    def _keep_reading(self) -> None:
        while not self._stopped.wait(SECONDS_BETWEEN_READINGS):
            self.joules()


def _find_packages(powercap: Path) -> list[Counter]:
    """A counter for each CPU package; those of its parts, and of the whole platform, would count twice."""
    folders = sorted(powercap.glob("intel-rapl:*"))
    packages = [folder for folder in folders if _read(folder / "name", str).startswith("package")]
    if not packages:
        raise CounterError("the system has none, as in most virtual machines and containers")
    return [
        Counter(
            lambda file=folder / "energy_uj": _read(file, float) / 1e6,  # type: ignore[misc]
            _read(folder / "max_energy_range_uj", float) / 1e6,
        )
        for folder in packages
    ]


def _read(file: Path, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(file.read_text().strip())
    except PermissionError as error:
        raise CounterError(f"only root may read {file.name} on this machine") from error
    except (OSError, ValueError) as error:
        raise CounterError(f"{file.name} cannot be read") from error


def _find_gpus() -> list[Counter]:
    """A counter for each GPU that this process may use."""
    try:
        import pynvml  # type: ignore[import-untyped]
    except ImportError as error:
        raise CounterError("the package nvidia-ml-py is not installed") from error
    try:
        pynvml.nvmlInit()
        handles = _visible_gpus(pynvml)
        return [Counter(lambda handle=handle: _gpu_joules(pynvml, handle)) for handle in handles]  # type: ignore[misc]
    except pynvml.NVMLError as error:
        raise CounterError(f"NVML says {type(error).__name__.removeprefix('NVMLError_')}") from error


def _visible_gpus(pynvml: Any) -> list[Any]:
    """Handles of all GPUs, or of those that CUDA_VISIBLE_DEVICES names by number or UUID."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    names = [name.strip() for name in visible.split(",") if name.strip()]
    if not names:
        raise CounterError("CUDA_VISIBLE_DEVICES hides every GPU")
    return [
        pynvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(name)
        for name in names
    ]


def _gpu_joules(pynvml: Any, handle: Any) -> float:
    try:
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
    except pynvml.NVMLError as error:
        raise CounterError(f"NVML says {type(error).__name__.removeprefix('NVMLError_')}") from error
