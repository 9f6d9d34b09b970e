"""Pairs as training rows, and what becomes of those that are longer than the model is trained on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence

import pandas as pd

from med_lora.engine import Row
from med_lora.engine.epoch_answers import Questions
from med_lora.errors import InputError
from med_lora.parameters import TrainingParams
from med_lora.prompts import PairTokeniser, Tokenised

logger = logging.getLogger(__name__)


def tokenise_rows(pairs: pd.DataFrame, tokeniser: PairTokeniser, max_length: int) -> list[Tokenised]:
    """The pairs in their order, each cut to ``max_length`` tokens."""
    return tokeniser.pairs(pairs["question"].tolist(), pairs["answer"].tolist(), max_length)


def limit_rows(rows: Sequence[Tokenised], split: str, training: TrainingParams) -> list[Row]:
    """Rows whose loss counts as ``training.loss_on`` says; over-long pairs are treated as ``training.overlong`` says.

    Args:
        rows: pairs cut to ``training.max_length``.
        split: "train" or "validation", for messages.
        training: the limit, the policy, and the tokens that count.

    Raises:
        InputError: if pairs are over-long and the policy is ``stop``, or it is ``drop`` and none are left.
    """
    overlong = [row for row in rows if row.is_cut]
    if overlong:
        longest = max(len(row.input_ids) + row.prompt_cut + row.answer_cut for row in overlong)
        found = (
            f"{len(overlong)} of {len(rows)} {split} pairs are longer than training.max_length "
            f"({training.max_length} tokens; the longest has {longest})"
        )
        if training.overlong == "stop":
            raise InputError(f"{found}; raise it, or set training.overlong to truncate or drop.")
        if training.overlong == "drop" and len(overlong) == len(rows):
            raise InputError(f"{found}, so training.overlong: drop leaves none; raise the limit or truncate.")
        lost = sum(row.prompt_cut + row.answer_cut for row in overlong)
        done = "they are left out" if training.overlong == "drop" else f"{lost} tokens were cut"
        logger.info("%s; %s.", found, done)
    kept = [row for row in rows if training.overlong != "drop" or not row.is_cut]
    on_all = training.loss_on == "all"
    return [Row(input_ids=row.input_ids, labels=row.input_ids if on_all else row.labels) for row in kept]


def choose_questions(
    pairs: pd.DataFrame,
    rows: Sequence[Tokenised],
    tokeniser: PairTokeniser,
    training: TrainingParams,
    context: int | None,
) -> Questions | None:
    """The first ``training.epoch_answers`` validation pairs by id, as questions to be asked; None where it is 0.

    An answer may be as long as the longest of their references within ``training.max_length``. A prompt that leaves
    too little of the model's context for that loses its beginning.

    Args:
        pairs: the validation split (columns id, question, answer).
        rows: its pairs as tokens.
        tokeniser: that made ``rows``.
        training: how many are asked, and whether over-long pairs are dropped.
        context: positions of the model; None for no limit.

    Raises:
        InputError: if there is no validation pair.
    """
    if training.epoch_answers == 0:
        return None
    kept = [place for place, row in enumerate(rows) if training.overlong != "drop" or not row.is_cut]
    chosen = sorted(kept, key=lambda place: str(pairs["id"].iloc[place]))[: training.epoch_answers]
    if not chosen:
        raise InputError(
            "training.epoch_answers asks validation questions and there are none; raise "
            "data_engineering.split.validation, or set training.epoch_answers to 0."
        )
    longest = max(len(rows[place].answer_ids) for place in chosen)
    room = sys.maxsize if context is None else context - longest
    prompts = tokeniser.prompts([pairs["question"].iloc[place] for place in chosen], room)
    references = [pairs["answer"].iloc[place] for place in chosen]
    return Questions([ids for ids, _ in prompts], references, tokeniser.end_id, longest)


def describe_lengths(tokenised: Mapping[str, Sequence[Tokenised]], overlong: str) -> pd.DataFrame:
    """Counts of over-long pairs of each split, in the columns of the training history.

    Returns:
        Rows at step 0; metrics ``<split>_pairs``, ``<split>_overlong_pairs``, ``<split>_dropped_pairs``,
        ``<split>_prompt_tokens_cut`` and ``<split>_answer_tokens_cut`` (EOS included; 0 where pairs are dropped).
    """
    counts: dict[str, int] = {}
    for split, rows in tokenised.items():
        longer = [row for row in rows if row.is_cut]
        cut = [] if overlong == "drop" else longer
        counts |= {
            f"{split}_pairs": len(rows),
            f"{split}_overlong_pairs": len(longer),
            f"{split}_dropped_pairs": len(longer) - len(cut),
            f"{split}_prompt_tokens_cut": sum(row.prompt_cut for row in cut),
            f"{split}_answer_tokens_cut": sum(row.answer_cut for row in cut),
        }
    return pd.DataFrame(
        [(0, 0.0, metric, float(count)) for metric, count in counts.items()],
        columns=["step", "epoch", "metric", "value"],
    )
