"""Adapters are attached to the base model they were trained on, and to no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.pipelines.evaluation.origin import check_adapter
from med_lora.provenance import describe_origin

from .conftest import Table, write_record

HUB = BaseModel(source="org/model", revision="a" * 40, sha256=None)
LOCAL = BaseModel(source="models/tiny", revision=None, sha256="b" * 64)


@pytest.fixture(autouse=True)
def hub_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub is out of reach: its tokenizers are told apart by their names."""
    monkeypatch.setattr("med_lora.datasets.base_model._hash_tokenizer", lambda source, revision: source + revision)


@pytest.mark.parametrize(
    ("trained_on", "asked"),
    [
        (HUB, HUB),
        (LOCAL, LOCAL),
        (LOCAL, replace(LOCAL, source="elsewhere/tiny")),  # a moved folder is the same model
    ],
)
def test_adapter_of_the_same_origin_is_accepted(
    trained_on: BaseModel, asked: BaseModel, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    write_record(tmp_path, describe_origin(trained_on, train_split.to_pandas(), prompt))
    adapter = PretrainedFolder(tmp_path, "")
    assert check_adapter(adapter, asked, train_split, prompt) is adapter


@pytest.mark.parametrize(
    ("trained_on", "asked"),
    [
        (LOCAL, replace(LOCAL, sha256="c" * 64)),
        (HUB, replace(HUB, revision="c" * 40)),
        (HUB, replace(HUB, source="org/other")),
        (HUB, LOCAL),
        (LOCAL, HUB),
        (replace(LOCAL, source=HUB.source), HUB),
    ],
)
def test_adapter_of_another_base_is_refused(
    trained_on: BaseModel, asked: BaseModel, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    write_record(tmp_path, describe_origin(trained_on, train_split.to_pandas(), prompt))
    with pytest.raises(InputError, match="was trained on"):
        check_adapter(PretrainedFolder(tmp_path, ""), asked, train_split, prompt)


@pytest.mark.parametrize("given", ["0" * 64, None])
def test_adapter_of_another_or_no_known_tokenizer_is_refused(
    given: str | None, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    record = describe_origin(LOCAL, train_split.to_pandas(), prompt) | {"tokenizer_sha256": given}
    write_record(tmp_path, {key: value for key, value in record.items() if value is not None})
    message = "was trained with another tokenizer" if given else "does not tell the adapter's origin; train it again"
    with pytest.raises(InputError, match=message):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


@pytest.mark.parametrize("column", ["id", "question", "answer"])
def test_adapter_of_other_training_pairs_is_refused(
    column: str, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    changed = train_split.to_pandas()
    changed.loc[1, column] += "x"
    write_record(tmp_path, describe_origin(LOCAL, changed, prompt))
    with pytest.raises(InputError, match="test pairs may be among them"):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


def test_the_order_of_the_training_pairs_is_no_difference(
    train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    write_record(tmp_path, describe_origin(LOCAL, train_split.to_pandas().iloc[::-1], prompt))
    check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"template": "Q: {question}"}, r"another prompt\.template, 'Q: \{question\}'"),
        ({"system": "Be brief."}, r"another prompt\.system, 'Be brief\.'"),
    ],
)
def test_adapter_of_another_prompt_is_refused(
    changed: dict[str, str], key: str, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    other = prompt.model_copy(update=changed)
    write_record(tmp_path, describe_origin(LOCAL, train_split.to_pandas(), other))
    with pytest.raises(InputError, match=key):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


def test_adapter_of_another_wording_of_the_template_is_refused(
    train_split: Table, prompt: PromptParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from med_lora.prompts.templates import TEXTS

    with monkeypatch.context() as patch:
        patch.setitem(TEXTS, "plain", ("Q: {question}\nA:", "{system} Q: {question}\nA:"))
        write_record(tmp_path, describe_origin(LOCAL, train_split.to_pandas(), prompt))
    with pytest.raises(InputError, match=r"prompt\.template 'plain' had another wording"):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)


def test_the_chat_template_of_the_base_model_is_part_of_the_origin(
    base_model: BaseModel, train_split: Table, tmp_path: Path
) -> None:
    def describe(chat_template: str) -> str:
        tokenizer = base_model.tokenizer()
        tokenizer.chat_template = chat_template
        folder = tmp_path / str(len(chat_template))
        tokenizer.save_pretrained(folder)
        model = replace(base_model, source=str(folder))
        origin = describe_origin(model, train_split.to_pandas(), PromptParams(template="chat", system=None))
        return str(origin["prompt"]["sha256"])

    turns = "{% for turn in messages %}<turn>{{ turn.content }}{% endfor %}"
    assert describe(turns) == describe(turns) != describe(f"{turns} ")


@pytest.mark.parametrize("content", [None, "{", "[]", "{}", '{"base_model": null}', '{"base_model": {"source": "x"}}'])
def test_adapter_of_unknown_origin_is_refused(
    content: str | None, train_split: Table, prompt: PromptParams, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "med_lora.json").write_text(content)
    with pytest.raises(InputError, match=r"med_lora\.json (is missing|does not tell)"):
        check_adapter(PretrainedFolder(tmp_path, ""), LOCAL, train_split, prompt)
