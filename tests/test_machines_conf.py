"""Every study on every card: what training and answering need of its memory, as the environments are configured."""

from __future__ import annotations

import functools
import os
import sys
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from med_lora.config_loader import ExperimentConfigLoader
from med_lora.parameters import ProjectParams, parse_parameters

from .conftest import ENVIRONMENTS, ROOT

GIB = 2**30
RUNTIME = 0.6  # GiB of a CUDA context
# GiB of the smallest card of its name that a process may use.
CARDS = {"v100": 15.5, "rtx8000": 47.0, "a100": 39.0, "h100": 79.0, "h200": 139.0}
# 8,000 million weights of 16 bits are more than 16 GB; a V100 of 32 GB, or 4 bits, takes them.
TOO_LARGE = {("v100", name) for name in ("lund_heart_r16", "lund_heart_r32", "lund_heart_r64", "lund_heart_cpt")}
BYTES = {"none": 2.0, "int8": 1.0, "nf4": 0.516, "gptq": 0.52}
QUESTION = 512  # tokens of a question and of the template around it, at most


@pytest.fixture(scope="module")
def benchmark() -> Any:
    """``benchmarks/study_memory.py``, with the published models' shapes."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import memory_forecast
        import study_memory
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return SimpleNamespace(
        SHAPES=memory_forecast.SHAPES,
        MODELS=study_memory.MODELS,
        forecast_experiment=study_memory.forecast_experiment,
    )


@functools.cache
def parameters(env: str, experiment: str) -> ProjectParams:
    with patch.dict(os.environ, {"MED_LORA_RENDEZVOUS": "first:29400"}):
        loader = ExperimentConfigLoader(
            ROOT / "conf", env, {"experiment": experiment}, base_env="base", default_run_env="cpu"
        )
        return parse_parameters(loader["parameters"])


def weight_bytes(shape: tuple[Any, ...], quantisation: str) -> float:
    """Of a decoder with gated feed-forward layers; embeddings and head stay at 16 bits."""
    kind, vocabulary, width, layers, heads, key_value_heads, feed_forward = shape
    head = head_width(kind, width, heads)
    attention = 2 * width * head * heads + 2 * width * head * key_value_heads
    tables = 1 if kind in ("gemma", "qwen3") else 2
    return layers * (attention + 3 * width * feed_forward) * BYTES[quantisation] + 2.0 * tables * vocabulary * width


def head_width(kind: str, width: int, heads: int) -> int:
    return 256 if kind == "gemma" else width // heads


def answering(shape: tuple[Any, ...], given: ProjectParams) -> float:
    """GiB of the weights and of the keys and values of one batch, prompts and answers as long as they may be."""
    kind, _, width, layers, heads, key_value_heads, _ = shape
    passages = given.retrieval.context_tokens if given.retrieval.enabled else 0
    tokens = QUESTION + passages + given.evaluation.decoding.max_new_tokens
    cache = 2 * layers * key_value_heads * head_width(kind, width, heads) * 2 * tokens
    kept = weight_bytes(shape, given.model.quantisation) + cache * given.hardware.inference_batch_size
    return kept / GIB + RUNTIME


def experiments(benchmark: Any) -> list[str]:
    return [name for name, model in benchmark.MODELS.items() if model in benchmark.SHAPES]


@pytest.mark.parametrize("env", CARDS)
def test_a_batch_of_answers_fits_the_card(env: str, benchmark: Any) -> None:
    for name in experiments(benchmark):
        needed = answering(benchmark.SHAPES[benchmark.MODELS[name]], parameters(env, name))
        assert ((env, name) in TOO_LARGE) or needed < CARDS[env], f"{name} needs {needed:.1f} GiB on {env}"


def test_weights_that_no_setting_of_the_machine_can_shrink_are_too_large(benchmark: Any) -> None:
    for env, name in TOO_LARGE:
        shape = benchmark.SHAPES["Llama-3-8B"]
        given = parameters(env, name)
        assert weight_bytes(shape, given.model.quantisation) / GIB > 14.5
        assert weight_bytes(shape, "nf4") / GIB < 6


def test_the_largest_7b_model_trains_on_the_smallest_card(benchmark: Any) -> None:
    """Gemma-1.1-7B of 4 bits, four rows of 2,048 tokens on 16 GB."""
    needed = benchmark.forecast_experiment("medlms_gemma_7b", "v100", layers=(1, 2))
    assert 12.0 < needed < CARDS["v100"]


@pytest.mark.slow
@pytest.mark.parametrize("env", CARDS)
def test_every_study_trains_on_every_card(env: str, benchmark: Any) -> None:
    for name in benchmark.MODELS:
        needed = benchmark.forecast_experiment(name, env)
        assert (needed > CARDS[env]) == ((env, name) in TOO_LARGE), f"{name} needs {needed:.1f} GiB on {env}"


def test_every_gpu_has_a_card_of_known_size() -> None:
    cards = {parameters(env, "my_corpus").hardware.gpu for env in CARDS}
    for env in ENVIRONMENTS:
        given = parameters(env, "my_corpus").hardware
        assert (given.device == "cpu") == (given.gpu == "")
        assert given.device == "cpu" or given.gpu in cards
