"""The training engine: losses, batches, determinism, and the ends it must refuse."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from med_lora.engine import Row, collate, fit, mean_loss, micro_batch_size, validation_steps
from med_lora.errors import InputError
from med_lora.prompts import IGNORED_LABEL
from tests.recipes import hardware, optimisation

CPU = hardware(inference_batch_size=3)
RECIPE = optimisation()


def rows(count: int, longest: int = 20) -> list[Row]:
    generator = torch.Generator().manual_seed(1)
    made = []
    for number in range(count):
        ids = torch.randint(2, 250, (5 + number % longest,), generator=generator).tolist()
        made.append(Row(input_ids=ids, labels=[IGNORED_LABEL] * 3 + ids[3:]))
    return made


def one_by_one(model: Any, data: list[Row]) -> tuple[float, int]:
    """Summed answer loss and answer tokens, a row at a time, from log-probabilities."""
    total, count = 0.0, 0
    for row in data:
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0].log_softmax(-1)
        for position, label in enumerate(row["labels"][1:]):
            if label != IGNORED_LABEL:
                total -= float(logits[position, label])
                count += 1
    return total, count


def test_mean_loss_is_the_sum_over_tokens_whatever_the_batch(tiny_model: Any) -> None:
    tiny_model.eval()
    data = rows(11)
    total, count = one_by_one(tiny_model, data)
    for size in (1, 3, 11):
        assert mean_loss(tiny_model, data, 1, size) == pytest.approx(total / count, rel=1e-5)


def test_mean_loss_leaves_mode_and_random_state_alone(tiny_model: Any) -> None:
    tiny_model.train()
    state = torch.get_rng_state()
    mean_loss(tiny_model, rows(3), 1, 2)
    assert tiny_model.training
    assert torch.equal(state, torch.get_rng_state())


def test_collate_pads_to_the_right_and_masks_only_where_needed() -> None:
    batch = collate([Row(input_ids=[5, 6, 7], labels=[IGNORED_LABEL, 6, 7]), Row(input_ids=[8], labels=[8])], pad_id=1)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 1, 1]]
    assert batch["labels"].tolist() == [[IGNORED_LABEL, 6, 7], [8, IGNORED_LABEL, IGNORED_LABEL]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    equal = [Row(input_ids=[5], labels=[5])] * 2
    assert "attention_mask" not in collate(equal, pad_id=1)
    assert collate(equal, pad_id=1, always_mask=True)["attention_mask"].tolist() == [[1], [1]]


def test_a_gpu_batch_suits_the_fused_loss_of_trl(tiny_model: Any, tokenizer: Any, tmp_path: Any) -> None:
    """TRL's own compute_loss, which a GPU run takes, on the batch such a run hands it: equal to the plain loss."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    data = rows(4, longest=1)
    options = {"skip_prepare_dataset": True}
    trainer = SFTTrainer(
        model=tiny_model,
        args=SFTConfig(tmp_path, use_cpu=True, report_to="none", max_length=None, dataset_kwargs=options, bf16=False),
        train_dataset=Dataset.from_list([dict(row) for row in data]),
        data_collator=lambda batch: collate(batch, 1, always_mask=True),
        processing_class=tokenizer,
    )
    tiny_model.eval()
    loss = float(trainer.compute_loss(tiny_model, collate(data, 1, always_mask=True)).detach())
    assert loss == pytest.approx(mean_loss(tiny_model, data, 1, 4), rel=1e-4)


@pytest.mark.parametrize(
    ("steps", "evaluations", "due"),
    [(6, 4, {2, 3, 4, 6}), (100, 8, {12, 25, 38, 50, 62, 75, 88, 100}), (3, 8, {1, 2, 3}), (7, 1, {7})],
)
def test_validation_is_evenly_spaced_and_ends_with_the_last_step(steps: int, evaluations: int, due: set[int]) -> None:
    assert validation_steps(steps, evaluations) == due


@pytest.mark.parametrize(
    ("effective", "allowed", "micro"), [(16, 16, 16), (16, 6, 4), (7, 6, 1), (4, 64, 4), (12, 5, 4)]
)
def test_micro_batch_divides_the_effective_batch(effective: int, allowed: int, micro: int) -> None:
    recipe = RECIPE.model_copy(update={"effective_batch_size": effective})
    assert micro_batch_size(recipe, CPU.model_copy(update={"micro_batch_size": allowed})) == micro


def test_training_lowers_the_loss_and_records_every_step(tiny_model: Any, tokenizer: Any) -> None:
    data = rows(12)
    before = mean_loss(tiny_model, data, 1, 4)
    result = fit(tiny_model, tokenizer, data, data, RECIPE, CPU)
    history = result.history
    assert mean_loss(tiny_model, data, 1, 4) < before - 0.1
    assert history[history.metric == "train_loss"].step.tolist() == [1, 2, 3, 4, 5, 6]
    validation = history[history.metric == "validation_loss"]
    assert validation.step.tolist() == [0, 2, 3, 4, 6]
    assert validation.value.iloc[0] == pytest.approx(before, rel=1e-5)
    assert result.tokens == 2 * sum(len(row["input_ids"]) for row in data)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tokenizer: Any, request: Any) -> None:
    from copy import deepcopy

    model = request.getfixturevalue("tiny_model")
    copies = [deepcopy(model) for _ in range(3)]
    for copy, seed in zip(copies, (3, 3, 4), strict=True):
        fit(copy, tokenizer, rows(12), [], RECIPE.model_copy(update={"seed": seed}), CPU)
    first, same, other = (torch.cat([weight.flatten() for weight in copy.parameters()]) for copy in copies)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_micro_batches_do_not_change_the_optimisation(tokenizer: Any, request: Any) -> None:
    """The effective batch is the experiment's; how the hardware splits it changes rounding only."""
    from copy import deepcopy

    model = request.getfixturevalue("tiny_model")
    losses = []
    for allowed in (4, 1):
        copy = deepcopy(model)
        fit(copy, tokenizer, rows(12), [], RECIPE, CPU.model_copy(update={"micro_batch_size": allowed}))
        losses.append(mean_loss(copy, rows(12), 1, 4))
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


def test_empty_training_set_is_refused(tiny_model: Any, tokenizer: Any) -> None:
    with pytest.raises(InputError, match="training set is empty"):
        fit(tiny_model, tokenizer, [], [], RECIPE, CPU)


def test_a_loss_that_is_no_number_stops_the_run_at_once(tiny_model: Any, tokenizer: Any) -> None:
    with torch.no_grad():
        tiny_model.model.embed_tokens.weight[5] = math.nan
    data = [Row(input_ids=[5, 6, 7, 8], labels=[5, 6, 7, 8])] * 8
    with pytest.raises(InputError, match="became nan at step 1"):
        fit(tiny_model, tokenizer, data, [], RECIPE, CPU)
