"""How many tokens the pairs of each split take."""

from __future__ import annotations

import sys

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.parameters import PromptParams
from med_lora.pipelines.evaluation.splits import Split
from med_lora.prompts import PairTokeniser

PAIRS_AT_ONCE = 1000
LENGTH_COLUMNS = ["split", "corpus", "id", "prompt_tokens", "answer_tokens"]


def read_lengths(
    train: Split, validation: Split, test: Split, base_model: BaseModel, prompt: PromptParams
) -> pd.DataFrame:
    """Length of every pair in tokens of the base model, before anything is cut.

    Args:
        train: pairs with id, corpus, question and answer, as the next two.
        validation: validation pairs.
        test: test pairs.
        base_model: handle whose tokenizer counts; its weights are not read.
        prompt: how a question becomes a prompt.

    Returns:
        Columns split, corpus, id, prompt_tokens (BOS included where the tokenizer adds one) and answer_tokens (EOS
        included); one row a pair, in the order of the splits.

    Raises:
        InputError: if the tokenizer cannot be had, or has nothing that the prompt needs.
    """
    tokeniser = PairTokeniser(prompt, base_model.tokenizer())
    rows: list[tuple[str, str, str, int, int]] = []
    for split, pairs in (("train", train), ("validation", validation), ("test", test)):
        table: pd.DataFrame = pairs.to_pandas()
        for start in range(0, len(table), PAIRS_AT_ONCE):
            corpora, ids, questions, answers = (
                table[name].iloc[start : start + PAIRS_AT_ONCE].tolist()
                for name in ("corpus", "id", "question", "answer")
            )
            tokenised = tokeniser.pairs(questions, answers, sys.maxsize)
            lengths = ((len(pair.prompt_ids), len(pair.answer_ids)) for pair in tokenised)
            rows += [(split, corpus, name, *found) for corpus, name, found in zip(corpora, ids, lengths, strict=True)]
    counted = pd.DataFrame(rows, columns=LENGTH_COLUMNS)
    kinds = {name: "int64" if name.endswith("_tokens") else "str" for name in LENGTH_COLUMNS}
    return counted.astype(kinds)
