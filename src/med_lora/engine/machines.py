"""What machines that train together owe one another: the same job, and the finished weights."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from med_lora.engine.resume_checks import describe_changes
from med_lora.errors import InputError

BLOCK = 2**26  # bytes that travel at once


def check_agreement(settings: Mapping[str, Any]) -> None:
    """Raise an InputError on every rank if machines were given different settings, data or base models."""
    if not several_machines():
        return
    import torch.distributed as dist

    given: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(given, dict(settings))
    for rank, other in enumerate(given):
        if other != given[0]:
            raise InputError(
                f"The machine of rank {rank} was given another job than the first "
                f"({describe_changes(given[0], other)}); run the same experiment on the same data everywhere."
            )


def share_folder(folder: Path) -> None:
    """Copy what rank 0 wrote into its ``folder`` into that of every other machine; each rank calls it, with its own.

    The first rank of each machine writes, so that no shared disk is needed and every machine can publish the result.
    """
    if not several_machines():
        return
    import torch.distributed as dist

    is_source = dist.get_rank() == 0
    writes = not is_source and os.environ["LOCAL_RANK"] == "0"
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if is_source else []
    listed = [[(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]]
    dist.broadcast_object_list(listed, src=0)
    for name, size in listed[0]:
        path = folder / name
        blocks = _blocks(path if is_source else None, size)
        if not writes:
            for _ in blocks:
                pass
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:
            for block in blocks:
                stream.write(block)


def _blocks(source: Path | None, size: int) -> Iterator[bytes]:
    """The bytes of rank 0's file ``source``, block by block, on every rank."""
    import torch
    import torch.distributed as dist

    stream = source.open("rb") if source is not None else None
    try:
        for start in range(0, size, BLOCK):
            count = min(BLOCK, size - start)
            content = stream.read(count) if stream is not None else bytes(count)
            block = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            dist.broadcast(block, src=0)
            yield block.numpy().tobytes()
    finally:
        if stream is not None:
            stream.close()


def wait_for_all_ranks() -> None:
    import torch

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def several_machines() -> bool:
    return int(os.environ.get("GROUP_WORLD_SIZE", "1")) > 1
