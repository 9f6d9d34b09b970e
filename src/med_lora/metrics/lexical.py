"""All lexical metrics of a pair: what each is, and the scores of answers against their references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import version

import numpy as np

from med_lora.metrics import ngrams
from med_lora.metrics.definition import Metric
from med_lora.metrics.meteor import Meteor
from med_lora.metrics.ngrams import CHARACTER_STATISTICS, WORD_STATISTICS, Counts, Floats
from med_lora.metrics.overlap import common_subsequence, normalise, overlap_f, token_f1

NAMES = ("rouge1", "rouge2", "rougeL", "bleu", "chrf", "exact_match", "token_f1")
# of a pair, by the score of the corpus that is made of their sums
STATISTICS = {
    metric: tuple(f"{metric}_{name}" for name in names)
    for metric, names in (("bleu", WORD_STATISTICS), ("sacrebleu", WORD_STATISTICS), ("chrf", CHARACTER_STATISTICS))
}
ANALYSED = 64  # texts whose words stay counted: a reference, and control answers that recur


def lexical_metrics(rouge_beta: float, meteor: Meteor) -> list[Metric]:
    """The metrics of :class:`LexicalScorer`, means over pairs."""
    rouge = f"rouge_score {version('rouge_score')}|stemmer:no|tok:[a-z0-9]+"
    squad = "SQuAD 2.0 normalisation|lower case, no punctuation, no articles"
    bleu = f"sacrebleu|mean of sentence BLEU|{ngrams.bleu_signature(effective_order=True)}"
    return [
        Metric("rouge1", "overlap", "higher", True, f"{rouge}|rouge1|F1"),
        Metric("rouge2", "overlap", "higher", True, f"{rouge}|rouge2|F1"),
        Metric("rougeL", "overlap", "higher", True, f"{rouge}|rougeL|F, beta {rouge_beta:g}"),
        Metric("bleu", "overlap", "higher", True, bleu),
        Metric("chrf", "overlap", "higher", True, f"sacrebleu|mean of sentence chrF2|{ngrams.chrf_signature()}"),
        Metric(meteor.name, "overlap", "higher", True, meteor.signature),
        Metric("exact_match", "overlap", "higher", True, squad),
        Metric("token_f1", "overlap", "higher", True, squad),
    ]


def score_pair(answer: str, reference: str, rouge_beta: float = 1.0) -> dict[str, float]:
    """Scores of one answer by name, without METEOR; see :class:`LexicalScorer`."""
    row = _plain_scorer(rouge_beta).score([(answer, reference)])[0][0]
    return dict(zip(NAMES, row.tolist(), strict=True))


@cache
def _plain_scorer(rouge_beta: float) -> LexicalScorer:
    return LexicalScorer(rouge_beta)


@dataclass(frozen=True)
class _Text:
    """What the metrics count of a text."""

    rouge: Counts
    plain: Counts
    words: Counts
    characters: Counts
    squad: list[str]
    meteor: list[str]


class LexicalScorer:
    """Scores of answers against one reference each.

    ROUGE-1, -2 and -L (Lin 2004), METEOR, exact match and token F1 (Rajpurkar et al. 2018) lie in 0-1; BLEU (Papineni
    et al. 2002, of the sentence, smoothed as its signature says) and chrF2 (Popovic 2015) in 0-100. An answer without a
    visible character scores 0 in all.

    Args:
        rouge_beta: weight of recall in the F of ROUGE-L, for which Lin defines it; ROUGE-1 and -2 are F1.
        meteor: None leaves METEOR out.
    """

    def __init__(self, rouge_beta: float, meteor: Meteor | None = None) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._beta = rouge_beta
        self._meteor = meteor
        self._rouge_tokens = DefaultTokenizer(use_stemmer=False).tokenize
        self._numbers: dict[str, int] = {}
        self._analyse = lru_cache(maxsize=ANALYSED)(self._count)
        self.names = (*NAMES, meteor.name) if meteor else NAMES

    def score(self, pairs: Sequence[tuple[str, str]]) -> tuple[Floats, Counts]:
        """Scores and statistics of (answer, reference); fastest where pairs of one reference follow each other.

        Returns:
            scores: [pairs, names].
            statistics: [pairs, those of ``STATISTICS``]; ``bleu`` is of the words between white space, ``sacrebleu`` of
                those of its tokenizer 13a.
        """
        texts = [(self._analyse(answer), self._analyse(reference)) for answer, reference in pairs]
        answers, references = zip(*texts, strict=True)
        plain = ngrams.match_words([text.plain for text in answers], [text.plain for text in references])
        words = ngrams.match_words([text.words for text in answers], [text.words for text in references])
        characters = ngrams.match_characters(
            [text.characters for text in answers], [text.characters for text in references]
        )
        rouge = ngrams.match_ngrams([text.rouge for text in answers], [text.rouge for text in references], 2)
        scores = np.zeros((len(pairs), len(self.names)))
        column = {name: scores[:, place] for place, name in enumerate(self.names)}
        for row, (both, matched) in enumerate(zip(texts, rouge.tolist(), strict=True)):
            for name, score in self._compare(*both, *matched).items():
                column[name][row] = score
        column["bleu"][:] = ngrams.bleu(words, effective_order=True)
        column["chrf"][:] = ngrams.chrf(characters)
        # two texts of articles alone are equal to SQuAD, though one of them may be blank
        scores[[not answer.strip() for answer, _ in pairs]] = 0.0
        return scores, np.hstack([plain, words, characters])

    def _compare(self, answer: _Text, reference: _Text, unigrams: int, bigrams: int) -> dict[str, float]:
        """Scores of one pair but BLEU and chrF; ``unigrams`` and ``bigrams`` are those that match."""
        left, right = len(answer.rouge), len(reference.rouge)
        scores = {
            "rouge1": overlap_f(unigrams, left, right),
            "rouge2": overlap_f(bigrams, left - 1, right - 1),
            "rougeL": overlap_f(
                common_subsequence(answer.rouge.tolist(), reference.rouge.tolist()), left, right, self._beta
            ),
            "exact_match": float(answer.squad == reference.squad),
            "token_f1": token_f1(answer.squad, reference.squad),
        }
        if self._meteor:
            scores[self._meteor.name] = self._meteor.score(answer.meteor, reference.meteor)
        return scores

    def _count(self, text: str) -> _Text:
        return _Text(
            rouge=self._number(self._rouge_tokens(text)),
            plain=self._number(text.split()),
            words=self._number(ngrams.bleu_tokens(text)),
            characters=ngrams.number_characters(text),
            squad=normalise(text).split(),
            meteor=self._meteor.tokenise(text) if self._meteor else [],
        )

    def _number(self, words: Sequence[str]) -> Counts:
        numbers = self._numbers
        return np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int64)
