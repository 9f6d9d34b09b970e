"""Stand-ins: small models in a family's architecture, the same bytes each time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from med_lora.datasets.base_model import BaseModelDataset
from med_lora.datasets.manifest import MARKER
from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.prompts import PairTokeniser, context_length
from med_lora.rehearsal.families import Family, find_family, is_own_stand_in
from med_lora.rehearsal.stand_ins import make_stand_in, read_texts
from med_lora.rehearsal.tokenizers import TOKENIZERS
from tests.conftest import ROOT

PROMPT = PromptParams(template="plain", system=None)
TEXTS = ["Gout is a painful arthritis of the toe.", "Rest, ice and time ease most sprains of the ankle."]


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    parent = tmp_path_factory.mktemp("stand-ins")
    return lambda name, is_chat=True: make_stand_in(Family(name, is_chat), TEXTS, parent)


def settings(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return content


@pytest.mark.parametrize("name", [name for name in TOKENIZERS if name != "gpt2"])
def test_model_and_chat_layout_load_from_the_folder(stand_in: Callable[..., Path], name: str) -> None:
    base_model = BaseModelDataset(id=str(stand_in(name))).load()
    tokenizer: Any = base_model.tokenizer()
    model: Any = base_model.model("float32")
    assert model.config.vocab_size == len(tokenizer)
    assert model.num_parameters() < 500_000
    turns = [{"role": "user", "content": "What is gout?"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert "What is gout?" in text
    assert text != "What is gout?"
    (pair,) = PairTokeniser(PROMPT, tokenizer).pairs(["What is gout?"], ["A painful arthritis."], 64)
    assert pair.answer_ids[-1] == tokenizer.eos_token_id


def test_traits_are_those_of_the_family(stand_in: Callable[..., Path]) -> None:
    gpt2, mistral, gemma = settings(stand_in("gpt2", False)), settings(stand_in("mistral")), settings(stand_in("gemma"))
    assert gpt2["n_positions"] == 1024
    assert (mistral["sliding_window"], mistral["num_key_value_heads"]) == (4096, 2)
    assert mistral["num_attention_heads"] == 4
    assert gemma["tie_word_embeddings"]
    assert gemma["head_dim"] * gemma["num_attention_heads"] > gemma["hidden_size"]
    rope = settings(stand_in("llama31"))["rope_parameters"]
    assert (rope["rope_type"], rope["rope_theta"]) == ("llama3", 500_000.0)
    assert context_length(BaseModelDataset(id=str(stand_in("llama2"))).load().model("float32")) == 4096


def test_base_models_have_no_chat_layout_and_end_texts(stand_in: Callable[..., Path]) -> None:
    tokenizer: Any = BaseModelDataset(id=str(stand_in("llama31", False))).load().tokenizer()
    assert tokenizer.chat_template is None
    assert tokenizer.eos_token == "<|end_of_text|>"


def test_equal_recipes_give_equal_bytes_and_other_texts_another_folder(tmp_path: Path) -> None:
    family = Family("llama3", True)
    first, second = (make_stand_in(family, TEXTS, tmp_path / place) for place in ("here", "there"))
    assert first.name == second.name
    names = sorted(file.name for file in first.iterdir())
    assert "model.safetensors" in names
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
    assert make_stand_in(family, [*TEXTS, "The wrist."], tmp_path / "here").name != first.name


def test_whole_stand_in_is_kept_and_a_damaged_one_made_anew(tmp_path: Path) -> None:
    family = Family("qwen3", True)
    folder = make_stand_in(family, TEXTS, tmp_path)
    before = (folder / MARKER).stat()
    make_stand_in(family, TEXTS, tmp_path)
    assert (folder / MARKER).stat().st_ino == before.st_ino
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-1])
    make_stand_in(family, TEXTS, tmp_path)
    assert (folder / "model.safetensors").read_bytes() == weights
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("model_id", "family"),
    [
        ("openai-community/gpt2-large", Family("gpt2", False)),
        ("distilbert/distilgpt2", Family("gpt2", False)),
        ("TheBloke/Llama-2-13B-chat-GPTQ", Family("llama2", True)),
        ("meta-llama/Llama-2-7b-hf", Family("llama2", False)),
        ("meta-llama/Meta-Llama-3-8B", Family("llama3", False)),
        ("meta-llama/Llama-3.1-8B-Instruct", Family("llama31", True)),
        ("mistralai/Mistral-7B-v0.1", Family("mistral", False)),
        ("google/gemma-1.1-7b-it", Family("gemma", True)),
        ("google/gemma-2b", Family("gemma", False)),
        ("google/gemma-2b-it", Family("gemma", True)),
        ("Qwen/Qwen3-1.7B", Family("qwen3", True)),
    ],
)
def test_family_is_told_by_the_name(model_id: str, family: Family) -> None:
    assert find_family(model_id) == family


def test_family_of_a_folder_is_that_of_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 128_256}))
    assert find_family(str(tmp_path)) == Family("llama3", False)


@pytest.mark.parametrize(
    ("file", "content"),
    [("chat_template.jinja", "{{ messages }}"), ("tokenizer_config.json", '{"chat_template": "{{ messages }}"}')],
)
def test_folder_with_a_chat_layout_in_either_place_is_a_chat_model(tmp_path: Path, file: str, content: str) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mistral"}')
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert find_family(str(tmp_path)) == Family("mistral", False)
    (tmp_path / file).write_text(content)
    assert find_family(str(tmp_path)) == Family("mistral", True)


@pytest.mark.parametrize(
    "model_id", ["tiiuae/falcon-7b", "google/gemma-3-4b-it", "google/gemma-2-2b-it", "data/06_models/nowhere"]
)
def test_other_families_are_refused_in_one_sentence(model_id: str) -> None:
    with pytest.raises(InputError, match=model_id):
        find_family(model_id)


def test_embedded_model_needs_no_stand_in() -> None:
    assert is_own_stand_in(str(ROOT / "data/06_models/embedded-base"))
    assert not is_own_stand_in("openai-community/gpt2")


def test_texts_are_those_of_the_carried_corpora() -> None:
    texts = read_texts(ROOT / "data/01_raw/embedded")
    assert len(texts) > 300
    assert all(isinstance(text, str) for text in texts)
