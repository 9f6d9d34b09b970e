"""A small model of each family on disk, made from its configuration, with the family's tokenizer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from tests.prompts.families import FAMILIES

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def build(name: str, tokenizer: Any) -> Any:
    """A model of the family with random weights, large enough that its answers differ."""
    from transformers import GemmaConfig, GPT2Config, LlamaConfig, MistralConfig

    common: dict[str, Any] = {
        **SIZES,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 128,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "initializer_range": 0.2,
    }
    gpt2 = {"vocab_size": len(tokenizer), "n_embd": 32, "n_head": 4, "n_positions": 128, "initializer_range": 0.2}
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    configs: dict[str, Callable[[], Any]] = {
        "llama2": lambda: LlamaConfig(**common),
        "llama3": lambda: LlamaConfig(**common, num_key_value_heads=2, rope_theta=500000.0),
        "llama31": lambda: LlamaConfig(
            **common, num_key_value_heads=2, rope_scaling={**scaling, "original_max_position_embeddings": 32}
        ),
        "mistral": lambda: MistralConfig(**common, num_key_value_heads=2, sliding_window=8),
        "gemma": lambda: GemmaConfig(**common, num_key_value_heads=1, head_dim=8),
        "gpt2": lambda: GPT2Config(**gpt2, n_layer=2),
        "distilgpt2": lambda: GPT2Config(**gpt2, n_layer=1),
    }
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(configs[name]())
    for key, value in model.named_parameters():
        if key.endswith(".bias"):  # zeros in a fresh model, as no trained one has them
            torch.nn.init.normal_(value, std=0.1)
    return model


@pytest.fixture(scope="session")
def family_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BaseModel]:
    """Handle of a family's model by its name, saved once."""
    folders: dict[str, Path] = {}

    def make(name: str) -> BaseModel:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp(name)
            tokenizer = FAMILIES["gpt2" if name == "distilgpt2" else name]()
            build(name, tokenizer).save_pretrained(folders[name])
            tokenizer.save_pretrained(folders[name])
        return BaseModelDataset(id=str(folders[name])).load()

    return make


@pytest.fixture(scope="session")
def llama(family_model: Callable[[str], BaseModel]) -> BaseModel:
    return family_model("llama2")


@pytest.fixture(scope="session")
def gpt2(family_model: Callable[[str], BaseModel]) -> BaseModel:
    return family_model("gpt2")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """One thread, and none of the libraries' notes on every file that they read."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    yield
    torch.set_num_threads(threads)
