"""The device an environment promises."""

from __future__ import annotations

import functools
import os
from unittest.mock import patch

import pytest
import torch

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.errors import InputError
from med_lora.hardware import check_chip_quantisation, check_device, prepare_device
from med_lora.parameters import HardwareParams, parse_parameters

from .conftest import ENVIRONMENTS, ROOT


def hardware(env: str) -> HardwareParams:
    """What an environment's files say, of several machines with a place to meet."""
    return read_hardware(env, os.environ.get("MED_LORA_MACHINES", "2"))


@functools.cache
def read_hardware(env: str, machines: str) -> HardwareParams:
    with patch.dict(os.environ, {"MED_LORA_RENDEZVOUS": "first:29400", "MED_LORA_MACHINES": machines}):
        loader = ExperimentConfigLoader(ROOT / "conf", env, base_env="base", default_run_env="cpu")
        return HardwareParams.model_validate(loader["globals"]["hardware"])


def repeat(value: int) -> int:
    return value


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
def test_two_cards_differ_from_one_by_processes_and_their_cpus_alone(env: str, alone: str) -> None:
    one = hardware(alone)
    assert hardware(env) == one.model_copy(update={"processes": 2, "workers": 2 * one.workers})


@pytest.mark.parametrize(
    ("env", "typed", "workers"),
    [(f"{card}{cards}", typed, workers)
     for card in ("v100", "a100", "rtx8000")
     for cards, typed, workers in (("", {"workers": 1}, 1), ("", {}, 2), ("x2", {}, 4))],
)  # fmt: skip
def test_nine_machines_of_study_b_have_their_cpus(env: str, typed: dict[str, int], workers: int) -> None:
    """1 and 2 CPUs beside one card, 4 beside two: the first differs by --params hardware.workers=1."""
    loader = ExperimentConfigLoader(
        ROOT / "conf", env, {"hardware": typed} if typed else {}, base_env="base", default_run_env="cpu"
    )
    given = parse_parameters(loader["parameters"]).hardware
    assert given == hardware(env).model_copy(update={"workers": workers})


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_kinds_of_quantisation_are_those_of_the_chip(env: str) -> None:
    """int8 needs compute capability 7.5 (Turing), which a V100 (7.0) lacks."""
    kinds = hardware(env).quantisation
    assert ("int8" in kinds) == (hardware(env).gpu != "V100")
    assert set(kinds) | {"int8"} == {"none", "int8", "nf4", "gptq"}


def test_quantisation_that_the_chip_lacks_is_named_with_those_that_it_has() -> None:
    for kind in ("none", "nf4", "gptq"):
        check_chip_quantisation(kind, hardware("v100"))
    with pytest.raises(InputError) as caught:
        check_chip_quantisation("int8", hardware("v100"))
    sentence = str(caught.value)
    assert "model.quantisation is int8" in sentence
    assert "(V100) computes with none, nf4, gptq (hardware.quantisation)" in sentence


def test_a_run_stops_for_a_quantisation_before_any_node_that_needs_the_chip() -> None:
    from click import ClickException
    from kedro.io import DataCatalog, MemoryDataset
    from kedro.pipeline import Pipeline, node

    from med_lora.hooks import ProjectHooks

    hooks = ProjectHooks()
    loader = ExperimentConfigLoader(ROOT / "conf", "cpu", {}, base_env="base", default_run_env="cpu")
    given = parse_parameters(loader["parameters"])
    hooks._parameters = given.model_copy(
        update={"hardware": given.hardware.model_copy(update={"quantisation": ["nf4"]})}
    )
    catalog = DataCatalog({"kept": MemoryDataset(1)})
    parts = {
        tag: Pipeline([node(repeat, inputs="kept", outputs="text", name="part", tags=tag)]) for tag in ("device", "x")
    }
    hooks.before_pipeline_run(parts["x"], catalog)
    with pytest.raises(ClickException, match=r"model\.quantisation is none and the chip of this environment \(CPU\)"):
        hooks.before_pipeline_run(parts["device"], catalog)


def test_weights_of_a_kind_that_the_chip_lacks_are_not_read() -> None:
    """Also for a point of a sweep, which no check before the run sees."""
    from med_lora.models.loading import load_model
    from med_lora.parameters import ModelParams

    asked = ModelParams(id="nowhere", revision=None, quantisation="int8")
    without = hardware("cpu").model_copy(update={"quantisation": ["none", "nf4"]})
    with pytest.raises(InputError, match=r"model\.quantisation is int8 .* computes with none, nf4"):
        load_model(None, asked, without, purpose="training")  # type: ignore[arg-type]


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


@pytest.mark.parametrize("env", ["v100", "v100x2", "rtx8000", "rtx8000x2"])
def test_chips_without_bf16_are_never_asked_for_it(env: str) -> None:
    assert hardware(env).precision == "fp16"


def test_threads_are_set_only_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    cpu = hardware("cpu")
    assert prepare_device(cpu) == torch.device("cpu")
    prepare_device(cpu.model_copy(update={"threads": 3}))
    assert asked == [3]
