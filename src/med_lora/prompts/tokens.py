"""Pairs as tokens: what a model is trained on and asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from med_lora.errors import InputError
from med_lora.parameters import PromptParams
from med_lora.prompts.templates import (
    Frame,
    build_frame,
    has_chat_template,
    place_system,
    render_chat,
    special_tokens,
)

IGNORED_LABEL = -100  # the index torch's cross-entropy skips


@dataclass(frozen=True)
class Tokenised:
    """One pair as tokens.

    Attributes:
        prompt_ids: prompt tokens, beginning with BOS where the tokenizer or the template adds one.
        answer_ids: answer tokens, ending with EOS or the template's end of turn unless the answer was cut.
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

    @property
    def is_cut(self) -> bool:
        """Whether the whole pair is longer than the limit it was tokenised to."""
        return self.prompt_cut > 0 or self.answer_cut > 0


class PairTokeniser:
    """Makes tokens of questions and answers by one prompt and one tokenizer.

    Special tokens come from the template alone. A question or an answer that spells one ("</s>", "<|eot_id|>") is
    tokenised as these letters.

    Attributes:
        end_id: the token that ends an answer: the template's end of turn, else EOS; None if there is neither.
    """

    def __init__(self, prompt: PromptParams, tokenizer: Any) -> None:
        """Render the template once.

        Raises:
            InputError: if ``chat`` is asked of a tokenizer without a chat template.
        """
        self._tokenizer = tokenizer
        self._frame = build_frame(prompt, tokenizer)
        self._special = special_tokens(tokenizer)
        self._opening = _open(self._frame, tokenizer)
        # a tokenizer that puts a space in front of every text would double this one
        self._lead = "" if self._frame.lead == " " and _adds_space(tokenizer) else self._frame.lead
        end = self._frame.end
        self.end_id: int | None = tokenizer.eos_token_id if end is None else tokenizer.convert_tokens_to_ids(end)

    def prompts(self, questions: Sequence[str], max_tokens: int) -> list[tuple[list[int], int]]:
        """For each question the prompt tokens, at most ``max_tokens`` of them, and the number cut from the beginning.

        A longer prompt loses its beginning, BOS aside, and never its end: the cue for the answer stands there.
        """
        prompts = []
        for encoded in self._encode(self._frame.before, questions, self._frame.after):
            ids = self._opening + encoded
            cut = max(0, len(ids) - max_tokens)
            kept = 1 if cut and max_tokens > 1 and ids[0] == self._tokenizer.bos_token_id else 0
            prompts.append((ids[:kept] + ids[kept + cut :], cut))
        return prompts

    def pairs(self, questions: Sequence[str], answers: Sequence[str], max_length: int) -> list[Tokenised]:
        """Tokens of each pair, at most ``max_length`` of them; at least one is an answer token.

        Prompt and answer are tokenised apart, so that the prompt's tokens are the same with and without an answer.

        Raises:
            InputError: if no token can end the answer.
        """
        if self.end_id is None:
            raise InputError(
                "The tokenizer has no EOS token, so no answer could end; set eos_token in its tokenizer_config.json."
            )
        prompts = self.prompts(questions, max_length - 1)
        completions = self._encode(self._lead, answers, self._frame.closing)
        pairs = []
        for (prompt_ids, prompt_cut), completion in zip(prompts, completions, strict=True):
            answer_ids = [*completion, self.end_id]
            room = max_length - len(prompt_ids)
            pairs.append(Tokenised(prompt_ids, answer_ids[:room], prompt_cut, max(0, len(answer_ids) - room)))
        return pairs

    def _encode(self, before: str, given: Sequence[str], after: str) -> list[list[int]]:
        """Token ids of template text around each given text, in which nothing becomes a special token."""
        taken = [self._frame.take(text) for text in given]
        plain = [place for place, text in enumerate(taken) if not self._spells_special(before, text, after)]
        encoded: list[list[int]] = [[] for _ in taken]
        if plain:  # one call for all of them: the tokenizer shares it among the cores
            texts = [before + taken[place] + after for place in plain]
            ids = self._tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
            for place, found in zip(plain, ids, strict=True):
                encoded[place] = found
        for place in set(range(len(taken))) - set(plain):
            encoded[place] = self._encode_literally(before, taken[place], after)
        return encoded

    def _spells_special(self, before: str, given: str, after: str) -> bool:
        start, end = len(before), len(before) + len(given)
        matches = self._special.finditer(before + given + after)
        return any(match.start() < end and start < match.end() for match in matches)

    def _encode_literally(self, before: str, given: str, after: str) -> list[int]:
        # split by a pattern with one group: text and special token by turns
        head, tail = self._special.split(before), self._special.split(after)
        runs = [*head[:-1], head[-1] + given + tail[0], *tail[1:]]
        ids: list[int] = []
        for place, run in enumerate(runs):
            if place % 2:
                ids.append(self._tokenizer.convert_tokens_to_ids(run))
            elif run:
                options = {"add_special_tokens": False, "split_special_tokens": True, "verbose": False}
                ids += self._tokenizer(run, **options)["input_ids"]
        return ids


def tokenise_messages(messages: Sequence[dict[str, str]], tokenizer: Any) -> list[int]:
    """Tokens of a conversation (role, content), ending where the answer begins.

    It goes through the tokenizer's chat template where there is one, else the messages stand one below the other.

    Raises:
        InputError: if the chat template refuses the conversation.
    """
    from jinja2 import TemplateError

    if has_chat_template(tokenizer):
        try:
            chat = render_chat(tokenizer, place_system(messages, tokenizer), add_generation_prompt=True)
        except TemplateError as error:
            raise InputError(
                f"The chat template of the local model refuses the conversation ({error}); choose another model."
            ) from error
        return list(tokenizer(chat, add_special_tokens=False, verbose=False)["input_ids"])
    text = "\n\n".join(message["content"] for message in messages) + "\n\n"
    ids: list[int] = tokenizer(text, verbose=False)["input_ids"]
    # Some tokenizers close every text; the answer has yet to come.
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def opening_tokens(tokenizer: Any) -> list[int]:
    """What the tokenizer puts in front of every text: BOS, another token, or nothing."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    starts = range(len(whole) - len(bare) + 1)
    start = next(start for start in starts if whole[start : start + len(bare)] == bare)
    return list(whole[:start])


def context_length(model: Any) -> int | None:
    """Positions the model was built for, or None where its configuration sets no limit."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def end_tokens(model: Any, tokenizer: Any, end_of_turn: int | None = None) -> set[int]:
    """Tokens that end an answer: EOS, the template's end of turn, and whatever the model declares (often several)."""
    declared = model.generation_config.eos_token_id
    ends = set(declared) if isinstance(declared, list) else {declared}
    return {token for token in ends | {tokenizer.eos_token_id, end_of_turn} if token is not None}


def _open(frame: Frame, tokenizer: Any) -> list[int]:
    bos = tokenizer.bos_token_id
    if frame.bos == "text" or (bos is not None and frame.before.startswith(tokenizer.bos_token)):
        return []
    own = opening_tokens(tokenizer)
    if own or frame.bos == "tokenizer":
        return own
    return [] if bos is None or bos == tokenizer.eos_token_id else [bos]


def _adds_space(tokenizer: Any) -> bool:
    first = tokenizer.convert_ids_to_tokens(tokenizer("a", add_special_tokens=False)["input_ids"])[0]
    return bool(first.startswith(("▁", "Ġ")))
