"""Fine-tuning: the adapter, its identity, and what must not move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from med_lora.datasets.base_model import BaseModelDataset
from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.pipelines.training.nodes import attach_adapter, checksums, train_adapter
from tests.recipes import hardware, lora, optimisation, training

CPU = hardware()
LORA = lora(dropout=0.1)
PROMPT = PromptParams(template="plain", system=None)
TRAINING = training(lora=LORA, optimisation=optimisation(epochs=4, learning_rate=1e-2, evaluations=2))


class Split:
    """A split as the catalog hands it over."""

    def __init__(self, count: int) -> None:
        topics = ["gout", "asthma", "anaemia", "shingles"]
        self.frame = pd.DataFrame(
            {
                "id": [f"t:{n:05d}" for n in range(count)],
                "question": [f"what is {topics[n % 4]} {n}?" for n in range(count)],
                "answer": [f"{topics[n % 4]} is an illness, the number {n} of the list." for n in range(count)],
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        return self.frame


@pytest.fixture
def base_model(tiny_model: Any, tokenizer: Any, tmp_path: Path) -> Any:
    folder = tmp_path / "base"
    tiny_model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return BaseModelDataset(id=str(folder), revision=None).load()


def weights(adapter: Any) -> dict[str, Any]:
    from peft import get_peft_model_state_dict

    return dict(get_peft_model_state_dict(adapter.model))


def test_training_lowers_the_answer_loss_and_records_the_base(base_model: Any) -> None:
    adapter, history = train_adapter(base_model, Split(16), Split(4), PROMPT, TRAINING, CPU)
    losses = history[history.metric == "validation_loss"].value
    assert losses.iloc[-1] < losses.iloc[0] - 0.1
    identity = json.loads(adapter.files["med_lora.json"])
    assert identity["base_model"]["sha256"] == base_model.sha256
    assert identity["prompt"]["template"] == PROMPT.template
    assert identity["prompt"]["system"] is None
    assert "library_name: peft" in adapter.files["README.md"]


def test_adapter_is_the_same_twice_and_differs_by_seed(base_model: Any) -> None:
    other = TRAINING.model_copy(update={"optimisation": TRAINING.optimisation.model_copy(update={"seed": 4})})
    first, same, different = (
        weights(train_adapter(base_model, Split(8), Split(4), PROMPT, recipe, CPU)[0])
        for recipe in (TRAINING, TRAINING, other)
    )
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert any(not torch.equal(first[name], different[name]) for name in first)


def test_only_adapter_weights_are_trained(tiny_model: Any) -> None:
    model = attach_adapter(tiny_model, LORA)
    assert all(("lora_" in name) == value.requires_grad for name, value in model.named_parameters())
    assert any("down_proj" in name for name, value in model.named_parameters() if value.requires_grad)


def test_checksums_notice_any_moved_weight(tiny_model: Any) -> None:
    model = attach_adapter(tiny_model, LORA)
    before = checksums(model)
    frozen = [value for value in model.parameters() if not value.requires_grad]
    with torch.no_grad():
        frozen[1][0, 0], frozen[1][0, 1] = frozen[1][0, 1].item(), frozen[1][0, 0].item()
    assert checksums(model) != before


def test_moved_base_weights_end_the_run(base_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import med_lora.pipelines.training.nodes as nodes

    real_fit = nodes.fit

    def careless(model: Any, *args: Any) -> Any:
        with torch.no_grad():
            next(value for value in model.parameters() if not value.requires_grad)[0, 0] += 1.0
        return real_fit(model, *args)

    monkeypatch.setattr(nodes, "fit", careless)
    with pytest.raises(RuntimeError, match="moved weights of the base"):
        train_adapter(base_model, Split(4), Split(4), PROMPT, TRAINING, CPU)


def test_unknown_target_module_names_the_nearest(tiny_model: Any) -> None:
    with pytest.raises(InputError, match=r"'q_prj'.*did you mean 'q_proj'"):
        attach_adapter(tiny_model, LORA.model_copy(update={"target_modules": ["q_prj"]}))


def test_empty_training_set_is_one_sentence(base_model: Any) -> None:
    with pytest.raises(InputError, match="training set is empty"):
        train_adapter(base_model, Split(0), Split(4), PROMPT, TRAINING, CPU)


@pytest.mark.parametrize(("overlong", "dropped"), [("truncate", 0), ("drop", 3)])
def test_history_counts_what_became_of_overlong_pairs(base_model: Any, overlong: str, dropped: int) -> None:
    train = Split(8)
    train.frame.loc[[1, 4, 6], "answer"] += (
        " It goes on and on for as long as a reader can bear, and then a little more."
    )
    longer = TRAINING.model_copy(update={"overlong": overlong, "max_length": 100})
    adapter, history = train_adapter(base_model, train, Split(4), PROMPT, longer, CPU)
    counts = history[history["step"] == 0].set_index("metric")["value"]
    assert (counts["train_pairs"], counts["train_overlong_pairs"], counts["train_dropped_pairs"]) == (8, 3, dropped)
    assert counts["validation_overlong_pairs"] == 0
    assert (counts["train_answer_tokens_cut"] > 0) == (overlong == "truncate")
    assert f"on {8 - dropped} question-answer pairs" in adapter.files["README.md"]
    assert set(history["metric"]) >= {"train_loss", "validation_loss"}


def test_overlong_pairs_stop_the_run_if_asked(base_model: Any) -> None:
    short = TRAINING.model_copy(update={"overlong": "stop", "max_length": 20})
    with pytest.raises(InputError, match=r"8 of 8 train pairs are longer than training\.max_length \(20 tokens"):
        train_adapter(base_model, Split(8), Split(4), PROMPT, short, CPU)


def test_an_adapter_trained_on_chats_is_recognised_by_its_chat_template(base_model: Any) -> None:
    from med_lora.provenance import describe_origin

    chat = PromptParams(template="chat", system="Be brief.")
    with pytest.raises(InputError, match="has no chat template"):
        train_adapter(base_model, Split(4), Split(4), chat, TRAINING, CPU)
    chatty = base_model.tokenizer()
    chatty.chat_template = "{% for turn in messages %}{{ turn.content + '<eos>' }}{% endfor %}"
    chatty.save_pretrained(base_model.source)
    adapter, history = train_adapter(base_model, Split(8), Split(4), chat, TRAINING, CPU)
    record = json.loads(adapter.files["med_lora.json"])
    assert record == describe_origin(base_model, Split(8).to_pandas(), chat)
    assert {key: record["prompt"][key] for key in ("template", "system")} == {"template": "chat", "system": "Be brief."}
    losses = history[history["metric"] == "validation_loss"]["value"]
    assert losses.iloc[-1] < losses.iloc[0]
