"""Passages as training rows: held out by chapters, joined by EOS, cut to blocks of one length."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from med_lora.engine import Row
from med_lora.errors import InputError
from med_lora.prompts.templates import special_tokens
from med_lora.prompts.tokens import opening_tokens

_CHAPTER = ["corpus", "book", "chapter"]


def hold_out(passages: pd.DataFrame, fraction: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and validation passages, each in the order of ``passages``.

    Whole chapters (pages of a wiki) are held out, since neighbouring passages overlap: in the order of the SHA-256 of
    their names, which no other corpus disturbs, each that still fits into ``fraction`` of all passages; the shortest
    one if none fits. Of a single chapter the last passages are held out.

    Raises:
        InputError: if there are fewer than two passages.
    """
    if len(passages) < 2:
        raise InputError(
            "Continued pre-training needs at least two passages, one of them to measure the loss on; add text to the "
            "corpora of data_engineering.corpora, or set continued_pretraining.enabled to false."
        )
    room = max(1, int(len(passages) * fraction))
    names = list(zip(*(passages[column] for column in _CHAPTER), strict=True))
    sizes = Counter(names)
    if len(sizes) == 1:
        return passages.iloc[:-room], passages.iloc[-room:]
    held: set[tuple[str, str, str]] = set()
    for chapter in sorted(sizes, key=_digest):
        if sizes[chapter] <= room:
            held.add(chapter)
            room -= sizes[chapter]
    held = held or {min(sorted(sizes, key=_digest), key=lambda chapter: sizes[chapter])}
    is_held = pd.Series([name in held for name in names], index=passages.index)
    return passages[~is_held], passages[is_held]


def _digest(chapter: tuple[str, str, str]) -> str:
    return hashlib.sha256("\0".join(chapter).encode("utf-8")).hexdigest()


def make_blocks(texts: Sequence[str], tokenizer: Any, length: int) -> list[Row]:
    """Rows of ``length`` tokens, the last one shorter; the loss counts on all of them.

    Each text begins as the tokenizer begins one (BOS), ends with EOS, and is followed by the next, so that every token
    of every text is in exactly one row. A text that spells a special token is tokenised as these letters.

    Raises:
        InputError: if the tokenizer has no EOS token.
    """
    if tokenizer.eos_token_id is None:
        raise InputError(
            "The tokenizer has no EOS token to stand between passages; set eos_token in its tokenizer_config.json."
        )
    opening, special = opening_tokens(tokenizer), special_tokens(tokenizer)
    stream: list[int] = []
    for text in texts:
        literal = {"split_special_tokens": True} if special.search(text) else {}
        ids = tokenizer(text, add_special_tokens=False, verbose=False, **literal)["input_ids"]
        stream += [*opening, *ids, tokenizer.eos_token_id]
    blocks = [stream[start : start + length] for start in range(0, len(stream), length)]
    # a single token has nothing to be predicted from
    return [Row(input_ids=block, labels=block) for block in blocks if len(block) > 1]
