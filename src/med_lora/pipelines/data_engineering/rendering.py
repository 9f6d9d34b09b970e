"""The splits as text, for tools outside this project."""

from __future__ import annotations

from typing import Any

import pandas as pd

from med_lora.datasets import BaseModel
from med_lora.parameters import PromptParams
from med_lora.prompts import to_messages, to_prompt_completion


def render_pairs(train: Any, validation: Any, test: Any, prompt: PromptParams, base_model: BaseModel) -> Any:
    """Every pair as the base model will see it, in both formats of TRL.

    Args:
        train: split, a ``datasets.Dataset`` with the columns id, question and answer; so are the next two.
        validation: the next one.
        test: the last one.
        prompt: template and system text.
        base_model: its tokenizer gives chat template and end token.

    Returns:
        A ``datasets.Dataset`` in the order of the splits, with the columns id, split, instruction (the system text, or
        ""), input (the question), prompt, completion, output (the answer) and messages (lists of role and content).
    """
    from datasets import Dataset, Features, Value

    tokenizer = base_model.tokenizer()
    tables = []
    for name, split in {"train": train, "validation": validation, "test": test}.items():
        pairs = split.to_pandas()
        rendered = to_prompt_completion(pairs, prompt, tokenizer)
        messages = to_messages(pairs, prompt)["messages"].tolist()
        instructions = [turn["content"] if turn["role"] == "system" else "" for turn, *_ in messages]
        parts = {"instruction": instructions, "input": pairs["question"].tolist(), "output": pairs["answer"].tolist()}
        tables.append(rendered.assign(split=name, messages=messages, **parts))
    table = pd.concat(tables, ignore_index=True)
    text = Value("string")
    features = Features(
        {
            **dict.fromkeys(["id", "split", "instruction", "input", "prompt", "completion", "output"], text),
            "messages": [{"role": text, "content": text}],
        }
    )
    return Dataset.from_dict({name: table[name].tolist() for name in features}, features=features)
