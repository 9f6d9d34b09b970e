"""The forecast of training time: the work that is timed is that of the run, and timing it changes nothing."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from med_lora.engine import Row, fit, time_forecast, time_measure
from med_lora.engine.time_forecast import TimeForecast, describe_seconds, forecast_time, tell_outcome, tell_time
from med_lora.engine.time_forecast import _extrapolate as extrapolate
from med_lora.engine.time_model import build_first_layers, cut_to, depths_to_time
from tests.engine.tiny import SHAPE, rows
from tests.recipes import hardware, lora, model_params, optimisation, training


def config(layers: int = 5, **changes: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(**{**SHAPE, "num_hidden_layers": layers, **changes})


def gemma2(layers: int, **changes: Any) -> Any:
    """Of two kinds of layers that take turns."""
    from transformers import Gemma2Config

    return Gemma2Config(**{**SHAPE, "num_hidden_layers": layers, "head_dim": 16, "sliding_window": 6, **changes})


def gpt2(layers: int) -> Any:
    from transformers import GPT2Config

    return GPT2Config(vocab_size=300, n_embd=32, n_layer=layers, n_head=2, n_positions=128)


def on_meta(configuration: Any) -> Any:
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(configuration)  # type: ignore[no-untyped-call]


@pytest.fixture
def any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_forecast, "SHORT", 0.0)
    monkeypatch.setattr(time_measure, "ENOUGH", 0.0)


@pytest.mark.usefixtures("any_length")
@pytest.mark.parametrize(
    ("configuration", "settings", "machine"),
    [
        (config(2), training(method="full"), hardware(packing=True, micro_batch_size=8)),
        (gemma2(5), training(), hardware(gradient_checkpointing=True)),
    ],
    ids=["all of two layers, packed", "layers that take turns, checkpointing"],
)
def test_forecast_counts_the_work_that_training_does(
    configuration: Any, settings: Any, machine: Any, tokenizer: Any
) -> None:
    """By a clock that shows floating-point operations."""
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    from med_lora.models.adapters import attach_adapter

    recipe = optimisation(effective_batch_size=8, epochs=2, evaluations=2)
    settings = settings.model_copy(update={"optimisation": recipe})
    train, validation = rows(16), rows(6)
    with FlopCounterMode(display=False) as counter:
        found = forecast_time(
            configuration, model_params(), settings, machine, train, validation, clock=counter.get_total_flops
        )
    model: Any = AutoModelForCausalLM.from_config(configuration)  # type: ignore[no-untyped-call]
    model = model if settings.method == "full" else attach_adapter(model, settings.lora)
    with FlopCounterMode(display=False) as counter:
        fit(model, tokenizer, train, validation, recipe, machine)
    assert found is not None
    assert found.steps == 4
    assert found.validations == 3
    assert found.seconds == pytest.approx(counter.get_total_flops(), rel=0.04)


@pytest.mark.usefixtures("any_length")
def test_random_state_and_settings_stay_as_they_are() -> None:
    def state() -> list[Any]:
        numbers = np.random.get_state(legacy=False)["state"]["key"].tobytes()
        torch_state = torch.get_rng_state().numpy().tobytes()
        return [torch_state, random.getstate(), numbers, torch.get_num_threads(), torch.get_default_dtype()]

    given, before = config(2), state()
    described = given.to_dict()
    settings = training(lora=lora(dropout=0.5, initialisation="pissa"))
    assert tell_time(given, model_params(), settings, hardware(), rows(8), rows(4)) is not None
    assert state() == before
    assert torch.is_grad_enabled()
    assert given.to_dict() == described


@pytest.mark.usefixtures("any_length")
def test_no_forecast_is_said_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    odd = gemma2(4, layer_types=["sliding_attention"] * 3 + ["full_attention"])
    assert tell_time(odd, model_params(), training(), hardware(), rows(8), []) is None
    assert "No forecast of time: the 4 layers of a model of type gemma2 do not take turns (ValueError)." in caplog.text
    lost = training(lora=lora(target_modules=["no_layer"]))
    assert tell_time(config(), model_params(), lost, hardware(), rows(8), []) is None
    assert "No forecast of time: lora.target_modules" in caplog.text


def test_times_that_shrink_with_more_layers_give_no_number() -> None:
    with pytest.raises(ValueError, match="5 layers cannot be told"):
        extrapolate([0.3, 0.2], [1, 2], 5)
    assert extrapolate([0.2, 0.3], [1, 2], 5) == pytest.approx(0.6)
    assert extrapolate([0.2], [2], 2) == 0.2


def test_a_short_run_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(time_forecast, "build_first_layers", fail)
    given = (config(), model_params(), training(optimisation=optimisation(epochs=2)), hardware())
    assert forecast_time(*given, rows(40), rows(4)) is None
    long = training(optimisation=optimisation(epochs=2000))
    with pytest.raises(AssertionError):
        forecast_time(config(), model_params(), long, hardware(), rows(40), rows(4))


@pytest.mark.usefixtures("any_length")
@pytest.mark.parametrize(("limit", "timed"), [(10.0, 5), (0.0, 2)])
def test_slow_steps_are_timed_on_the_smallest_and_the_largest_batch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, limit: float, timed: int
) -> None:
    chosen: list[Any] = []

    def record(model: Any, depths: Any, batches: Any, *_: Any) -> None:
        chosen.extend(batches)
        raise LookupError

    caplog.set_level("INFO")
    monkeypatch.setattr(time_forecast, "LIMIT", limit)
    monkeypatch.setattr(time_forecast, "time_parts", record)
    with pytest.raises(LookupError):
        forecast_time(config(), model_params(), training(), hardware(micro_batch_size=2), rows(40), rows(4))
    assert len(chosen) == timed
    assert "Timing 1 and 2 of 5 layers" in caplog.text


@pytest.mark.parametrize(("seconds", "rounds"), [(40.0, 1), (12.0, 2), (1.0, 4)])
def test_no_round_follows_a_slow_one(seconds: float, rounds: int) -> None:
    now, passed = [0.0], []

    def part() -> None:
        passed.append(1)
        now[0] += seconds

    model = build_first_layers(config(), 1, model_params(), training(), hardware(), torch.device("cpu"))
    assert time_measure._medians([part], model, [1], lambda: now[0]) == [[seconds]]
    assert len(passed) == rounds


def test_depths_are_one_turn_of_the_layers_kinds_and_two() -> None:
    assert depths_to_time(on_meta(config(5))) == ([1, 2], 5)
    assert depths_to_time(on_meta(config(2))) == ([2], 2)
    assert depths_to_time(on_meta(config(1))) == ([1], 1)
    assert depths_to_time(on_meta(gemma2(6))) == ([2, 4], 6)
    assert depths_to_time(on_meta(gemma2(4))) == ([4], 4)


@pytest.mark.parametrize("quantisation", ["nf4", "int8", "gptq"])
def test_layers_are_quantised_as_the_runs_are(quantisation: str) -> None:
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    model = build_first_layers(
        gpt2(4), 2, model_params(quantisation=quantisation), training(), hardware(), torch.device("cpu")
    )
    kind = Linear8bitLt if quantisation == "int8" else Linear4bit
    quantised = [module for module in model.modules() if isinstance(module, kind)]
    assert len(quantised) == 2 * 4
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(trained) == 2 * len(quantised)
    assert all("lora_" in name for name in trained)
    ids = torch.tensor([[2, 3, 4]])
    model(input_ids=ids, labels=ids).loss.backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)


def test_a_cut_model_passes_its_first_layers_alone_and_is_whole_again() -> None:
    model = build_first_layers(config(), 4, model_params(), training(), hardware(), torch.device("cpu"))
    kept = model.get_base_model().model.layers
    with cut_to(model, 1):
        model(input_ids=torch.tensor([[2, 3]])).logits.sum().backward()
        reached = [layer for layer in kept if any(weight.grad is not None for weight in layer.parameters())]
        assert reached == [kept[0]]
        with pytest.raises(ValueError, match="cannot be cut to 1 layers"):
            kept[1](torch.zeros(1, 2, SHAPE["hidden_size"]))
    assert model.get_base_model().model.layers is kept
    assert model.config.num_hidden_layers == 4


def made(**changes: Any) -> TimeForecast:
    given: dict[str, Any] = {
        "steps": 386,
        "step": 1.8,
        "validations": 9,
        "validation": 3.0,
        "depths": [1, 2],
        "layers": 32,
        "training": training(),
        "model": model_params(),
        "ranks": 1,
    }
    return TimeForecast(**(given | changes))


def test_sentence_says_how_long_by_what_and_what_is_not_in_it() -> None:
    assert made().sentence == (
        "Training will take about 12 min from its first step, without checkpoints: 386 steps of 1.8 s and 9 "
        "validations of 3 s, by timing 1 and 2 of 32 layers (random weights)."
    )
    told = made(training=training(epoch_answers=4), model=model_params(quantisation="gptq"), ranks=2).sentence
    assert "checkpoints and the answers after each epoch and what processes exchange" in told
    assert "NF4 layers in the place of GPTQ's" in told
    assert "validations" not in made(validations=0).sentence
    assert [describe_seconds(seconds) for seconds in (8.4, 700, 9000)] == ["8 s", "12 min", "2.5 h"]


def test_outcome_stands_against_the_forecast(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tell_outcome(made(), 800.0, 386)
    assert "Training took 13 min; the forecast was 12 min (-10%) without checkpoints." in caplog.text
    tell_outcome(made(), 400.0, 200)
    assert "Training took 7 min for 200 of 386 steps; forecast for all: 12 min." in caplog.text
    caplog.clear()
    tell_outcome(None, 1.0, 1)
    assert not caplog.text


class TestOfAJob:
    """As the node runs it."""

    def job(self, base: Any, output: Path) -> Any:
        from med_lora.pipelines.training.job import TrainingJob, describe_job

        made_up: list[Row] = rows(10)
        recipe = optimisation(epochs=1, evaluations=1)
        given: dict[str, Any] = {
            "base_model": base,
            "model": model_params(),
            "training": training(lora=lora(dropout=0.3), optimisation=recipe),
            "hardware": hardware(threads=1),
            "train": made_up,
            "validation": made_up[:3],
        }
        return TrainingJob(**given, output=output, settings=describe_job(**given))

    @pytest.fixture
    def base(self, tokenizer: Any, tmp_path: Path) -> Any:
        from tests.pipelines.training.recipes import save_base

        return save_base(tmp_path / "base", tokenizer)

    def test_weights_and_history_are_the_same_to_the_bit_with_and_without(
        self, base: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from med_lora.pipelines.training.job import train_on_rank

        caplog.set_level("INFO")
        without = train_on_rank(self.job(base, tmp_path / "without"))
        assert "Training will take" not in caplog.text
        monkeypatch.setattr(time_forecast, "SHORT", 0.0)
        monkeypatch.setattr(time_measure, "ENOUGH", 0.0)
        with_one = train_on_rank(self.job(base, tmp_path / "with"))
        assert "Training will take" in caplog.text
        assert "the forecast was" in caplog.text
        assert with_one.history.equals(without.history)
        files = [tmp_path / name / "adapter_model.safetensors" for name in ("without", "with")]
        assert files[0].read_bytes() == files[1].read_bytes()

    def test_a_run_that_cannot_fit_stops_before_anything_is_timed_or_loaded(
        self, base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from med_lora.errors import InputError
        from med_lora.pipelines.training import job

        def fail(*_: Any, **__: Any) -> None:
            raise AssertionError

        for name in ("tell_time", "load_model"):
            monkeypatch.setattr(job, name, fail)
        monkeypatch.setattr(job, "available_memory", lambda hardware: 2**10)
        with pytest.raises(InputError, match=r"hardware\.micro_batch_size \(now 4\)"):
            job.train_on_rank(self.job(base, tmp_path / "out"))
