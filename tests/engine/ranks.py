"""What spawned ranks run in tests: importable by name."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def describe(job: dict[str, Any]) -> dict[str, Any]:
    """Where and as what this rank runs; it logs and prints."""
    import torch
    import torch.distributed as dist

    rank = int(os.environ.get("RANK", "0"))
    total = torch.tensor([float(rank + 1)])
    if dist.is_initialized():
        dist.all_reduce(total)
    logging.getLogger("med_lora").info("a line of rank %d", rank)
    logging.getLogger("other").error("an error of rank %d", rank)
    print(f"print of rank {rank}")  # noqa: T201
    files = [path.name for path in Path().glob("med_lora-ranks-*/*")]
    return {"rank": rank, "pid": os.getpid(), "folder": os.getcwd(), "sum": float(total), "job": job, "files": files}


def fail(job: dict[str, Any]) -> None:
    """One rank raises, while the others wait for it in a collective."""
    import torch.distributed as dist

    if dist.get_rank() == job["rank"]:
        raise OwnError(lambda: None)
    dist.barrier()


class OwnError(Exception):
    """Holds what pickle refuses."""


def call_each(calls: Sequence[tuple[Callable[[Any], Any], Any]]) -> list[Any]:
    """What each function returns of its job, one after the other in the same ranks, which take seconds to start."""
    return [function(job) for function, job in calls]


class KillAt:
    """A watch that kills its rank at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, step: int, loss: float) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def exchange(job: dict[str, Any]) -> list[str]:
    """Rank 0 writes two files; then each machine's folder should hold them."""
    import torch.distributed as dist

    from med_lora.engine.machines import check_agreement, share_folder

    check_agreement(job["settings"])
    folder = Path(job["folder"])
    if dist.get_rank() == 0:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "weights").write_bytes(bytes(range(256)) * 1000)
        (folder / "empty").touch()
    share_folder(folder)
    return [os.environ["WORLD_SIZE"], os.environ["GROUP_WORLD_SIZE"]]
