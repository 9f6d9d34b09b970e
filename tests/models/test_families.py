"""Each family of models: loaded by path, adapted on every choice of layers, trained a step, saved, attached again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from med_lora.datasets.base_model import BaseModel
from med_lora.engine.rows import Row, collate
from med_lora.errors import InputError
from med_lora.models import attach_adapter, attach_saved, checksums, load_model
from med_lora.models.initialisation import save_adapter
from med_lora.parameters import PromptParams
from med_lora.prompts import IGNORED_LABEL, PairTokeniser
from med_lora.provenance import RECORD_FILE, describe_base
from tests.models.steps import cpu_precisions, distance, logits, take_step
from tests.recipes import hardware, lora, model_params

MODELS = ["llama2", "llama3", "llama31", "mistral", "gemma", "gpt2", "distilgpt2"]
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
FEED_FORWARD = {"gate_proj", "up_proj", "down_proj"}
CPU = hardware()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("word", ["attention", "attention-mlp", "all-linear"])
def test_one_step_moves_the_adapter_alone_and_the_saved_one_answers_alike(
    name: str, word: str, family_model: Callable[[str], BaseModel], tmp_path: Path
) -> None:
    from peft import PeftModel

    base = family_model(name)
    model = attach_adapter(
        load_model(base, model_params(), CPU, purpose="training"), lora(target_modules=word), base_model=base
    )
    layers = {key.split(".lora_A")[0].rsplit(".", 1)[-1] for key in model.state_dict() if ".lora_A." in key}
    if "gpt2" in name:
        assert layers == {"c_attn", "c_proj"} | (set() if word == "attention" else {"c_fc"})
        assert any(".mlp.c_proj.lora_A" in key for key in model.state_dict()) == (word != "attention")
    else:
        assert layers == ATTENTION | (set() if word == "attention" else FEED_FORWARD)
    assert all(("lora_" in key) == value.requires_grad for key, value in model.named_parameters())
    untrained, frozen = logits(model), checksums(model)
    take_step(model)
    trained = logits(model)
    assert checksums(model) == frozen
    assert distance(trained, untrained) > 1e-3
    save_adapter(model, tmp_path)
    (tmp_path / RECORD_FILE).write_text(json.dumps(describe_base(base, "none")))
    attached = PeftModel.from_pretrained(base.model("float32"), str(tmp_path))
    assert torch.equal(logits(attached), trained)
    again = attach_saved(load_model(base, model_params(), CPU, purpose="inference"), tmp_path, base)
    assert torch.equal(logits(again), trained)
    assert not any(value.requires_grad for value in again.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_padding_takes_no_part_in_the_loss(name: str, family_model: Callable[[str], BaseModel]) -> None:
    base = family_model(name)
    template = "plain" if "gpt2" in name else "chat"
    batches = []
    for side in ("left", "right"):
        tokenizer = base.tokenizer()
        tokenizer.padding_side = side
        assert tokenizer.pad_token_id is not None
        tokeniser = PairTokeniser(PromptParams(template=template, system=None), tokenizer)
        pairs = tokeniser.pairs(["What is gout?", "Why?"], ["A painful arthritis of the toe.", "No."], 128)
        rows = [Row(input_ids=pair.input_ids, labels=pair.labels) for pair in pairs]
        batches.append(collate(rows, tokenizer.pad_token_id))
    assert torch.equal(batches[0]["labels"], batches[1]["labels"])
    counted = [[value for value in labels.tolist() if value != IGNORED_LABEL] for labels in batches[0]["labels"]]
    assert counted == [pair.answer_ids for pair in pairs]
    assert all(answer[-1] == tokeniser.end_id for answer in counted)  # also where padding is EOS itself
    model = load_model(base, model_params(), CPU, purpose="inference")
    alone = [collate([row], tokenizer.pad_token_id) for row in rows]
    with torch.no_grad():
        together = model(**batches[0], use_cache=False).loss * sum(map(len, counted))
        apart = [
            model(**batch, use_cache=False).loss * len(answer) for batch, answer in zip(alone, counted, strict=True)
        ]
    assert float(together) == pytest.approx(float(sum(apart)), rel=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "distilgpt2", "llama2"])
def test_a_missing_chat_template_is_one_sentence_and_another_template_works(
    name: str, family_model: Callable[[str], BaseModel]
) -> None:
    tokenizer = family_model(name).tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(InputError, match=r"prompt\.template is chat and the tokenizer.* has no chat template"):
        PairTokeniser(PromptParams(template="chat", system=None), tokenizer)
    tokeniser = PairTokeniser(PromptParams(template="alpaca", system=None), tokenizer)
    (pair,) = tokeniser.pairs(["What is gout?"], ["Pain."], 128)
    assert pair.answer_ids[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_of_a_small_model_can_be_trained(name: str, family_model: Callable[[str], BaseModel]) -> None:
    best = hardware(precision=cpu_precisions()[-1])
    model = load_model(family_model(name), model_params(), best, purpose="training", frozen=False)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    assert checksums(model) == {}
    take_step(model)
    assert [key for key, value in model.named_parameters() if torch.equal(value, before[key])] == []
