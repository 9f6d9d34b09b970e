"""Questions in two ranks, importable by the processes that answer them."""

from __future__ import annotations

from functools import partial
from typing import Any

from med_lora.engine.epoch_answers import Questions

QUESTIONS = Questions(
    prompts=[[40, 41, 42], [50, 51, 52, 53, 54, 55, 56], [60]],
    references=["a painful arthritis", "what is gout of the toe", "Question"],
    end_of_turn=None,
    max_new_tokens=6,
)
ONE_QUESTION = Questions(QUESTIONS.prompts[:1], QUESTIONS.references[:1], None, 6)
METRICS = {"rouge1", "rouge2", "rougeL", "bleu", "chrf", "exact_match", "token_f1"}


def answer_in_two_ranks(job: tuple[Any, ...]) -> tuple[list[list[dict[str, float]]], Any]:
    """Of tokenizer, sets of questions and rows: every rank's scores of each set, and the history of a run."""
    import torch.distributed as dist

    from med_lora.engine import fit
    from med_lora.engine.epoch_answers import score_questions
    from tests.engine.tiny import adapted, llama, make
    from tests.recipes import hardware, optimisation

    tokenizer, asked, train, validation = job
    scores = []
    for questions in asked:
        of_ranks: list[Any] = [None, None]
        dist.all_gather_object(of_ranks, score_questions(adapted(make(llama)), questions, tokenizer, 2))
        scores.append(of_ranks)
    probe = partial(score_questions, questions=asked[0], tokenizer=tokenizer, batch_size=2)
    two = hardware(processes=2, micro_batch_size=2, threads=1)
    recipe = optimisation(evaluations=3)
    result = fit(adapted(make(llama)), tokenizer, train, validation, recipe, two, probe=probe)
    return scores, result.history
