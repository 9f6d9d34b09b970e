"""The arms answer as the evaluation had them answer, from what the run has left and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.arms import ARMS
from med_lora.ask.arms import MAX_QUESTION, Reply, Sources, check_question, describe_basis
from med_lora.ask.models import open_models
from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.models.session import ModelSession
from med_lora.parameters.evaluation import DecodingParams
from med_lora.pipelines.evaluation.answers.generation import generate_answers
from med_lora.pipelines.retrieval.nodes import ground_questions, retrieve
from med_lora.project import Project
from med_lora.retrieval.context import ShownPassage
from tests import recipes
from tests.pipelines.evaluation.conftest import Table, write_record

from .opened import MakeProject, final_replies, index_of, open_quietly


def evaluate(project: Project, folder: Path) -> dict[str, pd.DataFrame]:
    """Answers of all arms to the test questions, as the pipelines make them."""
    given, load = project.parameters, project.catalog.load
    index, test, base = index_of(project), load("test"), load("base_model")
    retrieved = retrieve(test, index, given.retrieval, given.hardware)
    grounded, _ = ground_questions(test, retrieved, index, given.prompt, given.retrieval, given.evaluation, base)
    session = ModelSession(base, given.model, given.hardware)
    answers = {}
    for arm in ARMS:
        asked, adapter = (grounded if arm.endswith("_rag") else test), (load("adapter") if "tuned" in arm else None)
        journal = folder / arm
        journal.mkdir()
        answers[arm] = generate_answers(session, asked, given.prompt, given.evaluation, WorkFolder(journal), adapter)
    return answers


@pytest.mark.parametrize(
    "decoding",
    [
        recipes.decoding(),
        recipes.decoding(max_new_tokens=6, temperature=0.9, top_k=40, top_p=0.95, repetition_penalty=1.2),
    ],
    ids=["greedy", "sampled"],
)
def test_all_arms_answer_as_in_the_evaluation(
    decoding: DecodingParams, make_project: MakeProject, tmp_path: Path
) -> None:
    project = make_project(evaluation=recipes.evaluation(decoding=decoding))
    expected = evaluate(project, tmp_path)
    asker, _ = open_quietly(project)
    for place, question in enumerate(project.catalog.load("test").frame["question"]):
        replies = final_replies(asker, question)
        assert list(replies) == list(ARMS)
        for arm, reply in replies.items():
            row = expected[arm].iloc[place]
            assert (reply.text, reply.new_tokens, reply.finish_reason) == (
                row["answer"],
                row["new_tokens"],
                row["finish_reason"],
            )
    for reference in ("base", "tuned"):  # else equality would say nothing
        assert (expected[reference]["answer"] != expected[f"{reference}_rag"]["answer"]).sum() >= 4
    assert {reason for answers in expected.values() for reason in answers["finish_reason"]} == {"eos", "length"}


def test_answers_grow_arm_by_arm_behind_their_sources(make_project: MakeProject) -> None:
    asker, _ = open_quietly(make_project())
    question = "What is gout, and what treats a dry cough?"
    first, *replies = list(asker.ask(f"  {question}\n"))
    assert isinstance(first, Sources)
    assert [shown.place for shown in first.passages] == [1, 2]
    assert "A [bold]Book[/bold], Joints, p. 4" in [shown.citation for shown in first.passages]
    assert all(isinstance(reply, Reply) for reply in replies)
    order = [reply.arm for reply in replies if isinstance(reply, Reply)]
    assert order == sorted(order, key=ARMS.index)
    for arm in ARMS:
        own = [reply for reply in replies if isinstance(reply, Reply) and reply.arm == arm]
        assert (own[0].text, own[0].new_tokens) == ("", 0)
        written = [reply.new_tokens for reply in own if not reply.finish_reason]
        assert written == list(range(len(written)))
        assert [bool(reply.finish_reason) for reply in own] == [False] * len(written) + [True]
        expected = describe_basis(question, own[-1].text, first.passages) if arm.endswith("_rag") else ""
        assert [reply.basis for reply in own] == [""] * len(written) + [expected]


def test_an_answer_is_said_to_rest_on_the_passages_that_hold_its_words() -> None:
    passages = [
        ShownPassage(1, "book:3", "Gout comes from crystals of uric acid.", "A Book, Joints, p. 3", 9, cut=False),
        ShownPassage(2, "training:a", "Rest the knee and use ice.", "", 9, cut=False),
        ShownPassage(3, "book:5", "A spirometer measures asthma.", "A Book, Lungs, p. 5", 9, cut=False),
    ]
    uncited = "Use ice for the knee. Nobody knows why. It comes from crystals of uric acid. Ice, rest."
    assert (
        describe_basis("Why?", uncited, passages)
        == "By its words it rests on: [1] A Book, Joints, p. 3; [2] training:a"
    )
    for answer in ("Nobody knows why [3].", ""):
        assert describe_basis("Why?", answer, passages) == "No sentence rests on a passage by its words."


def test_arms_without_passages_need_no_splits_but_those_of_the_origin(make_project: MakeProject) -> None:
    asker, said = open_quietly(make_project({"passages": None, "test": None}), ["base", "tuned"])
    assert not any(isinstance(event, Sources) for event in asker.ask("Why?"))
    assert said == []
    asker, _ = open_quietly(make_project({"passages": None, "test": None, "train": None, "adapter": None}), ["base"])
    assert list(final_replies(asker, "Why?")) == ["base"]


def test_both_models_share_one_base(make_project: MakeProject) -> None:
    models = open_models(make_project(), {"base", "tuned"})
    assert models["base"].session is models["tuned"].session
    assert models["base"].adapter is None
    assert models["tuned"].adapter is not None


def test_a_question_beyond_the_context_says_what_it_lost(make_project: MakeProject) -> None:
    asker, _ = open_quietly(make_project(), ["base"])
    (reply,) = final_replies(asker, "Why " * 900).values()
    assert reply.prompt_cut > 0


def full_model(folder: Path, base_model: BaseModel, train: Table, prompt: Any) -> PretrainedFolder:
    """The base model, disturbed, as full fine-tuning would save it."""
    import torch

    from med_lora.provenance import describe_origin

    torch.manual_seed(4)
    model = base_model.model("float32")
    with torch.no_grad():
        model.lm_head.weight += 0.5 * torch.randn_like(model.lm_head.weight)
    model.save_pretrained(str(folder))
    base_model.tokenizer().save_pretrained(str(folder))
    write_record(folder, describe_origin(base_model, train.to_pandas(), prompt))
    return PretrainedFolder(path=folder, sha256="")


def test_weights_of_full_tuning_are_a_model_of_their_own(make_project: MakeProject, tmp_path: Path) -> None:
    plain = make_project()
    load = plain.catalog.load
    tuned = full_model(tmp_path / "tuned", load("base_model"), load("train"), plain.parameters.prompt)
    training = plain.parameters.training.model_copy(update={"method": "full"})
    project = make_project({"tuned_model": tuned, "adapter": None}, training=training)
    models = open_models(project, {"base", "tuned"})
    assert models["tuned"].session is not models["base"].session
    assert models["tuned"].session.base_model.source == str(tuned.path)
    assert models["tuned"].adapter is None
    replies = final_replies(open_quietly(project, ["base", "tuned"])[0], "What is gout?")
    assert replies["base"].text != replies["tuned"].text


def test_an_adapter_on_a_merged_first_stage_keeps_the_base_arm_bare(make_project: MakeProject, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    from med_lora.pipelines.stages import as_base_model
    from med_lora.provenance import describe_origin

    plain = make_project()
    load, prompt = plain.catalog.load, plain.parameters.prompt
    merged = full_model(tmp_path / "merged", load("base_model"), load("train"), prompt)
    start = as_base_model(merged)
    folder = tmp_path / "second"
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(start.model("float32"), config).save_pretrained(str(folder))
    write_record(folder, describe_origin(start, load("train").to_pandas(), prompt))
    first = plain.parameters.continued_pretraining.model_copy(update={"enabled": True, "handover": "merged"})
    second = PretrainedFolder(path=folder, sha256="")
    project = make_project({"domain_model": merged, "adapter": second}, continued_pretraining=first)
    models = open_models(project, {"base", "tuned"})
    assert models["base"].session.base_model.source == load("base_model").source
    assert models["tuned"].session.base_model.source == str(merged.path)
    assert models["tuned"].adapter == second
    with pytest.raises(InputError, match="was trained on"):
        open_models(make_project({"domain_model": merged}, continued_pretraining=first), {"tuned"})


def test_without_an_adapter_the_way_out_is_a_run(make_project: MakeProject) -> None:
    with pytest.raises(
        InputError, match="The experiment embedded has no adapter yet; run `kedro run --params=experiment=embedded`"
    ):
        open_quietly(make_project({"adapter": None}), ["base", "tuned"])


def test_an_adapter_of_other_pairs_is_refused(make_project: MakeProject) -> None:
    other = Table(pd.DataFrame({"id": ["x"], "question": ["Why not?"], "answer": ["So."]}))
    with pytest.raises(InputError, match="trained on other pairs than this run's training split"):
        open_quietly(make_project({"train": other}), ["tuned"])


@pytest.mark.parametrize("question", ["", " \n", "a" * (MAX_QUESTION + 1), "\udc80"])
def test_what_is_no_question_is_refused(question: str) -> None:
    with pytest.raises(InputError) as caught:
        check_question(question)
    str(caught.value).encode("utf-8")
    assert "aaa" not in str(caught.value)
