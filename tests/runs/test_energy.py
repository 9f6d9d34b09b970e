"""No machine of the tests has counters that can be read, so files and a module stand in for them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from med_lora.runs.energy import Counter, EnergyMeter

RANGE = 262_143_328_850


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, each with a part that the package includes, and the whole platform."""
    names = {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1"}
    names |= {"intel-rapl:0:0": "core", "intel-rapl:1:0": "dram", "intel-rapl:2": "psys"}
    for folder, name in names.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "name").write_text(f"{name}\n")
        (tmp_path / folder / "energy_uj").write_text("1000000\n")
        (tmp_path / folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    return tmp_path


def test_joules_are_those_of_the_packages_since_the_start(powercap: Path) -> None:
    meter = EnergyMeter("cpu", powercap)
    for folder in powercap.iterdir():
        (folder / "energy_uj").write_text("3500000\n")
    assert meter.joules() == 5.0
    described = meter.describe()
    assert (described["joules"], described["source"]) == (5.0, "CPU packages (RAPL)")
    assert "other processes" in described["note"]
    meter.stop()


def test_counter_that_starts_again_loses_nothing() -> None:
    values = iter([90.0, 95.0, 5.0, 99.0, 1.0])
    counter = Counter(lambda: next(values), range_joules=100.0)
    assert [counter.joules() for _ in range(4)] == [5.0, 15.0, 109.0, 111.0]


def test_machine_without_counters_says_so(tmp_path: Path) -> None:
    described = EnergyMeter("cpu", tmp_path / "nowhere").describe()
    assert (described["joules"], described["source"]) == (None, "")
    assert described["note"].startswith("No CPU packages (RAPL): the system has none")


def test_refused_reading_says_so(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "only root may read energy_uj" in EnergyMeter("cpu", powercap).describe()["note"]


def test_counter_that_stops_ends_the_count(powercap: Path) -> None:
    meter = EnergyMeter("cpu", powercap)
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.joules() is None
    assert meter.describe() == {
        "joules": None,
        "source": "",
        "note": "Counting stopped: energy_uj cannot be read.",
    }
    meter.stop()


class FakeNvmlError(Exception):
    """Stands in for the base of NVML's errors."""


class NVMLError_NotSupported(FakeNvmlError):  # noqa: N801, N818 - named as NVML names it
    """What a GPU before Volta says."""


def fake_nvml(millijoules: dict[str, int], energy: Any = None) -> Any:
    """GPUs by their UUIDs."""
    names = list(millijoules)
    return SimpleNamespace(
        NVMLError=FakeNvmlError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(names),
        nvmlDeviceGetHandleByIndex=lambda index: names[index],
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=energy or (lambda handle: millijoules[handle]),
    )


@pytest.mark.parametrize(("visible", "joules"), [(None, 3.0), ("1", 2.0), ("0,1", 3.0), ("GPU-a", 1.0), ("", None)])
def test_gpus_that_the_run_may_use_are_counted(
    visible: str | None, joules: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    millijoules = {"GPU-a": 500, "GPU-b": 700}
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(millijoules))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    meter = EnergyMeter("cuda", tmp_path)
    millijoules.update({"GPU-a": 1500, "GPU-b": 2700})
    assert meter.describe()["joules"] == joules
    meter.stop()


def test_packages_and_gpus_add_up(powercap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    millijoules = {"GPU-a": 0}
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml(millijoules))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    meter = EnergyMeter("cuda", powercap)
    millijoules["GPU-a"] = 4000
    (powercap / "intel-rapl:0" / "energy_uj").write_text("2000000\n")
    described = meter.describe()
    assert (described["joules"], described["source"]) == (5.0, "CPU packages (RAPL) + GPUs (NVML)")
    meter.stop()


def test_run_on_the_cpu_does_not_count_an_idle_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml({"GPU-a": 0}))
    assert EnergyMeter("cpu", tmp_path).joules() is None


def test_old_gpu_says_why_there_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: str) -> int:
        raise NVMLError_NotSupported

    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml({"GPU-a": 0}, refuse))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "No GPUs (NVML): NVML says NotSupported." in EnergyMeter("cuda", tmp_path).describe()["note"]


def test_missing_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py is not installed" in EnergyMeter("cuda", tmp_path).describe()["note"]
