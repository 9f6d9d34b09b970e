"""Sampled tokens have the probabilities that the settings say."""

from __future__ import annotations

import numpy as np
import pytest

from med_lora.generation.decoding import TokenChooser
from tests import recipes

LOGITS = np.log([0.4, 0.3, 0.2, 0.1])


def frequencies(rows: int = 20_000, **settings: float | int) -> np.ndarray:
    """How often each of four tokens is drawn after ``rows`` different prompts."""
    import torch

    choose = TokenChooser(recipes.decoding(max_new_tokens=1, **settings), [[row] for row in range(rows)])
    logits = torch.tensor(LOGITS, dtype=torch.float32).repeat(rows, 1)
    drawn = choose(logits, torch.zeros(rows, 0, dtype=torch.long))
    return np.bincount(drawn.numpy(), minlength=4) / rows


def test_greedy_decoding_takes_the_most_probable_token_whatever_the_samplers_settings() -> None:
    np.testing.assert_array_equal(frequencies(100, top_k=2, top_p=0.5), [1, 0, 0, 0])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 1.0}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0.5}, np.array([16, 9, 4, 1]) / 30),
        ({"temperature": 1.0, "top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"temperature": 1.0, "top_p": 0.6}, [4 / 7, 3 / 7, 0, 0]),
    ],
)
def test_tokens_come_as_often_as_their_probability_says(
    settings: dict[str, float | int], expected: list[float]
) -> None:
    found = frequencies(**settings)
    # four standard deviations of a binomial share
    np.testing.assert_allclose(found, expected, atol=4 * np.sqrt(0.25 / 20_000))
    assert (found[np.array(expected) == 0] == 0).all()


def test_later_tokens_of_an_answer_have_draws_of_their_own() -> None:
    import torch

    choose = TokenChooser(recipes.decoding(max_new_tokens=50, temperature=1.0), [[1, 2]])
    logits = torch.zeros(1, 1000)
    drawn = {int(choose(logits, torch.zeros(1, step, dtype=torch.long))) for step in range(50)}
    assert len(drawn) > 40


def test_a_row_draws_the_same_after_others_have_left() -> None:
    import torch

    decoding, logits = recipes.decoding(temperature=1.0), torch.zeros(3, 1000)
    whole, rest = (TokenChooser(decoding, [[1], [2], [3]]) for _ in range(2))
    rest.keep([0, 2])
    for step in range(5):
        answers = torch.zeros(3, step, dtype=torch.long)
        assert whole(logits, answers)[[0, 2]].tolist() == rest(logits[:2], answers[:2]).tolist()


def test_a_repetition_penalty_looks_at_the_answer_alone() -> None:
    import torch

    choose = TokenChooser(recipes.decoding(repetition_penalty=1e6), [[0], [0]])
    logits = torch.tensor([[3.0, 2.0, 1.0]] * 2)
    assert choose(logits, torch.zeros(2, 0, dtype=torch.long)).tolist() == [0, 0]
    assert choose(logits, torch.tensor([[0], [1]])).tolist() == [1, 0]
