"""What may be indexed: passages and training answers, as a rule none that holds the answer to a test question."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from med_lora.errors import InputError
from med_lora.parameters.retrieval import RetrievalParams
from med_lora.passages import PASSAGE_COLUMNS, TRAINING
from med_lora.pipelines.data_engineering.decontamination import FEWEST_WORDS, GRAM_WORDS
from med_lora.pipelines.data_engineering.duplicates import Hashes, word_grams, word_hashes
from med_lora.pipelines.data_engineering.text import comparison_key
from med_lora.pipelines.evaluation.splits import Split, read_pairs

logger = logging.getLogger(__name__)

REPORT_COLUMNS = ["source", "given", "left_out", "reason", "indexed", "with_answer"]
HOLDS_ANSWER, DUPLICATE, NO_WORDS = "holds_test_answer", "duplicate", "no_words"
REASONS = (NO_WORDS, HOLDS_ANSWER, DUPLICATE)
TEXTS_AT_ONCE = 8192  # hashed and compared together: about 100 MB


def select_passages(
    test: Split,
    retrieval: RetrievalParams,
    train: Split | None = None,
    passages: pd.DataFrame | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The passages that may be indexed, of the sources that ``retrieval.sources`` names.

    Where ``retrieval.hold_out_answers`` is true, a text is left out that shares a sequence of 13 words with an answer
    of ``test``, or holds all of an answer that has 6 to 12 words (words as in
    :func:`~med_lora.pipelines.data_engineering.text.words`; the rule of the decontamination). Shorter answers, such as
    "Yes", stand in many texts by chance and are not looked for. Of texts with the same words the first by id stays.

    Args:
        test: pairs whose answers are looked for.
        retrieval: ``sources`` and ``hold_out_answers`` are read.
        train: pairs whose answers become passages where ``training_answers`` is a source: id ``training:<pair id>``,
            book = the pair's corpus, chapter = its focus, else its document, page 0.
        passages: table of ``PASSAGE_COLUMNS`` where ``passages`` is one.

    Returns:
        index_passages: ``PASSAGE_COLUMNS`` sorted by id.
        index_report: ``REPORT_COLUMNS``, a row for each source and reason: texts given, left out for the reason
            (``no_words``, ``holds_test_answer``, ``duplicate``: the first that applies), indexed in the end, and
            how many of these hold a test answer.

    Raises:
        InputError: if a source is not given, or nothing is left.
    """
    answers = read_pairs(test, "test")["answer"]
    given = pd.concat(
        [table.assign(source=source) for source, table in _tables(retrieval, train, passages)], ignore_index=True
    )
    given = given.sort_values("id", ignore_index=True)
    holds = pd.Series(holds_answer(given["text"], answers), index=given.index)
    reasons = _find_reasons(given["text"], holds & retrieval.hold_out_answers)
    report = _report(given["source"], reasons, holds, retrieval)
    kept = given[reasons == ""]
    if kept.empty:
        counts = ", ".join(f"{int((reasons == reason).sum())} {reason}" for reason in REASONS)
        raise InputError(
            f"None of the {len(given)} texts of retrieval.sources ({', '.join(retrieval.sources)}) can be indexed "
            f"({counts}); add a source, or set retrieval.enabled to false."
        )
    kinds = {column: "int64" if column == "page" else "str" for column in PASSAGE_COLUMNS}
    return kept[PASSAGE_COLUMNS].astype(kinds).reset_index(drop=True), report


def _tables(
    retrieval: RetrievalParams, train: Split | None, passages: pd.DataFrame | None
) -> Iterator[tuple[str, pd.DataFrame]]:
    tables = {
        "passages": passages,
        "training_answers": None if train is None else _training_answers(read_pairs(train, "train")),
    }
    for source in retrieval.sources:
        table = tables[source]
        if table is None:
            raise InputError(f"retrieval.sources names {source}, and there are none here; leave it out.")
        yield source, table[PASSAGE_COLUMNS]


def _training_answers(pairs: pd.DataFrame) -> pd.DataFrame:
    known = {
        column: pairs[column].astype("str").fillna("") if column in pairs else pd.Series("", index=pairs.index)
        for column in ("corpus", "focus", "document", "licence")
    }
    return pd.DataFrame(
        {
            "id": TRAINING + pairs["id"],
            "corpus": known["corpus"],
            "book": known["corpus"],
            "chapter": known["focus"].where(known["focus"] != "", known["document"]),
            "page": 0,
            "licence": known["licence"],
            "text": pairs["answer"],
        }
    )


def _find_reasons(texts: pd.Series, held_out: pd.Series) -> pd.Series:
    """Why each text is left out, ``held_out`` for an answer in it; "" for those that stay."""
    keys = pd.Series([comparison_key(text) for text in texts], index=texts.index, dtype="str")
    reasons = pd.Series("", index=texts.index, dtype="str")
    reasons[keys == ""] = NO_WORDS
    reasons[(reasons == "") & held_out] = HOLDS_ANSWER
    # of texts with the same words none is left out for an answer and another kept, so the first that stays decides
    reasons[(reasons == "") & keys.duplicated()] = DUPLICATE
    return reasons


def holds_answer(texts: Sequence[str] | pd.Series, answers: Sequence[str] | pd.Series) -> NDArray[np.bool_]:
    """Whether each text shares 13 words in a row with an answer, or holds all of one of 6 to 12 words."""
    sought: dict[int, list[Hashes]] = {}
    for words in word_hashes(answers):
        if len(words) >= FEWEST_WORDS:
            width = min(len(words), GRAM_WORDS)
            sought.setdefault(width, []).append(word_grams(words, width))
    grams = {width: np.unique(np.concatenate(found)) for width, found in sought.items()}
    found = [np.zeros(0, dtype=np.bool_)]
    hashed = word_hashes(texts)
    while block := list(islice(hashed, TEXTS_AT_ONCE)):
        found.append(_hold(block, grams))
    return np.concatenate(found)


def _hold(texts: Sequence[Hashes], grams: dict[int, Hashes]) -> NDArray[np.bool_]:
    """Whether each text has a sequence of words among the sorted ``grams`` of its width."""
    flat = np.concatenate(texts)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    holds = np.zeros(len(texts), dtype=np.bool_)
    for width, known in grams.items():
        own = word_grams(flat, width)
        starts = owners[: len(own)]
        places = np.minimum(np.searchsorted(known, own), len(known) - 1)
        # a sequence that begins in one text and ends in the next is in neither
        is_shared = (known[places] == own) & (starts == owners[width - 1 :])
        holds[starts[is_shared]] = True
    return holds


def _report(sources: pd.Series, reasons: pd.Series, holds: pd.Series, retrieval: RetrievalParams) -> pd.DataFrame:
    rows = []
    for source in retrieval.sources:
        own = reasons[sources == source]
        indexed, with_answer = (int(kept.sum()) for kept in (own == "", (own == "") & holds[own.index]))
        rows += [(source, len(own), int((own == reason).sum()), reason, indexed, with_answer) for reason in REASONS]
        logger.info("%s: %d of %d texts are indexed.", source, indexed, len(own))
        if with_answer:
            logger.info("%s: %d of the indexed texts hold a test answer.", source, with_answer)
    return pd.DataFrame(rows, columns=REPORT_COLUMNS)
