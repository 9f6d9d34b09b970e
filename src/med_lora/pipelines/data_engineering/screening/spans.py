"""What a screening rule finds: a span of one of the 18 Safe-Harbor classes, and how overlapping spans are settled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

# Field of ScreeningParams -> placeholder. The order is that of specificity: where two classes claim the same
# characters, the one that stands first here has them.
PLACEHOLDERS = {
    "photographs": "[PHOTOGRAPH]",
    "emails": "[EMAIL]",
    "urls": "[URL]",
    "ip_addresses": "[IP ADDRESS]",
    "biometrics": "[BIOMETRIC]",
    "vehicle_numbers": "[VEHICLE NUMBER]",
    "device_numbers": "[DEVICE NUMBER]",
    "health_plan_numbers": "[HEALTH PLAN NUMBER]",
    "licence_numbers": "[LICENCE NUMBER]",
    "account_numbers": "[ACCOUNT NUMBER]",
    "medical_record_numbers": "[RECORD NUMBER]",
    "social_security_numbers": "[SSN]",
    "faxes": "[FAX]",
    "phones": "[PHONE]",
    "dates": "[DATE]",
    "other_identifiers": "[IDENTIFIER]",
    "geography": "[PLACE]",
    "names": "[NAME]",
}
_RANK = {kind: rank for rank, kind in enumerate(PLACEHOLDERS)}
_PLACEHOLDER = re.compile("|".join(re.escape(mask) for mask in PLACEHOLDERS.values()))
_FREE = re.compile(rb"\x00+")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


class Span(NamedTuple):
    """Characters ``start`` to ``end`` (exclusive) of a text, and the class they belong to (a screening parameter)."""

    start: int
    end: int
    kind: str


class Rule(NamedTuple):
    """One form that identifiers of a class take.

    Searches for literals cost a small part of searches for patterns. So with ``cues`` (lower case) the pattern is
    matched only where one of them stands in the lower-cased text; with ``needs`` it is searched only in a text that
    holds one of them; with ``guard`` only in a text for which that, cheaper, search is successful. The group ``id`` of
    the pattern is what identifies, or the whole match without such a group; ``accepts`` may turn a match down, and
    ``cut`` give narrower bounds, or None to turn it down.
    """

    kind: str
    pattern: re.Pattern[str]
    cues: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    guard: Callable[[str], object] | None = None
    accepts: Callable[[re.Match[str]], bool] | None = None
    cut: Callable[[re.Match[str]], tuple[int, int] | None] | None = None

    def spans(self, text: str, lowered: str) -> Iterator[Span]:
        """The spans that the rule finds in a text, ``guard`` apart; ``lowered`` is as long as the text."""
        for match in self._matches(text, lowered):
            if self.accepts and not self.accepts(match):
                continue
            bounds = self.cut(match) if self.cut else match.span("id" if "id" in self.pattern.groupindex else 0)
            if bounds:
                yield Span(*bounds, self.kind)

    def is_possible(self, text: str, lowered: str) -> bool:
        """Whether the text holds one of the cues and needs; written as loops, since it runs for each rule and text."""
        for cue in self.cues:
            if cue in lowered:
                return True
        for need in self.needs:
            if need in text:
                return True
        return not (self.cues or self.needs)

    def _matches(self, text: str, lowered: str) -> Iterator[re.Match[str]]:
        if not self.cues:
            yield from self.pattern.finditer(text)
        for cue in self.cues:
            start = lowered.find(cue)
            while start >= 0:
                match = self.pattern.match(text, start)
                if match:
                    yield match
                start = lowered.find(cue, max(start + 1, match.end() if match else 0))


def settle(text: str, spans: Iterable[Span]) -> list[Span]:
    """The spans in order, without overlap, and clear of placeholders that stand in the text already.

    A span keeps the parts that no more specific class (then: no earlier, then: no longer span) has claimed, where
    they hold a letter or a digit. Takes time linear in the text and the spans' lengths.
    """
    ordered = sorted(set(spans), key=lambda span: (_RANK[span.kind], span.start, -span.end))
    if not ordered:
        return []
    claimed = bytearray(len(text))
    for match in _PLACEHOLDER.finditer(text):
        claimed[match.start() : match.end()] = b"\x01" * len(match[0])
    settled = []
    for span in ordered:
        for free in _FREE.finditer(claimed[span.start : span.end]):
            part = text[span.start + free.start() : span.start + free.end()]
            if _LETTER_OR_DIGIT.search(part):
                start = span.start + free.start() + len(part) - len(part.lstrip())
                settled.append(Span(start, start + len(part.strip()), span.kind))
        claimed[span.start : span.end] = b"\x01" * (span.end - span.start)
    return sorted(settled)
