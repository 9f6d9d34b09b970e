"""Which passages a test question should find."""

from __future__ import annotations

import pandas as pd

from med_lora.metrics.content_words import content_words
from med_lora.passages import TRAINING
from med_lora.pipelines.data_engineering.text import comparison_key
from med_lora.pipelines.evaluation.controls.nearest import count_words
from med_lora.pipelines.question_generation.nodes import CORPUS as GENERATED

# "Yes, it does" and the like stand in many passages by chance
FEWEST_CONTENT_WORDS = 15  # fewer stand in some passage of a large index by chance
BLOCK = 64  # references compared with all passages at once

Grades = dict[str, dict[str, float]]  # of every pair, the relevant passages and how relevant each is


def known_passages(pairs: pd.DataFrame, passages: pd.DataFrame) -> Grades:
    """The passages that the corpora themselves connect with a pair, each of grade 1.

    A pair that a language model wrote from a passage (id ``generated:<passage>/<long|short>-<n>``) names it. To any
    other pair belong the passages of the chapter, or page of a wiki, whose title is the pair's focus or document, in
    the same words; training answers do not, since a title there is only their topic.

    Args:
        pairs: columns id, and focus and document where the corpus has them.
        passages: those in the index; columns id and chapter.
    """
    ids = set(passages["id"])
    chapters: dict[str, list[str]] = {}
    for passage, chapter in passages[["id", "chapter"]].itertuples(index=False):
        if not passage.startswith(TRAINING) and (title := comparison_key(chapter)):
            chapters.setdefault(title, []).append(passage)
    grades: Grades = {}
    for row in pairs.to_dict("records"):
        pair = str(row["id"])
        if pair.startswith(f"{GENERATED}:"):
            source = pair.removeprefix(f"{GENERATED}:").rpartition("/")[0]
            grades[pair] = {source: 1.0} if source in ids else {}
        else:
            titles = {comparison_key(row[name]) for name in ("focus", "document") if isinstance(row.get(name), str)}
            grades[pair] = {passage: 1.0 for title in titles for passage in chapters.get(title, ())}
    return grades


def passages_with_words(pairs: pd.DataFrame, passages: pd.DataFrame, share: float) -> Grades:
    """The passages that hold at least ``share`` of the distinct content words of a pair's answer; the grade is theirs.

    Content words are those of :func:`~med_lora.metrics.content_words.content_words`. To an answer with fewer than three
    no passage is relevant. Words in common do not prove that a passage answers the question.

    Args:
        pairs: columns id and answer.
        passages: those in the index; columns id and text.
        share: above 0, at most 1.
    """
    sought = [frozenset(content_words(answer)) for answer in pairs["answer"]]
    vocabulary = {word: place for place, word in enumerate(sorted(frozenset[str]().union(*sought)))}
    held = [frozenset(content_words(text)) for text in passages["text"]]
    transposed = count_words(held, vocabulary).T.tocsr()
    wanted = count_words(sought, vocabulary)
    ids, names = list(passages["id"]), list(pairs["id"])
    grades: Grades = {}
    for start in range(0, len(names), BLOCK):
        shared = (wanted[start : start + BLOCK] @ transposed).tocsr()
        for row in range(shared.shape[0]):
            words = len(sought[start + row])
            part = slice(shared.indptr[row], shared.indptr[row + 1])
            shares = shared.data[part] / max(words, 1)
            is_relevant = (shares >= share) & (words >= FEWEST_CONTENT_WORDS)
            found = zip(shared.indices[part][is_relevant], shares[is_relevant], strict=True)
            grades[names[start + row]] = {ids[place]: float(value) for place, value in found}
    return grades
