"""Time of all lexical metrics on 10,000 pairs, and of each against the plain call of its library.

    MED_LORA_RAW=FOLDER python benchmarks/lexical_scoring.py [--pairs 10000] [--processes 2] [--subset 400] [--rounds 5]

References are the answers of GenMedGPT-5k and WikiDoc in MED_LORA_RAW (without it: random words with their lengths).
One half of the answers are answers to other questions, the other half references without a third of their words. First
line: wall and processor seconds of scoring all pairs as the evaluation does, with the processes' start and the reading
of WordNet. Then, on a subset and in turns within one process, processor time a pair of each metric, here and by the
plain call: rouge_score, sacrebleu, NLTK with its own reader of WordNet. Median of the rounds, with their range, after
one that is not counted: it looks up the stems and synonyms. Reads the clock; nothing of the text is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from med_lora.metrics import ngrams
from med_lora.metrics.lexical import LexicalScorer
from med_lora.metrics.meteor import Meteor
from med_lora.metrics.overlap import common_subsequence, normalise, overlap_f, token_f1
from med_lora.metrics.parallel import CHUNK, score_many
from med_lora.metrics.wordnet import WordNet, find_wordnet

FILES = ("genmedgpt5k/*.json", "wikidoc/*.json")
LENGTHS = (38, 72)  # mean words of their answers
Pairs = list[tuple[str, str]]
Call = Callable[[str, str], object]
CallOnAll = Callable[[Pairs], object]


def read_references(raw: str | None, count: int) -> list[str]:
    generator = random.Random(0)
    if raw is None:
        words = [f"word{int(generator.paretovariate(1)) % 20_000}" for _ in range(200_000)]
        lengths = [max(1, round(generator.expovariate(1 / LENGTHS[place % 2]))) for place in range(count)]
        return [" ".join(generator.sample(words, length)) for length in lengths]
    texts = [row["output"] for files in FILES for path in Path(raw).glob(files) for row in json.loads(path.read_text())]
    texts = [text for text in texts if text.strip()]
    generator.shuffle(texts)
    if len(texts) < count:
        sys.exit(f"{raw} holds {len(texts)} answers; lower --pairs.")
    return texts[:count]


def make_pairs(references: list[str]) -> Pairs:
    generator = random.Random(1)
    others = references[1:] + references[:1]
    pairs = []
    for place, (reference, other) in enumerate(zip(references, others, strict=True)):
        kept = " ".join(word for word in reference.split() if generator.random() > 1 / 3)
        pairs.append((other if place % 2 else kept, reference))
    return pairs


def processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def time_all(pairs: Pairs, processes: int) -> str:
    wall, processor = time.perf_counter(), processor_seconds()
    names = score_many(pairs, 1.0, processes).names
    return (
        f"{len(pairs)} pairs, {', '.join(names)}, {processes} processes: {time.perf_counter() - wall:.1f} s, "
        f"{processor_seconds() - processor:.1f} s of processor time"
    )


class NoSynonyms:
    """Stands in for NLTK's reader where there is no WordNet."""

    def synsets(self, word: str) -> list[object]:
        return []


def each(call: Call) -> CallOnAll:
    def on_all(pairs: Pairs) -> None:
        for pair in pairs:
            call(*pair)

    return on_all


def squad_here(answer: str, reference: str) -> None:
    token_f1(normalise(answer).split(), normalise(reference).split())


def in_chunks(count: CallOnAll) -> CallOnAll:
    def on_all(pairs: Pairs) -> None:
        for start in range(0, len(pairs), CHUNK):
            count(pairs[start : start + CHUNK])

    return on_all


def number(tokenise: Callable[[str], list[str]], pairs: Pairs) -> list[list[ngrams.Counts]]:
    """Words as numbers, of the answers and of the references."""
    known: dict[str, int] = {}
    return [
        [np.array([known.setdefault(word, len(known)) for word in tokenise(pair[side])], np.int64) for pair in pairs]
        for side in (0, 1)
    ]


