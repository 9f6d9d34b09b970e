"""Which rows make an optimiser step: a matter of the recipe alone."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from med_lora.engine.batches import MicroBatches, micro_batch_size, micro_batches, rows_of_steps
from tests.recipes import hardware, optimisation

LENGTHS = [random.Random(number).randrange(5, 300) for number in range(1003)]


def recipe(**changes: Any) -> Any:
    return optimisation(**({"effective_batch_size": 8} | changes))


def steps(lengths: list[int], settings: Any, micro: int, ranks: int, epoch: int) -> list[set[int]]:
    """What all ranks together pass through the model between two updates."""
    plans = [MicroBatches(lengths, settings, hardware(micro_batch_size=micro), rank, ranks) for rank in range(ranks)]
    for plan in plans:
        plan.set_epoch(epoch)
    taken = [list(plan) for plan in plans]
    assert len({len(batches) for batches in taken}) == 1  # or a rank would wait for another for ever
    assert [len(plan) for plan in plans] == [len(batches) for batches in taken]
    every = plans[0].accumulation
    return [
        {row for batches in taken for batch in batches[start : start + every] for row in batch}
        for start in range(0, len(taken[0]), every)
    ]


@pytest.mark.parametrize("batches", ["grouped", "random"])
def test_every_row_occurs_once_an_epoch_and_only_the_last_step_is_short(batches: str) -> None:
    plan = rows_of_steps(LENGTHS, recipe(batches=batches), 0)
    assert sorted(row for step in plan for row in step) == list(range(len(LENGTHS)))
    assert {len(step) for step in plan[:-1]} == {8}
    assert len(plan[-1]) == 3


@pytest.mark.parametrize("batches", ["grouped", "random"])
@pytest.mark.parametrize(("micro", "ranks"), [(8, 1), (3, 1), (1, 1), (64, 1), (4, 2), (1, 2), (1, 8), (3, 4)])
def test_ranks_and_micro_batches_do_not_move_a_row_to_another_step(batches: str, micro: int, ranks: int) -> None:
    settings = recipe(batches=batches)
    expected = [set(step) for step in rows_of_steps(LENGTHS[:90], settings, 2)]
    assert steps(LENGTHS[:90], settings, micro, ranks, 2) == expected


def test_an_epoch_depends_on_seed_and_number_and_on_nothing_that_came_before() -> None:
    settings = recipe()
    plan = MicroBatches(LENGTHS, settings, hardware())
    list(plan)
    plan.set_epoch(3)
    late = MicroBatches(LENGTHS, settings, hardware())
    late.set_epoch(3)
    assert list(plan) == list(late)
    assert rows_of_steps(LENGTHS, settings, 3) != rows_of_steps(LENGTHS, settings, 2)
    assert rows_of_steps(LENGTHS, settings, 3) != rows_of_steps(LENGTHS, recipe(seed=4), 3)


def padding(plan: list[list[int]]) -> float:
    """Padded over useful tokens where each step is one batch."""
    return sum(len(step) * max(LENGTHS[row] for row in step) for step in plan) / sum(LENGTHS)


def test_grouped_steps_hold_rows_of_like_length_in_shuffled_order() -> None:
    grouped = rows_of_steps(LENGTHS, recipe(), 0)
    assert padding(grouped) < 1.1 < 1.5 < padding(rows_of_steps(LENGTHS, recipe(batches="random"), 0))
    longest = [max(LENGTHS[row] for row in step) for step in grouped]
    rises = sum(one < following for one, following in pairwise(longest))
    assert 0.3 < rises / len(longest) < 0.7  # neither from short to long, nor the other way


def test_micro_batches_of_a_step_hold_neighbours_in_length() -> None:
    step = rows_of_steps(LENGTHS, recipe(effective_batch_size=12, batches="random"), 0)[0]
    cut = micro_batches(step, 4, 1)
    assert [len(batch) for batch in cut] == [4, 4, 4]
    lengths = [[LENGTHS[row] for row in batch] for batch in cut]
    assert max(lengths[0]) <= min(lengths[1])
    assert max(lengths[1]) <= min(lengths[2])


@pytest.mark.parametrize(
    ("rows", "largest", "ranks", "sizes"),
    [(16, 6, 1, [6, 5, 5]), (7, 6, 1, [4, 3]), (16, 4, 2, [4, 4, 4, 4]), (3, 4, 4, [1, 1, 1, 0]), (1, 8, 2, [1, 0])],
)
def test_a_step_is_cut_evenly_into_a_multiple_of_the_ranks(rows: int, largest: int, ranks: int, sizes: Any) -> None:
    assert [len(batch) for batch in micro_batches(range(rows), largest, ranks)] == sizes


@pytest.mark.parametrize(
    ("effective", "allowed", "ranks", "micro"),
    [(16, 16, 1, 16), (16, 6, 1, 6), (7, 6, 1, 4), (4, 64, 1, 4), (16, 64, 4, 4)],
)
def test_the_largest_micro_batch_is_known_beforehand(effective: int, allowed: int, ranks: int, micro: int) -> None:
    settings, machine = recipe(effective_batch_size=effective), hardware(micro_batch_size=allowed)
    assert micro_batch_size(settings, machine, ranks) == micro
    assert max(len(batch) for batch in micro_batches(range(effective), allowed, ranks)) == micro


def test_tokens_of_a_step_are_those_of_all_its_rows() -> None:
    settings = recipe()
    plan = MicroBatches(LENGTHS, settings, hardware(), 1, 2)
    expected = [
        sum(LENGTHS[row] for row in step) for epoch in (0, 1) for step in rows_of_steps(LENGTHS, settings, epoch)
    ]
    assert [plan.tokens(step) for step in range(1, 2 * plan.steps + 1)] == expected
