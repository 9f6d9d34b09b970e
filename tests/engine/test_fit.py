"""One run: what the recipe decides, what the hardware must not change, and what is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from med_lora.engine import Row, fit, mean_loss
from med_lora.engine.best import BestWeights
from med_lora.engine.checkpoints import Checkpoints
from med_lora.engine.fit import Fit
from med_lora.engine.launch import run_on_ranks
from med_lora.engine.sft import RowTraining, make_trainer
from med_lora.errors import InputError
from med_lora.hardware import check_device
from med_lora.prompts import IGNORED_LABEL
from tests.engine.ranks_fit import TWO, train_whole_and_cut_off
from tests.engine.tiny import adapted, gemma2, gpt2, llama, make, rows, trained, values
from tests.recipes import hardware, optimisation

CPU = hardware()
RECIPE = optimisation(effective_batch_size=8)
DATA = rows(29)  # the last step of an epoch has five rows


def run(model: Any, tokenizer: Any, recipe: Any = RECIPE, machine: Any = CPU, **more: Any) -> Fit:
    return fit(model, tokenizer, DATA, rows(7), recipe, machine, **more)


def same_curve(one: Fit, other: Fit, tolerance: float) -> bool:
    columns = ["step", "epoch", "metric"]
    assert one.history[columns].equals(other.history[columns])
    return bool(((one.history.value - other.history.value).abs() <= tolerance * one.history.value.abs() + 1e-6).all())


def test_micro_batches_packing_and_checkpointing_do_not_change_the_optimisation(tokenizer: Any) -> None:
    """The effective batch is the experiment's; how the hardware computes it changes rounding only."""
    recipe = optimisation(effective_batch_size=8, batches="random")  # rows of all lengths in a step
    model = adapted(make(llama))
    whole = run(model, tokenizer, recipe, hardware(micro_batch_size=8))
    for machine in (
        hardware(micro_batch_size=1),
        hardware(micro_batch_size=3),
        hardware(micro_batch_size=8, packing=True),
        hardware(micro_batch_size=3, packing=True, gradient_checkpointing=True),
    ):
        other = adapted(make(llama))
        assert same_curve(whole, run(other, tokenizer, recipe, machine), 1e-5)
        torch.testing.assert_close(trained(other), trained(model), rtol=0.0, atol=1e-5)


def test_the_loss_of_a_step_is_the_mean_over_the_tokens_of_all_its_rows(tokenizer: Any) -> None:
    """Not the mean of the means of its micro-batches; the rows have one to twenty-two label tokens."""
    model = make(llama)
    recipe = optimisation(effective_batch_size=32, epochs=1, evaluations=1)
    expected = mean_loss(model, DATA, 1, 4)
    history = run(model, tokenizer, recipe, hardware(micro_batch_size=5)).history
    assert values(history, "train_loss")[1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("family", [gemma2, gpt2])
def test_other_families_train_whole_and_packed(tokenizer: Any, family: Any) -> None:
    machine = {"attention": "eager", "micro_batch_size": 8}
    found = [run(make(family), tokenizer, RECIPE, hardware(packing=packing, **machine)) for packing in (False, True)]
    assert same_curve(*found, 1e-4)
    losses = values(found[0].history, "validation_loss")
    assert losses[8] < losses[0] - 0.01


def test_training_lowers_the_loss_and_counts_what_it_saw(tokenizer: Any) -> None:
    model = make(llama)
    before = mean_loss(model, DATA, 1, 4)
    result = run(model, tokenizer)
    assert mean_loss(model, DATA, 1, 4) < before - 0.05
    assert result.tokens == 2 * sum(len(row["input_ids"]) for row in DATA)
    assert result.step == 8
    part = run(make(llama), tokenizer, optimisation(effective_batch_size=8, epochs=0.5))
    assert part.step == 2
    assert part.tokens < result.tokens / 3


def test_bf16_follows_fp32_and_keeps_its_weights_in_fp32(tokenizer: Any) -> None:
    machine = hardware(precision="bf16")
    try:
        check_device(machine)
    except InputError:
        pytest.skip("this CPU has no bf16 instructions")
    model = make(llama)
    plain, half = run(make(llama), tokenizer).history, run(model, tokenizer, RECIPE, machine).history
    for metric in ("train_loss", "validation_loss"):
        assert values(half, metric) == pytest.approx(values(plain, metric), rel=0.01)
    assert values(half, "train_loss") != values(plain, "train_loss")
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_lora_plus_moves_the_b_matrices_faster(tokenizer: Any) -> None:
    moved = {}
    for ratio in (None, 16.0):
        model = adapted(make(llama))
        before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        # one step after warm-up, in which AdamW moves each weight by about its learning rate
        recipe = optimisation(effective_batch_size=32, epochs=1, warmup_ratio=0.0, lora_plus_ratio=ratio)
        run(model, tokenizer, recipe)
        distance = {
            name: float((weight.detach() - before[name]).abs().max()) for name, weight in model.named_parameters()
        }
        moved[ratio] = [max(d for name, d in distance.items() if part in name) for part in ("lora_A", "lora_B")]
    assert moved[None] == pytest.approx([5e-3, 5e-3], rel=0.01)
    assert moved[16.0] == pytest.approx([5e-3, 8e-2], rel=0.01)
    with pytest.raises(InputError, match=r"lora_plus_ratio sets .* this model has no adapter"):
        run(make(llama), tokenizer, optimisation(lora_plus_ratio=16.0))


def test_noise_on_the_embeddings_reaches_training_and_not_validation(tokenizer: Any) -> None:
    plain, noisy = (
        run(adapted(make(llama)), tokenizer, optimisation(effective_batch_size=8, neftune_alpha=alpha)).history
        for alpha in (None, 5.0)
    )
    assert values(noisy, "validation_loss")[0] == values(plain, "validation_loss")[0]
    assert values(noisy, "train_loss")[1] != values(plain, "train_loss")[1]


def test_checkpointing_of_activations_reaches_the_layers(tokenizer: Any, tmp_path: Path) -> None:
    model = adapted(make(llama))
    trainer = make_trainer(model, tokenizer, DATA, RECIPE, hardware(gradient_checkpointing=True), str(tmp_path))
    trainer.args.max_steps = 1
    calls = []
    model.get_base_model().model.layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))
    trainer.train()
    assert len(calls) == 2 * trainer.args.gradient_accumulation_steps


