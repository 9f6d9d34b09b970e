"""Lengths in tokens are those of whole pairs."""

from __future__ import annotations

from typing import Any

from med_lora.parameters import PromptParams
from med_lora.pipelines.data_report.lengths import read_lengths
from med_lora.prompts import PairTokeniser

from .conftest import Model, Table, make_split


def test_every_pair_is_counted_uncut(tokenizer: Any) -> None:
    prompt = PromptParams(template="Question: {question}\nAnswer:", system=None)
    train, test = make_split(0, 3), make_split(3, 1)
    train.loc[1, "answer"] = "pain " * 5000
    counted = read_lengths(Table(train), Table(train[:0]), Table(test), Model(tokenizer), prompt)
    assert list(counted["split"]) == ["train"] * 3 + ["test"]
    assert list(counted["id"]) == [*train["id"], *test["id"]]
    assert counted.loc[1, "answer_tokens"] > 5000
    whole = PairTokeniser(prompt, tokenizer).pairs([test.loc[0, "question"]], [test.loc[0, "answer"]], 10_000)[0]
    assert not whole.is_cut
    last = counted.iloc[3]
    assert (last["prompt_tokens"], last["answer_tokens"]) == (len(whole.prompt_ids), len(whole.answer_ids))
    assert counted.dtypes.astype(str).tolist() == ["str", "str", "str", "int64", "int64"]


def test_no_pair_gives_an_empty_table(tokenizer: Any) -> None:
    none = Table(make_split(0, 0))
    prompt = PromptParams(template="{question}", system=None)
    assert read_lengths(none, none, none, Model(tokenizer), prompt).empty
