"""Records made for instruction tuning: Alpaca's three fields, plain pairs, and conversations."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

import pandas as pd

from med_lora.chunks import Chunks
from med_lora.pipelines.data_engineering.text import clean_text
from med_lora.pipelines.data_engineering.topics import question_topic

# OpenAI's and ShareGPT's names of the roles. A system message is the same for a whole corpus or nearly so; the prompt
# template of an experiment takes its place.
_SPEAKERS = {"user": "User", "human": "User", "assistant": "Assistant", "gpt": "Assistant", "system": ""}


def instruction_varies(records: Chunks) -> bool:
    """Whether two records that have an input differ in their instruction; reading stops at the second of them."""
    first: str | None = None
    for chunk in records:
        if not {"instruction", "input"} <= set(chunk.columns):
            continue
        for instruction in chunk.loc[chunk["input"].str.strip() != "", "instruction"].str.strip().unique():
            if first is not None and instruction != first:
                return True
            first = instruction
    return False


def parse_alpaca(records: pd.DataFrame, with_instruction: bool) -> pd.DataFrame:
    """The question is the input, or the instruction where the input is empty.

    Where one instruction stands beside every input, it says how to answer, not what is asked ("Answer this question
    truthfully"), and an experiment's prompt template has an instruction of its own. Where instructions vary
    (``with_instruction``), they hold the task: the question is the instruction, an empty line, and the input.
    """
    instructions, inputs = records["instruction"], records["input"]
    has_both = (inputs.str.strip() != "") & (instructions.str.strip() != "")
    questions = inputs.where(inputs.str.strip() != "", instructions)
    if with_instruction:
        questions = questions.where(~has_both, instructions.str.strip() + "\n\n" + inputs)
    return _with_topics(pd.DataFrame({"question": questions, "answer": records["output"]}))


def parse_pairs(records: pd.DataFrame) -> pd.DataFrame:
    """Questions and answers as they are, with the ids, documents, topics and question types that the file has."""
    pairs = records[["id", "document", "focus", "question_type", "question", "answer"]]
    unnamed = (pairs["focus"] == "") & (pairs["question_type"] == "")
    return pd.concat([pairs[~unnamed], _with_topics(pairs[unnamed])]).loc[records.index]


def parse_messages(records: pd.DataFrame) -> pd.DataFrame:
    """The answer is the last message of the assistant, the question what was said before it.

    Of one exchange the question is the user's message alone; of several it is the whole conversation before the answer,
    each turn behind ``User:`` or ``Assistant:``. System messages and what a user says after the answer are left out.
    """
    exchanges = [_last_exchange(messages) for messages in records["messages"]]
    pairs = pd.DataFrame(
        {
            "question": [question for question, _ in exchanges],
            "answer": [answer for _, answer in exchanges],
            "fault": ["" if question else "not_in_layout" for question, _ in exchanges],
        },
        index=records.index,
        dtype="str",
    )
    return _with_topics(pairs)


def _with_topics(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs with focus and question type where the wording of the question gives them away."""
    topics = [question_topic(clean_text(question)) for question in pairs["question"]]
    return pairs.assign(focus=[focus for focus, _ in topics], question_type=[kind for _, kind in topics])


def _last_exchange(messages: str) -> tuple[str, str]:
    """Question and answer of a conversation, ("", "") where it has none."""
    said = _turns(messages)
    while said and said[-1][0] == "User":
        said.pop()
    if len(said) < 2:
        return "", ""
    answer = said.pop()[1]
    if len(said) == 1:
        return said[0][1], answer
    return "\n".join(f"{speaker}: {content}" for speaker, content in said), answer


def _turns(messages: str) -> list[tuple[str, str]]:
    """Speaker and words of each turn; consecutive messages of one speaker are one turn. [] if it is no conversation."""
    try:
        listed: Any = json.loads(messages)
    except (ValueError, RecursionError):
        return []
    if not isinstance(listed, list) or not all(isinstance(message, dict) for message in listed):
        return []
    said: list[tuple[str, str]] = []
    for message in listed:
        role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
        if not isinstance(role, str) or role not in _SPEAKERS or not isinstance(content, str):
            return []
        said.append((_SPEAKERS[role], content))
    turns = groupby((turn for turn in said if turn[0]), key=lambda turn: turn[0])
    return [(speaker, "\n".join(content for _, content in messages)) for speaker, messages in turns]
