"""Privacy screening of a text in the 18 classes of the HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from med_lora.parameters import ScreeningParams
from med_lora.pipelines.data_engineering.screening import contacts, dates, names, numbers, places
from med_lora.pipelines.data_engineering.screening.presidio import Analyzer, analyzed_spans, load_analyzer
from med_lora.pipelines.data_engineering.screening.spans import PLACEHOLDERS, Rule, Span, settle

_RULES = (*numbers.RULES, *contacts.RULES, *dates.RULES, *places.RULES, *names.RULES)


class Screened(NamedTuple):
    """A screened text.

    ``found`` are the classes found, sorted, whatever was done about them; ``rejected`` those among them for which the
    record is to be rejected.
    """

    text: str
    found: tuple[str, ...]
    rejected: tuple[str, ...]


class Screener:
    """Finds identifiers by patterns and lists (and presidio, if asked), and masks, rejects or reports them.

    Screened text is not de-identified text: patterns miss identifiers in wordings they do not know. Build the screener
    once; ``screen`` is a function of the text alone.
    """

    def __init__(self, params: ScreeningParams, analyzer: Analyzer | None = None) -> None:
        """Prepare the rules of all classes that are not ignored.

        Args:
            params: what is done about each class.
            analyzer: presidio's engine, if it is at hand; by default it is loaded if ``params.presidio`` asks for it.

        Raises:
            InputError: if presidio is asked for and not installed.
        """
        self._actions = {kind: getattr(params, kind) for kind in PLACEHOLDERS}
        # By guard, so that each is searched once a text.
        self._rules: dict[Callable[[str], object] | None, list[Rule]] = {}
        for rule in _RULES:
            if self._actions[rule.kind] != "ignore":
                self._rules.setdefault(rule.guard, []).append(rule)
        self._analyzer = analyzer or load_analyzer() if params.presidio else None

    def find(self, text: str) -> list[Span]:
        """The identifiers in a text, in order and without overlap; placeholders of earlier masking are none."""
        # The dotted I is the one letter that becomes two in lower case; places in both texts must agree.
        lowered = text.replace("İ", "I").lower()
        spans: list[Span] = []
        for guard, rules in self._rules.items():
            if guard is None or guard(text):
                for rule in rules:
                    if rule.is_possible(text, lowered):
                        spans.extend(rule.spans(text, lowered))
        if self._analyzer:
            found = analyzed_spans(self._analyzer, text)
            spans.extend(span for span in found if self._actions[span.kind] != "ignore")
        return settle(text, spans)

    def screen(self, text: str) -> Screened:
        """Mask the text and name the classes found in it; a masked text screened again stays as it is.

        What is to be rejected is masked too. Masking can bring a further identifier to light (the words left of one
        stand beside others then), so the text is searched until nothing more is found; each pass leaves less of it.
        """
        found: set[str] = set()
        while True:
            spans = self.find(text)
            found.update(span.kind for span in spans)
            masked = [span for span in spans if self._actions[span.kind] != "report"]
            if not masked:
                break
            text = _mask(text, masked)
        rejected = sorted(kind for kind in found if self._actions[kind] == "reject")
        return Screened(text, tuple(sorted(found)), tuple(rejected))


def _mask(text: str, spans: list[Span]) -> str:
    parts = []
    end = 0
    for span in spans:
        parts += [text[end : span.start], PLACEHOLDERS[span.kind]]
        end = span.end
    return "".join([*parts, text[end:]])
