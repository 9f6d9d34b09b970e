from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment of a subprocess that imports what this process can import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@dataclass(frozen=True)
class FileModel:
    """Stands in for a model: writes the given files."""

    files: dict[str, bytes]

    def save_pretrained(self, save_directory: str) -> None:
        for name, content in self.files.items():
            path = Path(save_directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


@pytest.fixture
def artifact() -> Any:
    """Makes a ``Pretrained`` of two files, one in a subfolder, that hold the given text."""
    from med_lora.datasets import Pretrained

    def make(text: str) -> Pretrained:
        return Pretrained(FileModel({"model.safetensors": text.encode() * 1000, "sub/config.json": text.encode()}))

    return make


@pytest.fixture
def text_of() -> Any:
    """The text behind a loaded ``artifact``."""

    def read(handle: Any) -> str:
        text = (handle.path / "sub/config.json").read_text()
        assert (handle.path / "model.safetensors").read_text() == text * 1000
        return text

    return read


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """The in-memory file system, empty before and after."""
    fs = fsspec.filesystem("memory")
    _empty(fs)
    yield fs
    _empty(fs)


def _empty(fs: fsspec.AbstractFileSystem) -> None:
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporaries go during the test, so that it can look for leftovers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of a few thousand random parameters with a word tokenizer that has no padding token."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base") / "tiny-llama"
    words = ["<s>", "</s>", "<unk>", "what", "helps", "against", "a", "cold", "rest", "?"]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
