"""The publishers' own files, where they lie beside the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from med_lora.pipelines.data_engineering.duplicates import nearest, word_hashes
from med_lora.pipelines.data_engineering.grouping import question_sets
from tests.pipelines.data_engineering.conftest import Read, Run, in_memory, raw_corpus
from tests.pipelines.data_engineering.test_splitting import assert_apart


def splits_of(outputs: dict[str, Any]) -> list[pd.DataFrame]:
    """The splits, none of which shares anything with another."""
    parts = [outputs[name].to_pandas() for name in ("train", "validation", "test")]
    assert_apart(parts)
    leaks = outputs["leakage"].query("pairs > 0")
    assert set(leaks["kind"]) <= {"contained_answer"}  # which groups do not promise
    assert sum(map(len, parts)) + len(outputs["unused_pairs"]) == len(outputs["qa_pairs"])
    return parts


def test_genmedgpt(parsed: Read, real_corpora: Path, genmedgpt_run: dict[str, Any]) -> None:
    kept, rejected = genmedgpt_run["qa_pairs"], genmedgpt_run["rejected_pairs"]
    ids = parsed(real_corpora, "genmedgpt")["id"].tolist()
    assert len(ids) == 4880
    assert sorted([*kept["id"], *rejected["id"]]) == ids[::2]
    assert len(kept) > 0.98 * len(ids[::2])
    assert (kept["focus"] != "").mean() > 0.7
    parts = splits_of(genmedgpt_run)
    assert [len(part) for part in parts[1:]] == [120, 120]
    assert parts[0]["group"].value_counts().max() < 0.01 * len(kept)
    words = [list(word_hashes(part["question"])) for part in parts]
    sets = iter(question_sets([question for part in words for question in part]))
    train, _, test = ([next(sets) for _ in part] for part in words)
    assert max(nearest(test, train, 0.5)) < 0


def test_medquad_and_wikidoc(run: Run, parsed: Read, real_corpora: Path) -> None:
    medquad, wikidoc = (
        raw_corpus(real_corpora, layout, files)
        for layout, files in (
            ("medquad", "medquad/MedQuAD-master.zip"),
            ("alpaca", "wikidoc/medical_meadow_wikidoc_patient_information.json"),
        )
    )
    assert (len(medquad), len(wikidoc)) == (42731, 5348)
    assert medquad["row"].is_unique
    assert (medquad["answer"] == "").sum() == 27894
    assert (parsed(real_corpora, "wikidoc")["focus"] != "").mean() > 0.9
    raws = {"medquad": in_memory(medquad[::16]), "wikidoc": in_memory(wikidoc[::3])}
    outputs = run(real_corpora, *raws, raw=raws, train=800, validation=100, test=100)
    kept, rejected = outputs["qa_pairs"], outputs["rejected_pairs"]
    rows = [f"{name}:{row}" for name, raw in raws.items() for chunk in raw.load() for row in chunk["row"]]
    assert sorted([*kept["id"], *rejected["id"]]) == sorted(rows)
    parts = splits_of(outputs)
    assert [len(part) for part in parts] == [800, 100, 100]
    for part in parts:
        assert abs((part["corpus"] == "wikidoc").mean() - (kept["corpus"] == "wikidoc").mean()) < 0.06


def test_medical_terms_in_both_layouts(parsed: Read, real_corpora: Path) -> None:
    titled, marked = parsed(real_corpora, "medical_terms"), parsed(real_corpora, "medical_terms_llama2")
    assert (len(titled), len(marked)) == (300, 4643)
    assert (marked["focus"] != "").all()
    assert marked["question"].head(20).tolist() == titled["question"].head(20).tolist()


def test_textbooks(run: Run, real_corpora: Path) -> None:
    files = raw_corpus(real_corpora, "documents", "textbooks")
    assert files["book"].nunique() == 4
    chapters = files.groupby("book", sort=False).head(8)
    passages = run(real_corpora, "textbooks", raw={"textbooks": in_memory(chapters)})["passages"]
    assert passages["book"].nunique() == 4
    assert set(passages["chapter"]) <= set(chapters["chapter"])
    assert len(passages) > 100
    assert passages["id"].is_unique
    assert not passages["text"].str.contains(r"^#|</?(?:p|br|span)\b", regex=True).any()