def test_only_the_weights_of_a_model_change(tokenizer: Any) -> None:
    model = adapted(make(llama))
    embeddings = model.get_input_embeddings()
    embeddings.register_forward_hook(lambda *_: None)
    config, use_cache, hooks = model.config.to_dict(), model.config.use_cache, dict(embeddings._forward_hooks)
    frozen = {name: weight.clone() for name, weight in model.named_parameters() if not weight.requires_grad}
    run(model, tokenizer, RECIPE, hardware(gradient_checkpointing=True, precision="fp32"))
    assert model.config.to_dict() == config
    assert model.config.use_cache is use_cache
    assert not model.is_gradient_checkpointing
    assert dict(embeddings._forward_hooks) == hooks
    for module in (model, model.get_base_model()):
        assert not {"forward", "_original_forward", "get_output_embeddings"} & set(vars(module))
    assert all(torch.equal(weight, frozen[name]) for name, weight in model.named_parameters() if name in frozen)


def test_noise_does_not_stay_on_a_model_whose_training_was_stopped(tokenizer: Any) -> None:
    def stop(step: int, loss: float) -> None:
        raise KeyError(step)

    model = adapted(make(llama))
    with pytest.raises(KeyError):
        run(model, tokenizer, optimisation(effective_batch_size=8, neftune_alpha=5.0), watch=stop)
    embeddings = model.get_input_embeddings()
    assert not embeddings._forward_hooks
    assert not hasattr(embeddings, "neftune_noise_alpha")


def test_a_run_of_one_step_trains(tokenizer: Any) -> None:
    """Warming up begins with a learning rate of 0, and would end with this step."""
    recipe = optimisation(effective_batch_size=32, epochs=1, warmup_ratio=0.1)
    assert values(run(make(llama), tokenizer, recipe).history, "learning_rate") == {1: recipe.learning_rate}


def fail_to_write(*args: Any, **kwargs: Any) -> None:
    torch.save({"weights": torch.zeros(10**6)}, "/dev/full")


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    """What torch.save raises on a full disk does not say so."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", full)


@pytest.mark.parametrize("writes", ["_save_optimizer_and_scheduler", "_save_rng_state"])
def test_a_disk_that_is_full_while_the_trainer_saves_is_one_sentence(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: str
) -> None:
    from transformers import Trainer

    monkeypatch.setattr(Trainer, writes, fail_to_write)
    fill_disk(monkeypatch)
    recipe = optimisation(effective_batch_size=8, checkpoints=1)
    with Checkpoints(tmp_path, {}) as checkpoints, pytest.raises(InputError, match="The disk is full: no checkpoint"):
        run(make(llama), tokenizer, recipe, checkpoints=checkpoints)


def test_what_fails_beside_the_saving_is_no_full_disk(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that runs out is a RuntimeError too, and its own sentence."""
    monkeypatch.setattr(RowTraining, "compute_loss", fail_to_write)
    fill_disk(monkeypatch)
    recipe = optimisation(effective_batch_size=8, checkpoints=1)
    with Checkpoints(tmp_path, {}) as checkpoints, pytest.raises(RuntimeError) as failed:
        run(make(llama), tokenizer, recipe, checkpoints=checkpoints)
    assert not isinstance(failed.value, InputError)


