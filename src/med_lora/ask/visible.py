"""Text of models and books on its way to a terminal."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")
# They change the order in which the letters around them are shown, or end a line where no reader sees one.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def visible(text: str) -> str:
    """``text`` with every control character spelled out, such as ``\\x1b``: a terminal would carry them out.

    Line ends and tabs are kept; so are joiners within words, which scripts and emoji need.
    """
    return "".join(_spell(character) for character in text)


def _spell(character: str) -> str:
    harmless = unicodedata.category(character) != "Cc" and character not in _REORDERING
    if harmless or character in _KEPT:
        return character
    return character.encode("unicode_escape").decode("ascii")
