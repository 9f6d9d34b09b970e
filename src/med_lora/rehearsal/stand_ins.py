"""Small models of random weights in a family's architecture, with a tokenizer in its layout, as a saved folder."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from med_lora.datasets.errors import DatasetInputError
from med_lora.datasets.manifest import seal_folder, verify_folder
from med_lora.datasets.publication import publish_locally, staging_name
from med_lora.rehearsal.families import Family, make_config
from med_lora.rehearsal.tokenizers import TOKENIZERS, Vocabulary

logger = logging.getLogger(__name__)

RECIPE = 2  # to be raised when what is made below changes
VOCABULARY = 2048
SEED = 20240501
# Random weights repeat one token for ever. Where input and output share their embeddings, larger blocks outweigh the
# token read last; and EOS gets a long output vector, so that it wins now and then, and some answers end.
_BLOCK_SCALES = {"gpt2": 8.0, "gemma": 200.0, "qwen3": 20.0}
_BLOCK_OUTPUTS = ("o_proj.weight", "down_proj.weight", "c_proj.weight")
_END_SCALES = {"gpt2": 2.0, "gemma": 2.0, "qwen3": 2.0}
_END_SCALE = 2.5


def make_stand_in(family: Family, texts: Sequence[str], parent: Path) -> Path:
    """The folder of a family's stand-in below ``parent``, made unless it lies there whole.

    Equal arguments give equal bytes. The folder appears in one step, so that two rehearsals may want it at once.

    Args:
        family: architecture and tokenizer.
        texts: what the tokenizer's vocabulary is trained on.
        parent: where stand-ins lie.

    Returns:
        ``parent/<family>[-chat]-<hash of the recipe>``.
    """
    recipe = [RECIPE, family.name, family.is_chat, VOCABULARY, SEED, _hash_texts(texts)]
    digest = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    target = parent / f"{family.name}{'-chat' if family.is_chat else ''}-{digest}"
    if _is_whole(target):
        return target
    logger.info("Making the stand-in %s.", target.name)
    staging = parent / staging_name()
    staging.mkdir(parents=True)
    try:
        _write(family, texts, staging)
        seal_folder(staging)
        if not _is_whole(target):
            publish_locally(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def read_texts(folder: Path) -> list[str]:
    """Texts of the corpora that the repository carries: fields of the JSON records, and markdown files.

    Args:
        folder: that of the embedded corpora.
    """
    records = [
        record for file in sorted(folder.glob("*/*.json")) for record in json.loads(file.read_text(encoding="utf-8"))
    ]
    fields = [record[key] for record in records for key in ("instruction", "input", "output")]
    return fields + [file.read_text(encoding="utf-8") for file in sorted(folder.glob("textbooks/*/*.md"))]


def _write(family: Family, texts: Sequence[str], folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = TOKENIZERS[family.name](Vocabulary(texts, VOCABULARY))
    if not family.is_chat:
        tokenizer.chat_template = None
        if family.name in ("llama3", "llama31"):
            tokenizer.eos_token = "<|end_of_text|>"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model: Any = AutoModelForCausalLM.from_config(make_config(family.name, tokenizer))  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(_BLOCK_OUTPUTS):
                weight *= _BLOCK_SCALES.get(family.name, 1.0)
        model.get_output_embeddings().weight[tokenizer.eos_token_id] *= _END_SCALES.get(family.name, _END_SCALE)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _is_whole(folder: Path) -> bool:
    try:
        verify_folder(folder, str(folder))
    except (DatasetInputError, FileNotFoundError):
        return False
    return True


def _hash_texts(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()
