"""A base model on disk that babbles, an adapter that changes it, a small split, and the parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.parameters import (
    EvaluationParams,
    HardwareParams,
    PromptParams,
    TrainingParams,
)
from med_lora.provenance import describe_origin
from tests import recipes


@dataclass(frozen=True)
class Table:
    """A split as the catalog hands it over, without the datasets library."""

    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


QUESTIONS = (
    "What is gout?",
    "Is a swollen knee after running a reason to see a doctor, and how long should I rest it before I run again?",
    "Why?",
    "What treats a dry cough?",
    "How is asthma found in small children?",
    "Which foods raise blood pressure?",
    "Can I take ibuprofen with aspirin?",
)
ANSWERS = (
    "A painful arthritis of the toe.",
    "See a doctor if the knee is hot or locks; otherwise rest it for a week and begin again slowly.",
    "Nobody knows.",
    "Honey and warm drinks; see a doctor after three weeks – or at once with blood.",
    "By listening to the chest.",
    "Salt, and liquorice.",
    "Not without advice: both irritate the stomach, and ibuprofen can undo the effect of aspirin on the heart.",
)


@pytest.fixture
def test_split() -> Table:
    ids = [f"corpus:{number:02d}" for number in (3, 1, 7, 2, 6, 5, 4)]
    return Table(pd.DataFrame({"id": ids, "question": QUESTIONS, "answer": ANSWERS}))


@pytest.fixture
def train_split() -> Table:
    questions = [
        "What is asthma?",
        "Which foods raise cholesterol in the blood?",
        "What is gout?",
        "Can I run with a knee?",
    ]
    answers = ["Narrow airways.", "Butter, mostly.", "Crystals in a joint.", "Once it has stopped swelling."]
    return Table(pd.DataFrame({"id": ["d", "c", "b", "a"], "question": questions, "answer": answers}))


@pytest.fixture
def prompt() -> PromptParams:
    return PromptParams(template="plain", system=None)


@pytest.fixture
def hardware() -> Iterator[HardwareParams]:
    """One thread: so small a model only loses time by sharing its work out."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield recipes.hardware(micro_batch_size=2, inference_batch_size=3, threads=1)
    torch.set_num_threads(threads)


@pytest.fixture
def training() -> TrainingParams:
    return recipes.training(max_length=512)


@pytest.fixture
def evaluation() -> EvaluationParams:
    return recipes.evaluation(exclude=["answer_cut", "answer_empty"], bootstrap_samples=500, seed=1)


@pytest.fixture
def tables(test_split: Table, train_split: Table) -> Any:
    """What a comparison rests on, ``Tables``."""
    from .tables import make_tables

    return make_tables(test_split, train_split)


@pytest.fixture(scope="session")
def model_folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights so large that answers vary, and an output layer so tilted towards EOS that some of them end."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.3,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] *= 3
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base_model(model_folder: Path) -> BaseModel:
    return BaseModelDataset(id=str(model_folder)).load()


@pytest.fixture
def adapter(base_model: BaseModel, train_split: Table, prompt: PromptParams, tmp_path: Path) -> PretrainedFolder:
    """A LoRA adapter of random, not zero, weights, with the record that training leaves."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    folder = tmp_path / "adapter"
    get_peft_model(base_model.model("float32"), config).save_pretrained(str(folder))
    write_record(folder, describe_origin(base_model, train_split.to_pandas(), prompt))
    return PretrainedFolder(path=folder, sha256="")


def write_record(folder: Path, origin: dict[str, Any]) -> None:
    (folder / "med_lora.json").write_text(json.dumps(origin))
