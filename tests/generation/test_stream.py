"""A streamed answer is that of a batch, token for token, and its text is whole at every moment."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from med_lora.errors import InputError
from med_lora.generation.engine import complete
from med_lora.generation.stream import decode_answer, decode_part, stream
from med_lora.parameters.evaluation import DecodingParams
from tests import recipes

from .models import ENDS, GREEDY, PAD, SAMPLED, VOCABULARY, make_model

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma", "gpt2", "opt"])
def test_streamed_tokens_equal_those_of_a_batch(
    family: str, decoding: DecodingParams, prompts: list[list[int]]
) -> None:
    model = make_model(family)
    batched = complete(model, prompts, ENDS, PAD, decoding, 16)
    streamed = [list(stream(model, prompt, ENDS, PAD, decoding)) for prompt in prompts]
    assert streamed == [completion.tokens for completion in batched]
    assert [len(tokens) < decoding.max_new_tokens for tokens in streamed] == [answer.ended for answer in batched]
    assert {answer.ended for answer in batched} == {True, False}


def test_tokens_come_one_at_a_time_and_no_step_is_taken_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("llama")
    steps: list[int] = []
    head = model.lm_head.forward
    monkeypatch.setattr(model.lm_head, "forward", lambda states: steps.append(1) or head(states))
    tokens = stream(model, [5, 6], set(), PAD, GREEDY)
    for number in range(1, 4):
        next(tokens)
        assert len(steps) == number
    tokens.close()  # type: ignore[attr-defined]
    assert len(steps) == 3


def test_gradients_can_be_computed_between_tokens() -> None:
    for _ in stream(make_model("llama"), [5, 6], set(), PAD, GREEDY):
        assert not torch.is_inference_mode_enabled()


def test_logits_that_are_no_numbers_end_the_answer() -> None:
    model = make_model("llama")
    with torch.no_grad():
        model.model.embed_tokens.weight[VOCABULARY - 1] = float("nan")
    with pytest.raises(InputError, match="logits for the question are not finite; check its weights"):
        list(stream(model, [5, VOCABULARY - 1], ENDS, PAD, recipes.decoding()))


TEXT = "  Fièvre – 38,5 °C; 발열, 🤒🏽 and «don't» . "


def test_no_part_ends_within_a_character_and_all_of_them_make_the_answer(tokenizer: Any) -> None:
    tokens = tokenizer(TEXT)["input_ids"]
    parts = [decode_part(tokenizer, tokens[:end]) for end in range(len(tokens) + 1)]
    assert not any("\ufffd" in part for part in parts)
    assert all(TEXT.strip().startswith(part) for part in parts)
    assert parts[-1] == decode_answer(tokenizer, tokens) == TEXT.strip()
    # one token at a time the bytes of a character are lost
    assert "\ufffd" in "".join(tokenizer.decode([token]) for token in tokens)


def test_words_of_a_tokenizer_that_marks_their_beginnings_are_not_joined() -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<eos>": 0, "▁rest": 1, "▁the": 2, "▁knee": 3, "s": 4}
    bare = Tokenizer(models.WordLevel(words, unk_token="<eos>"))
    bare.pre_tokenizer, bare.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token="<eos>")
    parts = [decode_part(tokenizer, [1, 2, 3, 4][:end]) for end in range(1, 5)]
    assert parts == ["rest", "rest the", "rest the knee", "rest the knees"]
    assert "".join(tokenizer.decode([token]) for token in [1, 2, 3, 4]) == "resttheknees"


def test_what_a_model_writes_as_a_replacement_character_is_kept(tokenizer: Any) -> None:
    """Bytes that are no character in the middle of an answer, or at its end, are part of it in evaluation too."""
    stray = tokenizer("é")["input_ids"][:1]
    tokens = [*tokenizer("a")["input_ids"], *stray, *tokenizer("b")["input_ids"]]
    assert decode_part(tokenizer, tokens) == "a\ufffdb"
    assert decode_part(tokenizer, tokens[:-1]) == "a"
    assert decode_answer(tokenizer, tokens[:-1]) == "a\ufffd"
