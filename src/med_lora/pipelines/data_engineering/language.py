"""Whether a text is in the language that an experiment is about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from med_lora.errors import InputError, nearest

MIN_WORDS = 8
# Foreign sentences score .77 to 1 (8 languages), misread English and lists of drugs at most .5.
MIN_PROBABILITY = 0.5
# A foreign text shows in its first lines; time grows with the length.
JUDGED_CHARACTERS = 250
# Capitalised words do not count: a list of drugs, diseases or persons has no language. Each Chinese, Japanese or Korean
# character counts as a word.
_WORD = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]|(?<![^\W_])[^\W\d_A-Z][^\W\d_]+")


def in_language(texts: Sequence[str], language: str) -> list[bool]:
    """For each text whether it may be in the language.

    A text is turned down only where another language is probable (py3langid; Lui and Baldwin 2012, "langid.py: an
    off-the-shelf language identification tool"); one with fewer than eight words that are not capitalised is not
    judged, since names and terms are much the same in many languages.

    Args:
        texts: cleaned texts.
        language: ISO 639-1 code.

    Raises:
        InputError: if the model does not know the language.
    """
    identifier = _identifier()
    known = {str(code) for code in identifier.nb_classes}
    if language not in known:
        raise InputError(
            f"data_engineering.cleaning.language is {language!r}, which py3langid cannot tell{nearest(language, known)}"
        )
    return [_may_be_in(text[:JUDGED_CHARACTERS], language, identifier) for text in texts]


def _may_be_in(text: str, language: str, identifier: Any) -> bool:
    if len(_WORD.findall(text)) < MIN_WORDS:
        return True
    found, probability = identifier.classify(text)
    # Latin is the names of muscles and species, not the language of a text.
    return bool(found in (language, "la") or probability < MIN_PROBABILITY)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
