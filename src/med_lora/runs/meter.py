"""Seconds, CPU seconds and joules of a node."""

from __future__ import annotations

import resource
import time
from typing import NamedTuple

from med_lora.runs.energy import EnergyMeter


class Reading(NamedTuple):
    """Wall-clock seconds, CPU seconds of this process and its ended children, and joules of the machine."""

    seconds: float
    cpu_seconds: float
    joules: float | None

    def __sub__(self, earlier: Reading) -> Reading:
        joules = None if self.joules is None or earlier.joules is None else self.joules - earlier.joules
        return Reading(self.seconds - earlier.seconds, self.cpu_seconds - earlier.cpu_seconds, joules)


def read_meters(energy: EnergyMeter) -> Reading:
    """What the clocks and counters show now; only differences mean something."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_seconds = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return Reading(time.perf_counter(), cpu_seconds, energy.joules())


class NodeMeter:
    """What one node took, without what the record of the run itself takes."""

    def __init__(self, energy: EnergyMeter) -> None:
        """Begin now."""
        self._energy = energy
        self._before = read_meters(energy)
        self._left_out: list[Reading] = []
        self._paused: Reading | None = None

    def pause(self) -> None:
        """Leave out what follows, until ``resume``."""
        self._paused = read_meters(self._energy)

    def resume(self) -> None:
        """Count again."""
        if self._paused is not None:
            self._left_out.append(read_meters(self._energy) - self._paused)
            self._paused = None

    def read(self) -> Reading:
        """What the node took so far; up to the pause while there is one."""
        taken = (self._paused or read_meters(self._energy)) - self._before
        for part in self._left_out:
            taken -= part
        return taken
