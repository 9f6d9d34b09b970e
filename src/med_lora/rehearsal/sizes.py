"""How large a rehearsal is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """Upper bounds of what costs time; an experiment that has less keeps its own.

    Attributes:
        train: pairs to train on, where the number of pairs is known to suffice.
        validation: pairs for the validation loss.
        test: pairs for the comparison.
        documents: files of a corpus of documents.
        exam_items: questions of each exam.
        tokens: longest training row, and longest block of continued pre-training.
        new_tokens: longest answer.
        epochs: passes over the training pairs.
        evaluations: validation losses, and checkpoints, during training.
        epoch_answers: validation questions answered after each epoch.
        resamples: of the bootstrap.
        generation_passages: passages that pairs are written from.
        passage_pairs: pairs of each length that are asked for from one passage. Those of a document stay together in
            the split, and one that fills the test pairs alone would leave no intervals.
        judge_items: pairs that the judge rates.
        latency_questions: questions of the latency probe.
        controls: canaries that are never inserted.
        grid_values: values in a sweep, of all settings together but one of each at least; 0 leaves the sweep out.
        trials: settings that a search tries; 0 leaves it out.
    """

    train: int
    validation: int
    test: int
    documents: int
    exam_items: int
    tokens: int
    new_tokens: int
    epochs: int
    evaluations: int
    epoch_answers: int
    resamples: int
    generation_passages: int
    passage_pairs: int
    judge_items: int
    latency_questions: int
    controls: int
    grid_values: int
    trials: int


USUAL = Size(
    train=240,
    validation=10,
    test=24,
    documents=12,
    exam_items=40,
    tokens=256,
    new_tokens=48,
    epochs=2,
    evaluations=4,
    epoch_answers=8,
    resamples=1000,
    generation_passages=48,
    passage_pairs=1,
    judge_items=20,
    latency_questions=5,
    controls=100,
    grid_values=4,
    trials=4,
)
SMALLEST = Size(
    train=40,
    validation=4,
    test=10,
    documents=6,
    exam_items=8,
    tokens=96,
    new_tokens=12,
    epochs=1,
    evaluations=2,
    epoch_answers=2,
    resamples=200,
    generation_passages=24,
    passage_pairs=1,
    judge_items=4,
    latency_questions=2,
    controls=20,
    grid_values=1,
    trials=2,
)
