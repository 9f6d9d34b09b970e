"""Raw records of each layout to one table of question-answer pairs, nothing left out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pandas as pd

from med_lora.chunks import Chunks
from med_lora.errors import InputError
from med_lora.layouts import LAYOUTS, Layout
from med_lora.parameters import CorpusParams
from med_lora.pipelines.data_engineering.layouts.encyclopaedia import MEDQUAD_COLUMNS, parse_medquad, parse_pages
from med_lora.pipelines.data_engineering.layouts.exams import first_number, parse_choices, parse_pubmedqa
from med_lora.pipelines.data_engineering.layouts.instructions import (
    instruction_varies,
    parse_alpaca,
    parse_messages,
    parse_pairs,
)

logger = logging.getLogger(__name__)

PAIR_COLUMNS = [
    "id",
    "corpus",
    "source",
    "document",
    "focus",
    "concepts",
    "question_type",
    "question",
    "answer",
    "choice",
    "licence",
    "fault",
]
# The faults found here; all others are a reader's.
PARSE_FAULTS = frozenset(
    {
        "not_in_layout",
        "duplicate_id",
        "no_options",
        "no_answer",
        "answer_not_among_options",
        "conflicting_answers",
        "unknown_decision",
    }
)
# With these the question is as it should be, and worth finding in other corpora where the corpus is a benchmark.
_FAULTS_OF_THE_ANSWER = frozenset(
    {"no_options", "no_answer", "answer_not_among_options", "conflicting_answers", "unknown_decision"}
)
Parser = Callable[[pd.DataFrame], pd.DataFrame]
_PARSERS: dict[str, Parser] = {
    "pairs": parse_pairs,
    "messages": parse_messages,
    "medquad": parse_medquad,
    "pages": parse_pages,
    "pubmedqa": parse_pubmedqa,
}
# Layouts whose ids come from the file: only these can repeat, and only these cost memory to watch.
_OWN_IDS = frozenset({"pairs", "medquad", "pubmedqa"})


def parse_corpus(records: Chunks, corpus: CorpusParams, name: str) -> Chunks:
    """Question-answer pairs of one raw corpus; every record becomes one row, usable or not.

    An id is the corpus's name and the record's own id, or its place in the corpus. Of records with the same id the
    first keeps it; the others get ``~2``, ``~3`` behind it and the fault ``duplicate_id``.

    Args:
        records: chunks of raw records, all text: ``row`` (place or key, unique), the layout's columns, and ``fault``
            (why the reader could not use the record, or ``""``).
        corpus: layout, title and licence of the corpus.
        name: the corpus's key, which starts every id.

    Returns:
        Chunks with ``PAIR_COLUMNS``, all text, ``""`` where unknown. Questions and answers are as in the raw file, and
        ``""`` where ``fault`` says why the record cannot be used; a fault of the answer alone leaves the question.

    Raises:
        InputError: if the layout has no pairs; while the chunks are read: if columns of the layout are missing, no
            record fits the layout, or numbers of options are counted in two ways.
    """
    known = ["alpaca", "choices", *_PARSERS]
    if corpus.layout not in known:
        raise InputError(f"corpora.{name}.layout is {corpus.layout}, which holds no questions; use {', '.join(known)}.")
    return Chunks(lambda: _parse(records, corpus, name))


def _parse(records: Chunks, corpus: CorpusParams, name: str) -> Iterator[pd.DataFrame]:
    parser = _parser_of(records, corpus.layout, name)
    ids = _DistinctIds()
    read, faults = 0, Counter[str]()
    for chunk in records:
        pairs = _parse_chunk(chunk, parser, corpus, name)
        if corpus.layout in _OWN_IDS:
            pairs = ids.mark(pairs)
        # Text of a record that is not used has no business further down.
        is_faulty = pairs["fault"] != ""
        pairs.loc[is_faulty, "answer"] = ""
        pairs.loc[is_faulty & ~pairs["fault"].isin(_FAULTS_OF_THE_ANSWER), "question"] = ""
        read += len(pairs)
        faults.update(pairs.loc[is_faulty, "fault"])
        yield pairs
    faulty = faults.total()
    if not read:
        raise InputError(f"raw_{name} holds no records; check corpora.{name}.files.")
    # The test part of an exam may come without answers, which is no sign of a wrong layout.
    if faulty == read and not faults["no_answer"]:
        reasons = ", ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
        files = corpus.files if isinstance(corpus.files, str) else ", ".join(corpus.files)
        raise InputError(
            f"None of the {read} records of raw_{name} ({files}) fits the layout {corpus.layout} ({reasons}); check "
            f"files, layout and columns of corpora.{name}."
        )
    logger.info("%s: %d records read, %d faulty.", corpus.title, read, faulty)


def _parser_of(records: Chunks, layout: str, name: str) -> Parser:
    """The parser of a layout, told what only the whole corpus says."""
    if layout == "choices":
        return partial(parse_choices, first=first_number(records, name), name=name)
    if layout == "alpaca":
        return partial(parse_alpaca, with_instruction=instruction_varies(records))
    return _PARSERS[layout]


def _parse_chunk(chunk: pd.DataFrame, parser: Parser, corpus: CorpusParams, name: str) -> pd.DataFrame:
    records = _with_columns(chunk, corpus.layout, name).reset_index(drop=True)
    is_read = records["fault"] == ""
    parsed = parser(records[is_read]).reindex(index=records.index, columns=PAIR_COLUMNS, fill_value="").astype("str")
    own_ids = parsed["id"]
    # Among records with ids, one without is named by its place, which must not look like an id.
    places = "row-" + records["row"] if (own_ids != "").any() else records["row"]
    return parsed.assign(
        id=f"{name}:" + own_ids.where(own_ids != "", places),
        corpus=name,
        licence=corpus.licence,
        fault=parsed["fault"].where(is_read, records["fault"]),
    ).astype("str")


def _with_columns(records: pd.DataFrame, layout: str, name: str) -> pd.DataFrame:
    """The records with all columns of their layout, ``""`` in those they lack."""
    known = LAYOUTS.get(layout, Layout((MEDQUAD_COLUMNS,)))
    if not any(set(names) <= set(records.columns) for names in known.alternatives):
        wanted = " or ".join(f"({', '.join(names)})" for names in known.alternatives)
        raise InputError(
            f"raw_{name} has the columns {', '.join(records.columns.difference(['row', 'fault']))}, and the layout "
            f"{layout} needs {wanted}; set corpora.{name}.columns or corpora.{name}.layout."
        )
    return records.reindex(columns=["row", *known.columns, "fault"], fill_value="").astype("str")


class _DistinctIds:
    """The ids seen so far, as 64-bit hashes: 8 bytes an id, and one false alarm in a million at ten million ids.

    Sorted runs of hashes are merged as they grow, so that each hash is moved a few times only.
    """

    def __init__(self) -> None:
        self._runs: list[np.ndarray] = []
        self._repeats = Counter[str]()
        self._like_renamed: set[str] = set()

    def mark(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """The pairs with distinct ids; one whose id came before gets another and the fault ``duplicate_id``."""
        ids, faults = pairs["id"].tolist(), pairs["fault"].tolist()
        self._like_renamed.update(identifier for identifier in ids if "~" in identifier)
        is_repeated = pairs["id"].duplicated().to_numpy() | self._seen(_hashes(ids))
        for row in np.flatnonzero(is_repeated):
            ids[row] = self._rename(ids[row])
            faults[row] = faults[row] or "duplicate_id"
        self._add(_hashes(ids))
        return pairs.assign(id=ids, fault=faults).astype("str")

    def _rename(self, identifier: str) -> str:
        while True:
            self._repeats[identifier] += 1
            name = f"{identifier}~{self._repeats[identifier] + 1}"
            if name not in self._like_renamed:
                return name

    def _seen(self, hashes: np.ndarray) -> np.ndarray:
        found = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            found |= run[places] == hashes
        return found

    def _add(self, hashes: np.ndarray) -> None:
        self._runs.append(np.sort(hashes))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))


def _hashes(identifiers: list[str]) -> np.ndarray:
    return pd.util.hash_array(np.asarray(identifiers, dtype=object))
