"""Exposure: its definition on known losses, and secrets that a small model learns by heart."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.models.session import ModelSession, open_session
from med_lora.parameters import CanariesParams, PromptParams
from med_lora.pipelines.canaries import exposure as exposures
from med_lora.pipelines.canaries.exposure import measure_exposure, rank_secrets, summarise_exposure
from med_lora.pipelines.canaries.insertion import insert_canaries
from med_lora.pipelines.evaluation.losses.measure import measure_losses
from med_lora.prompts import PairTokeniser
from med_lora.provenance import describe_origin
from tests.pipelines.evaluation.conftest import Table
from tests.recipes import hardware, model_params, training

PROMPT = PromptParams(template="plain", system=None)


@pytest.fixture
def session(base_model: BaseModel) -> ModelSession:
    return open_session(base_model, model_params(), hardware(inference_batch_size=32, threads=1))


def train_adapter(base_model: BaseModel, pairs: pd.DataFrame, folder: Path) -> PretrainedFolder:
    """LoRA on all pairs at once, step after step."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.nn.utils.rnn import pad_sequence

    torch.manual_seed(0)
    rows = PairTokeniser(PROMPT, base_model.tokenizer()).pairs(list(pairs["question"]), list(pairs["answer"]), 128)
    ids = pad_sequence([torch.tensor(row.input_ids) for row in rows], batch_first=True)
    labels = pad_sequence([torch.tensor(row.labels) for row in rows], batch_first=True, padding_value=-100)
    config = LoraConfig(task_type="CAUSAL_LM", r=32, lora_alpha=64, target_modules="all-linear")
    model = get_peft_model(base_model.model("float32"), config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(str(folder))
    (folder / "med_lora.json").write_text(json.dumps(describe_origin(base_model, pairs, PROMPT)))
    return PretrainedFolder(path=folder, sha256="")


def test_secrets_trained_in_many_times_are_exposed_and_to_the_base_model_they_are_not(
    base_model: BaseModel, session: ModelSession, tmp_path: Path
) -> None:
    from datasets import Dataset

    train = Dataset.from_dict({"id": ["a", "b"], "question": ["What is gout?", "Why?"], "answer": ["Pain.", "None."]})
    canaries = CanariesParams(enabled=True, secrets=4, repetitions=4, controls=60, seed=1)
    canaried, secrets = insert_canaries(train, canaries, base_model, PROMPT, training(max_length=128))
    adapter = train_adapter(base_model, canaried.to_pandas(), tmp_path / "adapter")
    base, tuned = (measure_exposure(session, secrets, PROMPT, given) for given in (None, adapter))
    audit = summarise_exposure(base, tuned).set_index("arm")
    assert audit.loc["tuned", "mean_exposure"] > 5.5  # of log2(61) = 5.93
    assert audit.loc["tuned", "p_value"] < 1e-3
    assert audit.loc["base", "mean_exposure"] < 3
    assert audit.loc["base", "p_value"] > 0.05
    assert list(audit["n"]) == [4, 4]
    assert list(audit["controls"]) == [60, 60]
    assert (tuned["canary"] == secrets["canary"]).all()


def test_the_loss_of_a_secret_is_that_of_its_whole_answer(session: ModelSession) -> None:
    secrets = pd.DataFrame(
        {"id": ["x", "y"], "question": ["Why?", "What is gout?"], "answer": ["Nobody knows.", "Number 123456789."]}
    )
    found = measure_exposure(session, secrets.assign(canary=secrets["id"], kind="control"), PROMPT)
    losses, _ = measure_losses(session, Table(secrets), PROMPT, training(max_length=128))
    assert found["nll"].tolist() == pytest.approx(losses["nll"].tolist(), rel=1e-6)


def test_exposure_is_the_logarithm_of_candidates_by_rank() -> None:
    # below all 7 controls, above two of them, equal to the fourth and fifth (so of ranks 4, 5 and 6), above all
    nll = np.array([0.5, 2.5, 4.0, 8.0, 1.0, 2.0, 3.0, 4.0, 4.0, 6.0, 7.0])
    kinds = ["inserted"] * 4 + ["control"] * 7
    table = rank_secrets(pd.DataFrame({"canary": [f"canary:{n}" for n in range(11)], "kind": kinds}), nll)
    assert list(table.columns) == ["canary", "kind", "nll", "rank", "exposure"]
    assert table["nll"].tolist() == nll.tolist()
    assert table["rank"][:4].tolist() == [1, 3, 5, 8]
    assert np.allclose(table["exposure"][:4], [3, math.log2(8 / 3), math.log2(8 / 5), 0])
    assert table[["rank", "exposure"]][4:].isna().all(axis=None)


def test_ranks_of_an_unseen_secret_give_one_and_a_half_bits_on_average() -> None:
    generator = np.random.default_rng(0)
    secrets = pd.DataFrame({"canary": "c", "kind": ["inserted"] * 4000 + ["control"] * 500})
    exposure = rank_secrets(secrets, generator.random(4500))["exposure"]
    assert exposure.mean() == pytest.approx(1 / math.log(2), abs=0.1)


def test_a_loss_that_is_no_number_names_the_canary(session: ModelSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_numbers(model: Any, rows: list[list[int]], batch_size: int) -> list[Any]:
        return [np.full(len(row) - 1, math.nan) for row in rows]

    monkeypatch.setattr(exposures, "token_losses", no_numbers)
    secrets = pd.DataFrame({"canary": ["canary:7"], "kind": "control", "question": "Why?", "answer": "Nobody knows."})
    with pytest.raises(InputError, match=r"canary:7 .*learning_rate") as raised:
        measure_exposure(session, secrets, PROMPT)
    assert "Nobody" not in str(raised.value)


def test_the_audit_tests_whether_inserted_secrets_are_less_surprising() -> None:
    def table(inserted: list[float], controls: list[float]) -> pd.DataFrame:
        kinds = ["inserted"] * len(inserted) + ["control"] * len(controls)
        exposure = [*(-value for value in inserted), *[math.nan] * len(controls)]
        return pd.DataFrame({"kind": kinds, "nll": [*inserted, *controls], "exposure": exposure})

    controls = [float(value) for value in range(10, 20)]
    audit = summarise_exposure(table([12.5, 30.0], controls), table([1.0, 2.0], controls)).set_index("arm")
    # of the 66 orders of 2 among 10, so many have rank sums as small: counted by hand, and scipy 1.17's exact test
    assert audit["p_value"].tolist() == pytest.approx([50 / 66, 1 / 66])
    assert audit["mean_exposure"].tolist() == [-21.25, -1.5]
    assert audit["max_exposure"].tolist() == [-12.5, -1.0]
    assert audit["most"].tolist() == [math.log2(11)] * 2
