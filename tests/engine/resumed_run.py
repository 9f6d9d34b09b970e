"""A tiny training run that reports through a pipe what it does, for kills.py to kill it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from med_lora.engine import fit
from med_lora.engine.checkpoints import Checkpoints
from med_lora.engine.rows import Row
from med_lora.prompts import IGNORED_LABEL
from tests.recipes import hardware, lora, optimisation

WORDS = 60
RECIPE = {
    "epochs": 3,
    "effective_batch_size": 6,
    "evaluations": 6,
    "checkpoints": 6,
    "batches": "grouped",
    "keep": "best",
    "patience": 4,
}
PACKED = {"packing": True, "micro_batch_size": 3, "threads": 1}


@dataclass
class Scenario:
    """One configuration, and how its runs are killed.

    Attributes:
        name: shown in the results.
        kills: how often runs are killed in all; each run one to three times, then it may end.
        seed: of where the kills fall.
        recipe: changes of RECIPE.
        hardware: changes of the CPU in fp32 that packs micro-batches of 3 rows.
        lora: changes of an adapter with dropout 0.1; null trains all weights.
        points: kill at these points, in turn, instead of at random ones: ("sealed", n) once n checkpoints are sealed,
            ("optimizer", n) before the n-th optimizer state is written, ("save", n, s) s seconds after the n-th save
            has begun, ("moment", s) after s seconds.
        damage: share of the kills after which a file of the newest checkpoint is changed, cut short or deleted.
        processes: of each run, joined by gloo.
        synced: let files reach the disk, which costs most of a small save; a kill, unlike a loss of power, loses
            nothing that was merely written.
        without: switch off what the scenario is to show the need of: ``rng``, ``verification``.
    """

    name: str
    kills: int
    seed: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    lora: dict[str, Any] | None = field(default_factory=dict)
    points: list[list[Any]] = field(default_factory=list)
    damage: float = 0.0
    processes: int = 1
    synced: bool = False
    without: str = ""


class Reporter(logging.Handler):
    """Writes what happens to a pipe, a line of JSON an event."""

    def __init__(self, pipe: int) -> None:
        super().__init__(logging.INFO)
        self.pipe, self.silent = pipe, False

    def tell(self, **event: Any) -> None:
        if self.silent and "error" not in event:
            return
        os.write(self.pipe, (json.dumps(event) + "\n").encode())

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(log=record.getMessage())


def train(folder: Path, scenario: Scenario, point: list[Any] | None, reporter: Reporter) -> None:
    """The run itself, which goes on from whatever ``folder`` holds."""
    from transformers import set_seed

    if not scenario.synced:
        os.fsync = lambda descriptor: None

    log = logging.getLogger("med_lora.engine.checkpoints")
    log.addHandler(reporter)
    log.setLevel(logging.INFO)
    watch_saves(reporter, die_after=point[1] if point is not None and point[0] == "sealed" else 0)
    switch_off(scenario.without)
    if point is not None and point[0] == "optimizer":
        die_before_optimizer(point[1])
    set_seed(7)
    model = make_model(scenario)
    recipe = optimisation(**(RECIPE | scenario.recipe))
    machine = hardware(**(PACKED | {"processes": scenario.processes} | scenario.hardware))
    reporter.tell(started=time.monotonic())
    settings = {**recipe.model_dump(), **machine.model_dump(), "lora": scenario.lora}
    with Checkpoints(folder / "checkpoints", settings) as checkpoints:
        output = folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        fitted = fit(
            model,
            make_tokenizer(),
            make_rows(22, seed=1),
            make_rows(5, seed=2),
            recipe,
            machine,
            checkpoints=checkpoints,
            save_to=output,
        )
    weights = next(output.glob("*model.safetensors"))
    history = fitted.history.to_csv(index=False)
    reporter.tell(
        result={
            "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "history": hashlib.sha256(history.encode()).hexdigest(),
            "step": fitted.step,
            "tokens": fitted.tokens,
        },
        steps=int(fitted.history.step.max()),
        ended=time.monotonic(),
    )


def watch_saves(reporter: Reporter, die_after: int) -> None:
    """Report when the folder of a checkpoint is made, and when it is sealed; kill this run after so many."""
    sealed = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.mkdir":
            folder = Path(os.fsdecode(arguments[0]))
            if folder.name.startswith("checkpoint-") and not folder.exists():
                reporter.tell(save="begun", at=time.monotonic())

    sys.addaudithook(watch)
    seal, newest = Checkpoints.seal, Checkpoints.newest

    def reported_seal(self: Checkpoints, checkpoint: Path) -> None:
        nonlocal sealed
        seal(self, checkpoint)
        reporter.tell(save="sealed", at=time.monotonic())
        sealed += 1
        if sealed == die_after:
            os.killpg(0, signal.SIGKILL)

    def reported_newest(self: Checkpoints) -> Path | None:
        found = newest(self)
        reporter.tell(resumed=found.name if found else None)
        return found

    Checkpoints.seal = reported_seal  # type: ignore[method-assign]
    Checkpoints.newest = reported_newest  # type: ignore[method-assign]


def join(folder: Path, processes: int) -> int:
    """Fork the other processes of a run, as the launcher would start them; this one's number."""
    import torch

    rank = next((number for number in range(1, processes) if os.fork() == 0), 0)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    os.environ |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "0"}  # accelerate wants them set, though all have met
    folder.mkdir(parents=True, exist_ok=True)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/met-{os.getpgid(0)}", rank=rank, world_size=processes
    )
    return rank


def die_before_optimizer(number: int) -> None:
    """Kill this process when it is about to write the optimizer's state for the given time."""
    import torch

    save, left = torch.save, number

    def deadly(state: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal left
        left -= str(file).endswith("optimizer.pt")
        if left == 0:
            os.killpg(0, signal.SIGKILL)
        save(state, file, *args, **kwargs)

    torch.save = deadly


def switch_off(what: str) -> None:
    from transformers import Trainer

    if what == "rng":
        Trainer._load_rng_state = lambda self, checkpoint: None
    if what == "verification":

        def last(self: Checkpoints) -> Path | None:
            found = sorted(self.folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
            return found[-1] if found else None

        Checkpoints.newest = last  # type: ignore[method-assign]
        Checkpoints._remove_leftovers = lambda self: None  # type: ignore[method-assign]


def make_tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {"<eos>": 0, "<pad>": 1} | {f"w{number}": number for number in range(2, WORDS)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<pad>")), eos_token="<eos>", pad_token="<pad>"
    )


def make_model(scenario: Scenario) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    from med_lora.models.adapters import attach_adapter

    shape = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
        attention_dropout=0.1,
    )
    model = LlamaForCausalLM(shape)
    return model if scenario.lora is None else attach_adapter(model, lora(**({"dropout": 0.1} | scenario.lora)))


def make_rows(count: int, seed: int) -> list[Row]:
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        ids = [draw.randrange(2, WORDS) for _ in range(draw.randrange(5, 25))]
        rows.append(Row(input_ids=ids, labels=[IGNORED_LABEL] * 2 + ids[2:]))
    return rows
