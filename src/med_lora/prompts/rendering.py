"""Pairs as text: prompts and completions, chat messages, and the two formats other trainers read."""

from __future__ import annotations

import hashlib
from typing import Any

import pandas as pd

from med_lora.parameters import PromptParams
from med_lora.prompts.templates import MEDLMS_INSTRUCTION, build_frame
from med_lora.prompts.tokens import opening_tokens


def render_prompt(question: str, prompt: PromptParams, tokenizer: Any | None = None) -> str:
    """The text in front of the answer, without the special tokens that the tokenizer adds itself.

    ``tokenizer`` matters for ``chat`` and ``medlms`` alone, whose text follows its chat template.

    Raises:
        InputError: if ``chat`` is asked and there is no chat template.
    """
    return build_frame(prompt, tokenizer).ask(question)


def render_completion(answer: str, prompt: PromptParams, tokenizer: Any | None = None) -> str:
    """The text behind the prompt, with the token that ends it where ``tokenizer`` is given and has one."""
    return build_frame(prompt, tokenizer).answer(answer, getattr(tokenizer, "eos_token", None))


def render_messages(question: str, answer: str | None, prompt: PromptParams) -> list[dict[str, str]]:
    """A pair as chat messages (role, content): system where there is a system text, user, assistant unless None.

    Messages carry the words alone and no template: whoever reads them applies the chat template of their model.
    """
    system = prompt.system or (MEDLMS_INSTRUCTION if prompt.template == "medlms" else None)
    contents = [("system", system), ("user", question), ("assistant", answer)]
    return [{"role": role, "content": content} for role, content in contents if content is not None]


def to_prompt_completion(pairs: pd.DataFrame, prompt: PromptParams, tokenizer: Any) -> pd.DataFrame:
    """Pairs in the prompt-completion format of TRL: columns id, prompt, completion.

    BOS stands in the text only if the tokenizer would not put it there, so that tokenising the text as usual gives it
    once. Text cannot tell a special token from the same letters in a question: :class:`PairTokeniser` can.

    Args:
        pairs: columns id, question, answer.
        prompt: the template.
        tokenizer: of the model that will be trained.

    Raises:
        InputError: if ``chat`` is asked and there is no chat template.
    """
    frame, bos = build_frame(prompt, tokenizer), tokenizer.bos_token or ""
    adds_bos = bool(bos) and tokenizer.bos_token_id in opening_tokens(tokenizer)
    own_bos = "" if adds_bos or frame.bos != "always" or bos == tokenizer.eos_token else bos

    def render(question: str) -> str:
        text = frame.ask(question)
        return text.removeprefix(bos) if adds_bos else own_bos + text

    return pd.DataFrame(
        {
            "id": list(pairs["id"]),
            "prompt": [render(question) for question in pairs["question"]],
            "completion": [frame.answer(answer, tokenizer.eos_token) for answer in pairs["answer"]],
        }
    )


def to_messages(pairs: pd.DataFrame, prompt: PromptParams) -> pd.DataFrame:
    """Pairs in the conversational format of TRL: columns id and messages (lists of role and content).

    Args:
        pairs: columns id, question, answer.
        prompt: its system text is the first message; its template is not used.
    """
    rows = zip(pairs["question"], pairs["answer"], strict=True)
    messages = [render_messages(question, answer, prompt) for question, answer in rows]
    return pd.DataFrame({"id": list(pairs["id"]), "messages": messages})


def hash_rendering(prompt: PromptParams, tokenizer: Any | None) -> str:
    """SHA-256 of a pair rendered by ``prompt``: it changes with the wording of a named or a chat template."""
    text = render_prompt("question", prompt, tokenizer) + "\0" + render_completion("answer", prompt, tokenizer)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
