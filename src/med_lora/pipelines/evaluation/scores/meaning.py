"""Scores of meaning: answers and references compared by an encoder."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from med_lora.datasets.encoder import Encoder, MissingEncoderError
from med_lora.hardware import prepare_device
from med_lora.metrics.bert_score import NAMES, BertScorer, bert_metrics
from med_lora.metrics.definition import SCORE_COLUMNS, tabulate_metrics
from med_lora.metrics.embedding import NAME, count_cut, describe_reading, embedding_metric, similarities
from med_lora.parameters import EvaluationParams, HardwareParams
from med_lora.pipelines.evaluation.scores.scoring import join_references
from med_lora.pipelines.evaluation.splits import Split

logger = logging.getLogger(__name__)


def score_bert(
    arm_texts: pd.DataFrame,
    test: Split,
    bert_encoder: Encoder,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """BERTScore's precision, recall and F1 of every arm's answers, the null controls among them.

    Returns:
        Columns id, arm, metric, score, without rows where the encoder cannot be had; and the table of the metrics.

    Raises:
        InputError: if the layer set is beyond the encoder's, it has a decoder, the machine lacks the device, or an arm
            is not about the test pairs.
    """
    device = prepare_device(hardware)
    layer = evaluation.bert_score.layer if evaluation.bert_score else None
    try:
        scorer = BertScorer(bert_encoder, layer, device, hardware.inference_batch_size)
    except MissingEncoderError as error:
        return _unscored("BERTScore", error), tabulate_metrics(
            bert_metrics(bert_encoder.name, str(layer or "last"), missing=_clause(error))
        )
    rows = join_references(arm_texts, test)
    scores = scorer.score(list(rows["answer"]), list(rows["reference"]))
    _log_cut("BERTScore", scorer.cut)
    metrics = bert_metrics(bert_encoder.name, f"{scorer.layer} of {scorer.layers}")
    parts = [_as_scores(rows, name, scores[:, column]) for column, name in enumerate(NAMES)]
    return pd.concat(parts, ignore_index=True), tabulate_metrics(metrics)


def score_embedding(
    arm_texts: pd.DataFrame,
    test: Split,
    sentence_encoder: Encoder,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Embedding similarity of every arm's answers, the null controls among them.

    Returns:
        Columns id, arm, metric, score, without rows where the encoder cannot be had; and the table of the metric.

    Raises:
        InputError: if the machine lacks the device, or an arm is not about the test pairs.
    """
    device = prepare_device(hardware)
    try:
        encoder = sentence_encoder.sentence_encoder(str(device))
    except MissingEncoderError as error:
        metric = embedding_metric(sentence_encoder.name, "", missing=_clause(error))
        return _unscored("embedding similarity", error), tabulate_metrics([metric])
    rows = join_references(arm_texts, test)
    answers, references = list(rows["answer"]), list(rows["reference"])
    scores = similarities(encoder, answers, references, hardware.inference_batch_size)
    _log_cut("embedding similarity", count_cut(encoder, [*answers, *references]))
    metric = embedding_metric(sentence_encoder.name, describe_reading(encoder))
    return _as_scores(rows, NAME, scores), tabulate_metrics([metric])


def _as_scores(rows: pd.DataFrame, metric: str, scores: np.ndarray) -> pd.DataFrame:
    return rows[["id", "arm"]].assign(metric=metric, score=scores)[SCORE_COLUMNS]


def _unscored(what: str, error: MissingEncoderError) -> pd.DataFrame:
    logger.warning("There is no %s: %s", what, error)
    return pd.DataFrame({column: pd.Series(dtype="str") for column in SCORE_COLUMNS}).astype({"score": "float64"})


def _clause(error: MissingEncoderError) -> str:
    return str(error).rstrip(".")


def _log_cut(what: str, cut: int) -> None:
    if cut:
        logger.warning(
            "%s read only the beginning of %d texts, which are longer than its encoder's positions.", what, cut
        )
