"""The publishers' own files, where they lie beside the checkout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from med_lora.datasets.raw import TextbookDataset
from med_lora.parameters import CleaningParams, SplitParams
from med_lora.pipelines.data_engineering.cleaning import merge_and_clean
from med_lora.pipelines.data_engineering.duplicates import jaccard, shingle_sets
from med_lora.pipelines.data_engineering.passages import read_passages
from med_lora.pipelines.data_engineering.splitting import split_pairs
from tests.pipelines.data_engineering.test_splitting import assert_apart

Parse = Callable[[Path, str], pd.DataFrame]


def splits_of(pairs: pd.DataFrame, train: int | None, validation: int, test: int) -> list[pd.DataFrame]:
    parts = split_pairs(pairs, SplitParams(train=train, validation=validation, test=test, seed=1))
    return [part.to_pandas() for part in parts]


def test_genmedgpt(parsed: Parse, real_corpora: Path, cleaning: CleaningParams) -> None:
    pairs = parsed(real_corpora, "genmedgpt")
    kept, rejected, _ = merge_and_clean(cleaning, pairs)
    assert len(pairs) == 4880 == len(kept) + len(rejected)
    assert len(kept) > 4800
    parts = splits_of(kept, None, 120, 120)
    assert [len(part) for part in parts[1:]] == [120, 120]
    assert_apart(parts)
    assert parts[0]["group"].value_counts().max() < 0.01 * len(kept)
    sets = [shingle_sets(part["question"].tolist()) for part in parts]
    nearest = [max(jaccard(question, other) for other in sets[0]) for question in sets[2][:30]]
    assert max(nearest) < 0.5


def test_medquad_and_wikidoc(parsed: Parse, real_corpora: Path, cleaning: CleaningParams) -> None:
    medquad, wikidoc = parsed(real_corpora, "medquad"), parsed(real_corpora, "wikidoc")
    assert (len(medquad), len(wikidoc)) == (42731, 5348)
    assert (medquad["answer"] == "").sum() == 27894
    assert (wikidoc["focus"] != "").mean() > 0.9
    kept, rejected, _ = merge_and_clean(cleaning, medquad.iloc[::10], wikidoc)
    assert len(kept) + len(rejected) == len(medquad.iloc[::10]) + len(wikidoc)
    parts = splits_of(kept, 1900, 100, 100)
    assert [len(part) for part in parts] == [1900, 100, 100]
    assert_apart(parts)
    for part in parts:
        assert abs((part["corpus"] == "wikidoc").mean() - (kept["corpus"] == "wikidoc").mean()) < 0.06


def test_medical_terms_in_both_layouts(parsed: Parse, real_corpora: Path) -> None:
    titled, marked = parsed(real_corpora, "medical_terms"), parsed(real_corpora, "medical_terms_llama2")
    assert (len(titled), len(marked)) == (300, 4643)
    assert (marked["focus"] != "").all()
    assert marked["question"].head(20).tolist() == titled["question"].head(20).tolist()


def test_textbooks(real_corpora: Path) -> None:
    passages = read_passages(TextbookDataset(filepath=str(real_corpora / "textbooks")).load())
    assert passages["book"].nunique() == 4
    assert len(passages) > 15_000
    assert not passages["text"].str.contains(r"^#|</?(?:p|br|span)\b", regex=True).any()
