"""What stands around a question and its answer: the named templates, a text of the user's, a chat template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.parameters.model import PROMPT_TEMPLATES

MEDLMS_INSTRUCTION = "You are a medical professional. Answer the question truthfully."

# Each template without and with a system text.
TEXTS = {
    # Taori et al. 2023, github.com/tatsu-lab/stanford_alpaca, PROMPT_DICT of train.py
    "alpaca": (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
        "\n\n### Instruction:\n{question}\n\n### Response:",
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request."
        "\n\n### Instruction:\n{system}\n\n### Input:\n{question}\n\n### Response:",
    ),
    # Touvron et al. 2023, arXiv:2307.09288; github.com/meta-llama/llama, chat_completion
    "llama2": (
        "[INST] {question} [/INST]",
        "[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{question} [/INST]",
    ),
    # Patel et al. 2024 (MedLMs), figure 1 and table 5: the columns Instruction, Input and Output
    "medlms": (
        f"Instruction: {MEDLMS_INSTRUCTION}\n\nInput: {{question}}\n\nOutput:",
        "Instruction: {system}\n\nInput: {question}\n\nOutput:",
    ),
    "plain": ("Question: {question}\nAnswer:", "{system}\n\nQuestion: {question}\nAnswer:"),
    "question": ("{question}", "{system}\n\n{question}"),
}

# Private-use characters: no chat template searches for them, strips them, or writes them itself.
_SYSTEM, _QUESTION, _ANSWER = "\ue000system\ue001", "\ue000question\ue001", "\ue000answer\ue001"
_DATE = "26 Jul 2024"  # what Llama-3.1 assumes; later templates would take today's, and no run could be repeated


@dataclass(frozen=True)
class Frame:
    """The text around the question and the answer of every pair.

    Attributes:
        before: in front of the question.
        after: between the question and the answer.
        lead: white space in front of the answer, part of the answer's tokens.
        closing: between the answer and its last token.
        end: the token that ends the answer; None for the tokenizer's EOS.
        bos: whether BOS stands in front where the tokenizer puts it there ("tokenizer"), also where it does not
            ("always"), or only if the text holds it ("text").
        strips: whether white space around question and answer is taken off.
    """

    before: str
    after: str
    lead: str = " "
    closing: str = ""
    end: str | None = None
    bos: Literal["tokenizer", "always", "text"] = "tokenizer"
    strips: bool = False

    def take(self, text: str) -> str:
        """Question or answer as the template shows it."""
        return text.strip() if self.strips else text

    def ask(self, question: str) -> str:
        """The text in front of the answer."""
        return self.before + self.take(question) + self.after

    def answer(self, answer: str, eos: str | None) -> str:
        """The text behind the prompt, closed by the template's own end of turn or else by ``eos``."""
        return self.lead + self.take(answer) + self.closing + (self.end or eos or "")


def build_frame(prompt: PromptParams, tokenizer: Any | None) -> Frame:
    """The frame of ``prompt``; ``chat`` and ``medlms`` follow the chat template of ``tokenizer``.

    ``medlms`` is the chat template with the instruction as system text ("the model's own special tokens"), and plain
    headings for a tokenizer without one.

    Raises:
        InputError: if ``chat`` is asked of a tokenizer without a chat template, or the template cannot be rendered.
    """
    name = prompt.template
    if name == "chat" or (name == "medlms" and has_chat_template(tokenizer)):
        return _build_chat_frame(prompt.system or (MEDLMS_INSTRUCTION if name == "medlms" else None), tokenizer)
    text = TEXTS[name][prompt.system is not None] if name in TEXTS else name
    # partition first: a system text may itself hold {question}
    before, after = (part.replace("{system}", prompt.system or "") for part in text.split("{question}"))
    if name == "llama2":
        return Frame(before, after, closing=" ", bos="always")
    # Stanford's Alpaca puts nothing between the colon and the answer
    touching = name == "alpaca" or after[-1:].isspace()
    return Frame(before, after, lead="" if touching else " ")


