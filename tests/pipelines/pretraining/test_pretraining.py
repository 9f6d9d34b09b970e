"""Pre-training: general text, tokenizer, blocks, model and card."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import yaml

from med_lora.errors import InputError
from med_lora.parameters import PretrainingParams
from med_lora.pipelines.pretraining.general_text import clean_general_text, split_markdown, split_wikitext
from med_lora.pipelines.pretraining.model import cut_blocks, pretrain_model, train_tokenizer
from tests.conftest import ROOT
from tests.recipes import hardware

PROSE = (
    "The old harbour town lies at the mouth of a wide river, and its people have always lived from fishing, "
    "from trade with the islands, and from the repair of wooden boats."
)
CPU = hardware()


@pytest.fixture
def pretraining() -> PretrainingParams:
    values = yaml.safe_load((ROOT / "conf/base/parameters_pretraining.yml").read_text())["pretraining"]
    values["corpus"] = ["town.md"]
    values["block_length"] = 32
    values["validation_fraction"] = 0.25
    values["architecture"] = {
        "vocabulary": 300,
        "hidden_size": 32,
        "layers": 2,
        "heads": 2,
        "intermediate_size": 64,
        "context_length": 64,
    }
    values["optimisation"] |= {"epochs": 3, "effective_batch_size": 4, "learning_rate": 1e-2, "evaluations": 2}
    values["samples"] = ["The old", "Its people"]
    values["sample_tokens"] = 8
    return PretrainingParams.model_validate(values)


@pytest.fixture
def general_text() -> pd.DataFrame:
    return pd.DataFrame({"document": [f"town.md:{n:05d}" for n in range(12)], "text": [PROSE] * 12})


def files(name: str, text: str) -> pd.DataFrame:
    return pd.DataFrame({"file": [name], "text": [text]})


def test_markdown_becomes_prose_documents() -> None:
    text = f"# Preface\n\n## Harbour\n\n{PROSE}\n\n- A short list item.\n\n# Next\n\nas shown in , {PROSE}\n\n# Empty\n"
    assert split_markdown(text) == [PROSE]


def test_sentence_with_the_hole_of_a_figure_is_dropped() -> None:
    hole = "A medieval manor, like those in , was run by a family who owned all the land around it."
    assert split_markdown(f"# One\n\n{PROSE} {hole}\n") == [PROSE]


def test_wikitext_is_detokenised_and_unknown_words_are_dropped() -> None:
    text = (
        " \n = Town = \n \n The town , founded in 1 @,@ 200 , has a well @-@ kept harbour ( the largest ) and it 's "
        'known for " wooden boats " and for its long trade with all of the islands . It was <unk> once . \n'
        " = = Trade = = \n short . \n"
    )
    assert split_wikitext(text) == [
        "The town, founded in 1,200, has a well-kept harbour (the largest) and it's known for "
        '"wooden boats" and for its long trade with all of the islands.'
    ]


def test_unknown_file_names_the_nearest(pretraining: PretrainingParams) -> None:
    with pytest.raises(InputError, match=r"did you mean 'towns\.md'"):
        clean_general_text(files("towns.md", PROSE), pretraining)


def test_corpus_without_prose_is_refused(pretraining: PretrainingParams) -> None:
    with pytest.raises(InputError, match="holds no text"):
        clean_general_text(files("town.md", "# Title\n"), pretraining)


def test_documents_keep_file_and_number(pretraining: PretrainingParams) -> None:
    text = clean_general_text(files("town.md", f"# A\n\n{PROSE}\n\n# B\n\n{PROSE}\n"), pretraining)
    assert text["document"].tolist() == ["town.md:00000", "town.md:00001"]


def test_tokenizer_round_trips_any_text(general_text: pd.DataFrame, pretraining: PretrainingParams) -> None:
    tokenizer = train_tokenizer(general_text, pretraining)
    assert len(tokenizer) <= 300
    for text in ("fever of 39 °C", "naïve\n\ttabs", "日本 🫀", " leading"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


def test_blocks_hold_every_token_once_and_keep_splits_apart(
    general_text: pd.DataFrame, pretraining: PretrainingParams
) -> None:
    tokenizer = train_tokenizer(general_text, pretraining)
    train, validation = cut_blocks(general_text, tokenizer, pretraining)
    stream = (tokenizer(PROSE)["input_ids"] + [tokenizer.eos_token_id]) * 9
    assert [token for row in train for token in row["input_ids"]] == stream[: len(train) * 32]
    assert len(train) == len(stream) // 32
    assert all(row["input_ids"] == row["labels"] and len(row["labels"]) == 32 for row in train + validation)
    assert len(validation) == len(stream) // 3 // 32


def test_text_shorter_than_two_blocks_is_refused(general_text: pd.DataFrame, pretraining: PretrainingParams) -> None:
    tokenizer = train_tokenizer(general_text, pretraining)
    with pytest.raises(InputError, match="shorter than two blocks"):
        cut_blocks(general_text, tokenizer, pretraining.model_copy(update={"block_length": 5000}))


def test_model_learns_and_its_card_tells_how(general_text: pd.DataFrame, pretraining: PretrainingParams) -> None:
    tokenizer = train_tokenizer(general_text, pretraining)
    made, history = pretrain_model(general_text, tokenizer, pretraining, CPU)
    losses = history[history.metric == "validation_loss"].value
    assert losses.iloc[-1] < losses.iloc[0] - 1
    card = made.files["README.md"]
    assert f"{sum(weight.numel() for weight in made.model.parameters()):,} parameters" in card
    assert "> The old" in card
    assert "> Its people" in card
    # town.md is nobody's
    assert "source and licence not recorded" in card
    assert "must not be passed on" in card
    assert "license: unknown" in card


def test_shipped_recipe_uses_no_non_commercial_text_and_every_source_is_on_record() -> None:
    from med_lora.pipelines.pretraining.card import SOURCES

    values: dict[str, Any] = yaml.safe_load((ROOT / "conf/base/parameters_pretraining.yml").read_text())["pretraining"]
    for name in values["corpus"]:
        assert name in SOURCES
        assert "NC" not in SOURCES[name]


def test_real_general_text_reads_as_prose(pretraining: PretrainingParams, real_corpora: Any) -> None:
    file = real_corpora / "general" / "wikitext2_valid.txt"
    params = pretraining.model_copy(update={"corpus": ["wikitext2_valid.txt"]})
    text = clean_general_text(files(file.name, file.read_text(encoding="utf-8")), params)
    joined = " ".join(text["text"])
    assert len(text) > 100
    assert "<unk>" not in joined
    assert " @" not in joined
    assert " ," not in joined