def bleu_here(pairs: Pairs) -> None:
    ngrams.bleu(ngrams.match_words(*number(ngrams.bleu_tokens, pairs)), effective_order=True)


def chrf_here(pairs: Pairs) -> None:
    texts = ([ngrams.number_characters(pair[side]) for pair in pairs] for side in (0, 1))
    ngrams.chrf(ngrams.match_characters(*texts))


def contenders(wordnet: WordNet | None) -> dict[str, tuple[CallOnAll, CallOnAll | None]]:
    """By metric: how pairs are scored here, and by the plain call."""
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.translate.meteor_score import single_meteor_score
    from rouge_score.rouge_scorer import RougeScorer
    from rouge_score.tokenizers import DefaultTokenizer
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    tokens, treebank = DefaultTokenizer().tokenize, NLTKWordTokenizer().tokenize
    rouge, bleu, chrf = RougeScorer(["rouge1", "rouge2", "rougeL"]), BLEU(effective_order=True), CHRF()
    meteor = Meteor(wordnet)
    plain = wordnet.reader if wordnet else NoSynonyms()

    def rouge_here(pairs: Pairs) -> None:
        answers, references = number(tokens, pairs)
        for left, right, matched in zip(answers, references, ngrams.match_ngrams(answers, references, 2), strict=True):
            for order, both in enumerate(matched.tolist()):
                overlap_f(both, len(left) - order, len(right) - order)
            overlap_f(common_subsequence(left.tolist(), right.tolist()), len(left), len(right))

    return {
        "rouge1, rouge2, rougeL": (
            in_chunks(rouge_here),
            each(lambda answer, reference: rouge.score(reference, answer)),
        ),
        "bleu": (in_chunks(bleu_here), each(lambda answer, reference: bleu.sentence_score(answer, [reference]))),
        "chrf": (in_chunks(chrf_here), each(lambda answer, reference: chrf.sentence_score(answer, [reference]))),
        meteor.name: (
            each(lambda answer, reference: meteor.score(meteor.tokenise(answer), meteor.tokenise(reference))),
            each(lambda answer, reference: single_meteor_score(treebank(reference), treebank(answer), wordnet=plain)),
        ),
        "exact_match, token_f1": (each(squad_here), None),
        # a fresh one each time, so that no text is counted already
        "all together": (lambda pairs: in_chunks(LexicalScorer(1.0, meteor).score)(pairs), None),
    }


def time_each(pairs: Pairs, rounds: int) -> None:
    with find_wordnet() as files:
        calls = contenders(WordNet(files) if files else None)
        spent: dict[tuple[str, int], list[float]] = {}
        for turn in range(rounds + 1):
            for name, both in calls.items():
                for side, call in enumerate(both):
                    if call is not None:
                        started = time.process_time()
                        call(pairs)
                        if turn:
                            taken = (time.process_time() - started) / len(pairs) * 1e3
                            spent.setdefault((name, side), []).append(taken)
    for name, (_, plain) in calls.items():
        sys.stdout.write(f"{name}: {state(spent[name, 0])} ms a pair")
        if plain is not None:
            ratios = [there / here for here, there in zip(spent[name, 0], spent[name, 1], strict=True)]
            sys.stdout.write(f", plain call {state(spent[name, 1])} ms, {state(ratios)} times")
        sys.stdout.write("\n")
    plain_sum = [sum(values) for values in zip(*(spent[key] for key in spent if key[1] == 1), strict=True)]
    ratios = [there / here for here, there in zip(spent["all together", 0], plain_sum, strict=True)]
    sys.stdout.write(f"plain calls together: {state(plain_sum)} ms a pair, {state(ratios)} times all of it here\n")


def state(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--subset", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    pairs = make_pairs(read_references(os.environ.get("MED_LORA_RAW"), options.pairs))
    sys.stdout.write(time_all(pairs, options.processes) + "\n")
    time_each(random.Random(2).sample(pairs, options.subset), options.rounds)


if __name__ == "__main__":
    main()
