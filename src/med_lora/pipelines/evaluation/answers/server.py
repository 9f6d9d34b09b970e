"""What a model answers where a server serves it."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, Literal

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.generation.room import prompt_room
from med_lora.generation.server import ServedModel
from med_lora.llm.answers import Completion, Request, written
from med_lora.llm.cache import CallCache
from med_lora.llm.calls import Answers, answer_all
from med_lora.parameters import EvaluationParams, PromptParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.prompts import PairTokeniser, context_length, to_prompt_completion

Arm = Literal["base", "tuned"]
CALLS_FILE = "server_calls.jsonl"

# A server may compute requests that come together in one batch, adapters and all: arms wait for each other.
_one_arm = threading.Lock()


def ask_server_for_base(
    base_model: BaseModel, test: Split, prompt: PromptParams, evaluation: EvaluationParams, journal: WorkFolder
) -> pd.DataFrame:
    """Answers of ``evaluation.endpoints.base``; see ``ask_server``."""
    return ask_server("base", base_model, None, test, prompt, evaluation, journal)


def ask_server_for_tuned(
    base_model: BaseModel,
    test: Split,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    journal: WorkFolder,
    adapter: PretrainedFolder | None = None,
) -> pd.DataFrame:
    """Answers of ``evaluation.endpoints.tuned``; see ``ask_server``."""
    return ask_server("tuned", base_model, adapter, test, prompt, evaluation, journal)


def ask_server(
    arm: Arm,
    base_model: BaseModel,
    adapter: PretrainedFolder | None,
    test: Split,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    journal: WorkFolder,
) -> pd.DataFrame:
    """Answers to the test questions, in the order of ``test``, of the model behind the endpoint of ``arm``.

    The server is sent the tokens of training, or a text that becomes exactly these. That it serves the right weights
    is the word of whoever started it: ``base_model`` and ``adapter`` give the tokenizer, and tell answers that were
    kept from those of another model. Answers kept from another server or version are not taken, so that the server has
    to say what it is even if all are kept.

    Returns:
        Columns id, answer (stripped), prompt_tokens and new_tokens (the token that ended it included, as the server
        counts), finish_reason ("eos" for any end but the limit, "length" at ``max_new_tokens``), prompt_truncated (its
        beginning was cut to fit the context), empty, batch (one for each answer), dtype ("unknown": no server says),
        engine.

    Raises:
        InputError: for an empty split, a question that stays unanswered (answers so far are kept in ``journal``), or
            a fault that every call would meet.
    """
    pairs = read_pairs(test, "test")
    tokenizer: Any = base_model.tokenizer()
    tokeniser = PairTokeniser(prompt, tokenizer)
    context = context_length(SimpleNamespace(config=base_model.config()))
    room = prompt_room(context, evaluation.decoding.max_new_tokens, "evaluation.decoding.max_new_tokens")
    prompts = tokeniser.prompts(pairs["question"].tolist(), room)
    texts = to_prompt_completion(pairs, prompt, tokenizer)["prompt"]
    requests = [
        Request(({"role": "prompt", "content": text},), tokens=tuple(ids))
        for text, (ids, _) in zip(texts, prompts, strict=True)
    ]
    served = ServedModel(
        evaluation.endpoints[arm],
        evaluation.decoding,
        tokenizer,
        ends=sorted({token for token in (tokenizer.eos_token_id, tokeniser.end_id) if token is not None}),
        identity=_identify(base_model, adapter),
    )
    try:
        served.connect()
        with _one_arm:
            answers = answer_all(served, requests, CallCache(journal.path / CALLS_FILE), unit="answer", check=written)
    finally:
        served.close()
    completions = _take_completions(answers, served, arm)
    return _tabulate(list(pairs["id"]), completions, [cut > 0 for _, cut in prompts], served.engine)


def _tabulate(ids: list[str], completions: list[Completion], truncated: list[bool], engine: str) -> pd.DataFrame:
    contents = [completion.content.strip() for completion in completions]
    return pd.DataFrame(
        {
            "id": ids,
            "answer": contents,
            "prompt_tokens": [completion.prompt_tokens for completion in completions],
            "new_tokens": [completion.completion_tokens for completion in completions],
            "finish_reason": ["length" if one.finish_reason == "length" else "eos" for one in completions],
            "prompt_truncated": truncated,
            "empty": [not content for content in contents],
            "batch": range(len(completions)),
            "dtype": "unknown",
            "engine": engine,
        }
    )


def _take_completions(answers: Answers, served: ServedModel, arm: Arm) -> list[Completion]:
    completions = [outcome for outcome in answers.outcomes if isinstance(outcome, Completion)]
    unanswered = len(answers.outcomes) - len(completions)
    if unanswered:
        kinds = ", ".join(f"{kind}: {count}" for kind, count in answers.failed.items())
        raise InputError(
            f"{unanswered} of {len(answers.outcomes)} questions have no answer from {served.model} at "
            f"{served.origin} ({kinds}); mend the server or evaluation.endpoints.{arm} and run again (the other "
            "answers are kept)."
        )
    return completions


def _identify(base_model: BaseModel, adapter: PretrainedFolder | None) -> str:
    base = base_model.sha256 or f"{base_model.source}@{base_model.revision}"
    return base if adapter is None else f"{base}+{adapter.sha256}"
