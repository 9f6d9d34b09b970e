"""How far an answer rests on the passages that its question came with."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, Protocol

from med_lora.metrics.content_words import content_words
from med_lora.metrics.definition import Metric
from med_lora.metrics.quantities import stated_numbers
from med_lora.sentences import SENTENCE_END

MOST = 0.5  # a sentence rests on a passage that holds more than this share of its content words
# what cannot match is not tried again a character later, since answers may be one long run of a character
_MARK = re.compile(r"(?<![^\S\n])[^\S\n]*+\[(\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*)\]")
# "It hurts. [1] Rest it." cites for what stands before
_MARKS_BEHIND_END = re.compile(rf"(?<![.!?])([.!?]++)((?:{_MARK.pattern})+)")
_SENTENCE = re.compile(rf"\S.*?(?:{SENTENCE_END}|$)", re.MULTILINE)


class Shown(Protocol):
    """What is read of a passage that a model was given."""

    @property
    def place(self) -> int:
        """Its number in the prompt."""

    @property
    def text(self) -> str:
        """As shown."""

    @property
    def citation(self) -> str:
        """Book, chapter, page."""


class Basis(NamedTuple):
    """What an answer may rest on, prepared once for all answers to a question.

    Attributes:
        asked: content words of the question.
        words: content words of each passage and its citation, by its number in the prompt.
        numbers: that the passages or the question state.
    """

    asked: frozenset[str]
    words: dict[int, frozenset[str]]
    numbers: frozenset[object]


class Claims(NamedTuple):
    """What an answer says, prepared once for all questions that it is given to.

    Attributes:
        words: its content words.
        sentences: content words and numbers cited, of each sentence.
        numbers: that it states, citations aside.
        cited: all numbers cited.
    """

    words: frozenset[str]
    sentences: tuple[tuple[frozenset[str], frozenset[int]], ...]
    numbers: frozenset[object]
    cited: frozenset[int]


class Attribution(NamedTuple):
    """A sentence, its own citations before its end, and the passage that it rests on: number (0 for none), citation."""

    sentence: str
    place: int
    citation: str


def grounding_metrics() -> list[Metric]:
    """Share of words is tested; the others would cost it power, since all say much the same."""
    words = "case-folded words and numbers|without function words of English and the question's words|no stems"
    rests = f"more than {MOST} of its distinct content words stand in"
    marks = "citation: [1] or [1, 2], behind the end of a sentence too"
    return [
        Metric(
            "grounded_words",
            "grounding",
            "higher",
            True,
            f"distinct content words of the answer that stand in a passage shown / all|{words}",
        ),
        _describing("grounded_sentences", "higher", f"sentences of which {rests} one passage shown / all|{words}"),
        _describing(
            "ungrounded_numbers",
            "lower",
            "answers with a number that neither a passage shown nor the question states / all answers|digits, two to "
            "twelve in words|citations aside",
        ),
        _describing("cites_passage", "higher", f"answers that cite a passage shown / all answers|{marks}"),
        _describing("wrong_citation", "lower", f"answers that cite a number not shown / all answers|{marks}"),
        _describing(
            "citation_supported",
            "higher",
            f"sentences of which {rests} the passages cited / sentences that cite|{marks}|{words}",
        ),
    ]


def _describing(name: str, better: Literal["lower", "higher"], signature: str) -> Metric:
    return Metric(name, "grounding", better, False, signature)


def read_basis(question: str, passages: Iterable[Shown]) -> Basis:
    """What stands in the passages shown with a question; numbers of a citation support none of the answer."""
    words: dict[int, frozenset[str]] = {}
    numbers = set[object](stated_numbers(question))
    for passage in passages:
        words[passage.place] = _words_of(passage)
        numbers |= stated_numbers(passage.text)
    return Basis(frozenset(content_words(question)), words, frozenset(numbers))


def read_claims(answer: str) -> Claims:
    """What an answer says and cites."""
    marked = [_split_marks(sentence) for sentence in _sentences(answer)]
    sentences = [(frozenset(content_words(text)), cited) for text, cited in marked]
    plain = _MARK.sub("", answer)
    return Claims(
        frozenset(content_words(plain)),
        tuple(sentences),
        frozenset(stated_numbers(plain)),
        frozenset(number for _, cited in marked for number in cited),
    )


def score_claims(claims: Claims, basis: Basis) -> dict[str, float]:
    """Scores of an answer by metric, 0 to 1; those of :func:`grounding_metrics`.

    Words of the question count nowhere: passages are found by them, so that they stand in the passages whatever is
    answered.

    - ``grounded_words``: share of its distinct content words that stand in any passage shown.
    - ``grounded_sentences``: share of its sentences of which more than half of the distinct content words stand in
      one passage.
    - ``ungrounded_numbers``: whether it states a number that stands neither in a passage nor in the question.
    - ``cites_passage``: whether it names the number of a passage shown, as in "[1]".
    - ``wrong_citation``: whether it names a number that no passage shown has.
    - ``citation_supported``: of its sentences that cite a passage shown, the share of which more than half of the
      distinct content words stand in the passages cited.

    Words in common do not prove that a passage says what the answer says, and a paraphrase shares few: what the
    references and the arms without passages score is the yardstick. NaN where there is nothing to divide by: an answer
    without content words of its own, no citation of a passage shown, or a question that no passage was shown with (all
    of them).
    """
    if not basis.words:
        return {metric.name: math.nan for metric in grounding_metrics()}
    shown = frozenset[str]().union(*basis.words.values())
    own = claims.words - basis.asked
    sentences = [(left, cited) for words, cited in claims.sentences if (left := words - basis.asked)]
    rest = [any(_rests(words, held) for held in basis.words.values()) for words, _ in sentences]
    supported = [
        _rests(words, frozenset[str]().union(*(basis.words[place] for place in places)))
        for words, cited in sentences
        if (places := cited & basis.words.keys())
    ]
    return {
        "grounded_words": _share(len(own & shown), len(own)),
        "grounded_sentences": _share(sum(rest), len(rest)),
        "ungrounded_numbers": float(not claims.numbers <= basis.numbers),
        "cites_passage": float(bool(claims.cited & basis.words.keys())),
        "wrong_citation": float(not claims.cited <= basis.words.keys()),
        "citation_supported": _share(sum(supported), len(supported)),
    }


def attribute(question: str, answer: str, passages: Sequence[Shown]) -> list[Attribution]:
    """For each sentence of an answer the passage that holds most of its content words, the first of equals.

    Words of the question do not count, as in :func:`score_claims`. Place 0 and an empty citation where none holds more
    than half of the others.
    """
    asked = frozenset(content_words(question))
    held = {passage.place: _words_of(passage) for passage in passages}
    citations = {passage.place: passage.citation for passage in passages}
    found = []
    for sentence in _sentences(answer):
        words = frozenset(content_words(_split_marks(sentence)[0])) - asked
        best = max(held, key=lambda place: (len(words & held[place]), -place), default=0)
        place = best if best and _rests(words, held[best]) else 0
        found.append(Attribution(sentence, place, citations.get(place, "")))
    return found


def _words_of(passage: Shown) -> frozenset[str]:
    return frozenset(content_words(f"{passage.citation}\n{passage.text}"))


def _sentences(answer: str) -> list[str]:
    """Sentences and lines, each with the citations behind its end."""
    moved = _MARKS_BEHIND_END.sub(r"\2\1", answer)
    return [match[0].strip() for match in _SENTENCE.finditer(moved)]


def _split_marks(sentence: str) -> tuple[str, frozenset[int]]:
    """A sentence without its citations, and the numbers that they name."""
    cited = frozenset(int(number) for mark in _MARK.findall(sentence) for number in re.findall(r"\d+", mark))
    return _MARK.sub("", sentence), cited


def _rests(words: frozenset[str], held: frozenset[str]) -> bool:
    return len(words & held) > MOST * len(words)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
