"""Text of a record to plain text: mark-up, entities, odd characters and white space; keys for comparison."""

from __future__ import annotations

import html
import re
import unicodedata
from html.entities import html5
from urllib.parse import unquote

_BLOCK_TAGS = (
    "address|article|blockquote|br|center|dd|div|dl|dt|figure|h[1-6]|hr|ol|p|pre|section|table|tbody|thead|tr|ul"
)
_INLINE_TAGS = (
    "a|abbr|acronym|b|big|cite|code|col|del|em|font|i|img|ins|kbd|label|link|mark|math|meta|nobr|nowiki|q|ref|s|samp|"
    "small|span|strike|strong|sub|tt|u|var|wbr|body|head|html|title|caption|colgroup|td|th"
)
# Attributes need a value (or be one of the few known flags): "a <b and c> d" is a comparison, not a tag.
_ATTRIBUTE = r"""[A-Za-z_:][-\w:.]*\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>=`]+)|nowrap|hidden|compact|noshade"""
_ATTRIBUTES = rf"(?:\s+(?:{_ATTRIBUTE}))*\s*/?"


def _tag(names: str) -> re.Pattern[str]:
    return re.compile(rf"</?(?:{names}){_ATTRIBUTES}>", re.IGNORECASE)


# The bound keeps many unclosed elements from costing time in the square of their number.
_UP_TO = ".{0,5000}?"
_HIDDEN = re.compile(
    rf"<!--{_UP_TO}-->|<(script|style){_ATTRIBUTES}>{_UP_TO}</\1\s*>"
    rf"|<ref(?:\s[^<>]*)?(?<!/)>{_UP_TO}</ref\s*>|<ref\s[^<>]*/>",
    re.IGNORECASE | re.DOTALL,
)
_EXPONENT = re.compile(rf"<sup{_ATTRIBUTES}>\s*([-+\u2212]?\d+)\s*</sup\s*>", re.IGNORECASE)
_LIST_ITEM = re.compile(rf"<li{_ATTRIBUTES}>", re.IGNORECASE)
_BLOCK = _tag(_BLOCK_TAGS + "|li")
_CELL = _tag("td|th")
_INLINE = _tag(_INLINE_TAGS + "|sup")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_PERCENT_ESCAPE = re.compile(r"(?<=[^\W\d_])(?:%[0-9A-F]{2})+(?!\d)")
_LIGATURE = re.compile("[\ufb00-\ufb06]")
# Letters that PDFs take from the Symbol font; without them "BMI ≥ 30" would read "BMI 30".
_SYMBOLS = {
    "\uf061": "α",
    "\uf062": "β",
    "\uf06d": "µ",
    "\uf0a3": "≤",
    "\uf0b0": "°",
    "\uf0b1": "±",
    "\uf0b3": "≥",
    "\uf0b4": "×",
}
_SYMBOL = re.compile(f"[{''.join(_SYMBOLS)}]")
# Controls, soft hyphen, zero-width and direction marks, private use, non-characters. The replacement character stays:
# it stands for a letter that was lost, and "10 \ufffdg" must not read "10 g".
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ue000-\uf8ff"
    "\ud800-\udfff\ufeff\ufff9-\ufffc\ufffe\uffff\U000f0000-\U0010ffff]"
)
# What UTF-8 read as a one-byte encoding almost always holds; only such text is worth the price of a closer look.
_MAYBE_MISREAD = re.compile("[\x80-\x9f\u00c2\u00c3\u00c5\u00ce-\u00d1\u00e2\u00f0\u201a\u221a]")
_MAY_CHANGE = re.compile(f"[<&%]|{_MAYBE_MISREAD.pattern}")
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r" [^\S\n]+|[^\S\n ][^\S\n]*")
_SPACE_AROUND_NEWLINE = re.compile(r" ?\n ?")
_BLANK_LINES = re.compile(r"\n{3,}")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_TOKEN = re.compile(r"\w+|[<>=≤≥±+%]")


def _decode_entity(match: re.Match[str]) -> str:
    # html.unescape also takes the beginning of a longer name: it makes "R®ular;" of "R&regular;".
    known = match[0][1] == "#" or match[0][1:] in html5
    return html.unescape(match[0]) if known else match[0]


def _decode_percent(match: re.Match[str]) -> str:
    try:
        return unquote(match[0], errors="strict")
    except UnicodeDecodeError:
        return match[0]


def _mend_encoding(text: str) -> str:
    """Text with UTF-8 that was read as Windows-1252 and the like ("itâ€™s") read again; other text stays."""
    from ftfy import fix_encoding

    return fix_encoding(text)


def _strip_markup(text: str) -> str:
    text = _HIDDEN.sub(" ", text)
    # Without the caret 10<sup>9</sup>/L would read 109/L.
    text = _EXPONENT.sub(r"^\1", text)
    text = _LIST_ITEM.sub("\n- ", text)
    return _INLINE.sub("", _CELL.sub(" ", _BLOCK.sub("\n", text)))


def _clean_once(text: str) -> str:
    # First, since C1 controls and no-break spaces are part of the damage.
    if _MAYBE_MISREAD.search(text):
        text = _mend_encoding(text)
    if "<" in text:
        text = _strip_markup(text)
    if "&" in text:
        text = _ENTITY.sub(_decode_entity, text)
    if "%" in text:
        text = _PERCENT_ESCAPE.sub(_decode_percent, text)
    text = _SYMBOL.sub(lambda match: _SYMBOLS[match[0]], text)
    text = _INVISIBLE.sub("", _LINE_END.sub("\n", text))
    text = _LIGATURE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = unicodedata.normalize("NFC", text)
    text = _SPACE_AROUND_NEWLINE.sub("\n", _SPACES.sub(" ", text))
    return _BLANK_LINES.sub("\n\n", text).strip()


def clean_text(text: str) -> str:
    """Plain text in Unicode NFC without HTML, entities, misread UTF-8, control characters and runs of white space.

    Only known HTML elements count as tags, so "pH <7", "< 5 mg" and "a <b and c> d" survive; exponents get a
    ``^``; text inside ``<ref>``, ``<script>`` and comments goes. Lines stay lines. Escaped mark-up
    (``&lt;br&gt;``, ``&amp;nbsp;``) is removed too: the passes repeat until nothing changes.
    """
    text = _clean_once(text)
    for _ in range(7):
        # Only what was hidden in mark-up, escapes or misread bytes can change once more.
        if not _MAY_CHANGE.search(text):
            break
        cleaned = _clean_once(text)
        if cleaned == text:
            break
        text = cleaned
    return text


def words(text: str) -> list[str]:
    """Case-folded words and comparison signs: what two texts must share to count as equal."""
    return _TOKEN.findall(text.casefold())


def has_words(text: str) -> bool:
    """Whether the text has a letter or a digit."""
    return _LETTER_OR_DIGIT.search(text) is not None


def comparison_key(text: str) -> str:
    """The words of a text joined by spaces; texts with equal keys count as the same text."""
    return " ".join(words(text))
