"""The publishers' own files of PubMedQA and MedQA."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from med_lora.chunks import Chunks
from med_lora.datasets import CorpusDataset
from med_lora.datasets.base_model import BaseModelDataset
from med_lora.models.session import open_session
from med_lora.parameters import CorpusParams
from med_lora.pipelines.benchmarks.comparison import compare_benchmarks
from med_lora.pipelines.benchmarks.harness import answer_benchmarks
from med_lora.pipelines.benchmarks.tasks import collect_questions
from med_lora.pipelines.data_engineering.parsing import parse_corpus
from tests import recipes

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed (extra bench)")


def read(name: str, layout: str, file: Path) -> Chunks:
    corpus = {"layout": layout, "files": file.name}
    records = CorpusDataset(name=name, corpora={name: corpus}, root=str(file.parent)).load()
    return parse_corpus(records, CorpusParams(title=name, licence="MIT", **corpus), name)


@pytest.fixture
def pubmedqa(real_corpora: Path, tmp_path: Path) -> Chunks:
    """The 500 questions of the test part, in the order of its own file."""
    labelled = json.loads((real_corpora / "pubmedqa/ori_pqal.json").read_text(encoding="utf-8"))
    part = json.loads((real_corpora / "pubmedqa/test_ground_truth.json").read_text(encoding="utf-8"))
    file = tmp_path / "test_set.json"
    file.write_text(json.dumps({pubid: labelled[pubid] for pubid in part}), encoding="utf-8")
    return read("pubmedqa", "pubmedqa", file)


def test_every_item_of_both_test_parts_can_be_asked(pubmedqa: Chunks, real_corpora: Path) -> None:
    questions = collect_questions(pubmedqa, read("medqa", "choices", real_corpora / "exams/medqa_test.jsonl"))
    assert questions["benchmark"].value_counts().to_dict() == {"medqa": 1273, "pubmedqa": 500}
    assert set(questions["fault"]) == {""}
    decisions = questions["gold"][questions["benchmark"] == "pubmedqa"]
    assert set(decisions[:100]) == {"yes"}
    assert decisions.value_counts().to_dict() == {"yes": 276, "no": 169, "maybe": 55}
    assert set(questions["choices"][questions["benchmark"] == "medqa"]) == {"A B C D"}


@pytest.mark.slow
def test_the_embedded_model_answers_the_whole_test_part(pubmedqa: Chunks, root: Path) -> None:
    questions = collect_questions(pubmedqa)
    base_model = BaseModelDataset(id=str(root / "data/06_models/embedded-base")).load()
    hardware = recipes.hardware(inference_batch_size=32)
    items = answer_benchmarks(open_session(base_model, recipes.model_params(), hardware), questions)
    (row,) = compare_benchmarks(questions, items, items, recipes.evaluation()).to_dict("records")
    assert (row["n"], row["majority"]) == (500, 0.552)
    assert row["note"].startswith("base and tuned not above the majority line")