def special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Matches, as its group, every token that steers the model; words added to the vocabulary are none."""
    return _any_of(tokenizer, (token.content for token in tokenizer.added_tokens_decoder.values() if token.special))


def _any_of(tokenizer: Any, names: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted({*names, *tokenizer.all_special_tokens}, key=lambda name: (-len(name), name))
    return re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")


def has_chat_template(tokenizer: Any | None) -> bool:
    """Whether the tokenizer has a chat template that is used where none is named."""
    template = getattr(tokenizer, "chat_template", None)
    return "default" in template if isinstance(template, dict) else bool(template)


def _build_chat_frame(system: str | None, tokenizer: Any) -> Frame:
    if not has_chat_template(tokenizer):
        others = ", ".join(name for name in PROMPT_TEMPLATES if name != "chat")
        raise InputError(
            f"prompt.template is chat and the tokenizer{_name(tokenizer)} has no chat template; set it to one of "
            f"{others}, or to a text with {{question}}."
        )
    told = [] if system is None else [{"role": "system", "content": system}]
    messages = place_system([*told, {"role": "user", "content": _QUESTION}], tokenizer)
    asked = _render(tokenizer, messages, add_generation_prompt=True)
    answered = _render(tokenizer, [*messages, {"role": "assistant", "content": _ANSWER}])
    parts = re.split(f"{_QUESTION}|{_ANSWER}", answered)
    opened = asked.split(_QUESTION)
    if len(parts) != 3 or len(opened) != 2:
        raise InputError(
            f"The chat template of the tokenizer{_name(tokenizer)} does not show question and answer once each; set "
            "prompt.template to another template or to a text with {question}."
        )
    before, between, behind = parts
    # some templates open the answer only when it is there, or with an empty thought: all of that belongs to the prompt
    lead = between.removeprefix(opened[1]) if between.startswith(opened[1]) else between
    after, lead = (between, "") if lead.strip() else (opened[1], lead)
    # some tokenizers do not flag their end of turn as special
    added = (token.content for token in tokenizer.added_tokens_decoder.values())
    end = _any_of(tokenizer, added).search(behind)
    closing = behind[: end.start()] if end else behind
    return Frame(before, after, lead, closing, end.group() if end else None, bos="text", strips=True)


def place_system(messages: Sequence[dict[str, str]], tokenizer: Any) -> list[dict[str, str]]:
    """The messages, the system text in front of the first turn where the chat template has no place for one."""
    from jinja2 import TemplateError

    first, *turns = messages
    if first["role"] != "system" or not turns:
        return [*messages]
    try:
        if _SYSTEM in render_chat(tokenizer, [{"role": "system", "content": _SYSTEM}, *turns]):
            return [*messages]
    except TemplateError:  # Gemma and Mistral 7B v0.1 refuse the role
        pass
    return [{**turns[0], "content": f"{first['content']}\n\n{turns[0]['content']}"}, *turns[1:]]


def render_chat(tokenizer: Any, messages: Sequence[dict[str, str]], **options: Any) -> str:
    """A conversation in the words of the chat template, the same on every day.

    Raises:
        jinja2.TemplateError: if the template refuses the conversation.
    """
    text: str = tokenizer.apply_chat_template(messages, tokenize=False, date_string=_DATE, **options)
    return text


def _render(tokenizer: Any, messages: Sequence[dict[str, str]], **options: Any) -> str:
    from jinja2 import TemplateError

    try:
        return render_chat(tokenizer, messages, **options)
    except TemplateError as error:
        raise InputError(
            f"The chat template of the tokenizer{_name(tokenizer)} cannot be rendered ({error}); set prompt.template "
            "to another template or to a text with {question}."
        ) from error


def _name(tokenizer: Any) -> str:
    name = getattr(tokenizer, "name_or_path", "")
    return f" of {name}" if name else ""
