"""The loss at the labels alone equals the plain one, and so do its gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import med_lora.engine.losses as losses
from med_lora.engine import Row, mean_loss
from med_lora.engine.losses import LabelLoss, measure
from med_lora.engine.rows import collate
from med_lora.prompts import IGNORED_LABEL
from tests.engine.tiny import VOCABULARY, adapted, gemma, gemma2, gpt2, granite, llama, make, rows

DATA = rows(9)


def plain(model: Any) -> tuple[float, list[torch.Tensor]]:
    """The model's own summed loss, with all logits and an attention mask, and its gradients."""
    batch = collate(DATA, 1)
    lengths = torch.tensor([[len(row["input_ids"])] for row in DATA])
    mask = (torch.arange(batch["input_ids"].shape[1]) < lengths).long()
    loss = model(**batch, attention_mask=mask, num_items_in_batch=1).loss
    return float(loss.detach()), gradients(model, loss)


def gradients(model: Any, loss: Any) -> list[torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return [weight.grad.clone() for weight in model.parameters() if weight.requires_grad]


@pytest.mark.parametrize("part", [2**26, 5 * VOCABULARY])
@pytest.mark.parametrize("family", [llama, gemma, gemma2, granite, gpt2])
def test_loss_and_gradients_equal_the_models_own(family: Callable[[], Any], part: int, monkeypatch: Any) -> None:
    """Whole, and in parts of five tokens that the backward pass computes again; soft capping and scaling included."""
    monkeypatch.setattr(losses, "LARGEST", part)
    model = make(family)
    expected, expected_gradients = plain(model)
    nll, _, tokens = LabelLoss(model)(model, collate(DATA, 1))
    assert float(nll.detach()) == pytest.approx(expected, rel=1e-5)
    assert tokens == sum(label != IGNORED_LABEL for row in DATA for label in row["labels"])
    for ours, theirs in zip(gradients(model, nll), expected_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", [2**26, 5 * VOCABULARY])
@pytest.mark.parametrize("targets", ["all-linear", ["q_proj", "lm_head"]])
def test_an_adapter_on_any_layer_counts(targets: Any, part: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(losses, "LARGEST", part)
    model = adapted(make(llama), target_modules=targets)
    expected, expected_gradients = plain(model)
    nll, _, _ = LabelLoss(model)(model, collate(DATA, 1))
    assert float(nll.detach()) == pytest.approx(expected, rel=1e-5)
    for ours, theirs in zip(gradients(model, nll), expected_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_an_8_bit_output_layer_counts() -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    model = make(llama)
    head = bitsandbytes.nn.Linear8bitLt(32, VOCABULARY, bias=False, has_fp16_weights=False)
    head.load_state_dict({"weight": model.lm_head.weight.data})
    model.lm_head = head.to("cpu")
    with torch.no_grad():
        nll, _, _ = LabelLoss(model)(model, collate(DATA, 1))
        expected = float(model(**collate(DATA, 1), num_items_in_batch=1).loss)
    assert float(nll) == pytest.approx(expected, rel=0.01)  # rows of one batch share their outliers


def test_the_output_layer_sees_only_tokens_that_predict_a_label() -> None:
    model = make(llama)
    seen = []
    model.lm_head.register_forward_hook(lambda head, args, output: seen.append(output.shape[:-1].numel()))
    loss = LabelLoss(model)
    seen.clear()
    _, _, tokens = loss(model, collate(DATA, 1))
    assert seen == [tokens]


def test_a_model_that_does_more_to_its_logits_is_not_computed_in_parts(monkeypatch: Any) -> None:
    """The parts would leave out what the configuration does not tell."""
    monkeypatch.setattr(losses, "LARGEST", 5 * VOCABULARY)
    model = make(llama)
    forward = type(model).forward

    def halved(self: Any, **inputs: Any) -> Any:
        output = forward(self, **inputs)
        output.logits = output.logits / 2
        return output

    monkeypatch.setattr(type(model), "forward", halved)
    loss = LabelLoss(model)
    assert loss.finish is None
    nll, _, _ = loss(model, collate(DATA, 1))
    batch = collate(DATA, 1)
    logits = model(input_ids=batch["input_ids"]).logits[:, :-1].flatten(0, 1)
    expected = torch.nn.functional.cross_entropy(logits, batch["labels"][:, 1:].flatten(), reduction="sum")
    assert float(nll.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_a_batch_without_labels_gives_zero_that_can_be_differentiated() -> None:
    model = make(llama)
    nll, _, tokens = LabelLoss(model)(model, collate([], 1))
    assert (float(nll.detach()), tokens) == (0.0, 0)
    assert all(not gradient.any() for gradient in gradients(model, nll))  # DDP waits for one of every weight


def one_by_one(model: Any, data: list[Row]) -> tuple[float, int, int]:
    """Summed loss, label tokens and most likely ones, a row at a time, from log-probabilities."""
    total, count, correct = 0.0, 0, 0
    for row in data:
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1)
        for position, label in enumerate(row["labels"][1:]):
            if label != IGNORED_LABEL:
                total -= float(logits[position, label])
                count += 1
                correct += int(logits[position].argmax()) == label
    return total, count, correct


@pytest.mark.parametrize("part", [2**26, 5 * VOCABULARY])
def test_measures_are_sums_over_tokens_whatever_the_batch(part: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(losses, "LARGEST", part)
    model = make(llama).eval()
    data = rows(11)
    for row in data[::2]:  # some tokens that the model does guess
        with torch.no_grad():
            guess = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, 3].argmax()
        row["labels"][4] = int(guess)
    total, count, correct = one_by_one(model, data)
    assert correct >= 6
    for size in (1, 3, 11):
        found = measure(model, data, 1, size)
        assert (found.tokens, found.correct) == (count, correct)
        assert found.loss == pytest.approx(total / count, rel=1e-6)
        assert found.accuracy == correct / count
        assert found.perplexity == pytest.approx(2.718281828459045 ** (total / count), rel=1e-6)
        assert mean_loss(model, data, 1, size) == found.loss


def test_measuring_leaves_mode_and_random_state_alone() -> None:
    model = adapted(make(llama), lora_dropout=0.5)
    model.train()
    state = torch.get_rng_state()
    first = mean_loss(model, rows(3), 1, 2)
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert mean_loss(model, rows(3), 1, 2) == first
