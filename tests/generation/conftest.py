from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.work_folder import WorkFolder


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
