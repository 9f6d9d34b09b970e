"""Pairs in the two formats that other trainers read."""

from __future__ import annotations

import pandas as pd
import pytest

from med_lora.parameters import PromptParams
from med_lora.parameters.model import PROMPT_TEMPLATES
from med_lora.prompts import PairTokeniser, to_messages, to_prompt_completion

from .families import FAMILIES, LLAMA2_CHAT, family

PAIRS = pd.DataFrame(
    {
        "id": ["a:1", "a:0"],
        "question": ["What is gout?", "Why?"],
        "answer": ["A painful arthritis.", "Nobody knows."],
        "group": [3, 4],
    }
)
CASES = [(name, template) for name in FAMILIES for template in PROMPT_TEMPLATES if (name, template) != ("gpt2", "chat")]


@pytest.mark.parametrize(("name", "template"), CASES)
def test_prompts_tokenised_as_usual_hold_the_same_special_tokens(name: str, template: str) -> None:
    tokenizer, prompt = family(name), PromptParams(template=template, system=None)
    rows = to_prompt_completion(PAIRS, prompt, tokenizer)
    assert list(rows.columns) == ["id", "prompt", "completion"]
    assert list(rows["id"]) == ["a:1", "a:0"]
    tokeniser = PairTokeniser(prompt, tokenizer)
    for row, question, answer in zip(rows.itertuples(), PAIRS["question"], PAIRS["answer"], strict=True):
        pair = tokeniser.pairs([question], [answer], 10_000)[0]
        asked = tokenizer(row.prompt)["input_ids"]
        answered = tokenizer(row.completion, add_special_tokens=False)["input_ids"]
        specials = {place for place, token in tokenizer.added_tokens_decoder.items() if token.special}
        assert [token for token in asked if token in specials] == [
            token for token in pair.prompt_ids if token in specials
        ]
        assert answered[-1] == pair.answer_ids[-1]
        assert answer in row.completion


def test_llama2_text_brings_bos_where_the_tokenizer_adds_none() -> None:
    from transformers import LlamaTokenizer

    bare = LlamaTokenizer(
        vocab=family("llama2").get_vocab(), merges=family("llama2")._merges, chat_template=LLAMA2_CHAT
    )
    rows = to_prompt_completion(PAIRS, PromptParams(template="llama2", system=None), bare)
    assert rows["prompt"][0] == "<s>[INST] What is gout? [/INST]"
    assert rows["completion"][0] == " A painful arthritis. </s>"


def test_messages_of_a_split() -> None:
    rows = to_messages(PAIRS, PromptParams(template="chat", system="Be brief."))
    assert list(rows.columns) == ["id", "messages"]
    assert rows["messages"][1] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "Nobody knows."},
    ]
