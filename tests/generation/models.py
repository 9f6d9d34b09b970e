"""Models of every family with a cache of its own kind, and how they are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests import recipes

GREEDY = recipes.decoding(max_new_tokens=16)
SAMPLED = recipes.decoding(max_new_tokens=16, temperature=0.9, top_k=30, top_p=0.9, repetition_penalty=1.3)
VOCABULARY = 120
ENDS = set(range(0, VOCABULARY, 10))
PAD = 0


def make_model(family: str) -> Any:
    """Weights so large that answers vary; a sliding window that is shorter than most prompts."""
    import torch
    from transformers import AutoModelForCausalLM, GemmaConfig, GPT2Config, LlamaConfig, MistralConfig, OPTConfig

    common = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "initializer_range": 0.3,
    }
    configs: dict[str, Callable[[], Any]] = {
        "llama": lambda: LlamaConfig(**common),
        "mistral": lambda: MistralConfig(**common, sliding_window=8),
        "gemma": lambda: GemmaConfig(**common, head_dim=8),
        "gpt2": lambda: GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_head=4, n_layer=2, initializer_range=0.3),
        "opt": lambda: OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            word_embed_proj_dim=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            ffn_dim=64,
            init_std=0.3,
        ),
    }
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(configs[family]()).eval()
