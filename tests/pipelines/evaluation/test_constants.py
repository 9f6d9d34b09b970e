"""The control that gives every question the same answer."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pandas as pd
import pytest

from med_lora.metrics.lexical import score_pair
from med_lora.pipelines.evaluation.controls import constants
from med_lora.pipelines.evaluation.controls.constants import rank_constants

from .pairs import make_pairs


def test_the_best_constant_is_most_like_the_other_answers() -> None:
    from rouge_score.rouge_scorer import RougeScorer

    generator, scorer = random.Random(1), RougeScorer(["rougeL"], use_stemmer=False)
    words = ["rest,", "see", "a", "doctor", "soon", "drink", "water"]
    answers = [
        " ".join(" ".join(generator.choices(words, k=generator.randrange(3, 9))) + "." for _ in range(3))
        for _ in range(30)
    ]
    train = make_pairs(30).assign(answer=answers)
    sources = {text: place for place in range(29, -1, -1) for text in (answers[place], *sentences(answers[place]))}

    def mean(text: str) -> float:
        others = [answer for place, answer in enumerate(answers) if place != sources[text]]
        return sum(scorer.score(answer, text)["rougeL"].fmeasure for answer in others) / 29

    best = max(sources, key=mean)
    assert rank_constants(train, 4, 0)[0] == best
    assert rank_constants(train.iloc[::-1], 1, 5) == [best]


def sentences(answer: str) -> list[str]:
    return [f"{sentence}." for sentence in answer.removesuffix(".").split(". ")]


def test_a_sentence_serves_where_whole_answers_differ() -> None:
    answers = [f"You should see a doctor soon. {word * 3} {word}{word}" for word in ("la ", "be ", "do ", "mi ", "so ")]
    train = make_pairs(5).assign(answer=answers)
    assert rank_constants(train, 1, 0) == ["You should see a doctor soon."]


def test_what_continues_a_constant_says_something_else() -> None:
    answers = ["See a doctor soon.", "See a doctor now.", "See a doctor.", "Drink more water.", "Drink water."] * 3
    ranked = rank_constants(make_pairs(15).assign(answer=answers), 4, 0)
    assert len(ranked) == 2
    assert ranked[0].startswith("See a doctor")
    assert "water" in ranked[1]


def test_the_constant_is_chosen_on_a_seeded_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "SOURCES", 2)
    train = make_pairs(50)
    assert rank_constants(train, 4, 3) == rank_constants(train.iloc[::-1], 4, 3)
    assert len({rank_constants(train, 1, seed)[0] for seed in range(20)}) > 5
    assert rank_constants(train.head(1), 4, 0) == [train["answer"][0]]


def test_one_constant_sentence_scores_above_published_tuned_figures(real_corpora: Path) -> None:
    """Study C (MediDialogue 2024), tuned: ROUGE-1 .2211, ROUGE-2 .0549, ROUGE-L .2061, BLEU .0216 on 84 items."""
    rows = json.loads((real_corpora / "genmedgpt5k" / "chatdoctor5k.json").read_text(encoding="utf-8"))
    pairs = pd.DataFrame(
        [
            {"id": f"p{place:05d}", "answer": row["output"]}
            for place, row in enumerate(rows)
            if row["input"].strip() and row["output"].strip()
        ]
    ).sample(frac=1, random_state=0)
    constant = rank_constants(pairs.iloc[120:], 1, 0)[0]
    scores = pd.DataFrame([score_pair(constant, reference) for reference in pairs["answer"].head(120)]).mean()
    assert scores["rouge1"] > 0.28
    assert scores["rouge2"] > 0.14
    assert scores["rougeL"] > 0.25
    assert scores["bleu"] > 5  # of 100
