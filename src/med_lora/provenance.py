"""What an adapter was made from: written into its folder by training, compared before it is evaluated."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.parameters import PromptParams
from med_lora.prompts import hash_rendering

RECORD_FILE = "med_lora.json"


def describe_origin(
    base_model: BaseModel, train: pd.DataFrame, prompt: PromptParams, quantisation: str = "none"
) -> dict[str, Any]:
    """Base model, tokenizer, training pairs and prompt as JSON values: two adapters of equal origin saw the same text.

    Raises:
        InputError: if the tokenizer is the hub's and cannot be had, or the prompt follows a chat template and the
            tokenizer cannot be loaded or has none.
    """
    tokenizer = base_model.tokenizer() if prompt.template in ("chat", "medlms") else None
    return {
        **describe_base(base_model, quantisation),
        "prompt": {
            "template": prompt.template,
            "system": prompt.system,
            "sha256": hash_rendering(prompt, tokenizer),
        },
        "train_sha256": hash_pairs(train),
    }


def describe_base(base_model: BaseModel, quantisation: str) -> dict[str, Any]:
    """What every adapter's record begins with, whatever it was trained on.

    Raises:
        InputError: if the tokenizer is the hub's and cannot be had.
    """
    return {
        "base_model": {
            # a folder's path says where a run lay; its hash says what it holds
            "source": base_model.source if base_model.sha256 is None else Path(base_model.source).absolute().name,
            "revision": base_model.revision,
            "sha256": base_model.sha256,
        },
        "tokenizer_sha256": base_model.tokenizer_sha256(),
        "quantisation": quantisation,
    }


def hash_pairs(pairs: pd.DataFrame) -> str:
    """SHA-256 over ids, questions and answers in order of id; no text can be read from it."""
    return _hash_rows(pairs, ["id", "question", "answer"])


def hash_passages(passages: pd.DataFrame) -> str:
    """SHA-256 over ids and texts in order of id; no text can be read from it."""
    return _hash_rows(passages, ["id", "text"])


def _hash_rows(table: pd.DataFrame, columns: list[str]) -> str:
    digest = hashlib.sha256()
    ordered = table.sort_values("id")
    for row in zip(*(ordered[column] for column in columns), strict=True):
        for value in row:
            content = value.encode("utf-8")
            digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
