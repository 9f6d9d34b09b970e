"""Test questions to passages, and to questions that hold them."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.encoder import Encoder
from med_lora.generation.room import prompt_room
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams, RetrievalParams
from med_lora.pipelines.evaluation.answers.generation import MAX_NEW_TOKENS
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.prompts import PairTokeniser, context_length
from med_lora.retrieval.context import Grounded, ground, prompt_counter
from med_lora.retrieval.index import PassageIndex, Retriever

logger = logging.getLogger(__name__)

RETRIEVED_COLUMNS = ["id", "rank", "passage", "score", "dense_rank", "bm25_rank"]
CONTEXT_COLUMNS = ["id", "place", "passage", "citation", "tokens", "cut", "text"]


def retrieve(
    test: Split,
    passage_index: PassageIndex,
    retrieval: RetrievalParams,
    hardware: HardwareParams,
    retrieval_encoder: Encoder | None = None,
) -> pd.DataFrame:
    """The passages found for every test question, in the order of ``test``.

    Returns:
        ``RETRIEVED_COLUMNS``: id of the pair; rank, from 1, by ``retrieval.method``; passage (id); score; rank among
        the ``retrieval.candidates`` first of the encoder and of BM25, NaN where it is not among them. Where both are
        asked, every passage of either list has a row, so that each can be measured; those ranked behind
        ``retrieval.candidates`` are no candidates of the two together.
    """
    pairs = read_pairs(test, "test")
    retriever = Retriever(passage_index, retrieval, hardware, retrieval_encoder)
    found = retriever.search_all(pairs["question"].tolist())
    rows = [
        (pair, hit.rank, hit.passage, hit.score, _rank(hit.dense_rank), _rank(hit.bm25_rank))
        for pair, hits in zip(pairs["id"], found, strict=True)
        for hit in hits
    ]
    without = sum(not hits for hits in found)
    if without:
        logger.warning("No passage was found for %d of %d questions.", without, len(pairs))
    table = pd.DataFrame(rows, columns=RETRIEVED_COLUMNS)
    kinds = {"id": "str", "rank": "int64", "passage": "str"}
    return table.astype({column: kinds.get(column, "float64") for column in RETRIEVED_COLUMNS})


def _rank(rank: int | None) -> float:
    return math.nan if rank is None else float(rank)


def ground_questions(
    test: Split,
    retrieved: pd.DataFrame,
    passage_index: PassageIndex,
    prompt: PromptParams,
    retrieval: RetrievalParams,
    evaluation: EvaluationParams,
    base_model: BaseModel,
) -> tuple[Any, pd.DataFrame]:
    """The test pairs with passages in their questions, as :func:`~med_lora.retrieval.context.ground` puts them there.

    Args:
        test: pairs; every column but ``question`` goes through.
        retrieved: passages found, as :func:`retrieve` returns them.
        passage_index: the passages.
        prompt: template that the filled question is put in.
        retrieval: instruction and budget.
        evaluation: the longest answer, for which the context keeps room.
        base_model: its tokenizer and context.

    Returns:
        grounded_test: a ``datasets.Dataset`` with the rows and columns of ``test``.
        contexts: ``CONTEXT_COLUMNS``, one row a passage shown: id of the pair, place (from 1), passage (id), citation,
            tokens (by which it makes the prompt longer), cut, text (as shown); none for a pair without passages.

    Raises:
        InputError: if the context leaves no room for a prompt.
    """
    pairs = read_pairs(test, "test")
    tokeniser = PairTokeniser(prompt, base_model.tokenizer())
    context = context_length(SimpleNamespace(config=base_model.config()))
    room = prompt_room(context, evaluation.decoding.max_new_tokens, MAX_NEW_TOKENS)
    passages = passage_index.passages.set_index("id")
    ranked = retrieved.sort_values(["id", "rank"])
    found = {str(pair): list(passages_of) for pair, passages_of in ranked.groupby("id")["passage"]}
    count_tokens = prompt_counter(tokeniser)
    grounded = [
        ground(question, found.get(pair, []), passages, retrieval, count_tokens, room)
        for pair, question in zip(pairs["id"], pairs["question"], strict=True)
    ]
    _log(grounded)
    rows = [
        (pair, shown.place, shown.passage, shown.citation, shown.tokens, shown.cut, shown.text)
        for pair, of_pair in zip(pairs["id"], grounded, strict=True)
        for shown in of_pair.passages
    ]
    contexts = pd.DataFrame(rows, columns=CONTEXT_COLUMNS)
    kinds = {"place": "int64", "tokens": "int64", "cut": "bool"}
    contexts = contexts.astype({column: kinds.get(column, "str") for column in CONTEXT_COLUMNS})
    return _with_questions(test, [of_pair.question for of_pair in grounded]), contexts


def _with_questions(test: Split, questions: list[str]) -> Any:
    from datasets import Dataset, Features, Value

    table = test.to_pandas().assign(question=questions)
    kinds = {name: Value("int64" if pd.api.types.is_integer_dtype(table[name]) else "string") for name in table}
    return Dataset.from_dict({name: table[name].tolist() for name in table}, features=Features(kinds))


def _log(grounded: list[Grounded]) -> None:
    shown = [len(of_pair.passages) for of_pair in grounded]
    cut = sum(passage.cut for of_pair in grounded for passage in of_pair.passages)
    logger.info("%d questions have %d passages in front of them, %d of these cut.", len(shown), sum(shown), cut)
    if without := shown.count(0):
        logger.warning("%d of %d questions have no passage: none was found, or none fits.", without, len(shown))
