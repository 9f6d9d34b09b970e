"""Long text counts every token once, and both arms are compared on the same documents."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.datasets import TextFilesDataset
from med_lora.datasets.base_model import BaseModel, BaseModelDataset
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.session import open_session
from med_lora.parameters import HardwareParams
from med_lora.pipelines.evaluation.losses import general_text
from med_lora.pipelines.evaluation.losses.general_text import compare_general, measure_general_text
from med_lora.pipelines.evaluation.losses.windows import sliding_windows
from tests.recipes import evaluation, model_params

TEXTS = {"b.txt": "The ferry leaves at ten – whether the bus is there or not. " * 3, "a.txt": "\nFog, then sun.\n"}


def documents(texts: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({"file": list(texts), "text": list(texts.values())})


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 9, 23, 24, 25])
@pytest.mark.parametrize(("window", "stride"), [(8, 1), (8, 4), (8, 7), (2, 1), (100, 50)])
def test_every_token_but_the_first_counts_once_and_has_its_context(length: int, window: int, stride: int) -> None:
    ids = list(range(length))
    scored = []
    for number, part in enumerate(sliding_windows(ids, window, stride)):
        assert 1 <= part.scored < len(part.ids) <= window
        assert number == 0 or len(part.ids) - part.scored >= window - stride
        assert list(part.ids) == list(range(part.ids[0], part.ids[0] + len(part.ids)))
        scored += part.ids[-part.scored :]
    assert scored == ids[1:]


@pytest.mark.parametrize("stride", [0, 8])
def test_a_stride_that_leaves_no_context_is_an_error(stride: int) -> None:
    with pytest.raises(ValueError, match="does not suit a window of 8"):
        sliding_windows(range(20), 8, stride)


def test_a_text_that_fits_costs_what_one_forward_pass_says(base_model: BaseModel, hardware: HardwareParams) -> None:
    """transformers 5.23: the mean loss of ``model(input_ids, labels=input_ids)``; there is no BOS, so EOS begins."""
    import torch

    found = measure_general_text(open_session(base_model, model_params(), hardware), documents(TEXTS))
    model, tokenizer = base_model.model("float32"), base_model.tokenizer()
    assert list(found.columns) == ["document", "tokens", "nll", "bytes"]
    assert list(found["document"]) == ["a.txt", "b.txt"]
    for row in found.itertuples():
        text = TEXTS[str(row.document)].strip()
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(text)["input_ids"]]])
        with torch.no_grad():
            loss: Any = model(input_ids=ids, labels=ids).loss
        assert row.tokens == ids.shape[1] - 1
        assert row.bytes == len(text.encode())
        assert row.nll == pytest.approx(float(loss) * row.tokens, rel=1e-5)


def test_a_longer_text_costs_what_single_tokens_do_after_their_context(
    base_model: BaseModel, hardware: HardwareParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(general_text, "WINDOW", 10)
    found = measure_general_text(
        open_session(base_model, model_params(), hardware), documents({"a": "Rain, rain. " * 9})
    )
    model, tokenizer = base_model.model("float32"), base_model.tokenizer()
    ids = [tokenizer.eos_token_id, *tokenizer(("Rain, rain. " * 9).strip())["input_ids"]]
    total = 0.0
    for place in range(1, len(ids)):
        # windows begin at 0, 5, 10, ... and the last ends with the text
        begin = 0 if place < 10 else min(5 * ((place - 10) // 5 + 1), len(ids) - 10)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids[begin:place]])).logits[0, -1]
        total -= float(logits.double().log_softmax(-1)[ids[place]])
    assert found["nll"].item() == pytest.approx(total, rel=1e-5)


def test_the_adapter_changes_general_english_and_the_base_stays(
    base_model: BaseModel, adapter: PretrainedFolder, hardware: HardwareParams
) -> None:
    session = open_session(base_model, model_params(), hardware)
    base, tuned, again = (measure_general_text(session, documents(TEXTS), part) for part in (None, adapter, None))
    assert (base["nll"] - tuned["nll"]).abs().min() > 0.1
    assert again.equals(base)


def test_an_empty_document_is_refused_by_name(base_model: BaseModel, hardware: HardwareParams) -> None:
    with pytest.raises(InputError, match=r"file b\.md of the general English holds no text"):
        measure_general_text(
            open_session(base_model, model_params(), hardware), documents({"a.md": "Fog.", "b.md": " \n"})
        )


def test_a_loss_that_is_no_number_is_refused_by_the_documents_name(
    base_model: BaseModel, hardware: HardwareParams, tmp_path: Path
) -> None:
    import torch

    model = base_model.model("float32")
    with torch.no_grad():
        model.lm_head.weight[5] = math.nan
    model.save_pretrained(tmp_path)
    base_model.tokenizer().save_pretrained(tmp_path)
    broken = open_session(BaseModelDataset(id=str(tmp_path)).load(), model_params(), hardware)
    with pytest.raises(InputError, match=r"general English file a\.txt is not finite \(2 of 2 are not\)"):
        measure_general_text(broken, documents(TEXTS))


def losses(nll: list[float], names: str = "abcdefgh") -> pd.DataFrame:
    return pd.DataFrame({"document": list(names[: len(nll)]), "tokens": 50, "nll": nll, "bytes": 200})


@pytest.mark.parametrize(
    ("shift", "note"),
    [
        (20.0, "tuning made general English less predictable to the model"),
        (-20.0, "tuning made general English more predictable to the model"),
        (0.0, "no difference found"),
    ],
)
def test_forgetting_is_a_paired_difference_in_bits_per_byte(shift: float, note: str) -> None:
    base = losses([180.0, 240.0, 100.0, 310.0, 205.0, 190.0])
    wobble = np.array([3.0, -3.0, 2.0, -2.0, 1.0, -1.0])
    tuned = base.assign(nll=base["nll"] + shift + wobble)
    row = compare_general(base, tuned[::-1], evaluation()).iloc[0]
    assert list(row.index) == ["measure", "n", "base", "tuned", "difference", "low", "high", "note"]
    assert (row["measure"], row["n"], row["note"]) == ("bits_per_byte", 6, note)
    assert row["base"] == pytest.approx(1225 / 1200 / math.log(2))
    assert row["difference"] == pytest.approx(6 * shift / 1200 / math.log(2))
    # the documents differ by 60 nats and more, the paired differences by 3 at most
    assert row["difference"] - 0.02 < row["low"] <= row["difference"] <= row["high"] < row["difference"] + 0.02


def test_one_document_has_a_difference_and_no_interval() -> None:
    row = compare_general(losses([100.0]), losses([120.0]), evaluation()).iloc[0]
    assert row["difference"] == pytest.approx(20 / 200 / math.log(2))
    assert math.isnan(row["low"])
    assert row["note"] == "an interval needs two documents"


def test_arms_of_different_documents_are_refused() -> None:
    with pytest.raises(InputError, match="different documents"):
        compare_general(losses([100.0, 90.0]), losses([100.0, 90.0], "xy"), evaluation())


def test_the_embedded_documents_are_many_and_short(root: Path) -> None:
    loaded = TextFilesDataset(filepath=str(root / "data/01_raw/embedded/general_english")).load()
    words = loaded["text"].str.split().str.len()
    assert 12 <= len(loaded) <= 20
    assert words.between(80, 250).all()
    assert 1500 <= words.sum() <= 2500
