"""A tiny encoder on disk, the same in every test: random weights of a fixed seed, and a WordPiece tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LAYERS = 3
POSITIONS = 32
_WORDS = "gout is a painful arthritis of the toe rest joint and drink water see doctor take with food no yes for week"


def write_encoder(folder: Path) -> Path:
    """A BERT of ``LAYERS`` layers of 16 and ``POSITIONS`` positions, saved as ``save_pretrained`` does."""
    import torch
    from transformers import BertConfig, BertModel

    words_to_wordpiece().save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=16,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS,
    )
    model, random = BertModel(config), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _, weights in sorted(model.named_parameters()):
            if weights.ndim == 2:
                weights.copy_(torch.randn(weights.shape, generator=random) / 2)
    model.save_pretrained(folder)
    return folder


def words_to_wordpiece() -> Any:
    """Words of the tests, single letters and digits, lower case."""
    from transformers import BertTokenizer

    return BertTokenizer(vocab=_vocabulary(), model_max_length=POSITIONS)


def _vocabulary() -> dict[str, int]:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", ";", *_WORDS.split()]
    tokens += [*letters, *(f"##{letter}" for letter in letters)]
    return {token: place for place, token in enumerate(dict.fromkeys(tokens))}
