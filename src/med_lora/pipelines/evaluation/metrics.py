"""The metrics of the comparison: what each means, and the scores of one answer against its reference."""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")
# Facts about the answer of a model, kept among the scores; evaluation.exclude names those that exclude its pair.
ANSWER_FLAGS = ("answer_cut", "answer_empty")


@dataclass(frozen=True)
class Metric:
    """One row of the comparison.

    Attributes:
        name: as in the tables.
        better: the direction of improvement; "neither" for a description such as the length.
        tested: whether the arms are tested for a difference. What only describes, or repeats another metric in
            another unit, would cost the others power in the correction for multiple tests.
        signature: libraries with their versions and settings, as a paper would state them.
    """

    name: str
    better: Literal["lower", "higher", "neither"]
    tested: bool
    signature: str


def loss_metrics() -> list[Metric]:
    """Metrics of the reference answers' losses."""
    libraries = f"torch {version('torch')}|transformers {version('transformers')}"
    return [
        Metric("perplexity", "lower", True, f"exp(sum of nll / sum of tokens)|answer tokens with EOS|{libraries}"),
        Metric(
            "bits_per_byte", "lower", False, f"sum of nll / (ln 2 x sum of bytes)|UTF-8, answer with EOS|{libraries}"
        ),
    ]


def text_metrics() -> list[Metric]:
    """Metrics of the generated answers against the references, means over pairs."""
    rouge = f"rouge_score {version('rouge_score')}"
    squad = "SQuAD 2.0 normalisation|lower case, no punctuation, no articles"
    bleu = f"sacrebleu|mean of sentence BLEU|{_bleu_signature()}"
    return [
        *(Metric(kind, "higher", True, f"{rouge}|{kind}|F1|stemmer:no|tok:[a-z0-9]+") for kind in ROUGE_TYPES),
        Metric("bleu", "higher", True, bleu),
        Metric("exact_match", "higher", True, squad),
        Metric("token_f1", "higher", True, squad),
        Metric("length_ratio", "neither", False, "words of the answer / words of the reference|split at white space"),
    ]


def flag_metrics() -> list[Metric]:
    """How often an arm gave no complete answer, over all pairs."""
    return [
        Metric("answer_cut", "lower", False, "answers that reached evaluation.decoding.max_new_tokens / all answers"),
        Metric("answer_empty", "lower", False, "answers without a visible character / all answers"),
    ]


class TextScorer:
    """Scores of one answer against one reference; the libraries' scorers are set up once."""

    def __init__(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer
        from sacrebleu.metrics.bleu import BLEU

        self._rouge = RougeScorer(list(ROUGE_TYPES), use_stemmer=False)
        self._bleu = BLEU(effective_order=True)

    def score(self, answer: str, reference: str) -> dict[str, float]:
        """Every text metric by name.

        ROUGE F1 (Lin 2004), exact match and token F1 (Rajpurkar et al. 2018) lie in 0-1, BLEU (Papineni et al. 2002,
        of the sentence, smoothed as its signature says) in 0-100; the length ratio is 1 for equal lengths. An empty
        answer scores 0.

        Args:
            answer: generated text, perhaps empty.
            reference: the pair's answer, with at least one word.
        """
        rouge = self._rouge.score(reference, answer)
        return {
            **{kind: float(rouge[kind].fmeasure) for kind in ROUGE_TYPES},
            "bleu": float(self._bleu.sentence_score(answer, [reference]).score),
            "exact_match": float(normalise(answer) == normalise(reference)),
            "token_f1": token_f1(answer, reference),
            "length_ratio": len(answer.split()) / len(reference.split()),
        }


def normalise(text: str) -> str:
    """SQuAD's normalisation: lower case, ASCII punctuation and English articles removed, single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def token_f1(answer: str, reference: str) -> float:
    """SQuAD 2.0's F1 of two bags of words; if either is empty after normalisation, whether both are."""
    found, wanted = normalise(answer).split(), normalise(reference).split()
    if not found or not wanted:
        return float(found == wanted)
    common = sum((Counter(found) & Counter(wanted)).values())
    return 2 * common / (len(found) + len(wanted))


def _bleu_signature() -> str:
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True)
    bleu.sentence_score("a", ["a"])  # the signature is known only after a first score
    return str(bleu.get_signature())
