"""The passages of an asker: those of the saved index where they are today's, else of one built in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.ask.arms import Sources, open_asker
from med_lora.datasets.encoder import Encoder, EncoderDataset
from med_lora.errors import InputError
from med_lora.project import Project
from med_lora.retrieval.index import PassageIndex
from tests import recipes
from tests.encoders import write_encoder
from tests.pipelines.evaluation.conftest import Table

from .opened import MakeProject, final_replies, index_of, open_quietly


def test_a_saved_index_that_fits_is_taken(make_project: MakeProject) -> None:
    index = index_of(make_project())
    asker, said = open_quietly(make_project({"passage_index": index}))
    assert said == []
    assert any(isinstance(event, Sources) and event.passages for event in asker.ask("What is gout?"))


def test_an_index_is_built_where_none_is_saved_or_it_does_not_fit(make_project: MakeProject) -> None:
    _, said = open_quietly(make_project(), ["base_rag"])
    assert said == ["Building the index of passages in memory, since none is saved."]
    index = index_of(make_project())
    other = PassageIndex(index.passages, index.embeddings, {**index.described, "method": "dense"})
    _, said = open_quietly(make_project({"passage_index": other}), ["base_rag"])
    assert said == ["Building the index of passages in memory, since the saved one was made with other settings."]


def test_an_index_of_other_sources_is_not_taken(make_project: MakeProject) -> None:
    index = index_of(make_project())
    retrieval = recipes.retrieval(sources=["training_answers"], context_tokens=220)
    asker, said = open_quietly(make_project({"passage_index": index}, retrieval=retrieval), ["base_rag"])
    assert said == ["Building the index of passages in memory, since the saved one was made with other settings."]
    (sources,) = (event for event in asker.ask("What is gout, a cough or asthma?") if isinstance(event, Sources))
    assert {shown.passage.partition(":")[0] for shown in sources.passages} == {"training"}


def test_an_index_of_passages_that_are_others_now_is_not_taken(
    make_project: MakeProject, passages: pd.DataFrame
) -> None:
    """Of a test pair drawn since then, it might hold the answer."""
    index = index_of(make_project())
    answer = passages["text"].iloc[1]
    drawn = pd.DataFrame({"id": ["corpus:99"], "question": ["What soothes the throat?"], "answer": [answer]})
    cited = passages.assign(page=passages["page"] + 1)
    for changes in ({"test": Table(drawn)}, {"passages": passages.tail(2)}, {"passages": cited}):
        asker, said = open_quietly(make_project({"passage_index": index, **changes}), ["base_rag"])
        assert said == [
            "Building the index of passages in memory, since the saved one holds other passages than there are now."
        ]
        shown = next(iter(asker.ask("What soothes the throat after a cold?")))
        assert isinstance(shown, Sources)
        assert ("book:4" in [passage.passage for passage in shown.passages]) == ("test" not in changes)


def dense_project(make_project: MakeProject, encoder: Encoder, **changes: Any) -> Project:
    retrieval = recipes.retrieval(sources=["passages"], method="dense", context_tokens=220)
    return make_project({"retrieval_encoder": encoder, **changes}, retrieval=retrieval)


def test_the_encoder_is_loaded_once_though_an_index_is_built(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loaded = Encoder.sentence_encoder, []

    def counted(self: Encoder, device: str) -> Any:
        loaded.append(self.name)
        return load(self, device)

    monkeypatch.setattr(Encoder, "sentence_encoder", counted)
    encoder = EncoderDataset(id=str(write_encoder(tmp_path / "encoder"))).load()
    asker, said = open_quietly(dense_project(make_project, encoder), ["base_rag"])
    assert len(said) == len(loaded) == 1
    assert next(iter(asker.ask("What is gout?"))) != Sources([])


def test_other_weights_than_expected_are_said_before_anything_is_built(
    make_project: MakeProject, tmp_path: Path
) -> None:
    encoder = EncoderDataset(id=str(write_encoder(tmp_path / "encoder")), sha256="0" * 64).load()
    said: list[str] = []
    for changes in ({}, {"passage_index": index_of(make_project())}):
        with pytest.raises(InputError, match=r"^model\.safetensors of encoder encoder@\w+ has SHA-256 \w+, not the"):
            open_asker(dense_project(make_project, encoder, **changes), ["base_rag"], said.append)
    assert said == []


def test_without_the_encoder_the_other_arms_are_named(make_project: MakeProject) -> None:
    missing = Encoder(source="nowhere", revision=None, sha256=None)
    retrieval = recipes.retrieval(sources=["passages"], method="fused")
    project = make_project({"retrieval_encoder": missing}, retrieval=retrieval)
    with pytest.raises(InputError, match=r"nowhere.*or ask without passages: --arms base,tuned\.$") as caught:
        open_quietly(project)
    assert str(caught.value).count(". ") == 0
    assert list(final_replies(open_quietly(project, ["base"])[0], "Why?")) == ["base"]


def test_a_question_without_any_hit_is_asked_bare(make_project: MakeProject) -> None:
    asker, _ = open_quietly(make_project(), ["base", "base_rag"])
    events = list(asker.ask("Zzz xxqq?"))
    assert events[0] == Sources([])
    replies = final_replies(asker, "Zzz xxqq?")
    assert replies["base"].text == replies["base_rag"].text
