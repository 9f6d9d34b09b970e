"""The architectures of the studies, from pages to losses and answers: trained on every token, quantised as they ask."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets import AdapterDataset, WorkFolder
from med_lora.datasets.base_model import BaseModel
from med_lora.models.session import open_session
from med_lora.parameters import PromptParams
from med_lora.pipelines.data_engineering.layouts.encyclopaedia import parse_pages
from med_lora.pipelines.evaluation.answers.generation import generate_answers
from med_lora.pipelines.evaluation.losses.batches import PADDING_COUNTED
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from med_lora.pipelines.evaluation.origin import check_tuned
from med_lora.pipelines.training.nodes import train_adapter
from tests import recipes

CPU = recipes.hardware()
LLAMA2 = PromptParams(template="llama2", system=None)
SENTENCE = "A painful arthritis of the toe, which a medical professional describes as {}. "
TITLES = ("gout", "anthrax", "cachexia", "botulism", "asthma", "shingles")
# GPT-2 with its four kinds of layers or the one of attention's entrance; study B's models at 4 bits
CASES = [
    ("gpt2", "none", "attention-mlp"),
    ("gpt2", "int8", ["c_attn"]),
    ("distilgpt2", "nf4", "attention-mlp"),
    ("mistral", "nf4", "attention-mlp"),
    ("gemma", "nf4", "attention-mlp"),
    ("llama3", "nf4", "attention-mlp"),
]


@dataclass(frozen=True)
class Split:
    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def pages(*titles: str) -> Split:
    """Wiki pages in Llama-2's chat layout as pairs; every other one is longer than the model's 128 positions."""
    texts = [SENTENCE.format(title) * (1 + 9 * (place % 2)) for place, title in enumerate(titles)]
    wrapped = [f"<s>[INST] {title} [/INST] {text}</s>" for title, text in zip(titles, texts, strict=True)]
    parsed = parse_pages(pd.DataFrame({"text": wrapped}))
    return Split(parsed.assign(id=[f"pages:{title}" for title in titles])[["id", "question", "answer"]])


def perplexity(losses: pd.DataFrame) -> float:
    return math.exp(losses["nll"].sum() / losses["tokens"].sum())


@pytest.mark.parametrize(("family", "quantisation", "targets"), CASES, ids=str)
def test_pages_train_an_adapter_that_is_measured_with_and_without_padding(
    family: str, quantisation: str, targets: Any, family_model: Callable[[str], BaseModel], tmp_path: Path
) -> None:
    base, model = family_model(family), recipes.model_params(quantisation=quantisation)
    training = recipes.training(
        loss_on="all",
        max_length=128,
        lora=recipes.lora(target_modules=targets),
        optimisation=recipes.optimisation(epochs=1, evaluations=[1], learning_rate=1e-2, batches="random"),
    )
    train, test = pages(*TITLES), pages("gout", "palsy", "measles", "croup", "mumps")
    trained, history = train_adapter(base, train, test, LLAMA2, model, training, CPU, WorkFolder(tmp_path / "work"))
    counts = history[history["step"] == 0].set_index("metric")["value"]
    assert counts["train_overlong_pairs"] == 3
    assert counts["train_answer_tokens_cut"] > 0
    losses = history[history["metric"] == "validation_loss"]
    assert losses["step"].tolist() == [0, 1, 2]
    assert losses["value"].iloc[-1] < losses["value"].iloc[0]

    saved = AdapterDataset(filepath=str(tmp_path / "adapter"))
    saved.save(trained)
    adapter = check_tuned(saved.load(), base, train, LLAMA2, model)
    session = open_session(base, model, CPU)
    of_arms = {arm: measure_losses(session, test, LLAMA2, training, given) for arm, given in arms(adapter)}
    for answers, batches in of_arms.values():
        padded = batches[batches["variant"] == PADDING_COUNTED]
        # in batches of four pages each as wide as the widest, which fills the 128 positions
        assert padded["tokens"].tolist() == [4 * 127, 127]
        assert math.isfinite(perplexity(padded))
        assert perplexity(padded) != pytest.approx(perplexity(answers), rel=1e-3)
    assert perplexity(of_arms["tuned"][0]) < perplexity(of_arms["base"][0])
    evaluation = recipes.evaluation(decoding=recipes.decoding(max_new_tokens=3))
    written = generate_answers(session, test, LLAMA2, evaluation, WorkFolder(tmp_path / "journal"), adapter)
    assert len(written) == 5
    assert written["prompt_tokens"].between(4, 125).all()


def arms(adapter: Any) -> list[tuple[str, Any]]:
    return [("base", None), ("tuned", adapter)]
