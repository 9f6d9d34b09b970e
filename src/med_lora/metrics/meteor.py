"""METEOR, with synonyms where WordNet is installed."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, NamedTuple

from med_lora.metrics.wordnet import WordNet


class Meteor:
    """NLTK's METEOR (Banerjee and Lavie 2005; Lavie and Agarwal 2007) of one answer against one reference.

    Words match as they are, then by Porter's stem, then as synonyms; without WordNet the last step is left out, and the
    score has another name. Stems and synonyms are looked up once a word.
    """

    def __init__(self, wordnet: WordNet | None) -> None:
        from nltk.tokenize.destructive import NLTKWordTokenizer
        from nltk.translate.meteor_score import single_meteor_score

        self.name = "meteor_exact_stem" if wordnet is None else "meteor"
        synonyms = "no" if wordnet is None else f"WordNet {wordnet.version}"
        self.signature = (
            f"nltk {version('nltk')}|alpha 0.9, beta 3, gamma 0.5|case:lower|tok:NLTKWordTokenizer|stemmer:Porter|"
            f"synonyms:{synonyms}"
        )
        self._score = single_meteor_score
        self._tokenizer = NLTKWordTokenizer()
        self._stemmer = _Stems()
        self._wordnet = wordnet

    def tokenise(self, text: str) -> list[str]:
        """Words and punctuation in lower case."""
        tokens: list[str] = self._tokenizer.tokenize(text.lower())
        return tokens

    def score(self, answer: list[str], reference: list[str]) -> float:
        """METEOR in 0-1 of two tokenised texts; 0 where nothing matches."""
        wordnet = _SynonymsAmong({self._stemmer.stem(word) for word in reference}, self._wordnet)
        return float(self._score(reference, answer, stemmer=self._stemmer, wordnet=wordnet))


class _Stems:
    """Porter's stems, each computed once."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self._stem: Any = PorterStemmer().stem
        self._known: dict[str, str] = {}

    def stem(self, word: str) -> str:
        stem = self._known.get(word)
        if stem is None:
            stem = self._known[word] = self._stem(word)
        return stem


class _SynonymsAmong:
    """What METEOR reads of WordNet, without the synonyms that the reference does not hold: they could match nothing.

    At this step of METEOR both texts are stems.
    """

    def __init__(self, stems: set[str], wordnet: WordNet | None) -> None:
        self._stems = stems
        self._wordnet = wordnet

    def synsets(self, word: str) -> list[_Synset]:
        return [_Synset(self._wordnet.synonyms(word) & self._stems)] if self._wordnet else []


class _Synset(NamedTuple):
    names: frozenset[str]

    def lemmas(self) -> list[_Lemma]:
        return [_Lemma(name) for name in self.names]


class _Lemma(NamedTuple):
    text: str

    def name(self) -> str:
        return self.text
