"""Rendering and tokenising of pairs."""

from __future__ import annotations

from typing import Any

from med_lora.prompts import IGNORED_LABEL, render_prompt, tokenise_pair, tokenise_prompt

TEMPLATE = "Question: {question}\nAnswer:"


def test_template_is_filled_once_and_braces_survive() -> None:
    assert render_prompt("is {question} {x}?", TEMPLATE) == "Question: is {question} {x}?\nAnswer:"


def test_pair_round_trips_and_ends_with_eos(tokenizer: Any) -> None:
    pair = tokenise_pair("what is gout?", "a painful arthritis", TEMPLATE, tokenizer, 128)
    assert tokenizer.decode(pair.input_ids) == "Question: what is gout?\nAnswer: a painful arthritis<eos>"
    assert (pair.prompt_cut, pair.answer_cut) == (0, 0)


def test_loss_counts_on_the_answer_alone(tokenizer: Any) -> None:
    pair = tokenise_pair("what is gout?", "a painful arthritis", TEMPLATE, tokenizer, 128)
    counted = [token for token, label in zip(pair.input_ids, pair.labels, strict=True) if label != IGNORED_LABEL]
    assert tokenizer.decode(counted) == " a painful arthritis<eos>"
    assert all(label == token for token, label in zip(pair.answer_ids, pair.labels[-len(counted) :], strict=True))


def test_training_and_evaluation_see_the_same_prompt_tokens(tokenizer: Any) -> None:
    prompt, cut = tokenise_prompt("what is gout?", TEMPLATE, tokenizer, 127)
    assert (prompt, cut) == (tokenise_pair("what is gout?", "x", TEMPLATE, tokenizer, 128).prompt_ids, 0)


def test_long_answer_loses_its_end_and_keeps_no_eos(tokenizer: Any) -> None:
    whole = tokenise_pair("gout?", "painful " * 50, TEMPLATE, tokenizer, 10_000)
    limit = len(whole.prompt_ids) + 7
    pair = tokenise_pair("gout?", "painful " * 50, TEMPLATE, tokenizer, limit)
    assert pair.answer_ids == whole.answer_ids[:7]
    assert pair.answer_cut == len(whole.answer_ids) - 7
    assert tokenizer.eos_token_id not in pair.answer_ids


def test_long_prompt_keeps_its_cue_and_one_answer_token(tokenizer: Any) -> None:
    pair = tokenise_pair("gout " * 100, "yes", TEMPLATE, tokenizer, 20)
    assert len(pair.input_ids) == 20
    assert tokenizer.decode(pair.prompt_ids).endswith("\nAnswer:")
    assert len(pair.answer_ids) == 1
    assert pair.prompt_cut > 0


def test_a_closing_eos_of_the_tokenizer_is_taken_off_the_prompt(tokenizer: Any) -> None:
    class Closing:
        eos_token_id = tokenizer.eos_token_id

        def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
            ids = tokenizer(text, **options)["input_ids"]
            return {"input_ids": ids if options.get("add_special_tokens") is False else [*ids, self.eos_token_id]}

    assert tokenise_prompt("gout?", TEMPLATE, Closing(), 99)[0] == tokenise_prompt("gout?", TEMPLATE, tokenizer, 99)[0]
