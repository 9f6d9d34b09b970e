"""What is free, what is refused before training, and what a run says when memory ran out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from med_lora.engine.memory import (
    MemoryForecast,
    available_memory,
    check_memory,
    explain_out_of_memory,
    explained_memory,
)
from med_lora.engine.memory import _cgroup_memory as cgroup_memory
from med_lora.engine.memory_trace import Batch
from med_lora.errors import InputError
from tests.conftest import ROOT
from tests.recipes import hardware, model_params, training

TOKENS = 48


@pytest.fixture
def plain() -> MemoryForecast:
    """Of no model in particular."""
    return MemoryForecast(
        weights=3 * 2**30,
        adapter=2**27,
        gradients=2**27,
        optimiser=2**28,
        best=0,
        activations=2**30,
        logits=2**28,
        runtime=2**29,
        peak="training",
        batch=Batch(4, TOKENS, TOKENS - 1),
        training=training(),
        model=model_params(),
        hardware=hardware(),
    )


def test_sentence_names_every_part_in_gib(plain: MemoryForecast) -> None:
    parts = ("weights 3.00", "adapter", "gradients", "optimiser", "best", "activations", "logits", "runtime 0.50")
    for part in parts:
        assert part in plain.sentence
    assert f"4 rows of {TOKENS} tokens" in plain.sentence
    assert plain.sentence.count(". ") == 0


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
    check_memory(plain, available=None)  # where no limit is known


def test_processes_on_a_cpu_share_what_is_free_and_their_python_is_there_already(plain: MemoryForecast) -> None:
    needed = 3 * (plain.total - plain.runtime)
    check_memory(replace(plain, hardware=hardware(processes=3)), available=needed)
    with pytest.raises(InputError, match="GiB are free"):
        check_memory(replace(plain, hardware=hardware(processes=3)), available=needed - 1)
    cards = hardware(processes=3, device="cuda", gpu="V100", precision="fp16")
    check_memory(replace(plain, hardware=cards), available=needed // 3)


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
    assert 0 < (available_memory(hardware()) or 0) < 2**50
    assert cgroup_memory(tmp_path) == []
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cgroup_memory(tmp_path) == []
    (tmp_path / "memory.max").write_text("5000\n")
    assert cgroup_memory(tmp_path) == [4000]
    (tmp_path / "memory.stat").write_text("anon 100\ninactive_file 700\nactive_file 50\n")
    assert cgroup_memory(tmp_path) == [4700]


def test_version_1_of_cgroups_counts_its_page_cache_too(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("5000\n")
    (folder / "memory.usage_in_bytes").write_text("4000\n")
    (folder / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 600\n")
    assert cgroup_memory(tmp_path) == [1600]


def test_no_limit_is_known_outside_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("med_lora.engine.memory.MEMINFO", tmp_path / "meminfo")
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows, where importing it fails
    assert available_memory(hardware()) is None


@pytest.mark.parametrize("used", [True, False])
def test_what_torch_keeps_on_a_gpu_is_freed_before_it_is_measured(used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    called: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: called.append("empty"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: called.append("measure") or (5000, 9000))
    assert available_memory(hardware(device="cuda", gpu="V100", precision="fp16")) == 5000
    assert called == (["empty", "measure"] if used else ["measure"])


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


@pytest.mark.slow
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
