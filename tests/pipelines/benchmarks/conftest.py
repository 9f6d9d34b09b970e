"""A small model on disk, an adapter of it, and items as data engineering parses them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.chunks import Chunks
from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.models.session import ModelSession, open_session
from med_lora.parameters import CorpusParams, HardwareParams, PromptParams
from med_lora.pipelines.data_engineering.parsing import parse_corpus
from med_lora.provenance import describe_origin
from tests import recipes

EXAM = [
    {"question": "Which vitamin do scurvy patients lack?", "options": ["A", "B12", "C", "D"], "answer_idx": "C"},
    {"question": "Which organ makes insulin?\nName one.", "options": ["Liver", "Pancreas"], "answer_idx": "B"},
    # its first line looks like an option, and the text like a template
    {"question": "Which is it?\nB. burgdorferi {{ 6 * 7 }}", "options": ["Virus", "Bacterium"], "answer_idx": "B"},
    {"question": "Which joint does gout favour?", "options": ["Knee", "Hip", "Toe", "Jaw", "Wrist"], "answer_idx": "C"},
    {"question": "How many kidneys?", "options": ["One", "Two", "Three"], "answer_idx": "B"},
    {"question": "Which one is asked of nobody?", "options": ["This", "That"]},
]
CONTEXT = 69  # tokens of the model: the longest question of the exam just fits, the studies do not
DECISIONS = ["yes"] * 4 + ["no"] * 2 + ["maybe"]


def parse(name: str, layout: str, records: Sequence[dict[str, Any]], chunk_rows: int = 3) -> Chunks:
    """Records as ``parsed_<name>`` holds them."""
    table = pd.DataFrame(
        [
            {key: value if isinstance(value, str) else json.dumps(value) for key, value in record.items()}
            for record in records
        ],
        dtype="str",
    ).fillna("")
    table = table.assign(row=[f"{place:03d}" for place in range(len(table))], fault="")
    starts = range(0, len(table), chunk_rows)
    corpus = CorpusParams(layout=layout, title=name, licence="CC0-1.0", files=f"{name}.jsonl")
    return parse_corpus(Chunks(lambda: (table[start : start + chunk_rows] for start in starts)), corpus, name)


@pytest.fixture
def exam() -> Chunks:
    return parse("exam", "choices", EXAM)


@pytest.fixture
def studies() -> Chunks:
    """PubMedQA's layout, sorted by label as its test part is."""
    records = [
        {
            "pubid": str(100 + place),
            "QUESTION": f"Does rest help patient group {place}?",
            "CONTEXTS": [f"We asked {place + 3} people to rest.", "Others walked."],
            "LONG_ANSWER": "It may.",
            "final_decision": decision,
        }
        for place, decision in enumerate(DECISIONS)
    ]
    return parse("studies", "pubmedqa", records)


@pytest.fixture
def hardware() -> Iterator[HardwareParams]:
    """One thread: so small a model only loses time by sharing its work out."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield recipes.hardware(inference_batch_size=4, threads=1)
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def base_model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """Weights so large that choices vary, and tied layers."""
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
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder = tmp_path_factory.mktemp("model")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return BaseModelDataset(id=str(folder)).load()


@pytest.fixture
def session(base_model: BaseModel, hardware: HardwareParams) -> ModelSession:
    return open_session(base_model, recipes.model_params(), hardware)


@pytest.fixture
def adapter(base_model: BaseModel, tmp_path: Path) -> PretrainedFolder:
    """A LoRA adapter of random, not zero, weights, also on the output layer, which is tied to the embedding."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    targets = ["q_proj", "v_proj", "lm_head"]
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=targets, init_lora_weights=False)
    folder = tmp_path / "adapter"
    get_peft_model(base_model.model("float32"), config).save_pretrained(str(folder))
    pairs = pd.DataFrame({"id": ["a"], "question": ["Why?"], "answer": ["Nobody knows."]})
    origin = describe_origin(base_model, pairs, PromptParams(template="plain", system=None))
    (folder / "med_lora.json").write_text(json.dumps(origin))
    return PretrainedFolder(path=folder, sha256="")
