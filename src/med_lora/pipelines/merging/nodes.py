"""The adapter of instruction tuning merged into its base model."""

from __future__ import annotations

import json
from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import Pretrained, PretrainedFolder
from med_lora.models.merging import BaseFiles, merge
from med_lora.parameters import HardwareParams, MergingParams, ModelParams, PromptParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.merging.card import write_card
from med_lora.prompts import PairTokeniser
from med_lora.provenance import RECORD_FILE

# Every log-probability of every position is compared: 512 positions are 260 MB at a vocabulary of 128,000.
CHECKED_ROWS = 4
CHECKED_TOKENS = 128


def merge_adapter(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    validation: Split,
    prompt: PromptParams,
    model: ModelParams,
    hardware: HardwareParams,
    merging: MergingParams,
) -> tuple[Pretrained, dict[str, Any]]:
    """Merge, and compare on the first validation pairs; see :func:`med_lora.models.merging.merge`.

    Returns:
        The whole model with tokenizer, generation settings, licence texts and card, and the check as JSON values.

    Raises:
        InputError: if merged and unmerged model disagree, the base model cannot be merged into, or there is no
            validation pair.
    """
    pairs = read_pairs(validation, "validation").head(CHECKED_ROWS)
    tokeniser = PairTokeniser(prompt, base_model.tokenizer())
    rows = [
        pair.input_ids for pair in tokeniser.pairs(pairs["question"].tolist(), pairs["answer"].tolist(), CHECKED_TOKENS)
    ]
    merged = merge(base_model, adapter.path, model, hardware, merging, rows)
    made_of = _describe_making(json.loads((adapter.path / RECORD_FILE).read_text(encoding="utf-8")))
    return whole_model(base_model, adapter, merged.model, merging, merged.check, made_of), merged.check


def _describe_making(record: dict[str, Any]) -> str:
    """How the record of an adapter says that it came about, as the end of a sentence."""
    if "passages_sha256" in record:
        return "trained on plain text alone, on no question-answer pair,"
    first = "trained on plain text, then " if record.get("start_sha256") else ""
    audited = " and made-up secrets of a canary audit, so not for use," if record.get("canaries") else ""
    return f"{first}fine-tuned on question-answer pairs{audited}"


def whole_model(
    base_model: BaseModel,
    adapter: PretrainedFolder,
    model: Any,
    merging: MergingParams,
    check: dict[str, Any],
    made_of: str,
) -> Pretrained:
    """A merged model as the folder that transformers, vLLM and llama.cpp's converter load."""
    files = BaseFiles(base_model)
    card = write_card(base_model, adapter, merging, check, files.licence(), made_of)
    return Pretrained(model, files, {"README.md": card})
