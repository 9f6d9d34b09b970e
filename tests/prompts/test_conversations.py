"""Conversations as tokens, for a model that is asked by chat."""

from __future__ import annotations

import pytest

from med_lora.errors import InputError
from med_lora.prompts import tokenise_messages

from .families import family, gpt2, llama3

ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is gout?"}]
EARLIER = [*ASKED, {"role": "assistant", "content": "A disease."}, {"role": "user", "content": "Of what?"}]


@pytest.mark.parametrize("name", ["llama2", "llama3", "llama31"])
@pytest.mark.parametrize("messages", [ASKED, ASKED[1:], EARLIER])
def test_tokens_are_those_of_the_chat_template(name: str, messages: list[dict[str, str]]) -> None:
    tokenizer = family(name)
    options = {"add_generation_prompt": True, "date_string": "26 Jul 2024"}
    assert tokenise_messages(messages, tokenizer) == tokenizer.apply_chat_template(messages, **options)["input_ids"]


@pytest.mark.parametrize("name", ["mistral", "gemma"])
def test_a_system_text_that_is_refused_stands_in_front_of_the_first_question(name: str) -> None:
    joined = [{"role": "user", "content": "Be brief.\n\nWhat is gout?"}]
    for others in ([], EARLIER[2:]):
        expected = tokenise_messages([*joined, *others], family(name))
        assert tokenise_messages([*ASKED, *others], family(name)) == expected


def test_a_system_text_that_is_left_out_is_not_taken_for_shown_by_the_same_words_elsewhere() -> None:
    deaf = llama3()
    deaf.chat_template = "{% for turn in messages if turn.role != 'system' %}{{ turn.content }}{% endfor %}"
    messages = [{"role": "system", "content": "gout"}, ASKED[1]]
    assert deaf.decode(tokenise_messages(messages, deaf)) == "gout\n\nWhat is gout?"


def test_without_a_chat_template_the_messages_stand_one_below_the_other() -> None:
    tokenizer = gpt2()
    assert tokenizer.decode(tokenise_messages(ASKED, tokenizer)) == "Be brief.\n\nWhat is gout?\n\n"


def test_an_end_that_the_tokenizer_adds_is_not_part_of_the_question() -> None:
    from tokenizers import processors

    closing = llama3()
    closing.chat_template = None
    begin, end = closing.bos_token, closing.eos_token
    closing.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", special_tokens=[(begin, closing.bos_token_id), (end, closing.eos_token_id)]
    )
    ids = tokenise_messages(ASKED, closing)
    assert ids[0] == closing.bos_token_id
    assert closing.eos_token_id not in ids


def test_a_template_that_refuses_the_conversation_is_one_sentence() -> None:
    refusing = llama3()
    refusing.chat_template = "{{ raise_exception('no chats here') }}"
    with pytest.raises(InputError, match=r"refuses the conversation \(no chats here\); choose another model") as caught:
        tokenise_messages(ASKED, refusing)
    assert "\n" not in str(caught.value)
