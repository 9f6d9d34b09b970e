"""The one prompt module: how a question and its answer become text and tokens.

Training, evaluation and exports call these functions and nothing else, so that a model is asked in exactly the words
it was trained on. A model of this machine that is asked to write pairs gets its conversations from here too.
"""

from __future__ import annotations

from med_lora.prompts.rendering import (
    hash_rendering,
    render_completion,
    render_messages,
    render_prompt,
    to_messages,
    to_prompt_completion,
)
from med_lora.prompts.tokens import (
    IGNORED_LABEL,
    PairTokeniser,
    Tokenised,
    context_length,
    end_tokens,
    tokenise_messages,
)

__all__ = [
    "IGNORED_LABEL",
    "PairTokeniser",
    "Tokenised",
    "context_length",
    "end_tokens",
    "hash_rendering",
    "render_completion",
    "render_messages",
    "render_prompt",
    "to_messages",
    "to_prompt_completion",
    "tokenise_messages",
]
