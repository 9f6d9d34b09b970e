from __future__ import annotations

from typing import Any

import pytest
from datasets import Dataset

from med_lora.parameters import PromptParams
from med_lora.pipelines.data_engineering.rendering import render_pairs


class Handle:
    """A base model of which only the tokenizer is asked."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = lambda: tokenizer


def split(*names: str) -> Dataset:
    return Dataset.from_dict(
        {"id": list(names), "question": [f"{name}?" for name in names], "answer": [f"{name}!" for name in names]}
    )


@pytest.mark.parametrize(
    ("prompt", "instruction", "text", "roles"),
    [
        (PromptParams(template="plain", system=None), "", "Question: a?\nAnswer:", ["user", "assistant"]),
        (
            PromptParams(template="{system} Q: {question} A:", system="Be brief."),
            "Be brief.",
            "Be brief. Q: a? A:",
            ["system", "user", "assistant"],
        ),
    ],
)
def test_every_split_is_rendered_in_all_formats(
    tokenizer: Any, prompt: PromptParams, instruction: str, text: str, roles: list[str]
) -> None:
    rendered = render_pairs(split("a", "b"), split("c"), split("d"), prompt, Handle(tokenizer))  # type: ignore[arg-type]
    assert rendered["split"] == ["train", "train", "validation", "test"]
    assert rendered["id"] == ["a", "b", "c", "d"]
    first = rendered[0]
    assert (first["instruction"], first["input"], first["prompt"]) == (instruction, "a?", text)
    assert (first["completion"], first["output"]) == (" a!<eos>", "a!")
    assert [turn["role"] for turn in first["messages"]] == roles
    assert [turn["content"] for turn in first["messages"]][-2:] == ["a?", "a!"]


def test_a_split_without_pairs_is_rendered_as_none(tokenizer: Any) -> None:
    prompt = PromptParams(template="plain", system=None)
    rendered = render_pairs(split("a"), split(), split("d"), prompt, Handle(tokenizer))  # type: ignore[arg-type]
    assert rendered["id"] == ["a", "d"]
