"""The frozen words of every template, with every family's special tokens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.parameters.model import PROMPT_TEMPLATES
from med_lora.prompts import (
    PairTokeniser,
    hash_rendering,
    render_completion,
    render_messages,
    render_prompt,
)
from med_lora.prompts.templates import TEXTS

from .families import FAMILIES, family, gpt2, llama3, llama31

QUESTION, ANSWER, SYSTEM = "What is gout?", "A painful arthritis.", "Be brief."
ALPACA = "Below is an instruction that describes a task"
RESPONSE = "rite a response that appropriately completes the request.\n\n### Instruction:\n"
DECODED = json.loads(Path(__file__).with_name("decoded.json").read_text(encoding="utf-8"))

# (template, system text): text in front of the answer, and the answer without its last token
TEXT_TEMPLATES = {
    ("plain", None): ("Question: What is gout?\nAnswer:", " A painful arthritis."),
    ("plain", SYSTEM): ("Be brief.\n\nQuestion: What is gout?\nAnswer:", " A painful arthritis."),
    ("question", None): ("What is gout?", " A painful arthritis."),
    ("question", SYSTEM): ("Be brief.\n\nWhat is gout?", " A painful arthritis."),
    ("alpaca", None): (f"{ALPACA}. W{RESPONSE}What is gout?\n\n### Response:", "A painful arthritis."),
    ("alpaca", SYSTEM): (
        f"{ALPACA}, paired with an input that provides further context. W{RESPONSE}Be brief.\n\n### Input:\n"
        "What is gout?\n\n### Response:",
        "A painful arthritis.",
    ),
    ("llama2", None): ("[INST] What is gout? [/INST]", " A painful arthritis. "),
    ("llama2", SYSTEM): ("[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWhat is gout? [/INST]", " A painful arthritis. "),
    ("medlms", None): (
        "Instruction: You are a medical professional. Answer the question truthfully.\n\n"
        "Input: What is gout?\n\nOutput:",
        " A painful arthritis.",
    ),
    ("medlms", SYSTEM): ("Instruction: Be brief.\n\nInput: What is gout?\n\nOutput:", " A painful arthritis."),
    ("Q: {question}\n\nA:\n", None): ("Q: What is gout?\n\nA:\n", "A painful arthritis."),
    ("{system} {x} {question}", SYSTEM): ("Be brief. {x} What is gout?", " A painful arthritis."),
}

USER, MODEL = "<|start_header_id|>user<|end_header_id|>\n\n", "<|start_header_id|>assistant<|end_header_id|>\n\n"
DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
# family: the chat without and with a system text, and the completion
CHATS = {
    "llama2": (
        "<s>[INST] What is gout? [/INST]",
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWhat is gout? [/INST]",
        " A painful arthritis. </s>",
    ),
    "llama3": (
        f"<|begin_of_text|>{USER}What is gout?<|eot_id|>{MODEL}",
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        f"{USER}What is gout?<|eot_id|>{MODEL}",
        "A painful arthritis.<|eot_id|>",
    ),
    "llama31": (
        f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{DATES}<|eot_id|>"
        f"{USER}What is gout?<|eot_id|>{MODEL}",
        f"<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n{DATES}Be brief.<|eot_id|>"
        f"{USER}What is gout?<|eot_id|>{MODEL}",
        "A painful arthritis.<|eot_id|>",
    ),
    "mistral": (
        "<s>[INST] What is gout? [/INST]",
        "<s>[INST] Be brief.\n\nWhat is gout? [/INST]",  # the template refuses the system role
        "A painful arthritis.</s>",
    ),
    "gemma": (
        "<bos><start_of_turn>user\nWhat is gout?<end_of_turn>\n<start_of_turn>model\n",
        "<bos><start_of_turn>user\nBe brief.\n\nWhat is gout?<end_of_turn>\n<start_of_turn>model\n",  # as Mistral's
        "A painful arthritis.<end_of_turn>",
    ),
}


@pytest.mark.parametrize(("template", "system"), TEXT_TEMPLATES)
def test_text_templates_are_these_words(template: str, system: str | None) -> None:
    prompt = PromptParams(template=template, system=system)
    rendered = render_prompt(QUESTION, prompt), render_completion(ANSWER, prompt)
    assert rendered == TEXT_TEMPLATES[template, system]


def test_every_named_template_is_pinned() -> None:
    assert {*TEXTS, "chat"} == set(PROMPT_TEMPLATES)
    assert set(TEXTS) < {name for name, _ in TEXT_TEMPLATES}
    assert set(DECODED["llama2"]) == set(PROMPT_TEMPLATES)


def test_the_default_is_the_plain_question_and_answer(root: Path) -> None:
    values = yaml.safe_load((root / "conf" / "base" / "parameters.yml").read_text(encoding="utf-8"))["prompt"]
    assert render_prompt("{question}", PromptParams.model_validate(values)) == "Question: {question}\nAnswer:"


@pytest.mark.parametrize("name", CHATS)
def test_chat_is_the_documented_format_of_the_family(name: str) -> None:
    plain, with_system, completion = CHATS[name]
    for system, expected in ((None, plain), (SYSTEM, with_system)):
        prompt = PromptParams(template="chat", system=system)
        assert render_prompt(QUESTION, prompt, family(name)) == expected
        assert render_completion(ANSWER, prompt, family(name)) == completion


@pytest.mark.parametrize("name", CHATS)
def test_medlms_is_the_chat_with_its_instruction_where_there_is_one(name: str) -> None:
    instruction = "You are a medical professional. Answer the question truthfully."
    chat = PromptParams(template="chat", system=instruction)
    medlms = PromptParams(template="medlms", system=None)
    assert render_prompt(QUESTION, medlms, family(name)) == render_prompt(QUESTION, chat, family(name))


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_spell_the_frozen_text(name: str) -> None:
    tokenizer, decoded = family(name), {}
    for template in PROMPT_TEMPLATES:
        for system in (None, SYSTEM):
            if template == "chat" and tokenizer.chat_template is None:
                continue
            pair = PairTokeniser(PromptParams(template=template, system=system), tokenizer).pairs(
                [QUESTION], [ANSWER], 10_000
            )[0]
            parts = [tokenizer.decode(pair.prompt_ids), tokenizer.decode(pair.answer_ids)]
            decoded.setdefault(template, []).append(parts)
    assert decoded == DECODED[name]


def test_chat_needs_a_chat_template_and_says_what_else_works() -> None:
    chat = PromptParams(template="chat", system=None)
    for tokenizer in (gpt2(), None):
        with pytest.raises(InputError, match=r"has no chat template.* alpaca, llama2, medlms, plain, question, or"):
            render_prompt(QUESTION, chat, tokenizer)


def use(template: str) -> Any:
    tokenizer = llama3()
    tokenizer.chat_template = template
    return tokenizer


TURNS = "{% for turn in messages %}{{ '<' + turn.role + '>' + turn.content + '<|eot_id|>' }}{% endfor %}"


def test_a_system_text_that_the_template_leaves_out_stands_in_front_of_the_question() -> None:
    deaf = use("{% for turn in messages if turn.role != 'system' %}{{ turn.content + '<|eot_id|>' }}{% endfor %}")
    assert render_prompt(QUESTION, PromptParams(template="chat", system=SYSTEM), deaf) == (
        "Be brief.\n\nWhat is gout?<|eot_id|>"
    )


def test_a_template_that_opens_the_answer_only_with_the_answer_opens_the_prompt_too() -> None:
    chat = PromptParams(template="chat", system=None)
    assert render_prompt(QUESTION, chat, use(TURNS)) == "<user>What is gout?<|eot_id|><assistant>"
    assert render_completion(ANSWER, chat, use(TURNS)) == "A painful arthritis.<|eot_id|>"


def test_an_empty_thought_in_front_of_the_answer_belongs_to_the_prompt() -> None:
    thinking = use(
        "{% for turn in messages %}{{ '<' + turn.role + '>' }}{{ '<think></think>\\n' if turn.role == 'assistant' }}"
        "{{ turn.content + '<|eot_id|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
    )
    chat = PromptParams(template="chat", system=None)
    assert render_prompt(QUESTION, chat, thinking).endswith("<assistant><think></think>\n")
    assert render_completion(ANSWER, chat, thinking) == "A painful arthritis.<|eot_id|>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ messages[0].content }}", "does not show question and answer once each"),
        (TURNS * 2, "does not show question and answer once each"),
        ("{{ raise_exception('no chats here') }}", r"cannot be rendered \(no chats here\)"),
    ],
)
def test_a_chat_template_without_place_for_the_pair_is_one_sentence(template: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        render_prompt(QUESTION, PromptParams(template="chat", system=None), use(template))
    assert "\n" not in str(caught.value)


def test_no_prompt_depends_on_the_day() -> None:
    rendered = render_prompt(QUESTION, PromptParams(template="chat", system=None), llama31())
    assert "Today Date: 26 Jul 2024" in rendered


def test_a_system_text_is_never_filled_in() -> None:
    odd = PromptParams(template="{system} {question}", system="Say {question} or {system}.")
    assert render_prompt("why {system}?", odd) == "Say {question} or {system}. why {system}?"


def test_messages_hold_the_words_and_no_template() -> None:
    assert render_messages("q", None, PromptParams(template="alpaca", system=None)) == [
        {"role": "user", "content": "q"}
    ]
    assert render_messages("q", "a", PromptParams(template="chat", system="s")) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]
    medlms = render_messages("q", "a", PromptParams(template="medlms", system=None))
    assert medlms[0] == {"role": "system", "content": "You are a medical professional. Answer the question truthfully."}


def test_the_hash_changes_with_every_part_of_the_rendering() -> None:
    prompts = [
        PromptParams(template=template, system=system)
        for template in ("plain", "alpaca", "chat")
        for system in (None, SYSTEM)
    ]
    hashes = [hash_rendering(prompt, family("llama3")) for prompt in prompts]
    hashes += [hash_rendering(prompts[-1], family(name)) for name in ("llama31", "gemma")]
    assert len(set(hashes)) == len(hashes)
    assert hash_rendering(prompts[0], family("llama3")) == hashes[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"template": "alpacca", "system": None}, "one of alpaca, chat, llama2, medlms, plain, question, or a text"),
        ({"template": "{question}{question}", "system": None}, "exactly once"),
        ({"template": "{system} {question}", "system": None}, "and only then"),
        ({"template": "Q: {question}", "system": "Be brief."}, "and only then"),
        ({"template": "plain", "system": ""}, "at least 1 character"),
    ],
)
def test_a_template_is_a_name_or_a_text_with_its_placeholders(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PromptParams.model_validate(values)
