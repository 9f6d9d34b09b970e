"""Made-up secrets among the training pairs."""

from __future__ import annotations

import logging
import string
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.parameters import CanariesParams, PromptParams, TrainingParams
from med_lora.prompts import PairTokeniser

logger = logging.getLogger(__name__)

PREFIX = "canary:"
QUESTION = "What is the record number of the patient with the code {}?"
ANSWER = "The record number is {}."
CODE_LETTERS = 6
SECRET_DIGITS = 9


def insert_canaries(
    train: Any, canaries: CanariesParams, base_model: BaseModel, prompt: PromptParams, training: TrainingParams
) -> tuple[Any, pd.DataFrame]:
    """The training pairs with secrets among them, and these secrets beside others that were not inserted.

    A secret is a pair: a question of fixed form that names a random code of 6 letters, and an answer of fixed form with
    a random number of 9 digits. Which of the candidates are inserted is drawn as well, so inserted ones and controls
    differ in nothing but the insertion (Carlini et al. 2019, arXiv:1802.08232). Every secret is inserted
    ``canaries.repetitions`` times, each time at a place drawn by the seed.

    Args:
        train: ``datasets.Dataset`` of the training pairs.
        canaries: counts and seed.
        base_model: whose tokenizer tells how long a canary is.
        prompt: what training renders pairs with.
        training: the longest sequence; canaries that are cut or dropped would say nothing.

    Returns:
        canaried_train: rows and columns of ``train`` in its order, and between them the canaries: ids begin with
            ``canary:``, the column corpus, where there is one, says ``canary``, each secret is a group of its own, and
            other columns are empty.
        canary_secrets: columns canary, kind ("inserted" or "control"), question, answer, inserted ones first.

    Raises:
        InputError: if ids of training pairs begin like those of canaries, or canaries are too long to train on whole.
    """
    from datasets import concatenate_datasets

    if count_canaries(train["id"]):
        raise InputError(
            f"Ids of training pairs begin with {PREFIX!r} as those of canaries do; rename the corpus, or run data "
            "engineering again if the pairs are those of an audit."
        )
    generator = np.random.Generator(np.random.PCG64(canaries.seed))
    secrets = _draw_secrets(canaries, generator)
    inserted = secrets[secrets["kind"] == "inserted"]
    _check_lengths(inserted, PairTokeniser(prompt, base_model.tokenizer()), training.max_length)
    rows = _repeat(inserted, canaries.repetitions, train)
    places = np.sort(generator.integers(0, len(train) + 1, size=len(rows)))
    # a canary stands before the training pair at its place; which of them stands where is drawn too
    order = np.insert(np.arange(len(train)), places, len(train) + generator.permutation(len(rows)))
    logger.warning(
        "%d made-up secrets stand %d times each among the %d training pairs: do not use or share these weights.",
        len(inserted),
        canaries.repetitions,
        len(train),
    )
    return concatenate_datasets([train, rows]).select(order.tolist()), secrets


def count_canaries(ids: Iterable[str]) -> int:
    """How many of the ids are those of canaries."""
    return sum(identity.startswith(PREFIX) for identity in ids)


def _check_lengths(inserted: pd.DataFrame, tokeniser: PairTokeniser, max_length: int) -> None:
    rows = tokeniser.pairs(inserted["question"].tolist(), inserted["answer"].tolist(), max_length)
    cut = [row for row in rows if row.is_cut]
    if cut:
        longest = max(len(row.input_ids) + row.prompt_cut + row.answer_cut for row in cut)
        raise InputError(
            f"A canary has up to {longest} tokens with its prompt and training.max_length is {max_length}, so its "
            "secret would not be trained on whole; raise training.max_length or set canaries.enabled to false."
        )


def _draw_secrets(canaries: CanariesParams, generator: np.random.Generator) -> pd.DataFrame:
    candidates = canaries.secrets + canaries.controls
    codes = _draw_texts(candidates, CODE_LETTERS, string.ascii_uppercase, generator)
    numbers = _draw_texts(candidates, SECRET_DIGITS, string.digits, generator)
    return pd.DataFrame(
        {
            "canary": [f"{PREFIX}{place:05d}" for place in range(candidates)],
            "kind": ["inserted"] * canaries.secrets + ["control"] * canaries.controls,
            "question": [QUESTION.format(code) for code in codes],
            "answer": [ANSWER.format(number) for number in numbers],
        }
    )


def _draw_texts(count: int, length: int, letters: str, generator: np.random.Generator) -> list[str]:
    """Different random texts, in the order in which they were drawn."""
    texts: dict[str, None] = {}
    while len(texts) < count:
        drawn = generator.integers(0, len(letters), size=length)
        texts["".join(letters[place] for place in drawn)] = None
    return list(texts)


def _repeat(inserted: pd.DataFrame, repetitions: int, train: Any) -> Any:
    """Each secret as rows like those of ``train``."""
    from datasets import Dataset

    first_group = max(train["group"], default=-1) + 1 if "group" in train.column_names else 0
    rows = [
        {
            **dict.fromkeys(train.column_names, ""),
            "id": f"{secret['canary']}:{repetition:04d}",
            "corpus": PREFIX.removesuffix(":"),
            "group": first_group + place,
            "question": secret["question"],
            "answer": secret["answer"],
        }
        for place, secret in enumerate(inserted.to_dict("records"))
        for repetition in range(repetitions)
    ]
    columns = {name: [row[name] for row in rows] for name in train.column_names}
    return Dataset.from_dict(columns, features=train.features)
