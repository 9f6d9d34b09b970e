"""Passages as rows: nothing lost, nothing held out that was trained on."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.pipelines.continued_pretraining.blocks import hold_out, make_blocks
from med_lora.provenance import hash_passages
from tests.prompts.families import FAMILIES, family


def passages(chapters: dict[str, int], corpus: str = "books") -> pd.DataFrame:
    """So many passages of each chapter, each with a text of its own."""
    rows = [
        (f"{corpus}:b/{chapter}#{number:04d}", corpus, "b", chapter, 0, "CC0-1.0", f"The toe {chapter} {number} hurts.")
        for chapter, count in chapters.items()
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["id", "corpus", "book", "chapter", "page", "licence", "text"])


def test_whole_chapters_are_held_out_up_to_the_fraction() -> None:
    given = passages({f"c{number}": 1 + number % 7 for number in range(40)})
    train, validation = hold_out(given, 0.1)
    assert set(train["chapter"]).isdisjoint(validation["chapter"])
    assert sorted([*train["id"], *validation["id"]]) == sorted(given["id"])
    assert 0.07 * len(given) < len(validation) <= 0.1 * len(given)
    for part in (train, validation):
        assert part.index.is_monotonic_increasing


def test_the_same_chapters_are_held_out_whatever_their_order_and_whatever_joins_them() -> None:
    given = passages({f"c{number}": 2 for number in range(30)})
    held = set(hold_out(given, 0.1)[1]["id"])
    assert set(hold_out(given.iloc[::-1], 0.1)[1]["id"]) == held
    more = pd.concat([given, passages({"wiki": 300}, corpus="pages")])
    assert held <= set(hold_out(more, 0.1)[1]["id"])


def test_shortest_chapter_is_held_out_where_all_are_longer_than_the_fraction() -> None:
    train, validation = hold_out(passages({"long": 50, "short": 20, "longer": 70}), 0.05)
    assert set(validation["chapter"]) == {"short"}
    assert set(train["chapter"]) == {"long", "longer"}


def test_last_passages_of_a_single_chapter_are_held_out() -> None:
    given = passages({"only": 20})
    train, validation = hold_out(given, 0.1)
    assert validation["id"].tolist() == given["id"].tolist()[-2:]
    assert len(train) == 18


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_passages_are_refused(count: int) -> None:
    with pytest.raises(InputError, match="at least two passages"):
        hold_out(passages({"only": count}), 0.05)


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_hold_every_token_once_with_eos_between_passages(name: str) -> None:
    tokenizer = family(name)
    texts = [f"The toe number {number} is swollen." for number in range(20)]
    rows = make_blocks(texts, tokenizer, 32)
    opening = [tokenizer.bos_token_id] if name not in ("gpt2",) else []
    stream = []
    for text in texts:
        stream += [*opening, *tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert [token for row in rows for token in row["input_ids"]] == stream
    assert {len(row["input_ids"]) for row in rows[:-1]} == {32}
    assert all(row["labels"] == row["input_ids"] for row in rows)


def test_special_token_in_a_text_is_letters(tokenizer: Any) -> None:
    (row,) = make_blocks(["Stop <eos> here."], tokenizer, 100)
    assert row["input_ids"].count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(row["input_ids"][:-1]) == "Stop <eos> here."


def test_a_row_of_one_token_is_left_out(tokenizer: Any) -> None:
    whole = make_blocks(["A painful toe."], tokenizer, 100)[0]["input_ids"]
    rows = make_blocks(["A painful toe."], tokenizer, len(whole) - 1)
    assert [row["input_ids"] for row in rows] == [whole[:-1]]


def test_tokenizer_without_eos_is_refused(tokenizer: Any) -> None:
    from transformers import PreTrainedTokenizerFast

    endless = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, pad_token="<pad>")
    with pytest.raises(InputError, match="no EOS token"):
        make_blocks(["A toe."], endless, 8)


def test_hash_follows_texts_and_not_their_order() -> None:
    given = passages({"a": 3})
    changed = given.assign(text=given["text"].str.replace("hurts", "is well"))
    assert hash_passages(given) == hash_passages(given.iloc[::-1]) != hash_passages(changed)
