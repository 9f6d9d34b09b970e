"""Passages to question-answer pairs; every request ends as pairs or as a row that says why there are none."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any, get_args

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.llm.answers import Answerer, Completion, Failure, Kind, parse_answer
from med_lora.llm.cache import CallCache
from med_lora.llm.calls import Answers, answer_all
from med_lora.llm.client import ChatClient
from med_lora.llm.local import LocalModel
from med_lora.parameters.model import HardwareParams
from med_lora.parameters.question_generation import AnswerLength, QuestionGenerationParams
from med_lora.pipelines.data_engineering.parsing import PAIR_COLUMNS
from med_lora.pipelines.question_generation.grounding import find_fault
from med_lora.pipelines.question_generation.prompts import GeneratedPairs, ask_for_pairs

CORPUS = "generated"
Row = dict[str, str]
# Failures in which this model wrote nothing; in the others (cut, empty, filtered) it did, and the rows say so.
_SILENCE = set(get_args(Kind)) - {"content_filter", "empty", "finish_reason", "length", "malformed_answer"}


def generate_pairs_remotely(
    parameters: QuestionGenerationParams, passages: pd.DataFrame, cache: CallCache
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Pairs from the model behind ``parameters.endpoint``; see ``generate_pairs``."""
    if parameters.endpoint is None:
        raise InputError(
            "Parameter data_engineering.question_generation.endpoint is null, so there is no server to ask; set it."
        )
    return generate_pairs(parameters, passages, cache, ChatClient(parameters.endpoint, parameters.sampling))


def generate_pairs_locally(
    parameters: QuestionGenerationParams,
    passages: pd.DataFrame,
    cache: CallCache,
    question_model: BaseModel,
    hardware: HardwareParams,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Pairs from a model of this machine; see ``generate_pairs``."""
    return generate_pairs(parameters, passages, cache, LocalModel(question_model, parameters.sampling, hardware))


def generate_pairs(
    parameters: QuestionGenerationParams, passages: pd.DataFrame, cache: CallCache, answerer: Answerer
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Ask for pairs from each chosen passage, and check what comes back.

    A pair is grounded if its evidence stands in the passage word for word, and the numbers of its answer stand there
    too. Rows with a fault (``ungrounded``, ``ungrounded_number``, ``refers_to_passage``, ``no_pairs``,
    ``malformed_answer``, ``call_failed_<kind>``) hold no text. Duplicates stay.

    Args:
        parameters: which passages, and what is asked of them.
        passages: columns id, corpus, book, chapter, licence, text.
        cache: calls made before, which are not made again; it grows while this runs.
        answerer: the model; closed at the end.

    Returns:
        Pairs, in the order of the passages (id ``generated:<passage id>/<long|short>-<n>``, n from 1, or 0 for a
        request that gave none), and counts of passages, calls, tokens and pairs.

    Raises:
        InputError: if all calls fail, or one fails in a way that all would.
    """
    chosen = choose_passages(passages, parameters.max_passages, parameters.sampling.seed)
    records = [{str(column): value for column, value in row.items()} for row in chosen.to_dict("records")]
    asked = [(passage, length) for passage in records for length in parameters.answers]
    requests = [
        ask_for_pairs(passage["text"], length, parameters.pairs_per_passage, parameters.min_evidence_words)
        for passage, length in asked
    ]
    try:
        answers = answer_all(answerer, requests, cache, unit="passage")
    finally:
        answerer.close()
    _refuse_silence(answers, answerer)
    rows = [
        row
        for (passage, length), outcome in zip(asked, answers.outcomes, strict=True)
        for row in _read_pairs(passage, length, outcome, parameters.min_evidence_words)
    ]
    pairs = pd.DataFrame(rows, columns=PAIR_COLUMNS, dtype="str")
    return pairs, _report(answerer, len(passages), len(chosen), answers, pairs)


def choose_passages(passages: pd.DataFrame, count: int | None, seed: int) -> pd.DataFrame:
    """``count`` passages in their own order, drawn by a hash of their ids: a larger count keeps the smaller draw."""
    if count is None or count >= len(passages):
        return passages
    draws = [hashlib.sha256(f"{seed}:{id}".encode()).digest() for id in passages["id"]]
    chosen = sorted(range(len(passages)), key=draws.__getitem__)[:count]
    return passages.iloc[sorted(chosen)]


def _refuse_silence(answers: Answers, answerer: Answerer) -> None:
    if answers.outcomes and set(answers.failed) <= _SILENCE and sum(answers.failed.values()) == len(answers.outcomes):
        reasons = ", ".join(f"{kind}: {count}" for kind, count in answers.failed.items())
        raise InputError(
            f"None of {len(answers.outcomes)} calls to {answerer.model} at {answerer.origin} was answered "
            f"({reasons}); mend data_engineering.question_generation and run again."
        )


def _read_pairs(
    passage: dict[str, Any], length: AnswerLength, outcome: Completion | Failure, min_evidence_words: int
) -> list[Row]:
    if isinstance(outcome, Failure):
        return [_row(passage, length, 0, fault=f"call_failed_{outcome.kind}")]
    parsed = parse_answer(outcome, GeneratedPairs)
    if isinstance(parsed, Failure):
        return [_row(passage, length, 0, fault=parsed.kind)]
    if not parsed.pairs:
        return [_row(passage, length, 0, fault="no_pairs")]
    rows = []
    for number, pair in enumerate(parsed.pairs, start=1):
        fault = find_fault(pair.question, pair.answer, pair.evidence, passage["text"], min_evidence_words)
        text = {} if fault else {"question": pair.question, "answer": pair.answer}
        rows.append(_row(passage, length, number, fault=fault, **text))
    return rows


def _row(passage: dict[str, Any], length: AnswerLength, number: int, **values: str) -> Row:
    book, chapter = passage["book"], passage["chapter"]
    # A corpus of pages is one book: its pairs share document and focus with those that the pages themselves make.
    is_page = book == passage["corpus"] and chapter != ""
    return dict.fromkeys(PAIR_COLUMNS, "") | {
        "id": f"{CORPUS}:{passage['id']}/{length}-{number}",
        "corpus": CORPUS,
        "source": passage["corpus"],
        "document": chapter if is_page else f"{book}/{chapter}",
        "focus": chapter if is_page else "",
        "question_type": length,
        "licence": passage["licence"],
        **values,
    }


def _report(answerer: Answerer, passages: int, chosen: int, answers: Answers, pairs: pd.DataFrame) -> dict[str, Any]:
    faults = Counter(fault for fault in pairs["fault"] if fault)
    return {
        "model": answerer.model,
        "origin": answerer.origin,
        "settings": answerer.settings,
        "passages": passages,
        "passages_used": chosen,
        "calls": len(answers.outcomes),
        "calls_from_cache": answers.cached,
        "calls_made": answers.asked,
        "calls_without_answer": answers.failed,
        "prompt_tokens": answers.prompt_tokens,
        "completion_tokens": answers.completion_tokens,
        "tokens_of_this_run": answers.paid_tokens,
        "pairs_kept": int((pairs["fault"] == "").sum()),
        "rows_rejected": dict(sorted(faults.items())),
    }
