"""The device an environment promises."""

from __future__ import annotations

import os
from unittest.mock import patch

import pytest
import torch

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.hardware import check_device, prepare_device
from med_lora.parameters import HardwareParams

from .conftest import ENVIRONMENTS, ROOT


def hardware(env: str) -> HardwareParams:
    """What an environment's files say, of several machines with a place to meet."""
    with patch.dict(os.environ, {"MED_LORA_RENDEZVOUS": "first:29400"}):
        loader = ExperimentConfigLoader(ROOT / "conf", env, base_env="base", default_run_env="cpu")
        return HardwareParams.model_validate(loader["globals"]["hardware"])


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, *names: str, capability: tuple[int, int] = (8, 0)) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: names[index])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)


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
    with pytest.raises(InputError, match=r"is for one GPU and 2 are visible.*CUDA_VISIBLE_DEVICES.*processes to 2"):
        check_device(hardware("a100"))


def test_each_process_has_a_card_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    two = hardware("a100").model_copy(update={"processes": 2})
    pretend_gpu(monkeypatch, "NVIDIA A100-PCIE-40GB")
    with pytest.raises(InputError, match=r"is for 2 GPUs and 1 are visible .*; set hardware\.processes to 1"):
        check_device(two)
    pretend_gpu(monkeypatch, "NVIDIA A100-PCIE-40GB", "Quadro RTX 8000")
    with pytest.raises(InputError, match="'A100' and this machine has Quadro RTX 8000"):
        check_device(two)
    pretend_gpu(monkeypatch, "NVIDIA A100-PCIE-40GB", "NVIDIA A100-PCIE-40GB")
    taken: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert prepare_device(two) == torch.device("cuda", 1) == taken[0]


def test_bf16_on_an_older_chip_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpu(monkeypatch, "Quadro RTX 8000", capability=(7, 5))
    older = hardware("v100").model_copy(update={"gpu": "RTX 8000"})
    check_device(older)
    with pytest.raises(InputError, match=r"Quadro RTX 8000 has no bf16 .*set hardware\.precision to fp16"):
        check_device(older.model_copy(update={"precision": "bf16"}))


@pytest.mark.parametrize(
    ("setting", "value", "way_out"), [("precision", "fp16", "env=cpu"), ("sharding", "fsdp", "ddp")]
)
def test_what_only_gpus_can_do_is_refused_on_a_cpu(setting: str, value: str, way_out: str) -> None:
    with pytest.raises(InputError, match=f"hardware.{setting} {value} needs .*{way_out}"):
        check_device(hardware("cpu").model_copy(update={setting: value}))


@pytest.mark.parametrize(
    ("env", "alone"), [("a100x2", "a100"), ("v100x2", "v100"), ("h100x2", "h100"), ("rtx8000x2", "rtx8000")]
)
def test_two_cards_differ_from_one_by_the_processes_alone(env: str, alone: str) -> None:
    assert hardware(env) == hardware(alone).model_copy(update={"processes": 2})


def test_machines_and_their_meeting_place_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = hardware("multinode")
    assert given == hardware("a100x2").model_copy(update={"machines": 2, "rendezvous": "first:29400"})
    monkeypatch.setenv("MED_LORA_MACHINES", "3")
    assert hardware("multinode").machines == 3
    with pytest.raises(ValueError, match="MED_LORA_RENDEZVOUS"):
        HardwareParams.model_validate(given.model_dump() | {"rendezvous": None})


def test_a_cpu_may_train_in_several_processes() -> None:
    check_device(hardware("cpu").model_copy(update={"processes": 2}))


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
