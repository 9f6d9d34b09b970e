"""The device an environment promises."""

from __future__ import annotations

import pytest
import torch
import yaml

from med_lora.errors import InputError
from med_lora.hardware import check_device, prepare_device
from med_lora.parameters import HardwareParams

from .conftest import ENVIRONMENTS, ROOT


def hardware(env: str) -> HardwareParams:
    shared, own = (yaml.safe_load((ROOT / "conf" / place / "globals.yml").read_text()) for place in ("base", env))
    return HardwareParams.model_validate(shared["hardware"] | own["hardware"])


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: names[index])


@pytest.mark.parametrize("env", [env for env in ENVIRONMENTS if hardware(env).device == "cuda"])
def test_missing_gpu_names_card_and_way_out(env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch)
    with pytest.raises(InputError, match=rf"needs a GPU \({hardware(env).gpu}\).*--env=cpu"):
        check_device(hardware(env))


def test_another_card_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch, "Tesla V100-SXM2-16GB")
    with pytest.raises(InputError, match="'A100' and this machine has Tesla V100"):
        check_device(hardware("a100"))
    check_device(hardware("v100"))


def test_several_visible_cards_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch, "Quadro RTX 8000", "NVIDIA A100-PCIE-40GB")
    with pytest.raises(InputError, match=r"2 are visible.*CUDA_VISIBLE_DEVICES"):
        check_device(hardware("a100"))


@pytest.mark.parametrize("chip", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_bf16_on_a_cpu_needs_its_instructions(chip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    with pytest.raises(InputError, match=r"no bf16 instructions.*--env=cpu"):
        check_device(hardware("cpu_bf16"))
    check_device(hardware("cpu"))
    monkeypatch.setattr(torch.cpu, chip, lambda: True)
    check_device(hardware("cpu_bf16"))


def test_v100_is_never_asked_for_bf16() -> None:
    assert hardware("v100").precision == "fp16"


def test_threads_are_set_only_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    cpu = hardware("cpu")
    assert prepare_device(cpu) == torch.device("cpu")
    prepare_device(cpu.model_copy(update={"threads": 3}))
    assert asked == [3]
