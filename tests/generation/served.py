"""A scripted server that counts tokens, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from med_lora.parameters import EvaluationParams, PromptParams
from tests import recipes
from tests.llm.server import MODEL, ChatHandler, ChatServer, Handler, endpoint, text_completion

QUESTIONS = ("What is gout?", "Why?", "How is asthma found in small children?", "What treats a dry cough?", "Is it?")
PLAIN = PromptParams(template="plain", system=None)
VLLM = {"/v1/models": {"data": [{"id": MODEL, "owned_by": "vllm"}]}, "/version": {"version": "0.32.0"}}


@dataclass(frozen=True)
class Table:
    frame: pd.DataFrame

    def to_pandas(self) -> pd.DataFrame:
        return self.frame.copy()


def split(*questions: str) -> Table:
    ids = [f"corpus:{number}" for number in range(len(questions))]
    return Table(pd.DataFrame({"id": ids, "question": questions, "answer": "An answer."}))


def served(server: ChatServer, decoding: dict[str, Any] | None = None, **changes: Any) -> EvaluationParams:
    arm = endpoint(server.base_url, **({"retries": 0} | changes))
    return recipes.evaluation(
        engine="openai", endpoints={"base": arm, "tuned": arm}, decoding=recipes.decoding(**(decoding or {}))
    )


def reading(tokenizer: Any, text: str | None = None, **changes: Any) -> Handler:
    """Answers ``text``, or the length of the prompt, and counts tokens as a server with this tokenizer does."""

    def play(handler: ChatHandler) -> None:
        prompt = handler.asked["prompt"]
        tokens = len(tokenizer(prompt)["input_ids"] if isinstance(prompt, str) else prompt)
        handler.reply(text_completion(f" {tokens} tokens" if text is None else text, tokens, **changes))

    return play
