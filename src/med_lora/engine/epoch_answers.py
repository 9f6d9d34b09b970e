"""What a model answers while it trains: a few questions, asked again after every epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from med_lora.errors import InputError
from med_lora.generation.engine import complete
from med_lora.metrics.lexical import score_pair
from med_lora.parameters import HardwareParams
from med_lora.parameters.evaluation import DecodingParams
from med_lora.prompts import end_tokens


@dataclass(frozen=True)
class Questions:
    """Questions with their reference answers; it can be pickled, since every rank gets it.

    Attributes:
        prompts: token ids of each, at least one.
        references: the answers to compare with.
        end_of_turn: the prompt template's token that ends an answer, besides EOS and what the model declares.
        max_new_tokens: tokens of an answer at most, such that the model's context holds every prompt with its answer.
    """

    prompts: Sequence[list[int]]
    references: Sequence[str]
    end_of_turn: int | None
    max_new_tokens: int


def score_questions(model: Any, questions: Questions, tokenizer: Any, batch_size: int) -> dict[str, float]:
    """Mean scores of greedy answers; the model's mode and the random state stay as they are.

    Answers are cut at ``max_new_tokens``, so that the scores follow a run and are not those of an evaluation. The ranks
    of a process group divide the questions among them, and all return the whole.

    Returns:
        Means of :func:`score_pair` by metric, and the number of questions as ``answers``.
    """
    import torch

    rank, ranks = 0, 1
    if torch.distributed.is_initialized():
        rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model  # its layers hold the adapter
    was_training = model.training
    ends = end_tokens(plain, tokenizer, questions.end_of_turn)
    model.eval()
    try:
        prompts = list(questions.prompts[rank::ranks])
        decoding = _greedy(questions.max_new_tokens)
        completions = complete(plain, prompts, ends, tokenizer.pad_token_id, decoding, batch_size)
    finally:
        model.train(was_training)
    answers = [tokenizer.decode(completion.tokens, skip_special_tokens=True).strip() for completion in completions]
    pairs = zip(answers, questions.references[rank::ranks], strict=True)
    scores = _gather([score_pair(answer, reference) for answer, reference in pairs], ranks)
    return {name: fmean(score[name] for score in scores) for name in scores[0]} | {"answers": float(len(scores))}


def check_sharding(questions: Questions | None, hardware: HardwareParams) -> None:
    """Raise an InputError where every rank holds a part of the model and none can answer on its own."""
    if questions is not None and hardware.sharding == "fsdp" and hardware.processes * hardware.machines > 1:
        raise InputError(
            "training.epoch_answers needs the whole model in each process, and hardware.sharding: fsdp leaves each a "
            "part; set training.epoch_answers to 0, or hardware.sharding to ddp."
        )


def _greedy(max_new_tokens: int) -> DecodingParams:
    return DecodingParams(
        max_new_tokens=max_new_tokens, temperature=0.0, top_k=None, top_p=1.0, repetition_penalty=1.0, seed=0
    )


def _gather(scores: list[dict[str, float]], ranks: int) -> list[dict[str, float]]:
    """The scores of all ranks, on all of them."""
    from torch.distributed import all_gather_object

    if ranks == 1:
        return scores
    gathered: list[list[dict[str, float]]] = [[] for _ in range(ranks)]
    all_gather_object(gathered, scores)
    return [score for of_rank in gathered for score in of_rank]
