"""What a model answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import EvaluationParams, HardwareParams, ModelParams, PromptParams
from med_lora.parameters.evaluation import DecodingParams
from med_lora.pipelines.evaluation.arms import load_arm
from med_lora.pipelines.evaluation.batches import batch_by_length, pad
from med_lora.pipelines.evaluation.decoding import make_processors
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.prompts import PairTokeniser, context_length, end_tokens


@dataclass(frozen=True)
class Completion:
    """Tokens that a model appended to a prompt: without the one that ended them, if ``ended``."""

    tokens: list[int]
    ended: bool


def generate_answers(
    base_model: BaseModel,
    test: Split,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    model: ModelParams,
    adapter: PretrainedFolder | None = None,
) -> pd.DataFrame:
    """Answers to the test questions as ``evaluation.decoding`` chooses their tokens, in the order of ``test``.

    In fp32 the batch size does not change an answer; in 16 bits about one greedy answer in twenty differs by it. A
    sampled answer follows from the prompt's tokens and ``evaluation.decoding.seed`` alone.

    Returns:
        Columns id, answer (stripped), prompt_tokens, new_tokens (the token that ended it included), finish_reason
        ("eos" for EOS or the template's end of turn, "length" at ``max_new_tokens``), prompt_truncated (its beginning
        was cut to fit the context), empty.

    Raises:
        InputError: for an empty split, an adapter of another base model, or a context too short for any prompt.
    """
    pairs = read_pairs(test, "test")
    tokenizer: Any = base_model.tokenizer()
    loaded = load_arm(base_model, adapter, hardware, model)
    room = _prompt_room(loaded, evaluation.decoding.max_new_tokens)
    tokeniser = PairTokeniser(prompt, tokenizer)
    prompts = tokeniser.prompts(pairs["question"].tolist(), room)
    completions = complete(
        loaded,
        [ids for ids, _ in prompts],
        end_tokens(loaded, tokenizer, tokeniser.end_id),
        tokenizer.pad_token_id,
        evaluation.decoding,
        hardware.inference_batch_size,
    )
    answers = [tokenizer.decode(completion.tokens, skip_special_tokens=True).strip() for completion in completions]
    return pd.DataFrame(
        {
            "id": list(pairs["id"]),
            "answer": answers,
            "prompt_tokens": [len(ids) for ids, _ in prompts],
            "new_tokens": [len(completion.tokens) + completion.ended for completion in completions],
            "finish_reason": ["eos" if completion.ended else "length" for completion in completions],
            "prompt_truncated": [cut > 0 for _, cut in prompts],
            "empty": [not answer for answer in answers],
        }
    )


def complete(
    model: Any, prompts: Sequence[list[int]], ends: set[int], pad_token: int, decoding: DecodingParams, batch_size: int
) -> list[Completion]:
    """Continuation of each prompt up to a token of ``ends``, in the order of ``prompts``.

    Prompts are padded on the left, behind the attention mask: right padding would stand between prompt and answer.
    """
    import torch
    from tqdm import tqdm

    _make_greedy(model, ends, pad_token, decoding.max_new_tokens)
    completions = [Completion([], ended=False)] * len(prompts)
    tokens, started = 0, time.perf_counter()
    with torch.inference_mode(), tqdm(total=len(prompts), desc="answers", unit="answer", disable=None) as bar:
        for batch in batch_by_length(prompts, batch_size):
            rows = [prompts[index] for index in batch]
            input_ids = pad(rows, pad_token, "left").to(model.device)
            mask = pad([[1] * len(row) for row in rows], 0, "left").to(model.device)
            processors = make_processors(decoding, rows, input_ids.shape[1])
            output = model.generate(input_ids=input_ids, attention_mask=mask, logits_processor=processors)
            for index, new in zip(batch, output[:, input_ids.shape[1] :].tolist(), strict=True):
                completions[index] = _cut_at_end(new, ends)
                tokens += len(completions[index].tokens) + completions[index].ended
            bar.update(len(batch))
            bar.set_postfix_str(f"{tokens / (time.perf_counter() - started):.0f} tokens/s")
    return completions


def _make_greedy(model: Any, ends: set[int], pad_token: int, max_new_tokens: int) -> None:
    """Replace the model's generation settings; what is sampled is left to processors of the logits.

    Settings that come with a model (sampling, a repetition penalty) fill whatever a call leaves open, so they are
    replaced as a whole and not overridden.
    """
    from transformers import GenerationConfig

    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    plain.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        pad_token_id=pad_token,
        eos_token_id=sorted(ends) or None,
    )


def _cut_at_end(tokens: list[int], ends: set[int]) -> Completion:
    length = next((place for place, token in enumerate(tokens) if token in ends), None)
    return Completion(tokens, ended=False) if length is None else Completion(tokens[:length], ended=True)


def _prompt_room(model: Any, max_new_tokens: int) -> int:
    """Prompt tokens that leave ``max_new_tokens`` of the model's context free."""
    context = context_length(model)
    if context is None:
        return 10**9
    if context <= max_new_tokens:
        raise InputError(
            f"evaluation.decoding.max_new_tokens ({max_new_tokens}) leaves no room for the question in the model's "
            f"context of {context} tokens; lower it."
        )
    return context - max_new_tokens
