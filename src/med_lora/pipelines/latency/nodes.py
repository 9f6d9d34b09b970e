"""How long a model takes for one answer, question by question and by the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.generation.room import prompt_room
from med_lora.models.session import ModelSession
from med_lora.parameters import LatencyParams, PromptParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.latency.machine import PeakMemory, name_device
from med_lora.prompts import PairTokeniser, context_length

COLUMNS = [
    "arm",
    "n",
    "prompt_tokens",
    "new_tokens",
    "first_token_p50",
    "first_token_p95",
    "answer_p50",
    "answer_p95",
    "tokens_per_second",
    "peak_memory_mib",
    "device",
    "dtype",
    "threads",
    "engine",
    "note",
]


@dataclass(frozen=True)
class Arm:
    """A session and the adapter, if any, that it is asked with."""

    session: ModelSession
    adapter: PretrainedFolder | None


@dataclass(frozen=True)
class Timing:
    """One answer.

    Attributes:
        prompt_tokens: tokens read.
        first_token: seconds from the prompt's tokens to the first token of the answer.
        answer: seconds to the last one.
        peak_memory: MiB.
        device: where it was written.
    """

    prompt_tokens: int
    first_token: float
    answer: float
    peak_memory: float
    device: str


def measure_latency(
    base_session: ModelSession,
    tuned_session: ModelSession,
    test: Split,
    prompt: PromptParams,
    latency: LatencyParams,
    adapter: PretrainedFolder | None = None,
) -> pd.DataFrame:
    """Seconds and memory of one answer at a time, greedy, always of ``latency.new_tokens`` tokens.

    It reads the clock: figures are of this machine and this day, and no other run repeats them exactly. The arms take
    turns question by question, each first every other time, so that a busy machine slows both alike. Tokenising and
    ``latency.warmup`` answers before are not timed. The adapter is not merged, and stays attached, switched off, while
    the base model of the same session answers.

    Args:
        base_session: of the base model.
        tuned_session: of the tuned arm; it may be the same.
        test: its first ``latency.questions`` questions by id are asked.
        prompt: the template.
        latency: how many questions and tokens.
        adapter: what ``tuned_session`` is asked with; None after full fine-tuning.

    Returns:
        One row an arm: arm, n (answers), prompt_tokens (median), new_tokens (of each answer), first_token_p50 and _p95,
        answer_p50 and _p95 (seconds; quantiles between answers are interpolated), tokens_per_second (all tokens by all
        seconds, the first token's included), peak_memory_mib, device (product name), dtype, threads (of torch),
        engine, note.

    Raises:
        InputError: for an empty split, a model that cannot be loaded, or a context too short for the answers.
    """
    import torch
    import transformers
    from tqdm import tqdm

    pairs = read_pairs(test, "test").sort_values("id").head(latency.questions)
    tokeniser = PairTokeniser(prompt, base_session.tokenizer())
    arms = {"base": Arm(base_session, None), "tuned": Arm(tuned_session, adapter)}
    with base_session.arm(None) as model:
        room = prompt_room(context_length(model), latency.new_tokens, "latency.new_tokens")
    prompts = [ids for ids, _ in tokeniser.prompts(pairs["question"].tolist(), room)]
    timings: dict[str, list[Timing]] = {name: [] for name in arms}
    turns = list(_take_turns(prompts, latency.warmup))
    for name, ids, counts in tqdm(turns, desc="latency", unit="answer", disable=None):
        timing = _time_answer(arms[name], ids, latency.new_tokens)
        if counts:
            timings[name].append(timing)
    engine = f"transformers {transformers.__version__}"
    rows = [
        {
            "arm": name,
            **_summarise(timings[name], latency.new_tokens),
            "dtype": arm.session.dtype,
            "threads": torch.get_num_threads(),
            "engine": engine,
            "note": _note(arm, arms["base"], timings[name], latency),
        }
        for name, arm in arms.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _take_turns(prompts: Sequence[list[int]], warmup: int) -> Iterator[tuple[str, list[int], bool]]:
    """Arm, prompt, and whether the answer counts."""
    warming = [prompts[number % len(prompts)] for number in range(warmup)]
    for number, ids in enumerate([*warming, *prompts]):
        for name in ("base", "tuned") if number % 2 == 0 else ("tuned", "base"):
            yield name, ids, number >= warmup


def _time_answer(arm: Arm, ids: list[int], new_tokens: int) -> Timing:
    import torch

    with arm.session.arm(arm.adapter) as model, _endless(model, arm.session.tokenizer(), new_tokens):
        device = model.device
        memory, clock = PeakMemory(device), _FirstToken()
        memory.start()
        _finish(device)
        with torch.inference_mode():
            started = time.perf_counter()
            prompt = torch.tensor([ids], device=device)
            output = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), streamer=clock)
            _finish(device)
            ended = time.perf_counter()
        written = output.shape[1] - len(ids)
        if written != new_tokens:
            raise RuntimeError(f"an answer of {new_tokens} tokens has {written}")
        return Timing(len(ids), clock.moment - started, ended - started, memory.read(), name_device(device))


class _FirstToken:
    """A streamer of transformers, which is handed the prompt, then each token once it is in main memory.

    Attributes:
        moment: of the clock, when the first token came.
    """

    def __init__(self) -> None:
        self.moment = math.nan
        self._given = 0

    def put(self, _: Any) -> None:
        self._given += 1
        if self._given == 2:
            self.moment = time.perf_counter()

    def end(self) -> None:
        """Nothing is left to do."""


@contextmanager
def _endless(model: Any, tokenizer: Any, new_tokens: int) -> Iterator[None]:
    """Within the block the model writes greedily, and no token ends an answer."""
    from transformers import GenerationConfig

    kept = model.generation_config
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False, num_beams=1, max_new_tokens=new_tokens, pad_token_id=tokenizer.pad_token_id
    )
    try:
        yield
    finally:
        model.generation_config = kept


def _finish(device: Any) -> None:
    """Wait for what a GPU still does."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _summarise(timings: Sequence[Timing], new_tokens: int) -> dict[str, Any]:
    first = [timing.first_token for timing in timings]
    whole = [timing.answer for timing in timings]
    return {
        "n": len(timings),
        "prompt_tokens": median(timing.prompt_tokens for timing in timings),
        "new_tokens": new_tokens,
        "first_token_p50": float(np.quantile(first, 0.5)),
        "first_token_p95": float(np.quantile(first, 0.95)),
        "answer_p50": float(np.quantile(whole, 0.5)),
        "answer_p95": float(np.quantile(whole, 0.95)),
        "tokens_per_second": len(timings) * new_tokens / sum(whole),
        "peak_memory_mib": max(timing.peak_memory for timing in timings),
        "device": timings[0].device,
    }


def _note(arm: Arm, base: Arm, timings: Sequence[Timing], latency: LatencyParams) -> str:
    notes = [f"p95 of {len(timings)} answers"]
    if len(timings) < latency.questions:
        notes.append(f"the test split has no {latency.questions} questions")
    if arm.session.model.quantisation != "none":
        notes.append(f"weights quantised ({arm.session.model.quantisation})")
    if arm.adapter is not None:
        notes.append("adapter not merged")
    if arm.session.hardware.device == "cpu":
        notes.append("memory is that resident in the whole process")
    if arm is not base and arm.session is not base.session:
        notes.append("memory holds the weights of both arms")
    if math.isnan(timings[0].peak_memory):
        notes.append("memory not measured: this kernel does not tell the most that was resident")
    return "; ".join(notes)
