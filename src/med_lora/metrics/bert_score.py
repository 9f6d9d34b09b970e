"""BERTScore: how well the tokens of two texts match in the eyes of an encoder (Zhang et al. 2020, arXiv:1904.09675)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from med_lora.errors import InputError
from med_lora.metrics.definition import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from med_lora.datasets.encoder import Encoder

NAMES = ("bert_score_precision", "bert_score_recall", "bert_score_f1")
WINDOW = 64  # pairs whose token states are in memory at once
NO_LIMIT = 1_000_000  # what tokenizers without a longest text state is far above


def bert_metrics(encoder: str, layers: str, missing: str = "") -> list[Metric]:
    """Precision, recall and F1; only F1 is tested, which holds the other two.

    Args:
        encoder: its name and version.
        layers: the layer compared, and how many there are.
        missing: why there are no scores, or "".
    """
    signature = (
        f"BERTScore|{encoder}|layer:{layers}|idf:no|rescaled:no|fp32|torch {version('torch')}"
        f"|transformers {version('transformers')}"
    )
    return [Metric(name, "meaning", "higher", name == NAMES[2], signature, missing) for name in NAMES]


@dataclass(frozen=True)
class _Text:
    """Token states of Euclidean length 1 [tokens, width]; whether each counts (special tokens do not) [tokens]."""

    states: Tensor
    counts: Tensor


class BertScorer:
    """An encoder on its device, and the BERTScores of pairs of texts.

    Attributes:
        layer: number of the layer compared, from 1.
        layers: layers of the encoder.
    """

    def __init__(self, encoder: Encoder, layer: int | None, device: Any, batch_size: int) -> None:
        """Load the encoder in fp32.

        Args:
            encoder: where it is.
            layer: the layer compared, from 1; None for the last.
            device: a ``torch.device``.
            batch_size: texts in one forward pass.

        Raises:
            MissingEncoderError: if its files cannot be had or read.
            InputError: if it has a decoder, or no such layer.
        """
        self._tokenizer = encoder.tokenizer()
        self._model = encoder.text_encoder().to(device).eval()
        if self._model.config.is_encoder_decoder:
            raise InputError(f"evaluation.bert_score.id {encoder.source} has a decoder; name an encoder alone.")
        self.layers = int(self._model.config.num_hidden_layers)
        self.layer = self.layers if layer is None else layer
        if self.layer > self.layers:
            raise InputError(
                f"evaluation.bert_score.layer is {self.layer} and {encoder.source} has {self.layers} layers; set it to "
                "one of them, or to null for the last."
            )
        self._cut: set[str] = set()
        self._batch_size = batch_size
        self._limit = _longest(self._tokenizer, self._model)
        self._special = (self._tokenizer.cls_token_id, self._tokenizer.sep_token_id)

    @property
    def cut(self) -> int:
        """Different texts so far of which the encoder's positions held only the beginning."""
        return len(self._cut)

    def score(self, answers: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """Precision, recall and F1 of each pair [pairs, 3], in the order given.

        Each token is matched with the most similar one of the other text (equations of section 3). As in the authors'
        package bert_score 0.3.13, the tokens that open and close a text can be matched but are not averaged, text
        beyond the encoder's positions is cut, and a pair with an empty text scores 0. Unlike there, padding is never
        matched, so a score does not depend on the other texts of its batch. Equal pairs are scored once, and all in an
        order of their own: rounding differs with the batch, and must not follow the order given.
        """
        from tqdm import tqdm

        pairs = list(zip(answers, references, strict=True))
        distinct = sorted(set(pairs), key=lambda pair: (len(pair[1]), pair[1], pair[0]))
        scores: dict[tuple[str, str], tuple[float, float, float]] = {}
        for start in tqdm(range(0, len(distinct), WINDOW), desc="BERTScore", unit=f" x {WINDOW} pairs", disable=None):
            window = distinct[start : start + WINDOW]
            texts = sorted({text for pair in window for text in pair})  # those that several pairs share are read once
            read = dict(zip(texts, self._read(texts), strict=True))
            scores |= {pair: _match(read[pair[0]], read[pair[1]]) for pair in window}
        return np.array([scores[pair] for pair in pairs]).reshape(-1, 3)

    def _read(self, texts: Sequence[str]) -> list[_Text]:
        import torch

        tokens = [self._tokenise(text.strip()) for text in texts]
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        read: list[_Text] = [_Text(torch.empty(0), torch.empty(0))] * len(texts)
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            for place, text in zip(places, self._encode([tokens[place] for place in places]), strict=True):
                read[place] = text
        return read

    def _tokenise(self, text: str) -> list[int]:
        whole: list[int] = self._tokenizer(text, verbose=False)["input_ids"]
        if self._limit is None or len(whole) <= self._limit:
            return whole
        self._cut.add(text)
        return self._tokenizer(text, truncation=True, max_length=self._limit)["input_ids"]  # type: ignore[no-any-return]

    def _encode(self, tokens: Sequence[Sequence[int]]) -> list[_Text]:
        import torch

        device = self._model.device
        width = max(1, *map(len, tokens))  # an empty text may have no token at all
        ids = torch.full((len(tokens), width), self._tokenizer.pad_token_id or 0)
        mask = torch.zeros((len(tokens), width), dtype=torch.long)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = torch.tensor(text, dtype=torch.long)
            mask[row, : len(text)] = 1
        with torch.inference_mode():
            outputs = self._model(
                input_ids=ids.to(device), attention_mask=mask.to(device), output_hidden_states=True
            ).hidden_states
        states = torch.nn.functional.normalize(outputs[self.layer], dim=-1)
        counted = [torch.tensor([token not in self._special for token in text], dtype=torch.bool) for text in tokens]
        return [
            _Text(states[row, : len(text)], counts.to(device))
            for row, (text, counts) in enumerate(zip(tokens, counted, strict=True))
        ]


def _match(answer: _Text, reference: _Text) -> tuple[float, float, float]:
    if not answer.counts.any() or not reference.counts.any():
        return 0.0, 0.0, 0.0
    cosines = answer.states @ reference.states.T
    precision = float(cosines.amax(dim=1)[answer.counts].mean())
    recall = float(cosines.amax(dim=0)[reference.counts].mean())
    total = precision + recall
    return precision, recall, 2 * precision * recall / total if total else 0.0


def _longest(tokenizer: Any, model: Any) -> int | None:
    """Tokens of the longest text that the encoder reads, None for any; RoBERTa's positions start behind padding's."""
    limits = [tokenizer.model_max_length]
    if getattr(model.config, "max_position_embeddings", None):
        positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
        padding = getattr(positions, "padding_idx", None)
        limits.append(model.config.max_position_embeddings - (0 if padding is None else padding + 1))
    longest = int(min(limits))
    return longest if longest < NO_LIMIT else None
