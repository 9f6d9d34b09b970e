"""Rows that share a packed row do not see each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from med_lora.engine import fit
from med_lora.engine.losses import LabelLoss
from med_lora.engine.packing import LEAK, check_packing, leakage
from med_lora.engine.rows import collate, pack
from med_lora.errors import InputError
from tests.engine.tiny import adapted, gemma, gemma2, gpt2, llama, make, mistral, opt, rows
from tests.recipes import hardware, optimisation

FAMILIES = [llama, mistral, gemma, gemma2, gpt2]
DATA = rows(12, longest=16)


def largest_difference(model: Any, flat: bool, **added: Any) -> float:
    """Between the logits of rows that are packed and of the same rows, each alone."""
    batch = pack(DATA, 1, flat=flat)
    inputs = {name: batch[name] for name in ("input_ids", "position_ids")} | added
    with torch.no_grad():
        packed = model(**inputs, **({} if "use_cache" in added else {"use_cache": False})).logits
        worst, found = 0.0, 0
        for ids in (row["input_ids"] for row in DATA):
            alone = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
            for line, start in (batch["position_ids"] == 0).nonzero().tolist():
                if batch["input_ids"][line, start : start + len(ids)].tolist() == ids:
                    found += 1
                    worst = max(worst, float((packed[line, start : start + len(ids)] - alone).abs().max()))
    assert found == len(DATA)
    return worst


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_packed_row_has_the_logits_that_it_has_alone(family: Callable[[], Any], attention: str) -> None:
    model = make(family).eval()
    if not (family is gemma2 and attention == "sdpa"):  # which has no such kernel
        model.set_attn_implementation(attention)
    for flat in (False, True):
        assert largest_difference(model, flat) <= 1e-5
    assert leakage(model) < 1e-3
    check_packing(model, optimisation(), hardware(packing=True))


def test_an_attention_mask_or_a_cache_would_let_rows_see_each_other() -> None:
    """Why the engine gives neither; and that the comparison above can fail."""
    model = make(llama).eval()
    shape = pack(DATA, 1, flat=True)["input_ids"].shape
    assert largest_difference(model, flat=True, attention_mask=torch.ones(shape, dtype=torch.long)) > 1e-3
    assert largest_difference(model, flat=True, use_cache=True) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_and_padded_rows_have_one_loss(family: Callable[[], Any]) -> None:
    model = make(family)
    loss = LabelLoss(model)
    padded, packed = (loss(model, batch) for batch in (collate(DATA, 1), pack(DATA, 1, flat=False)))
    assert float(packed[0].detach()) == pytest.approx(float(padded[0].detach()), rel=1e-6)
    assert packed[2] == padded[2]


def test_a_family_that_does_not_tell_packed_rows_apart_is_refused(tokenizer: Any) -> None:
    model = make(opt)
    assert leakage(model.eval()) > 10 * LEAK
    with pytest.raises(InputError, match=r"hardware.packing would let pairs see one another in a model of type opt"):
        fit(model, tokenizer, rows(4), [], optimisation(), hardware(packing=True))


def test_an_adapted_model_in_half_precision_is_not_refused_for_its_rounding() -> None:
    assert leakage(adapted(make(llama)).to(torch.bfloat16)) < LEAK


def test_noise_that_goes_by_length_is_refused_where_packing_changes_the_length() -> None:
    machine = hardware(packing=True, attention="flash_attention_2")
    with pytest.raises(InputError, match="neftune_alpha scales its noise by the length of a row"):
        check_packing(make(llama), optimisation(neftune_alpha=5.0), machine)
