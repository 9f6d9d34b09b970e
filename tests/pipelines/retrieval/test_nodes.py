"""Passages found for test questions, and questions that hold them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from datasets import Dataset, Features, Value

from med_lora.datasets.encoder import EncoderDataset
from med_lora.errors import InputError
from med_lora.parameters import PromptParams, RetrievalParams
from med_lora.passages import PASSAGE_COLUMNS
from med_lora.pipelines.retrieval.measures import read_rankings
from med_lora.pipelines.retrieval.nodes import CONTEXT_COLUMNS, RETRIEVED_COLUMNS, ground_questions, retrieve
from med_lora.retrieval.index import PassageIndex, build_index
from tests import recipes
from tests.encoders import write_encoder
from tests.pipelines.evaluation.conftest import Table

TEXTS = {
    "c:cough": "Honey soothes a dry cough.",
    "c:gout": "Gout is a painful arthritis. Rest the toe.",
    "c:knee": "Rest a swollen knee.",
}
PAIRS = pd.DataFrame(
    {
        "id": ["q2", "q1", "q3"],
        "question": ["What is gout, and does rest help?", "What treats a dry cough?", "Zzz"],
        "answer": ["An arthritis.", "Honey.", "Nothing."],
        "focus": ["gout", "", ""],
        "group": [4, 5, 6],
    }
)
PROMPT = PromptParams(template="plain", system=None)


@pytest.fixture
def index() -> PassageIndex:
    columns = {"corpus": "c", "book": "joints", "chapter": "", "page": 2, "licence": "l"}
    passages = pd.DataFrame({"id": list(TEXTS), "text": list(TEXTS.values())}).assign(**columns)[PASSAGE_COLUMNS]
    return build_index(passages, recipes.retrieval(), recipes.hardware())


@pytest.fixture
def base_model(tokenizer: Any) -> SimpleNamespace:
    def config(context: int = 512) -> Any:
        return SimpleNamespace(get_text_config=lambda: SimpleNamespace(max_position_embeddings=context))

    return SimpleNamespace(tokenizer=lambda: tokenizer, config=config)


def found(index: PassageIndex, pairs: pd.DataFrame = PAIRS) -> pd.DataFrame:
    return retrieve(Table(pairs), index, recipes.retrieval(), recipes.hardware())


def grounded(
    index: PassageIndex,
    base_model: Any,
    retrieved: pd.DataFrame,
    retrieval: RetrievalParams | None = None,
    test: Any = None,
) -> tuple[Any, pd.DataFrame]:
    retrieval = retrieval or recipes.retrieval(context_tokens=200)
    test = Table(PAIRS) if test is None else test
    return ground_questions(test, retrieved, index, PROMPT, retrieval, recipes.evaluation(), base_model)


def test_every_question_has_its_hits_in_its_place(index: PassageIndex) -> None:
    table = found(index)
    assert list(table.columns) == RETRIEVED_COLUMNS
    assert table[["id", "rank", "passage", "bm25_rank"]].to_numpy().tolist() == [
        ["q2", 1, "c:gout", 1.0],
        ["q2", 2, "c:knee", 2.0],
        ["q1", 1, "c:cough", 1.0],
        ["q1", 2, "c:knee", 2.0],
        ["q1", 3, "c:gout", 3.0],
    ]
    assert table["dense_rank"].isna().all()
    assert table.dtypes.astype("str").to_dict() == {
        "id": "str",
        "rank": "int64",
        "passage": "str",
        "score": "float64",
        "dense_rank": "float64",
        "bm25_rank": "float64",
    }


def test_each_list_can_be_measured_as_if_it_were_searched_alone(tmp_path: Path) -> None:
    encoder = EncoderDataset(id=str(write_encoder(tmp_path))).load()
    words = [text.split() for text in TEXTS.values()]
    texts = {f"p{row}": " ".join(words[row % 3][: 2 + row % 4] + words[row % 2]) for row in range(12)}
    columns = {"corpus": "c", "book": "", "chapter": "", "page": 0, "licence": ""}
    passages = pd.DataFrame({"id": list(texts), "text": list(texts.values())}).assign(**columns)[PASSAGE_COLUMNS]
    rankings: dict[str, dict[str, dict[str, list[str]]]] = {}
    for method in ("fused", "dense", "bm25"):
        retrieval, hardware = recipes.retrieval(method=method, candidates=3), recipes.hardware()
        built = build_index(passages, retrieval, hardware, encoder)
        table = retrieve(Table(PAIRS), built, retrieval, hardware, encoder)
        assert table.groupby("id")["rank"].apply(list).map(lambda ranks: ranks == [*range(1, len(ranks) + 1)]).all()
        rankings[method] = read_rankings(table, retrieval)
    assert rankings["fused"]["dense"] == rankings["dense"]["dense"]
    assert rankings["fused"]["bm25"] == rankings["bm25"]["bm25"]
    assert all(len(found) <= 3 for found in rankings["fused"]["fused"].values())


def test_no_hit_at_all_is_a_table_all_the_same(index: PassageIndex, base_model: Any) -> None:
    table = found(index, PAIRS.assign(question="Zzz"))
    assert list(table.columns) == RETRIEVED_COLUMNS
    assert table.empty
    test, contexts = grounded(index, base_model, table)
    assert test["question"][:] == PAIRS["question"].tolist()
    assert list(contexts.columns) == CONTEXT_COLUMNS
    assert contexts.empty


def test_questions_hold_their_passages_and_all_else_stays(index: PassageIndex, base_model: Any) -> None:
    kinds = {name: Value("int64" if name == "group" else "string") for name in PAIRS}
    given = Dataset.from_dict({name: PAIRS[name].tolist() for name in PAIRS}, features=Features(kinds))
    test, contexts = grounded(index, base_model, found(index), test=given)
    assert test.features == given.features
    kept = [name for name in PAIRS if name != "question"]
    pd.testing.assert_frame_equal(test.to_pandas()[kept], given.to_pandas()[kept])
    assert test["question"][0] == (
        "Passages:\n[1] (joints, p. 2) Gout is a painful arthritis. Rest the toe.\n\n"
        "[2] (joints, p. 2) Rest a swollen knee.\n\nWhat is gout, and does rest help?"
    )
    assert test["question"][2] == "Zzz"
    assert list(contexts.columns) == CONTEXT_COLUMNS
    assert contexts[["id", "place", "passage", "citation", "cut"]].to_numpy().tolist() == [
        ["q2", 1, "c:gout", "joints, p. 2", False],
        ["q2", 2, "c:knee", "joints, p. 2", False],
        ["q1", 1, "c:cough", "joints, p. 2", False],
        ["q1", 2, "c:knee", "joints, p. 2", False],
    ]
    assert contexts["text"][0] == TEXTS["c:gout"]
    assert contexts.groupby("id")["tokens"].sum().max() <= 200


def test_the_order_of_the_hits_does_not_count(index: PassageIndex, base_model: Any) -> None:
    test, contexts = grounded(index, base_model, found(index))
    again, same = grounded(index, base_model, found(index).iloc[::-1])
    assert test["question"][:] == again["question"][:]
    pd.testing.assert_frame_equal(contexts, same)


def test_the_context_of_the_model_bounds_the_passages(index: PassageIndex, base_model: Any, tokenizer: Any) -> None:
    asked = len(tokenizer("Question: What is gout, and does rest help?\nAnswer:")["input_ids"])
    longest = recipes.decoding().max_new_tokens
    config = base_model.config
    counts = []
    for room in (asked, asked + 60, asked + 100, asked + 300):
        base_model.config = lambda room=room: config(room + longest)
        test, contexts = grounded(index, base_model, found(index))
        assert len(tokenizer(f"Question: {test['question'][0]}\nAnswer:")["input_ids"]) <= room
        counts.append(int((contexts["id"] == "q2").sum()))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 2)


def test_a_context_without_room_for_a_prompt_is_refused(index: PassageIndex, base_model: Any) -> None:
    config = base_model.config
    base_model.config = lambda: config(recipes.decoding().max_new_tokens)
    with pytest.raises(InputError, match=r"evaluation\.decoding\.max_new_tokens"):
        grounded(index, base_model, found(index))
