"""BERTScore against its authors' package, in order, and free of its batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from med_lora.datasets.encoder import Encoder, EncoderDataset
from med_lora.errors import InputError
from med_lora.metrics.bert_score import BertScorer, bert_metrics
from tests.encoders import LAYERS, write_encoder

LONG = "see " * 40 + "a doctor"
PAIRS = [
    ("Gout is a painful arthritis of the toe.", "Gout is arthritis of a toe joint."),
    ("Rest the joint and drink water.", "See a doctor, and rest."),
    ("No.", "Take with food for a week; drink water."),
    ("gout", "gout"),
    ("zebra, 10 mg", "Take 5 mg with food"),
    (LONG, "See a doctor."),
]
# bert_score 0.3.13 with transformers 5.23.0 and torch 2.13.0, num_layers as given, one pair a call.
FROZEN = {
    3: [
        (0.773079, 0.743202, 0.757846),
        (0.943014, 0.926246, 0.934555),
        (0.605949, 0.499362, 0.547516),
        (1.0, 1.0, 1.0),
        (0.858163, 0.806575, 0.831570),
        (0.581688, 0.809991, 0.677113),
    ],
    2: [
        (0.874191, 0.889419, 0.881739),
        (0.855953, 0.857003, 0.856478),
        (0.638659, 0.715282, 0.674803),
        (1.0, 1.0, 1.0),
        (0.751518, 0.578209, 0.653569),
        (0.713462, 0.819725, 0.762911),
    ],
    1: [
        (0.882776, 0.849780, 0.865964),
        (0.772116, 0.761563, 0.766803),
        (0.893471, 0.412366, 0.564292),
        (1.0, 1.0, 1.0),
        (0.677000, 0.641354, 0.658695),
        (0.698400, 0.707591, 0.702965),
    ],
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return EncoderDataset(id=str(write_encoder(tmp_path_factory.mktemp("encoder")))).load()


def score(encoder: Encoder, pairs: list[tuple[str, str]], layer: int | None = None, batch: int = 4) -> np.ndarray:
    return BertScorer(encoder, layer, "cpu", batch).score([pair[0] for pair in pairs], [pair[1] for pair in pairs])


@pytest.mark.parametrize("layer", FROZEN)
def test_scores_equal_those_of_the_authors_package_at_every_layer(encoder: Encoder, layer: int) -> None:
    assert score(encoder, PAIRS, layer) == pytest.approx(np.array(FROZEN[layer]), abs=1e-4)


def test_without_a_layer_the_last_one_is_compared(encoder: Encoder) -> None:
    scorer = BertScorer(encoder, None, "cpu", 4)
    assert (scorer.layer, scorer.layers) == (LAYERS, LAYERS)
    assert score(encoder, PAIRS) == pytest.approx(np.array(FROZEN[LAYERS]), abs=1e-4)


def test_each_score_stays_with_its_pair_however_pairs_are_ordered(encoder: Encoder) -> None:
    many = [(f"{answer} {number}", reference) for number in range(13) for answer, reference in PAIRS]
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(many))
    straight = score(encoder, many)
    assert len(np.unique(straight[:, 2].round(4))) > 40
    assert score(encoder, [many[place] for place in order]) == pytest.approx(straight[order], abs=1e-5)


def test_scores_are_the_same_to_the_last_bit_however_pairs_are_ordered(encoder: Encoder) -> None:
    many = [
        (f"{answer} {'toe ' * (number % 5)}{number}", reference) for number in range(30) for answer, reference in PAIRS
    ]
    many += many[::7]
    straight = score(encoder, many)
    for seed in range(3):
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(many))
        assert np.array_equal(score(encoder, [many[place] for place in order]), straight[order])


def test_scores_do_not_depend_on_the_batch(encoder: Encoder) -> None:
    alone = np.vstack([score(encoder, [pair], batch=1) for pair in PAIRS])
    assert score(encoder, PAIRS, batch=16) == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("pair", [("", "gout"), (" \n", "gout"), ("gout", "")])
def test_a_pair_with_an_empty_text_scores_zero(encoder: Encoder, pair: tuple[str, str]) -> None:
    assert score(encoder, [("gout", "gout"), pair])[1].tolist() == [0, 0, 0]


def test_an_encoder_that_adds_no_tokens_reads_empty_texts_too(tmp_path: Path, tokenizer: Any) -> None:
    from transformers import GPT2Config, GPT2Model

    tokenizer.save_pretrained(tmp_path)
    config = GPT2Config(vocab_size=len(tokenizer), n_embd=8, n_layer=1, n_head=2, n_positions=32)
    GPT2Model(config).save_pretrained(tmp_path)
    encoder = EncoderDataset(id=str(tmp_path)).load()
    assert score(encoder, [("", "gout"), ("", "toe")], batch=1).tolist() == [[0, 0, 0]] * 2
    assert score(encoder, [("gout", "gout"), ("", "toe")])[0] == pytest.approx([1, 1, 1])


def test_no_pairs_give_no_scores(encoder: Encoder) -> None:
    assert score(encoder, []).shape == (0, 3)


def test_what_lies_beyond_the_positions_changes_nothing_and_is_counted(encoder: Encoder) -> None:
    scorer = BertScorer(encoder, None, "cpu", 2)
    one, other = scorer.score([LONG, f"{LONG} gout"], ["See a doctor."] * 2)
    assert one == pytest.approx(other, abs=1e-6)
    assert scorer.cut == 2


def test_a_layer_beyond_the_encoders_is_refused_with_its_number_of_layers(encoder: Encoder) -> None:
    with pytest.raises(InputError, match=r"bert_score\.layer is 4 and .* has 3 layers"):
        BertScorer(encoder, LAYERS + 1, "cpu", 4)


def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config, T5Model

    write_encoder(tmp_path)
    config = T5Config(vocab_size=90, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    T5Model(config).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="has a decoder"):
        BertScorer(EncoderDataset(id=str(tmp_path)).load(), None, "cpu", 4)


def test_roberta_keeps_the_positions_before_its_padding_free(tmp_path: Path) -> None:
    """RoBERTa numbers positions from behind its padding token's id, here 0: of 32, 31 are left for text."""
    from transformers import RobertaConfig, RobertaModel

    write_encoder(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    config = RobertaConfig(
        vocab_size=90, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=32, pad_token_id=0,
    )  # fmt: skip
    RobertaModel(config).save_pretrained(tmp_path)
    scorer = BertScorer(EncoderDataset(id=str(tmp_path)).load(), None, "cpu", 2)
    assert scorer.score([LONG], [LONG])[0] == pytest.approx([1, 1, 1])
    assert scorer.cut == 1


def test_only_f1_is_tested_and_the_signature_names_what_the_scores_depend_on() -> None:
    metrics = bert_metrics("roberta@0123", "17 of 24")
    assert [metric.name for metric in metrics if metric.tested] == ["bert_score_f1"]
    for part in ("roberta@0123", "layer:17 of 24", "idf:no", "rescaled:no", "transformers "):
        assert part in metrics[0].signature
