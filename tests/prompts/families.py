"""The families' tokenizers with vocabularies of two sentences, since the hub's may not be at hand."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

from med_lora.rehearsal.chat_templates import LLAMA2_CHAT
from med_lora.rehearsal.tokenizers import TOKENIZERS, Vocabulary

__all__ = ["FAMILIES", "LLAMA2_CHAT", "TEXT", "family", "gpt2", "llama2_chat", "llama3", "llama31"]

TEXT = [
    "Question: What is gout? Answer: A painful arthritis of the toe. Instruction, Input and Output of a response",
    "Be brief. You are a medical professional. Below is an instruction that describes a task. Write a response.",
] * 3
# each call makes a new one
FAMILIES = {
    name: partial(TOKENIZERS[name], Vocabulary(TEXT, size=700))
    for name in ("gpt2", "llama2", "llama3", "llama31", "mistral", "gemma")
}
gpt2, llama2_chat, llama3, llama31 = (FAMILIES[name] for name in ("gpt2", "llama2", "llama3", "llama31"))


@cache
def family(name: str) -> Any:
    """The tokenizer of a family; made once, so a test that changes it makes its own."""
    return FAMILIES[name]()
