"""An adapter merged into its base model, and the proof that the two still say the same."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from med_lora.datasets.base_model import TOKENIZER_FILES, BaseModel
from med_lora.errors import InputError
from med_lora.models.attach import attach_saved, check_origin
from med_lora.models.loading import load_model
from med_lora.parameters import HardwareParams, MergingParams, ModelParams

logger = logging.getLogger(__name__)

# What belongs to a model beside its weights and configuration, and what its licence asks to be passed on.
COPIED_FILES = (
    *TOKENIZER_FILES,
    "chat_template*",
    "generation_config.json",
    "LICEN[CS]E*",
    "NOTICE*",
    "USE_POLICY*",
)


@dataclass(frozen=True)
class Merged:
    """The merged model, its weights of the type they are stored in, and what the check found.

    Attributes:
        model: a plain transformers model.
        check: JSON values: rows, tokens; ``before_cast`` and ``after_cast`` with the largest_difference and
            mean_difference of a log-probability (absolute, nats) and the share of positions with an equal_greedy_token;
            for a quantised base also ``dequantised``.
    """

    model: Any
    check: dict[str, Any]


def merge(
    base_model: BaseModel,
    adapter: Path,
    model: ModelParams,
    hardware: HardwareParams,
    merging: MergingParams,
    rows: Sequence[Sequence[int]],
) -> Merged:
    """Add the adapter's update to the base weights in fp32, compare, and round to ``merging.dtype``.

    A quantised base is dequantised first and the update added to these weights: it was trained to make up for their
    rounding, and the original weights would be another model. Three comparisons of log-probabilities over the whole
    vocabulary are made on ``rows``, all in fp32:

    - dequantised: the quantised model and the dequantised one, both with the adapter beside them. With NF4 they have to
      agree; the kernel of int8 rounds activations too, which no merged model repeats, so there it is only reported.
    - before_cast: adapter beside the weights and merged into them. They have to agree.
    - after_cast: merged weights before and after they were rounded to ``merging.dtype``. Only reported: published
      checkpoints are rounded likewise. Values that are no longer finite are refused.

    Args:
        base_model: what the adapter was trained on.
        adapter: folder of the adapter, with its record.
        model: the quantisation it was trained with.
        hardware: the device; it needs memory for all weights in fp32 (4 bytes a parameter).
        merging: stored type, and the largest difference that counts as agreement.
        rows: token ids; every position is compared.

    Raises:
        InputError: for a GPTQ base, an adapter of another base or quantisation, models that disagree, or weights that
            fp16 cannot hold.
    """
    _check_quantisation(base_model, adapter, model.quantisation)
    exact = hardware.model_copy(update={"precision": "fp32", "attention": "sdpa"})
    plain: Any = load_model(base_model, model, exact, purpose="inference")
    check: dict[str, Any] = {"rows": len(rows), "tokens": sum(len(row) for row in rows)}
    as_trained = None
    if model.quantisation != "none":
        as_trained, plain = _dequantise(plain, adapter, base_model, model.quantisation, rows)
    adapted: Any = attach_saved(plain, adapter, base_model)
    beside = log_probabilities(adapted, rows)
    if as_trained is not None:
        check["dequantised"] = compare(as_trained, beside)
        if model.quantisation == "nf4":
            _require_agreement(check["dequantised"], adapter, merging)
    merged = adapted.merge_and_unload()
    inside = log_probabilities(merged, rows)
    check["before_cast"] = compare(beside, inside)
    _require_agreement(check["before_cast"], adapter, merging)
    check["after_cast"] = _cast(merged, inside, adapter, merging, rows)
    logger.info(
        "Merged: log-probabilities differ by at most %.1e nats, and by %.1e once stored as %s (%d tokens).",
        check["before_cast"]["largest_difference"],
        check["after_cast"]["largest_difference"],
        merging.dtype,
        check["tokens"],
    )
    return Merged(merged, check)


def _check_quantisation(base_model: BaseModel, adapter: Path, quantisation: str) -> None:
    """No comparison would notice other base weights than those of training: both sides would have them."""
    if quantisation == "gptq":
        raise InputError(
            "model.quantisation is gptq, and nothing can be merged into GPTQ weights; serve the adapter beside them, "
            "or train on the checkpoint that is not quantised."
        )
    trained_on = check_origin(adapter, base_model).get("quantisation")
    if trained_on != quantisation:
        raise InputError(
            f"The adapter in {adapter} was trained with model.quantisation {trained_on} and this run sets "
            f"{quantisation}, whose weights would make another model of it; set it to {trained_on}."
        )


def _dequantise(
    plain: Any, adapter: Path, base_model: BaseModel, quantisation: str, rows: Sequence[Sequence[int]]
) -> tuple[Any, Any]:
    """Log-probabilities of the quantised model with the adapter beside it, and its base model in fp32."""
    import torch

    adapted: Any = attach_saved(plain, adapter, base_model)
    if quantisation == "int8" and adapted.device.type == "cpu" and adapted.peft_config["default"].use_dora:
        raise InputError(
            f"The adapter in {adapter} was trained with DoRA on 8-bit weights, whose scales peft loses on a CPU; merge "
            "it in an environment with a GPU."
        )
    as_trained = log_probabilities(adapted, rows)
    return as_trained, adapted.unload().dequantize(dtype=torch.float32).float()


def log_probabilities(model: Any, rows: Sequence[Sequence[int]]) -> list[Any]:
    """For each row the logarithms of the next token's probabilities, fp32 on the CPU: [tokens, vocabulary]."""
    import torch

    found = []
    with torch.no_grad():
        for row in rows:
            logits = model(input_ids=torch.tensor([list(row)], device=model.device), use_cache=False).logits[0]
            found.append(torch.log_softmax(logits.float(), dim=-1).cpu())
    return found


