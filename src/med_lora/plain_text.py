"""Questions and answers as judge and raters see them: what would tell arms apart besides the words is taken away."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = ("Cc", "Cf", "Cs")  # control, format, and halves of surrogate pairs
_JOINERS = "\u200c\u200d"
# Unicode's default ignorable characters of other categories; joiners stay after letters of scripts spelt with them.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
    f"|(?<![\u0590-\u1cff])[{_JOINERS}]"
)
# A > before a number is a comparison, and no quotation.
_LINE_MARKERS = re.compile(r"^(?:```\w*\s*$|(?:[-*_]\s*){3,}$|(?:#{1,6}\s+|[-*+\u2022]\s+|>(?!\s*[\d.,=])\s?)+)")
_EMPHASIS = re.compile(
    r"(?P<mark>\*\*|__)(?=\S)(?P<strong>.+?)(?<=\S)(?P=mark)"
    r"|(?<![\w*])\*(?=[^\s*])(?P<star>[^*]+?)(?<=\S)\*(?![\w*])"
    r"|(?<!\w)_(?=[^\s_])(?P<line>[^_]+?)(?<=\S)_(?!\w)"
    r"|`(?P<code>[^`]+)`"
)
# Marks of chat templates. In a prompt they would become tokens that end the turn, here and on servers.
_STEERING = re.compile(
    r"<(?=[|\uff5c])|(?<=[|\uff5c])>|<(?=/?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn)>)|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|[A-Z]+_TOOLS|TOOL_[A-Z]+)\])",
    re.IGNORECASE,
)


def show_plainly(text: str) -> str:
    """A text without markdown markers, invisible characters and spare white space; words and lines stay.

    The markers are those of headings, lists without numbers, quotations, rules, code and emphasis.
    An answer that was cut stays cut: the text alone does not tell it from one that ends without a full stop, and to
    drop what follows the last full stop in all arms alike would take whole lists away.
    """
    lines = (_plain_line(line) for line in _visible(text).splitlines())
    return "\n".join(line for line in lines if line)


def disarm(text: str) -> str:
    """The text with the marks of chat templates broken by a space, and without invisible characters.

    For prompts alone: a person is not steered by such a mark, and sees it as it was written.
    """
    return _STEERING.sub(lambda match: f" {match[0]}" if match[0] == ">" else f"{match[0]} ", _visible(text))


def _visible(text: str) -> str:
    """The text without invisible characters, as NFC."""
    kept = (
        character
        for character in text
        if character in _JOINERS or character.isspace() or unicodedata.category(character) not in _INVISIBLE
    )
    return unicodedata.normalize("NFC", _IGNORABLE.sub("", "".join(kept)))


def _plain_line(line: str) -> str:
    """The line without markers, nested ones included."""
    plain = _without_outer_markers(line)
    while plain != line:
        line, plain = plain, _without_outer_markers(plain)
    return plain


def _without_outer_markers(line: str) -> str:
    line = _LINE_MARKERS.sub("", line.strip())
    return " ".join(
        _EMPHASIS.sub(lambda match: match["strong"] or match["star"] or match["line"] or match["code"], line).split()
    )
