"""Sampled tokens have the probabilities that the settings say."""

from __future__ import annotations

import numpy as np
import pytest

from med_lora.pipelines.evaluation.decoding import make_processors
from tests import recipes

LOGITS = np.log([0.4, 0.3, 0.2, 0.1])


def frequencies(rows: int = 20_000, **settings: float | int) -> np.ndarray:
    """How often each of four tokens is drawn after ``rows`` different prompts."""
    import torch

    processors = make_processors(recipes.decoding(max_new_tokens=1, **settings), [[row] for row in range(rows)], 1)
    scores = torch.tensor(LOGITS, dtype=torch.float32).repeat(rows, 1)
    drawn = processors(torch.arange(rows)[:, None], scores)
    assert (torch.isfinite(drawn).sum(dim=1) == 1).all()
    return np.bincount(drawn.argmax(dim=1).numpy(), minlength=4) / rows


def test_plain_greedy_decoding_leaves_the_logits_alone() -> None:
    assert len(make_processors(recipes.decoding(top_k=2, top_p=0.5), [[1]], 1)) == 0


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

    processors = make_processors(recipes.decoding(max_new_tokens=50, temperature=1.0), [[1, 2]], 2)
    scores = torch.zeros(1, 1000)
    drawn = {int(processors(torch.zeros(1, 2 + step, dtype=torch.long), scores).argmax()) for step in range(50)}
    assert len(drawn) > 40
