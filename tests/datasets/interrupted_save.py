"""Run by test_folder_faults.py: save folders, and kill the own process at a given point.

usage: interrupted_save.py FILEPATH VERSION|- POINT
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from kedro.io import Version

from med_lora.datasets import Pretrained, PretrainedDataset, manifest, publication


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Model:
    def __init__(self, text: str, size: int, dies: bool):
        self.text, self.size, self.dies = text, size, dies

    def save_pretrained(self, save_directory: str) -> None:
        folder = Path(save_directory)
        (folder / "model.safetensors").write_text(self.text * self.size)
        if self.dies:
            die()
        (folder / "sub").mkdir()
        (folder / "sub" / "config.json").write_text(self.text)


def half_a_marker(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content[: len(content) // 2])
    die()


def prepare(point: str) -> None:
    """Arrange the death of this process at ``point``."""
    replace, flush = Path.replace, manifest.flush_to_disk
    if point == "before marker":
        manifest.manifest_bytes = die
    elif point == "in marker":
        Path.write_bytes = half_a_marker
    elif point == "after marker":
        manifest.flush_to_disk = lambda path: die() if path.name == "_SUCCESS" else flush(path)
    elif point == "before move":
        Path.replace = die
    elif point == "between moves":
        Path.replace = lambda path, target: (
            die() if (path / "_SUCCESS").exists() and target.name == "model" else replace(path, target)
        )
    elif point == "after move":
        publication.flush_to_disk = die


def main() -> None:
    filepath, version, point = sys.argv[1:]
    if point == "forever":
        for number in range(10**6):
            name = f"{version}-{number:06}"
            PretrainedDataset(filepath=filepath, version=Version(name, name)).save(
                Pretrained(Model(name, 1000, dies=False))
            )
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
    prepare(point)
    chosen = None if version == "-" else Version(version, version)
    PretrainedDataset(filepath=filepath, version=chosen).save(Pretrained(Model(point, 1000, dies=point == "writing")))


if __name__ == "__main__":
    main()
