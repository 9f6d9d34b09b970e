"""What a checkpoint has to hold before a run may go on from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.manifest import MARKER, describe_files, list_files, parse_manifest

MONITOR_FILE = "monitor.json"
installed_version = cache(version)
# The libraries whose arithmetic or file formats a checkpoint depends on.
LIBRARIES = ("accelerate", "bitsandbytes", "peft", "torch", "transformers", "trl")
# What the Trainer, transformers 5.23, resumes from; each alternative begins the path of a file. It reads all of them
# with torch.load(weights_only=True) or as safetensors or JSON, and goes on without a word if some are missing.
_STATE = {
    "trainer_state.json": ("trainer_state.json",),
    "the optimizer's state": ("optimizer.pt", "optimizer.bin", "optimizer_"),
    "scheduler.pt": ("scheduler.pt",),
    MONITOR_FILE: (MONITOR_FILE,),
    "the weights": ("adapter_model.safetensors", "model.safetensors", "pytorch_model_fsdp"),
}


def describe_maker(settings: Mapping[str, Any], ranks: int) -> dict[str, Any]:
    """Settings, versions of the libraries and number of processes as JSON reads them back, in order of key."""
    versions = {f"version of {library}": installed_version(library) for library in LIBRARIES}
    described: dict[str, Any] = json.loads(json.dumps({**settings, **versions, "ranks": ranks}, sort_keys=True))
    return described


def fingerprint(maker: Mapping[str, Any]) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of what ``describe_maker`` returns."""
    return hashlib.sha256(json.dumps(maker, sort_keys=True).encode()).hexdigest()[:16]


def describe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Every key whose value differs, as ``key: old -> new``."""

    def show(values: Mapping[str, Any], key: str) -> str:
        text = json.dumps(values[key], ensure_ascii=False) if key in values else "not set"
        return text if len(text) <= 60 else f"{text[:57]}..."

    changed = [key for key in sorted({*old, *new}) if key not in old or key not in new or old[key] != new[key]]
    return ", ".join(f"{key}: {show(old, key)} -> {show(new, key)}" for key in changed)


def find_fault(checkpoint: Path) -> str | None:
    """Why the files of ``checkpoint`` are not those that were sealed, as a clause; None if they are.

    Raises:
        OSError: if a file that is there cannot be read, which proves nothing.
    """
    try:
        expected = parse_manifest((checkpoint / MARKER).read_bytes(), str(checkpoint))
    except FileNotFoundError:
        return "it was not saved to the end"
    except DatasetInputError:
        return "its manifest is damaged"
    for name, entry in sorted(expected.items()):
        # The size first: it spares the reading of a file that was cut short. It is asked for even where the file is not
        # listed, since listing passes over folders that may not be read.
        try:
            same_size = os.path.getsize(checkpoint / name) == entry["size"]
        except FileNotFoundError:
            return f"{name} is missing"
        if not same_size or describe_files(checkpoint, [name])[name] != entry:
            return f"{name} has changed since it was sealed"
    foreign = sorted(set(list_files(checkpoint)) - set(expected))
    return f"{foreign[0]} was added after it was sealed" if foreign else None


def find_missing_state(names: Collection[str], maker: Mapping[str, Any]) -> str | None:
    """The first part of a training state that the files ``names`` of a checkpoint lack; None if they are whole.

    The Trainer resumes from such a set too, with a fresh optimizer or other random numbers, and does not fail.
    """
    required = _STATE | {name: (name,) for name in _further_files(maker)}
    for part, beginnings in required.items():
        if not any(name.startswith(beginnings) for name in names):
            return part
    return None


def _further_files(maker: Mapping[str, Any]) -> list[str]:
    """Files that a checkpoint holds because of its settings and its number of processes."""
    last_parts = {key.rsplit(".", 1)[-1]: value for key, value in maker.items()}
    ranks = [""] if maker["ranks"] == 1 else [f"_{rank}" for rank in range(maker["ranks"])]
    files = [f"rng_state{rank}.pth" for rank in ranks]
    if last_parts.get("precision") == "fp16":
        files.append("scaler.pt")
    if last_parts.get("keep") == "best":
        files += [
            f"best_weights{rank}.safetensors" for rank in (ranks if last_parts.get("sharding") == "fsdp" else [""])
        ]
    return files
