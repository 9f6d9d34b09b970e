"""The memory forecast, and what a run says when memory ran out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from med_lora.engine.memory import (
    MemoryForecast,
    available_memory,
    check_memory,
    explain_out_of_memory,
    explained_memory,
    forecast,
)
from med_lora.engine.memory import _cgroup_memory as cgroup_memory
from med_lora.engine.memory_trace import Batch
from med_lora.errors import InputError
from tests.conftest import ROOT
from tests.recipes import hardware, lora, model_params, optimisation, training

WIDTH, LAYERS, VOCABULARY, TOKENS = 64, 2, 500, 48
MIB = 2**20


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
    ("machine", "method"),
    [
        ({}, "lora"),
        ({"gradient_checkpointing": True}, "lora"),
        ({"micro_batch_size": 2}, "lora"),
        ({}, "full"),
    ],
    ids=["plain", "checkpointing", "accumulation", "full"],
)
def test_forecast_is_what_training_allocates(machine: dict[str, Any], method: Any, tokenizer: Any) -> None:
    from transformers import LlamaForCausalLM

    from med_lora.engine import Row, fit
    from med_lora.models.adapters import attach_adapter

    recipe = optimisation(epochs=1, evaluations=1)
    settings = training(method=method, optimisation=recipe)
    rows = [Row(input_ids=[2 + row] * TOKENS, labels=[2 + row] * TOKENS) for row in range(8)]

    def run() -> None:
        model = LlamaForCausalLM(config())
        adapted = model if method == "full" else attach_adapter(model, settings.lora)
        fit(adapted, tokenizer, rows, rows[:2], recipe, hardware(**machine))

    expected = forecast(config(), model_params(), settings, hardware(**machine), TOKENS, validation_rows=2)
    assert expected.total - expected.runtime == pytest.approx(allocated(run), rel=0.1)


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
        forecast(config(num_hidden_layers=8), model_params(), training(), hardware(gradient_checkpointing=on), TOKENS)
        for on in (False, True)
    )
    assert again.activations < kept.activations / 3


def test_logits_are_those_of_label_tokens(plain: MemoryForecast) -> None:
    few = forecast(config(), model_params(), training(), hardware(), TOKENS, labels=12)
    assert few.logits < plain.logits / 3
    # logits, log-probabilities and a gradient in fp32
    assert few.logits == pytest.approx(3 * 4 * 12 * VOCABULARY * 4, rel=0.1)


def test_a_full_micro_batch_of_validation_rows_can_be_the_peak(plain: MemoryForecast) -> None:
    machine = hardware(inference_batch_size=64)
    settings = training()
    few, many = (
        forecast(config(), model_params(), settings, machine, TOKENS, validation_rows=rows) for rows in (1, 200)
    )
    assert few.total == plain.total
    assert many.peak == "validation"
    assert many.batch.rows == 64
    assert many.total > plain.total
    assert "hardware.inference_batch_size (now 64)" in many.remedies


def test_quantised_weights_take_their_published_size() -> None:
    linear = LAYERS * (2 * WIDTH * WIDTH + 2 * WIDTH * WIDTH // 2 + 3 * WIDTH * 160)
    others = 4 * (2 * VOCABULARY * WIDTH + (2 * LAYERS + 1) * WIDTH)
    for quantisation, size in (("nf4", 0.516), ("int8", 1.0), ("gptq", 0.52)):
        held = forecast(config(), model_params(quantisation=quantisation), training(), hardware(), TOKENS)
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


def test_processes_divide_what_they_share(plain: MemoryForecast) -> None:
    together = {"processes": 2, "micro_batch_size": 2}
    copied, sharded = (forecast_of(ranks=2, sharding=way, **together) for way in ("ddp", "fsdp"))
    assert copied.weights == plain.weights
    assert copied.gradients >= copied.adapter
    assert sharded.weights == plain.weights // 2
    assert sharded.optimiser == plain.optimiser // 2


def test_sentence_names_every_part_in_gib(plain: MemoryForecast) -> None:
    large = replace(plain, weights=3 * 2**30, runtime=2**29)
    for part in ("weights 3.00", "adapter", "gradients", "optimiser", "activations", "logits", "runtime 0.50"):
        assert part in large.sentence
    assert f"4 rows of {TOKENS} tokens" in large.sentence
    assert large.sentence.count(". ") == 0


def test_what_to_lower_is_listed_from_the_harmless_to_the_rest(plain: MemoryForecast) -> None:
    places = [
        plain.remedies.index(name)
        for name in ("micro_batch_size (now 4)", "gradient_checkpointing", "max_length", "quantisation: nf4")
    ]
    assert places == sorted(places)
    bare = replace(
        plain,
        batch=Batch(1, TOKENS, TOKENS),
        hardware=hardware(gradient_checkpointing=True),
        model=model_params(quantisation="nf4"),
    )
    assert bare.remedies == "training.max_length (now 48)"
    assert "training.method: lora" in replace(plain, training=training(method="full")).remedies


def test_a_run_that_cannot_fit_stops_before_weights_are_read(
    plain: MemoryForecast, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    check_memory(plain, available=plain.total)
    assert plain.sentence in caplog.text
    with pytest.raises(InputError, match=r"GiB are free: lower hardware\.micro_batch_size \(now 4\)"):
        check_memory(plain, available=(plain.total - plain.runtime) // 2)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 3221225472 bytes."), "3.00"),
        (MemoryError(), None),
        (RuntimeError("std::bad_alloc"), None),
    ],
)
def test_running_out_of_memory_is_one_sentence(error: Exception, asked: str | None, plain: MemoryForecast) -> None:
    found = explain_out_of_memory(error, plain, hardware())
    assert isinstance(found, InputError)
    assert "Memory ran out on cpu" in str(found)
    assert f"{plain.total / 2**30:.2f} GiB" in str(found)
    assert "hardware.micro_batch_size (now 4)" in str(found)
    assert (f"{asked} GiB more" in str(found)) == (asked is not None)
    assert str(found).count(". ") == 0


def test_a_gpu_out_of_memory_is_known(plain: MemoryForecast) -> None:
    import torch

    error = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 1.50 GiB. GPU 0 has a total capacity of 15 GiB"
    )
    assert "1.50 GiB more" in str(explain_out_of_memory(error, plain, hardware(device="cuda", gpu="V100")))
    wrapped = RuntimeError("a rank failed")
    wrapped.__cause__ = error
    assert explain_out_of_memory(wrapped, plain, hardware()) is not None


def test_other_errors_pass_through(plain: MemoryForecast) -> None:
    assert explain_out_of_memory(RuntimeError("shapes do not match"), plain, hardware()) is None
    with pytest.raises(RuntimeError, match="shapes"), explained_memory(plain, hardware()):
        raise RuntimeError("shapes do not match")
    with pytest.raises(InputError, match="Memory ran out") as caught, explained_memory(plain, hardware()):
        raise MemoryError
    assert isinstance(caught.value.__cause__, MemoryError)


def test_available_memory_stays_within_the_containers_limit(tmp_path: Path) -> None:
    assert 0 < available_memory(hardware()) < 2**50
    assert cgroup_memory(tmp_path) == []
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cgroup_memory(tmp_path) == []
    (tmp_path / "memory.max").write_text("5000\n")
    assert cgroup_memory(tmp_path) == [4000]


EXHAUST = """
import json, resource, sys
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from med_lora.engine import Row, fit
from med_lora.engine.memory import available_memory, check_memory, explained_memory, forecast
from med_lora.errors import InputError
from tests.engine.test_memory import config
from tests.recipes import hardware, model_params, optimisation, training

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel({"a": 0})), pad_token="a", eos_token="a")
tokens, recipe = 1024, optimisation(epochs=1)
rows = [Row(input_ids=[5] * tokens, labels=[5] * tokens)] * 4
shape = config(max_position_embeddings=tokens, vocab_size=8192)
expected = forecast(shape, model_params(), training(method="full", optimisation=recipe), hardware(), tokens)
model = LlamaForCausalLM(shape)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (expected.total - expected.runtime) // 2
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
said = []
for action in (
    lambda: check_memory(expected, available_memory(hardware())),
    lambda: fit(model, tokenizer, rows, [], recipe, hardware()),
):
    try:
        with explained_memory(expected, hardware()):
            action()
    except InputError as error:
        said.append(str(error))
print(json.dumps(said))
"""


def test_a_process_without_memory_says_so_in_one_sentence() -> None:
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "OMP_NUM_THREADS": "1",
    }
    result = subprocess.run(
        [sys.executable, "-c", EXHAUST], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    before, during = json.loads(result.stdout.splitlines()[-1])
    assert "GiB are free: lower hardware.micro_batch_size (now 4)" in before
    assert "Memory ran out on cpu when" in during
    assert "the forecast was" in during
