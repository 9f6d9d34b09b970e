"""The memory forecast against what torch allocates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med_lora.engine.memory import MemoryForecast, forecast
from tests.recipes import hardware, lora, model_params, optimisation, training

WIDTH, LAYERS, VOCABULARY, TOKENS = 64, 2, 500, 48


def config(**changes: Any) -> Any:
    from transformers import LlamaConfig

    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 160,
        "max_position_embeddings": TOKENS,
        "pad_token_id": 0,
    }
    return LlamaConfig(**(shape | changes))


def forecast_of(longest: int = TOKENS, *, ranks: int = 1, **machine: Any) -> MemoryForecast:
    return forecast(config(), model_params(), training(), hardware(**machine), longest, ranks)


def forecast_small(**changes: Any) -> MemoryForecast:
    """Of one layer, for what does not depend on their number."""
    given = {"model": model_params(), "training": training(), "hardware": hardware()} | changes
    return forecast(config(num_hidden_layers=1), longest=TOKENS, **given)


@pytest.fixture(scope="module")
def plain() -> MemoryForecast:
    return forecast_of()


def allocated(action: Any) -> int:
    """Most bytes that torch held at once while ``action`` ran, beyond those held before."""
    import gc
    from itertools import accumulate

    from torch.profiler import ProfilerActivity, profile

    gc.collect()  # a model of before would be set free on the way
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        action()
    events: Any = record.profiler.kineto_results.events()  # type: ignore[union-attr]
    changes = [event for event in events if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns())))


@pytest.mark.parametrize(
    ("machine", "method", "keep"),
    [
        ({}, "lora", "last"),
        ({"gradient_checkpointing": True}, "lora", "last"),
        ({"micro_batch_size": 2}, "lora", "last"),
        ({}, "full", "last"),
        ({"micro_batch_size": 1}, "full", "best"),
    ],
    ids=["plain", "checkpointing", "accumulation", "full", "best"],
)
def test_forecast_is_what_training_allocates(machine: dict[str, Any], method: Any, keep: Any, tokenizer: Any) -> None:
    from transformers import LlamaForCausalLM

    from med_lora.engine import Row, fit
    from med_lora.models.adapters import attach_adapter

    recipe = optimisation(epochs=1, evaluations=1, keep=keep)
    settings = training(method=method, optimisation=recipe)
    rows = [Row(input_ids=[2 + row] * TOKENS, labels=[2 + row] * TOKENS) for row in range(8)]

    def run() -> None:
        model = LlamaForCausalLM(config())
        adapted = model if method == "full" else attach_adapter(model, settings.lora)
        fit(adapted, tokenizer, rows, rows[:2], recipe, hardware(**machine))

    expected = forecast(config(), model_params(), settings, hardware(**machine), TOKENS, validation_rows=2)
    assert (expected.best > 0) == (keep == "best")
    assert expected.total - expected.runtime == pytest.approx(allocated(run), rel=0.1)


def test_best_weights_of_a_gpu_are_not_in_its_memory() -> None:
    settings = training(optimisation=optimisation(keep="best"))
    gpu = hardware(device="cuda", gpu="V100", precision="fp16")
    assert forecast_small(training=settings, hardware=gpu).best == 0


def test_parts_are_counted_exactly(plain: MemoryForecast) -> None:
    from transformers import LlamaForCausalLM

    from med_lora.models.adapters import attach_adapter

    model = attach_adapter(LlamaForCausalLM(config()), lora())
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    frozen = sum(weight.numel() for weight in model.parameters() if not weight.requires_grad)
    assert plain.adapter == 4 * trained
    assert plain.optimiser == 8 * trained
    assert 4 * frozen <= plain.weights <= 4 * frozen + 1024  # and the rotary frequencies


def test_activations_grow_with_tokens_and_shrink_with_checkpointing(plain: MemoryForecast) -> None:
    half = forecast_of(TOKENS // 2)
    assert half.activations == pytest.approx(plain.activations / 2, rel=0.05)
    assert half.logits == pytest.approx(plain.logits / 2, rel=0.05)
    assert half.weights == plain.weights
    kept, again = (
        forecast(config(num_hidden_layers=4), model_params(), training(), hardware(gradient_checkpointing=on), TOKENS)
        for on in (False, True)
    )
    assert again.activations < kept.activations / 2


def test_logits_are_those_of_label_tokens(plain: MemoryForecast) -> None:
    few = forecast(config(), model_params(), training(), hardware(), TOKENS, labels=12)
    assert few.logits < plain.logits / 3
    # logits, log-probabilities and a gradient in fp32
    assert few.logits == pytest.approx(3 * 4 * 12 * VOCABULARY * 4, rel=0.1)


def test_a_full_micro_batch_of_validation_rows_can_be_the_peak() -> None:
    machine = hardware(inference_batch_size=64)
    few, many = (forecast_small(hardware=machine, validation_rows=rows) for rows in (1, 200))
    assert few.peak == "training"
    assert many.peak == "validation"
    assert many.batch.rows == 64
    assert many.total > few.total
    assert "hardware.inference_batch_size (now 64)" in many.remedies


def test_quantised_weights_take_their_published_size() -> None:
    linear = 2 * WIDTH * WIDTH + 2 * WIDTH * WIDTH // 2 + 3 * WIDTH * 160
    others = 4 * (2 * VOCABULARY * WIDTH + 3 * WIDTH)
    for quantisation, size in (("nf4", 0.516), ("int8", 1.0), ("gptq", 0.52)):
        held = forecast_small(model=model_params(quantisation=quantisation))
        assert held.weights - others == pytest.approx(size * linear, rel=0.01)


@pytest.mark.parametrize(("quantisation", "checkpointing"), [("int8", True), ("nf4", False)])
def test_quantised_model_allocates_what_was_forecast(
    quantisation: str, checkpointing: bool, tokenizer: Any, tmp_path: Path
) -> None:
    from transformers import LlamaForCausalLM

    from med_lora.datasets.base_model import BaseModel
    from med_lora.engine import Row, fit
    from med_lora.models.adapters import attach_adapter
    from med_lora.models.loading import load_model

    LlamaForCausalLM(config()).save_pretrained(tmp_path)
    recipe = optimisation(epochs=1, evaluations=1)
    rows = [Row(input_ids=[2 + row] * TOKENS, labels=[2 + row] * TOKENS) for row in range(8)]
    chosen = model_params(id=str(tmp_path), quantisation=quantisation)

    machine = hardware(gradient_checkpointing=checkpointing)
    base = BaseModel(str(tmp_path), None, "0")
    model = attach_adapter(load_model(base, chosen, machine, purpose="training"), lora())
    expected = forecast(config(), chosen, training(optimisation=recipe), machine, TOKENS)
    dynamic = expected.total - expected.runtime - expected.weights - expected.adapter
    assert dynamic == pytest.approx(allocated(lambda: fit(model, tokenizer, rows, [], recipe, machine)), rel=0.1)


def test_processes_divide_what_they_share() -> None:
    together = {"processes": 2, "micro_batch_size": 2}
    copied, sharded = (forecast_small(hardware=hardware(sharding=way, **together), ranks=2) for way in ("ddp", "fsdp"))
    assert copied.gradients >= copied.adapter
    assert sharded.weights == copied.weights // 2
    assert sharded.optimiser == copied.optimiser // 2
