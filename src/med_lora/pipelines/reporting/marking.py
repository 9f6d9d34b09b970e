"""Words of one answer that another has not, found by a word-level difference."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

COMPARED_WORDS = 300  # of each answer; answers that repeat one word, the worst case, take a quarter of a second then
MOST_MARKED = 0.6  # of the words compared; beyond, marks would say no more than that the answers are unlike
# the answers that each arm is compared with: tuning against the base model, passages against the same model without
COMPARED_WITH = {"base": "tuned", "tuned": "base", "base_rag": "base", "tuned_rag": "tuned"}
# a word with what joins it (don't, iron-deficiency), or what lies between words
_PIECES = re.compile(r"\w+(?:['\u2019-]\w+)*|\W+")

Piece = tuple[str, bool]  # text, and whether the other answer lacks it


class Marked(NamedTuple):
    """An answer in pieces, which together are its text.

    Attributes:
        pieces: neighbours of a kind as one.
        unlike: whether more than ``MOST_MARKED`` of its words would be marked, so that none are.
    """

    pieces: list[Piece]
    unlike: bool


def mark_differences(answer: str, other: str) -> Marked:
    """``answer`` in pieces, with those marked whose words do not stand at the same place of ``other``.

    Words are equal whatever their case; what lies between two marked words is marked with them. Words after the first
    ``COMPARED_WORDS`` of either answer are not compared, nor marked.
    """
    pieces = _PIECES.findall(answer)
    places = [place for place, piece in enumerate(pieces) if _is_word(piece)][:COMPARED_WORDS]
    words = [pieces[place].casefold() for place in places]
    others = [piece.casefold() for piece in _PIECES.findall(other) if _is_word(piece)]
    matcher = SequenceMatcher(None, words, others[:COMPARED_WORDS], autojunk=False)
    own = set(range(len(words)))
    for block in matcher.get_matching_blocks():
        own -= set(range(block.a, block.a + block.size))
    if len(others) > COMPARED_WORDS:
        own = set()  # what seems to be missing may stand in the rest of the other answer
    if len(own) > MOST_MARKED * len(words):
        return Marked([(answer, False)], unlike=True)
    marked = {places[number] for number in own}
    between = {place + 1 for place in marked if place + 2 in marked and not _is_word(pieces[place + 1])}
    return Marked(_merge(pieces, marked | between), unlike=False)


def _is_word(piece: str) -> bool:
    return piece[0].isalnum() or piece[0] == "_"


def _merge(pieces: list[str], marked: set[int]) -> list[Piece]:
    """Neighbours of a kind as one piece."""
    merged: list[Piece] = []
    for place, piece in enumerate(pieces):
        if merged and merged[-1][1] == (place in marked):
            merged[-1] = (merged[-1][0] + piece, merged[-1][1])
        else:
            merged.append((piece, place in marked))
    return merged
