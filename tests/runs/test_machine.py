from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from med_lora.runs import machine as machine_module
from med_lora.runs.machine import describe_machine, describe_packages, peak_memory


def fake_torch(gpus: int) -> SimpleNamespace:
    properties = SimpleNamespace(name="NVIDIA A100-SXM4-80GB", total_memory=80 * 2**30)
    cuda = SimpleNamespace(
        is_available=lambda: gpus > 0,
        is_initialized=lambda: gpus > 0,
        device_count=lambda: gpus,
        get_device_properties=lambda index: properties,
        max_memory_allocated=lambda index: (index + 1) * 2**30,
    )
    return SimpleNamespace(cuda=cuda, get_num_threads=lambda: 3)


def processors(folder: Path) -> Path:
    file = folder / "cpuinfo"
    file.write_text("processor : 0\nmodel name : Intel(R)  Xeon(R) Gold\n\nprocessor : 1\nmodel name : Intel(R) Xeon\n")
    return file


def test_machine_without_a_gpu_is_named_by_its_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    machine = describe_machine("cpu", processors(tmp_path))
    assert machine["cpu"] == "Intel(R) Xeon(R) Gold"
    assert machine["kind"] == f"{machine['cores']} x Intel(R) Xeon(R) Gold"
    assert machine["threads"] == machine["cores"] >= 1
    assert (machine["gpus"], machine["driver"]) == ([], None)


def test_describing_does_not_import_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    describe_machine("cuda", processors(tmp_path))
    peak_memory()
    assert "torch" not in sys.modules


def test_machine_is_named_by_the_gpus_it_computes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(2))
    monkeypatch.setitem(
        sys.modules, "pynvml", SimpleNamespace(nvmlInit=lambda: None, nvmlSystemGetDriverVersion=lambda: "570.1")
    )
    machine = describe_machine("cuda", processors(tmp_path))
    assert machine["kind"] == "2 x NVIDIA A100-SXM4-80GB"
    assert machine["gpus"] == [{"name": "NVIDIA A100-SXM4-80GB", "memory_gib": 80.0}] * 2
    assert (machine["driver"], machine["threads"]) == ("570.1", 3)
    on_cpu = describe_machine("cpu", processors(tmp_path))
    assert (on_cpu["kind"].endswith("Xeon(R) Gold"), on_cpu["gpus"]) == (True, [])


def test_peak_of_the_gpus_is_the_sum_over_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(2))
    assert peak_memory()["gpu_gib"] == 3.0
    monkeypatch.setitem(sys.modules, "torch", fake_torch(0))
    assert peak_memory()["gpu_gib"] is None


def test_peak_memory_is_that_of_the_kernel() -> None:
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("this system has no /proc")
    (kibibytes,) = [int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    assert peak_memory()["ram_gib"] >= kibibytes / 2**20 - 0.002


def test_of_a_package_found_twice_the_imported_one_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [SimpleNamespace(name="torch", version="2.13.0"), SimpleNamespace(name="torch", version="1.0")]
    monkeypatch.setattr(machine_module, "distributions", lambda: found)
    assert describe_packages.__wrapped__() == {"torch": "2.13.0"}


def test_packages_are_those_installed() -> None:
    packages = describe_packages()
    assert packages["kedro"] == version("kedro")
    assert list(packages) == sorted(packages, key=str.lower)