def test_a_disk_that_is_full_in_the_end_is_one_sentence_without_checkpoints_too(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.PreTrainedModel.save_pretrained", fail_to_write)
    fill_disk(monkeypatch)
    with pytest.raises(InputError, match=r"^The disk is full: the trained weights could not be saved in [^.]*\.$"):
        run(make(llama), tokenizer, RECIPE, save_to=tmp_path / "model")


def test_an_adapter_in_fp32_stays_in_fp32_on_a_quantised_model(tokenizer: Any, tmp_path: Path) -> None:
    """TRL casts it to bf16, in which AdamW's small steps are lost."""
    model = adapted(make(llama))
    model.is_loaded_in_4bit = True
    make_trainer(model, tokenizer, DATA, RECIPE, CPU, str(tmp_path))
    assert {weight.dtype for weight in model.parameters() if weight.requires_grad} == {torch.float32}


def test_the_kept_weights_are_saved(tokenizer: Any, tmp_path: Path) -> None:
    from peft import PeftModel

    model = adapted(make(llama))
    run(model, tokenizer, RECIPE, CPU, save_to=tmp_path / "adapter")
    again = PeftModel.from_pretrained(make(llama), tmp_path / "adapter")
    assert mean_loss(again, DATA, 1, 4) == mean_loss(model, DATA, 1, 4)
    whole = make(llama)
    run(whole, tokenizer, RECIPE, CPU, save_to=tmp_path / "model")
    assert torch.equal(trained(type(whole).from_pretrained(tmp_path / "model")), trained(whole))


def test_best_weights_survive_a_checkpoint(tmp_path: Path) -> None:
    model = adapted(make(llama))
    best, before = BestWeights(model), trained(model)
    best.take()
    best.save(tmp_path)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(1.0)
    later = BestWeights(model)
    later.load(tmp_path)
    later.put_back()
    assert torch.equal(trained(model), before)


MASKED = Row(input_ids=[5, 6, 7], labels=[IGNORED_LABEL] * 3)


@pytest.mark.parametrize(
    ("train", "validation", "recipe", "machine", "sentence"),
    [
        ([], [], {}, {}, "The training set is empty"),
        ([MASKED, MASKED], [], {}, {}, "2 of 2 training rows have no token that the loss counts"),
        (DATA, [MASKED], {}, {}, "1 of 1 validation rows have no token that the loss counts"),
        (DATA, [], {"keep": "best"}, {}, "optimisation.keep: best goes by the validation loss"),
        (DATA, [], {"patience": 2}, {}, "optimisation.patience goes by the validation loss"),
        (DATA, [], {}, {"precision": "fp16"}, "fp16 needs a GPU"),
        (DATA, [], {}, {"sharding": "fsdp"}, "fsdp needs GPUs"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    tokenizer: Any, train: Any, validation: Any, recipe: Any, machine: Any, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as refused:
        fit(make(llama), tokenizer, train, validation, optimisation(**recipe), hardware(**machine))
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_two_ranks_train_as_one_and_go_on_from_a_later_epoch(tokenizer: Any, tmp_path: Path) -> None:
    """Twenty-nine rows in steps of seven leave a last step of one row, which only one rank has."""
    recipe = optimisation(effective_batch_size=7, epochs=3, evaluations=5, checkpoints=15, keep="best")
    model = adapted(make(llama))
    alone = run(model, tokenizer, recipe)
    whole, resumed = run_on_ranks(train_whole_and_cut_off, (tokenizer, DATA, rows(7), recipe, tmp_path), TWO)
    assert same_curve(alone, whole.result, 1e-5)
    torch.testing.assert_close(whole.weights, trained(model), rtol=0.0, atol=1e-5)
    assert (whole.result.step, whole.result.tokens) == (alone.step, alone.tokens)
    assert resumed.result.history.equals(whole.result.history)
    assert (resumed.result.step, resumed.result.tokens) == (alone.step, alone.tokens)
    assert torch.equal(resumed.weights, whole.weights)
