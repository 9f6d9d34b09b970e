"""Answers are complete, in order, and independent of the batch, greedy or sampled."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.generation.engine import complete
from med_lora.models.session import open_session
from med_lora.parameters import EvaluationParams, HardwareParams, PromptParams
from med_lora.pipelines.evaluation.answers.generation import generate_answers
from tests import recipes

from .conftest import Table


def answer(
    base_model: BaseModel,
    test: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    adapter: PretrainedFolder | None = None,
) -> pd.DataFrame:
    """The answers of a session and a journal of their own, without the batch."""
    session = open_session(base_model, recipes.model_params(), hardware)
    with TemporaryDirectory() as journal:
        answers = generate_answers(session, test, prompt, evaluation, WorkFolder(Path(journal)), adapter)
    return answers.drop(columns="batch")


def decode(evaluation: EvaluationParams, **changes: Any) -> EvaluationParams:
    return evaluation.model_copy(update={"decoding": recipes.decoding(**changes)})


@pytest.fixture
def many_questions() -> Table:
    """40 prompts of 40 lengths."""
    words = ["pain", "swelling", "fever", "cough", "rash", "dizziness", "fatigue", "nausea"]
    questions = [" ".join(words[(start + step) % 8] for step in range(1 + start % 13)) + "?" for start in range(40)]
    return Table(pd.DataFrame({"id": [f"q{n}" for n in range(40)], "question": questions, "answer": "x"}))


def continue_by_hand(model: Any, tokenizer: Any, question: str, limit: int) -> tuple[list[int], str]:
    """The most probable token, again and again, without any cache or batch."""
    import torch

    prompt = tokenizer(f"Question: {question}\nAnswer:")["input_ids"]
    new: list[int] = []
    while len(new) < limit:
        with torch.no_grad():
            token = int(model(torch.tensor([prompt + new])).logits[0, -1].argmax())
        if token == tokenizer.eos_token_id:
            return new, "eos"
        new.append(token)
    return new, "length"


def test_answers_equal_those_taken_one_token_at_a_time(
    base_model: BaseModel,
    many_questions: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    hardware = hardware.model_copy(update={"inference_batch_size": 5})
    many_questions = Table(many_questions.frame.head(16))
    evaluation = decode(evaluation, max_new_tokens=12)
    answers = answer(base_model, many_questions, prompt, evaluation, hardware)
    tokenizer: Any = base_model.tokenizer()
    model = base_model.model("float32")
    assert list(answers["id"]) == list(many_questions.frame["id"])
    for row, question in zip(answers.itertuples(), many_questions.frame["question"], strict=True):
        new, reason = continue_by_hand(model, tokenizer, question, evaluation.decoding.max_new_tokens)
        assert row.answer == tokenizer.decode(new, skip_special_tokens=True).strip()
        assert row.finish_reason == reason
        assert row.new_tokens == len(new) + (reason == "eos")
        assert row.prompt_tokens == len(tokenizer(f"Question: {question}\nAnswer:")["input_ids"])
    assert set(answers["finish_reason"]) == {"eos", "length"}
    assert len(set(answers["answer"])) > 8


@pytest.mark.parametrize("changes", [{}, {"temperature": 0.8, "top_k": 40}], ids=["greedy", "sampled"])
def test_batched_answers_equal_single_ones(
    changes: dict[str, float],
    base_model: BaseModel,
    adapter: PretrainedFolder,
    many_questions: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    single, batched = (
        answer(
            base_model,
            many_questions,
            prompt,
            decode(evaluation, **changes),
            hardware.model_copy(update={"inference_batch_size": size}),
            adapter,
        )
        for size in (1, 16)
    )
    pd.testing.assert_frame_equal(single, batched)


def test_the_adapter_changes_the_answers(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    base = answer(base_model, test_split, prompt, evaluation, hardware)
    tuned = answer(base_model, test_split, prompt, evaluation, hardware, adapter)
    assert (base["answer"] != tuned["answer"]).mean() > 0.5


def resave(base_model: BaseModel, folder: Path, **settings: Any) -> BaseModel:
    from transformers import GenerationConfig

    model = base_model.model("float32")
    model.generation_config = GenerationConfig(**settings)
    model.save_pretrained(folder)
    base_model.tokenizer().save_pretrained(folder)
    return BaseModelDataset(id=str(folder)).load()


def test_generation_settings_that_come_with_a_model_do_not_matter(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    eos = base_model.tokenizer().eos_token_id
    meddled = resave(base_model, tmp_path, do_sample=True, temperature=2.0, repetition_penalty=9.0, eos_token_id=eos)
    expected = answer(base_model, test_split, prompt, evaluation, hardware)
    pd.testing.assert_frame_equal(answer(meddled, test_split, prompt, evaluation, hardware), expected)


def test_the_end_of_turn_of_a_chat_template_ends_an_answer(
    base_model: BaseModel,
    many_questions: Table,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    """As for Gemma, whose turns end with a token that is not its EOS."""
    tokenizer: Any = base_model.tokenizer()
    chatty = resave(base_model, tmp_path, eos_token_id=tokenizer.pad_token_id)
    tokenizer.eos_token = "<pad>"
    tokenizer.chat_template = "{% for turn in messages %}{{ turn.content + '<eos>' }}{% endfor %}"
    tokenizer.save_pretrained(tmp_path)
    chat, text = (
        answer(chatty, many_questions, PromptParams(template=template, system=None), evaluation, hardware).set_index(
            "id"
        )
        for template in ("chat", "{question}<eos>")
    )
    assert list(chat["prompt_tokens"]) == list(text["prompt_tokens"])
    assert set(text["finish_reason"]) == {"length"}
    assert "eos" in set(chat["finish_reason"])


def test_padding_with_eos_is_masked_too(
    base_model: BaseModel,
    many_questions: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    """As for every GPT-2 and Llama, whose tokenizers have no padding token."""
    tokenizer: Any = base_model.tokenizer()
    expected = answer(base_model, many_questions, prompt, evaluation, hardware)
    unpadded = resave(base_model, tmp_path, eos_token_id=tokenizer.eos_token_id)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    assert unpadded.tokenizer().pad_token_id == tokenizer.eos_token_id
    pd.testing.assert_frame_equal(answer(unpadded, many_questions, prompt, evaluation, hardware), expected)


def test_every_end_token_that_a_model_declares_ends_an_answer(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    tmp_path: Path,
) -> None:
    tokenizer: Any = base_model.tokenizer()
    model = base_model.model("float32")
    first = [continue_by_hand(model, tokenizer, question, 1)[0] for question in test_split.frame["question"]]
    ends = sorted({token for new in first for token in new})
    declared = resave(base_model, tmp_path, eos_token_id=ends)
    answers = answer(declared, test_split, prompt, evaluation, hardware)
    assert set(answers["finish_reason"]) == {"eos"}
    assert answers["empty"].all()
    assert set(answers["answer"]) == {""}
    assert set(answers["new_tokens"]) == {1}


def test_a_prompt_beyond_the_context_loses_its_beginning(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    long = decode(evaluation, max_new_tokens=512 - 40)
    answers = answer(base_model, test_split, prompt, long, hardware)
    assert 0 < answers["prompt_truncated"].sum() < len(answers)
    assert set(answers["prompt_tokens"][answers["prompt_truncated"]]) == {40}
    assert (answers["prompt_tokens"] + answers["new_tokens"] <= 512).all()


def test_a_context_without_room_for_a_question_is_refused(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    with pytest.raises(InputError, match=r"evaluation\.decoding\.max_new_tokens \(512\) leaves no room .* 512 tokens"):
        answer(base_model, test_split, prompt, decode(evaluation, max_new_tokens=512), hardware)


def test_sampled_answers_depend_neither_on_the_batch_nor_on_the_order(
    base_model: BaseModel,
    many_questions: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    evaluation = decode(evaluation, temperature=0.8, top_k=40, top_p=0.9, repetition_penalty=1.2)
    shuffled = Table(many_questions.frame.sample(frac=1.0, random_state=1))
    single, batched, reordered = (
        answer(base_model, table, prompt, evaluation, hardware.model_copy(update={"inference_batch_size": size}))
        for table, size in ((many_questions, 1), (many_questions, 16), (shuffled, 7))
    )
    pd.testing.assert_frame_equal(single, batched)
    pd.testing.assert_frame_equal(single, reordered.set_index("id").loc[single["id"]].reset_index())
    assert len(set(single["answer"])) > 20


def test_the_seed_and_the_temperature_change_sampled_answers(
    base_model: BaseModel,
    test_split: Table,
    prompt: PromptParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
) -> None:
    changes: list[dict[str, Any]] = [{}, {"temperature": 1.0}, {"temperature": 1.0, "seed": 6}, {"temperature": 3.0}]
    answers = [
        tuple(answer(base_model, test_split, prompt, decode(evaluation, **change), hardware)["answer"])
        for change in changes
    ]
    assert len(set(answers)) == len(changes)
    # the most probable token alone is left, whatever the temperature
    for single in ({"temperature": 5.0, "top_k": 1}, {"temperature": 1e-4}, {"temperature": 1.0, "top_p": 1e-6}):
        sampled = answer(base_model, test_split, prompt, decode(evaluation, **single), hardware)["answer"]
        assert tuple(sampled) == answers[0]


def test_with_a_strong_repetition_penalty_no_token_comes_twice(base_model: BaseModel, test_split: Table) -> None:
    tokenizer: Any = base_model.tokenizer()
    model = base_model.model("float32")
    prompts = [tokenizer(question)["input_ids"] for question in test_split.frame["question"]]
    repeated = {}
    for penalty in (1.0, 1e6):
        decoding = recipes.decoding(repetition_penalty=penalty)
        completions = complete(model, prompts, set(), tokenizer.pad_token_id, decoding, 3)
        repeated[penalty] = sum(len(found.tokens) - len(set(found.tokens)) for found in completions)
    assert repeated[1.0] > repeated[1e6] == 0
