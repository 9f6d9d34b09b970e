"""Rows and models of a few ten thousand weights, of several families, for the tests of the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from med_lora.engine import Row
from med_lora.prompts import IGNORED_LABEL

VOCABULARY = 300
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "pad_token_id": 1,
    "bos_token_id": None,
    "eos_token_id": 0,
}


def rows(count: int, longest: int = 20) -> list[Row]:
    """Rows of 5 to 4 + ``longest`` tokens, the first three of them a prompt."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for number in range(count):
        ids = torch.randint(2, 250, (5 + number % longest,), generator=generator).tolist()
        made.append(Row(input_ids=ids, labels=[IGNORED_LABEL] * 3 + ids[3:]))
    return made


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def mistral() -> Any:
    """With a window shorter than the rows."""
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(sliding_window=6, **SHAPE))


def gemma() -> Any:
    from transformers import GemmaConfig, GemmaForCausalLM

    return GemmaForCausalLM(GemmaConfig(head_dim=16, **SHAPE))


def gemma2() -> Any:
    """With soft capping strong enough to matter in a model that is not trained."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    return Gemma2ForCausalLM(Gemma2Config(head_dim=16, sliding_window=6, final_logit_softcapping=0.1, **SHAPE))


def granite() -> Any:
    from transformers import GraniteConfig, GraniteForCausalLM

    return GraniteForCausalLM(GraniteConfig(logits_scaling=8.0, **SHAPE))


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
    off = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    return GPT2LMHeadModel(GPT2Config(bos_token_id=0, eos_token_id=0, **shape, **off))


def opt() -> Any:
    from transformers import OPTConfig, OPTForCausalLM

    shape = {**SHAPE, "ffn_dim": 64, "word_embed_proj_dim": 32}
    return OPTForCausalLM(OPTConfig(**shape))


def make(family: Callable[[], Any]) -> Any:
    """A model of the family with weights that are the same in every test."""
    torch.manual_seed(0)
    return family()


def adapted(base: Any, **settings: Any) -> Any:
    """The model with a LoRA adapter that already does something."""
    from peft import LoraConfig, get_peft_model

    given = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | settings
    torch.manual_seed(1)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **given))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.05)
    return model


def trained(model: Any) -> torch.Tensor:
    """All weights that training moves, in one tensor."""
    return torch.cat([weight.detach().flatten() for weight in model.parameters() if weight.requires_grad])


def values(history: pd.DataFrame, metric: str) -> dict[int, float]:
    """A metric of a history by its step."""
    chosen = history[history.metric == metric]
    return dict(zip(chosen.step, chosen.value, strict=True))
