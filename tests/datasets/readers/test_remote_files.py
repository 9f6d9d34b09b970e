"""Files of a corpus on a file system that cannot be asked for them."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from med_lora.datasets import CorpusDataset
from med_lora.errors import InputError


def refuse(*path: Any, **options: Any) -> NoReturn:
    raise ConnectionRefusedError(111, "Connection refused")


@pytest.mark.parametrize("files", ["a.jsonl", "*.jsonl", "memory://elsewhere/a.jsonl"])
def test_a_file_that_cannot_be_looked_up_is_one_sentence(monkeypatch: pytest.MonkeyPatch, files: str) -> None:
    for name in ("exists", "glob"):
        monkeypatch.setattr(MemoryFileSystem, name, refuse)
    corpora = {"mine": {"layout": "pairs", "files": files}}
    dataset = CorpusDataset(name="mine", corpora=corpora, root="memory://raw")
    with pytest.raises(InputError) as caught:
        dataset.load()
    location = files if "://" in files else f"memory://raw/{files}"
    assert str(caught.value).startswith(f"{location} cannot be looked up ([Errno 111] Connection refused); check")
