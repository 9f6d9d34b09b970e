"""Pairs, settings and base model of small training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from med_lora.datasets import BaseModelDataset
from med_lora.datasets.base_model import BaseModel
from med_lora.parameters import PromptParams
from tests.recipes import lora, optimisation, training

PROMPT = PromptParams(template="plain", system=None)
LORA = lora(dropout=0.1)
TRAINING = training(lora=LORA, optimisation=optimisation(epochs=4, learning_rate=1e-2, evaluations=2))


class Split:
    """A split as the catalog hands it over."""

    def __init__(self, count: int) -> None:
        topics = ["gout", "asthma", "anaemia", "shingles"]
        self.frame = pd.DataFrame(
            {
                "id": [f"t:{n:05d}" for n in range(count)],
                "question": [f"what is {topics[n % 4]} {n}?" for n in range(count)],
                "answer": [f"{topics[n % 4]} is an illness, the number {n} of the list." for n in range(count)],
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        return self.frame


def save_base(folder: Path, tokenizer: Any) -> BaseModel:
    """A Llama of about 30,000 weights, the same in every test, on disk."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=128,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return BaseModelDataset(id=str(folder)).load()
