"""What becomes of pairs that are longer than the model is trained on."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.parameters import PromptParams, TrainingParams
from med_lora.pipelines.training.rows import describe_lengths, limit_rows, tokenise_rows
from med_lora.prompts import IGNORED_LABEL, PairTokeniser, Tokenised

from .recipes import TRAINING


@pytest.fixture
def pairs() -> pd.DataFrame:
    answers = ["yes", "painful " * 40, "no", "gout " * 60]
    return pd.DataFrame({"question": ["what is gout?"] * 4, "answer": answers})


@pytest.fixture
def tokeniser(tokenizer: Any) -> PairTokeniser:
    return PairTokeniser(PromptParams(template="plain", system=None), tokenizer)


def policy(overlong: str, max_length: int = 40) -> TrainingParams:
    return TRAINING.model_copy(update={"overlong": overlong, "max_length": max_length})


def counts(rows: list[Tokenised], overlong: str) -> dict[str, float]:
    table = describe_lengths({"train": rows}, overlong)
    assert set(table["step"]) == {0}
    return dict(zip(table["metric"], table["value"], strict=True))


def test_truncated_rows_keep_every_pair_and_its_loss_on_the_answer(
    pairs: pd.DataFrame, tokeniser: PairTokeniser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    tokenised = tokenise_rows(pairs, tokeniser, 40)
    rows = limit_rows(tokenised, "train", policy("truncate"))
    assert [len(row["input_ids"]) for row in rows][1::2] == [40, 40]
    for row in rows:
        assert len(row["labels"]) == len(row["input_ids"])
        assert row["labels"][0] == IGNORED_LABEL != row["labels"][-1]
    whole = tokenise_rows(pairs, tokeniser, 10_000)
    lost = sum(len(long.input_ids) - len(row["input_ids"]) for long, row in zip(whole, rows, strict=True))
    assert "2 of 4 train pairs are longer than training.max_length (40 tokens" in caplog.text
    assert f"{lost} tokens were cut" in caplog.text
    assert "gout" not in caplog.text
    assert counts(tokenised, "truncate") == {
        "train_pairs": 4,
        "train_overlong_pairs": 2,
        "train_dropped_pairs": 0,
        "train_prompt_tokens_cut": 0,
        "train_answer_tokens_cut": lost,
    }


def test_dropped_rows_leave_the_others_whole(pairs: pd.DataFrame, tokeniser: PairTokeniser) -> None:
    tokenised = tokenise_rows(pairs, tokeniser, 40)
    rows = limit_rows(tokenised, "train", policy("drop"))
    whole = tokenise_rows(pairs, tokeniser, 10_000)
    assert [row["input_ids"] for row in rows] == [whole[0].input_ids, whole[2].input_ids]
    counted = counts(tokenised, "drop")
    assert (counted["train_dropped_pairs"], counted["train_answer_tokens_cut"]) == (2, 0)


def test_a_pair_exactly_as_long_as_the_limit_is_not_overlong(pairs: pd.DataFrame, tokeniser: PairTokeniser) -> None:
    longest = max(len(row.input_ids) for row in tokenise_rows(pairs, tokeniser, 10_000))
    rows = limit_rows(tokenise_rows(pairs, tokeniser, longest), "train", policy("stop", longest))
    assert len(rows) == 4
    with pytest.raises(InputError, match=f"1 of 4 train pairs .*the longest has {longest}"):
        limit_rows(tokenise_rows(pairs, tokeniser, longest - 1), "train", policy("stop", longest - 1))


def test_dropping_every_pair_is_one_sentence(pairs: pd.DataFrame, tokeniser: PairTokeniser) -> None:
    with pytest.raises(InputError, match=r"4 of 4 validation pairs .* drop leaves none"):
        limit_rows(tokenise_rows(pairs, tokeniser, 10), "validation", policy("drop", 10))
