"""The one renderer: how a question and its answer become text and tokens.

Training, evaluation and serving call these functions and nothing else, so that a model is asked in exactly the words
it was trained on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IGNORED_LABEL = -100  # the index torch's cross-entropy skips


@dataclass(frozen=True)
class Tokenised:
    """One pair as tokens.

    Attributes:
        prompt_ids: prompt tokens, beginning with BOS where the tokenizer adds one.
        answer_ids: answer tokens, ending with EOS unless the answer was cut.
        prompt_cut: tokens dropped from the beginning of the prompt.
        answer_cut: tokens dropped from the end of the answer, EOS included.
    """

    prompt_ids: list[int]
    answer_ids: list[int]
    prompt_cut: int
    answer_cut: int

    @property
    def input_ids(self) -> list[int]:
        return self.prompt_ids + self.answer_ids

    @property
    def labels(self) -> list[int]:
        """Token ids where the loss counts (the answer), -100 where it does not (the prompt)."""
        return [IGNORED_LABEL] * len(self.prompt_ids) + self.answer_ids


def render_prompt(question: str, template: str) -> str:
    """The text in front of the answer; ``template`` holds ``{question}`` once."""
    # replace, not format: a template or a question may hold other braces
    return template.replace("{question}", question)


def tokenise_prompt(question: str, template: str, tokenizer: Any, max_tokens: int) -> tuple[list[int], int]:
    """Prompt tokens and the number cut from their beginning.

    A prompt longer than ``max_tokens`` loses its beginning, never its end: the cue for the answer stands there.
    """
    ids: list[int] = tokenizer(render_prompt(question, template), verbose=False)["input_ids"]
    if tokenizer.eos_token_id is not None and ids and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]  # some tokenizers close every text; the answer has yet to come
    cut = max(0, len(ids) - max_tokens)
    return ids[cut:], cut


def tokenise_pair(question: str, answer: str, template: str, tokenizer: Any, max_length: int) -> Tokenised:
    """Tokens of a pair, at most ``max_length`` of them; at least one is an answer token.

    Prompt and answer are tokenised apart, so that the prompt's tokens are the same with and without an answer.
    """
    prompt_ids, prompt_cut = tokenise_prompt(question, template, tokenizer, max_length - 1)
    answer_ids = tokenizer(" " + answer, add_special_tokens=False, verbose=False)["input_ids"] + [
        tokenizer.eos_token_id
    ]
    room = max_length - len(prompt_ids)
    return Tokenised(prompt_ids, answer_ids[:room], prompt_cut, max(0, len(answer_ids) - room))


def context_length(model: Any) -> int | None:
    """Positions the model was built for, or None where its configuration sets no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)
