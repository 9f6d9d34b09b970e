"""What a model of this process answers to the test questions."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

import pandas as pd

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.generation.engine import Completion, complete
from med_lora.generation.kept_batches import KeptBatches, discard_batches
from med_lora.generation.room import prompt_room
from med_lora.models.session import ModelSession
from med_lora.parameters import EvaluationParams, PromptParams
from med_lora.parameters.evaluation import DecodingParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.prompts import PairTokeniser, context_length, end_tokens

logger = logging.getLogger(__name__)

MAX_NEW_TOKENS = "evaluation.decoding.max_new_tokens"
KEY_FORMAT = 1  # to be raised when the same inputs come to make other answers


def generate_answers(
    session: ModelSession,
    test: Split,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    journal: WorkFolder,
    adapter: PretrainedFolder | None = None,
) -> pd.DataFrame:
    """Answers to the test questions as ``evaluation.decoding`` chooses their tokens, in the order of ``test``.

    In fp32 the batch does not change an answer; in 16 bits about one greedy answer in twenty differs by it. A sampled
    answer follows from the prompt's tokens and ``evaluation.decoding.seed`` alone. A run that was cut off goes on
    after its last whole batch, as long as nothing has changed that decides an answer.

    Args:
        session: the base model.
        test: pairs to answer; only their questions are read.
        prompt: how a question is put.
        evaluation: ``decoding`` is read.
        journal: where finished batches are kept; it holds answers.
        adapter: the tuned arm's; None for the base model itself.

    Returns:
        Columns id, answer (stripped), prompt_tokens, new_tokens (the token that ended it included), finish_reason
        ("eos" for EOS, the template's end of turn or another end token of the model, "length" at ``max_new_tokens``),
        prompt_truncated (its beginning was cut to fit the context), empty, batch (number, from 0), dtype (of the
        weights), engine (with its version). No time is among them: equal runs give equal bytes.

    Raises:
        InputError: for an empty split, an adapter that is missing or of another base model, a context too short for
            any prompt, logits that are not finite, or a journal that cannot be used.
    """
    pairs = read_pairs(test, "test")
    tokenizer = session.tokenizer()
    tokeniser = PairTokeniser(prompt, tokenizer)
    with session.arm(adapter) as model:
        room = prompt_room(context_length(model), evaluation.decoding.max_new_tokens, MAX_NEW_TOKENS)
        prompts = tokeniser.prompts(pairs["question"].tolist(), room)
        ids = [tokens for tokens, _ in prompts]
        ends = end_tokens(model, tokenizer, tokeniser.end_id)
        completions = complete(
            model,
            ids,
            ends,
            tokenizer.pad_token_id,
            evaluation.decoding,
            session.hardware.inference_batch_size,
            names=[f"question {pair}" for pair in pairs["id"]],
            kept=KeptBatches(journal.path, describe_decisive(session, adapter, ids, ends, evaluation.decoding)),
        )
    answers = [tokenizer.decode(completion.tokens, skip_special_tokens=True).strip() for completion in completions]
    return _tabulate(list(pairs["id"]), answers, prompts, completions, session.dtype)


def _tabulate(
    names: list[str],
    answers: list[str],
    prompts: list[tuple[list[int], int]],
    completions: list[Completion],
    dtype: str,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": names,
            "answer": answers,
            "prompt_tokens": [len(tokens) for tokens, _ in prompts],
            "new_tokens": [len(completion.tokens) + completion.ended for completion in completions],
            "finish_reason": ["eos" if completion.ended else "length" for completion in completions],
            "prompt_truncated": [cut > 0 for _, cut in prompts],
            "empty": [not answer for answer in answers],
            "batch": [completion.batch for completion in completions],
            "dtype": dtype,
            "engine": f"transformers {version('transformers')}",
        }
    )


def discard_journal(answers: pd.DataFrame, journal: WorkFolder) -> None:
    """Delete an arm's journal, once its answers have been saved and verified: loading them did that.

    Args:
        answers: what was kept on the way.
        journal: folder that nothing is gone on from any more.
    """
    try:
        discard_batches(journal.path)
    except InputError as error:  # another run is at it, and the answers are safe
        logger.warning("The journal is left as it is: %s", error)
    else:
        logger.info("Deleted the journal in %s, since %d answers are saved.", journal.path, len(answers))


def describe_decisive(
    session: ModelSession,
    adapter: PretrainedFolder | None,
    prompts: list[list[int]],
    ends: set[int],
    decoding: DecodingParams,
) -> dict[str, Any]:
    """JSON values of all that decides an answer to its last bit; what is equal may go on from the same journal."""
    import torch

    base, hardware = session.base_model, session.hardware
    on_gpu = hardware.device == "cuda"
    quantisation = session.model.quantisation
    packages = ["torch", "transformers", "peft", *([] if quantisation == "none" else ["bitsandbytes"])]
    return {
        "format": KEY_FORMAT,
        "base_model": base.sha256 or [base.source, base.revision],
        "tokenizer": base.tokenizer_sha256(),
        "adapter": None if adapter is None else adapter.sha256,
        "prompts": prompts,
        "ends": sorted(ends),
        "decoding": decoding.model_dump(),
        "quantisation": quantisation,
        "dtype": session.dtype,
        "batch_size": hardware.inference_batch_size,
        "attention": hardware.attention,
        "device": torch.cuda.get_device_name() if on_gpu else torch.backends.cpu.get_cpu_capability(),
        "threads": None if on_gpu else torch.get_num_threads(),
        "versions": {package: version(package) for package in packages},
    }