def compare(first: Sequence[Any], second: Sequence[Any]) -> dict[str, float]:
    """Absolute differences of two results of :func:`log_probabilities`, over all positions and tokens."""
    differences = [(one - other).abs() for one, other in zip(first, second, strict=True)]
    same = [(one.argmax(-1) == other.argmax(-1)) for one, other in zip(first, second, strict=True)]
    return {
        # not max(): it may lose a NaN, and a NaN must not pass for agreement
        "largest_difference": _maximum(differences),
        "mean_difference": sum(float(part.double().sum()) for part in differences)
        / sum(part.numel() for part in differences),
        "equal_greedy_token": sum(int(part.sum()) for part in same) / sum(part.numel() for part in same),
    }


def _maximum(parts: Sequence[Any]) -> float:
    import torch

    return float(torch.stack([part.max() for part in parts]).max())


def _require_agreement(found: dict[str, float], adapter: Path, merging: MergingParams) -> None:
    largest = found["largest_difference"]
    if not largest <= merging.tolerance:
        raise InputError(
            f"The adapter in {adapter} merged into its base model changes a log-probability by {largest:.2g} nats, "
            f"more than merging.tolerance ({merging.tolerance:g}), so nothing was saved; serve the adapter beside the "
            "base model, or raise the tolerance if such a difference does no harm."
        )


def _cast(
    merged: Any, inside: Sequence[Any], adapter: Path, merging: MergingParams, rows: Sequence[Sequence[int]]
) -> dict[str, float]:
    """Round the parameters to ``merging.dtype`` and return what that changed; buffers stay as they are."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[merging.dtype]
    for name, parameter in merged.named_parameters():
        rounded = parameter.data.to(dtype)
        if not bool(torch.isfinite(rounded).all()):
            raise InputError(
                f"The merged weights of {adapter} hold values in {name} that {merging.dtype} cannot hold; set "
                "merging.dtype to bf16 or fp32."
            )
        parameter.data = rounded.float()
    found = compare(inside, log_probabilities(merged, rows))
    for parameter in merged.parameters():
        parameter.data = parameter.data.to(dtype)  # exact: the values are rounded already
    return found


@dataclass(frozen=True)
class BaseFiles:
    """The base model's tokenizer, generation settings and licence texts, copied byte by byte into a whole model.

    A tokenizer that is loaded and saved loses files that converters need: SentencePiece's ``tokenizer.model``.
    """

    base_model: BaseModel

    def save_pretrained(self, save_directory: str, *arguments: Any, **options: Any) -> None:
        """Copy them, from the cache of the hub where the base model is the hub's."""
        folder = self.folder()
        for pattern in COPIED_FILES:
            for file in sorted(folder.glob(pattern)):
                if file.is_file():
                    shutil.copyfile(file, Path(save_directory) / file.name)

    def folder(self) -> Path:
        """Where these files and the card of the base model lie."""
        if self.base_model.revision is None:
            return Path(self.base_model.source)
        from huggingface_hub import snapshot_download

        found: str = snapshot_download(
            self.base_model.source, revision=self.base_model.revision, allow_patterns=[*COPIED_FILES, "README.md"]
        )
        return Path(found)

    def licence(self) -> str | None:
        """What the base model's card gives as its licence; None if it says nothing."""
        from huggingface_hub import metadata_load

        card = self.folder() / "README.md"
        metadata = metadata_load(card) if card.is_file() else None
        return str(metadata["license"]) if metadata and "license" in metadata else None
