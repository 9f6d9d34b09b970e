"""Rows as tensors, padded or packed."""

from __future__ import annotations

import pytest

from med_lora.engine import Row, collate
from med_lora.engine.rows import check_labels, pack
from med_lora.errors import InputError
from med_lora.prompts import IGNORED_LABEL

NONE = IGNORED_LABEL


def row(*ids: int) -> Row:
    return Row(input_ids=list(ids), labels=list(ids))


def test_rows_are_padded_to_the_right_and_their_first_token_is_no_label() -> None:
    batch = collate([row(5, 6, 7), row(8, 9)], pad_id=9)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9]]
    assert batch["labels"].tolist() == [[NONE, 6, 7], [NONE, 9, NONE]]  # by place: the padding token may be a label
    assert set(batch) == {"input_ids", "labels"}


def test_no_rows_become_one_token_without_a_label() -> None:
    for batch in (collate([], pad_id=1), pack([], pad_id=1, flat=False), pack([], pad_id=1, flat=True)):
        assert batch["input_ids"].tolist() == [[1]]
        assert batch["labels"].tolist() == [[NONE]]


def test_packing_fills_rows_as_long_as_the_longest_and_counts_positions_anew() -> None:
    batch = pack([row(2, 3), row(4, 5, 6, 7, 8), row(9, 10), row(11, 12)], pad_id=1, flat=False)
    assert batch["input_ids"].tolist() == [[4, 5, 6, 7, 8], [2, 3, 9, 10, 1], [11, 12, 1, 1, 1]]
    assert batch["labels"].tolist() == [
        [NONE, 5, 6, 7, 8],
        [NONE, 3, NONE, 10, NONE],
        [NONE, 12, NONE, NONE, NONE],
    ]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4], [0, 1, 0, 1, 2], [0, 1, 2, 3, 4]]


def test_packing_chooses_the_fullest_row_that_has_room() -> None:
    lengths = [10, 7, 5, 3, 3, 2]
    batch = pack([row(*range(2, 2 + length)) for length in lengths], pad_id=1, flat=False)
    assert (batch["input_ids"] != 1).sum(dim=1).tolist() == [10, 10, 10]  # 10, 7 + 3, 5 + 3 + 2


def test_flat_packing_makes_one_row_without_padding() -> None:
    batch = pack([row(2, 3), row(4, 5, 6)], pad_id=1, flat=True)
    assert batch["input_ids"].tolist() == [[2, 3, 4, 5, 6]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 2]]


def test_rows_without_a_label_are_counted_and_not_shown() -> None:
    masked = Row(input_ids=[5, 6, 7], labels=[5, NONE, NONE])  # nothing predicts the first token
    with pytest.raises(InputError, match="2 of 3 training rows have no token that the loss counts"):
        check_labels([masked, row(5, 6), masked], "training")
    check_labels([row(5, 6)], "training")
