from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.work_folder import WorkFolder

from .models import VOCABULARY


@pytest.fixture(scope="session")
def begun(tokenizer: Any) -> Any:
    """The tokenizer of the other tests, with a BOS that it puts in front of every text."""
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.add_special_tokens(["<bos>"])
    copy.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", copy.token_to_id("<bos>"))])
    return PreTrainedTokenizerFast(tokenizer_object=copy, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")


@pytest.fixture
def base_model(begun: Any, tiny_model: Any, tmp_path: Path) -> BaseModel:
    folder = tmp_path / "model"
    tiny_model.save_pretrained(folder)
    begun.save_pretrained(folder)
    return BaseModelDataset(id=str(folder)).load()


@pytest.fixture
def journal(tmp_path: Path) -> WorkFolder:
    (tmp_path / "journal").mkdir()
    return WorkFolder(tmp_path / "journal")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """So small a model only loses time by sharing its work out."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def prompts() -> list[list[int]]:
    """40 prompts of 1 to 30 tokens, all different."""
    draw = random.Random(1)
    return [draw.choices(range(4, VOCABULARY), k=1 + number * 7 % 30) for number in range(40)]
