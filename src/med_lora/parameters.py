"""The typed parameters of every pipeline: what an experiment may set, in which unit, within which bounds.

Every model refuses unknown keys, so that a typing error stops a run before its first node. The YAML files
under ``conf/`` hold the values; this file holds their meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
SplitSize = Annotated[int, Field(ge=0)] | Fraction


class Parameters(BaseModel):
    """Base of all parameter models: immutable, strict about keys and types (``true`` is no rank, "8" no number)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class HardwareParams(Parameters):
    """What the machine offers; set by ``conf/<env>/globals.yml``, never by an experiment."""

    device: Literal["cpu", "cuda"] = Field(description="where the model runs")
    gpu: str = Field(description="part of the GPU's product name that must be present, empty on a CPU")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        description="arithmetic of training; bf16 on a CPU is used only where the chip has bf16 instructions"
    )
    micro_batch_size: PositiveInt = Field(description="rows in one forward pass while training")
    inference_batch_size: PositiveInt = Field(description="rows in one forward pass while evaluating")
    threads: Annotated[int, Field(ge=0)] = Field(description="CPU threads of torch, 0 leaves torch's own choice")


class ModelParams(Parameters):
    """The base model."""

    id: str = Field(min_length=1, description="folder of a model, or its id on the Hugging Face hub")
    revision: str | None = Field(description="commit of the hub model; null for a folder")


class CorpusParams(Parameters):
    """One raw corpus of the catalog (dataset ``raw_<name>``)."""

    layout: Literal["alpaca", "medquad", "pages", "book"] = Field(
        description="parser of the raw records; book yields passages, the others question-answer pairs"
    )
    title: str = Field(min_length=1, description="name in tables and reports")
    licence: str = Field(min_length=1, description="SPDX identifier or plain name of the licence")


class CleaningParams(Parameters):
    """What a question-answer pair must satisfy to be kept."""

    min_answer_words: PositiveInt = Field(description="shortest answer kept, in words")
    max_answer_words: PositiveInt = Field(description="longest answer kept, in words")
    near_duplicate_jaccard: Fraction = Field(
        description="pairs whose word-3-gram sets have at least this Jaccard similarity count as near duplicates"
    )

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> CleaningParams:
        if self.max_answer_words < self.min_answer_words:
            raise ValueError("max_answer_words is below min_answer_words")
        return self


class SplitParams(Parameters):
    """Sizes of the splits: a count of pairs, or a fraction of all pairs."""

    train: SplitSize | None = Field(description="pairs to train on; null takes all that remain")
    validation: SplitSize = Field(description="pairs for the validation loss")
    test: SplitSize = Field(description="pairs for the comparison of the arms")
    seed: int = Field(description="seed of the assignment of groups to splits")


class DataEngineeringParams(Parameters):
    """Raw corpora to training, validation and test pairs."""

    corpora: list[str] = Field(min_length=1, description="names of the corpora used, keys of `corpora`")
    cleaning: CleaningParams
    split: SplitParams


class LoraParams(Parameters):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685)."""

    r: PositiveInt = Field(description="rank of the update matrices")
    alpha: PositiveInt = Field(description="scale of the update: alpha / r, or alpha / sqrt(r) with use_rslora")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(description="dropout before the update")
    target_modules: Literal["all-linear"] | list[str] = Field(description="layers that receive an adapter")
    use_rslora: bool = Field(description="rank-stabilised scale (Kalajdzievski 2023, arXiv:2312.03732)")


class OptimisationParams(Parameters):
    """The recipe shared by fine-tuning and pre-training."""

    epochs: Annotated[float, Field(gt=0)] = Field(description="passes over the training set")
    learning_rate: Annotated[float, Field(gt=0)] = Field(description="peak learning rate of AdamW")
    effective_batch_size: PositiveInt = Field(description="rows in one optimiser step, over all micro-batches")
    warmup_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(description="part of all steps spent warming up")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = Field(description="learning rate after warm-up")
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(description="AdamW weight decay")
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(description="gradient norm above which it is clipped")
    evaluations: PositiveInt = Field(
        description="validation losses during training, evenly spaced, besides the one before it"
    )
    seed: int = Field(description="seed of initialisation, shuffling and dropout")


class TrainingParams(Parameters):
    """Fine-tuning of the base model with LoRA."""

    max_length: Annotated[int, Field(ge=2)] = Field(
        description="longest sequence trained on, in tokens, prompt and answer together"
    )
    lora: LoraParams
    optimisation: OptimisationParams


class PromptParams(Parameters):
    """How a pair becomes text; training, evaluation and serving share it."""

    template: str = Field(description="text before the answer, with the placeholder {question}")

    @model_validator(mode="after")
    def _has_question(self) -> PromptParams:
        if self.template.count("{question}") != 1:
            raise ValueError("the template must hold the placeholder {question} exactly once")
        return self


class EvaluationParams(Parameters):
    """Comparison of the base and the tuned model on the test pairs."""

    max_new_tokens: PositiveInt = Field(description="tokens generated per answer at most")
    confidence: Fraction = Field(description="level of the intervals")
    exclude: list[Literal["answer_cut", "answer_empty"]] = Field(
        description="answers of either arm that leave the pair out of the text metrics: at the length limit, empty"
    )
    bootstrap_samples: PositiveInt = Field(description="resamples of the cluster bootstrap over groups")
    seed: Annotated[int, Field(ge=0)] = Field(description="seed of the bootstrap and of the shuffled control")


class ReportingParams(Parameters):
    """The report."""

    examples: Annotated[int, Field(ge=0)] = Field(description="test questions shown with the answers of every arm")


class ArchitectureParams(Parameters):
    """Shape of a Llama model made from scratch (Touvron et al. 2023, arXiv:2302.13971)."""

    vocabulary: PositiveInt = Field(description="entries of the byte-level BPE tokenizer")
    hidden_size: PositiveInt = Field(description="width of the residual stream")
    layers: PositiveInt = Field(description="transformer blocks")
    heads: PositiveInt = Field(description="attention heads")
    intermediate_size: PositiveInt = Field(description="width of the feed-forward layers")
    context_length: PositiveInt = Field(description="longest sequence, in tokens")

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> ArchitectureParams:
        if self.hidden_size % (2 * self.heads):
            raise ValueError("hidden_size must be an even multiple of heads, since rotary positions turn pairs")
        return self


class PretrainingParams(Parameters):
    """A small base language model from general text."""

    corpus: list[str] = Field(min_length=1, description="files of the general corpus used")
    validation_fraction: Fraction = Field(description="part of the documents held out for the validation loss")
    block_length: PositiveInt = Field(description="tokens in one training row")
    architecture: ArchitectureParams
    optimisation: OptimisationParams
    samples: list[str] = Field(description="beginnings that the finished model continues, shown on its card")
    sample_tokens: PositiveInt = Field(description="tokens of each continuation")

    @model_validator(mode="after")
    def _blocks_fit_the_context(self) -> PretrainingParams:
        if self.block_length > self.architecture.context_length:
            raise ValueError("block_length exceeds architecture.context_length")
        return self


class ProjectParams(Parameters):
    """Everything a run can set; one key a pipeline."""

    experiment: str
    description: str = Field(description="what the experiment asks, in one sentence")
    hardware: HardwareParams
    model: ModelParams
    prompt: PromptParams
    corpora: dict[str, CorpusParams]
    data_engineering: DataEngineeringParams
    training: TrainingParams
    evaluation: EvaluationParams
    reporting: ReportingParams
    pretraining: PretrainingParams

    @model_validator(mode="after")
    def _corpora_are_known(self) -> ProjectParams:
        from med_lora.errors import nearest

        for name in self.data_engineering.corpora:
            if name not in self.corpora:
                raise ValueError(
                    f"data_engineering.corpora names {name!r}, which is no corpus{nearest(name, self.corpora)}"
                )
        return self


def parse_parameters(values: dict[str, Any]) -> ProjectParams:
    """Check a resolved parameter tree.

    Raises:
        InputError: with all faults in one sentence each: the key, what is wrong, and the nearest known key.
    """
    from pydantic import ValidationError

    from med_lora.errors import InputError, nearest

    try:
        return ProjectParams.model_validate(values)
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            key = ".".join(str(part) for part in fault["loc"]) or "parameters"
            if fault["type"] == "extra_forbidden":
                known = _known_keys(fault["loc"][:-1])
                faults.append(f"unknown parameter {key}{nearest(str(fault['loc'][-1]), known)}")
            elif fault["type"] == "missing":
                faults.append(f"parameter {key} is missing")
            else:
                given = f" (given: {fault['input']!r})" if not isinstance(fault["input"], dict) else ""
                faults.append(f"parameter {key}: {fault['msg']}{given}")
        sentence = "; ".join(faults)
        raise InputError(sentence if sentence.endswith("?") else f"{sentence}.") from error


def _known_keys(path: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the model at ``path`` below :class:`ProjectParams`."""
    model: Any = ProjectParams
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None:
            continue  # a user's own key of a mapping, whose value model is already at hand
        is_mapping = get_origin(field.annotation) is dict
        model = get_args(field.annotation)[1] if is_mapping else field.annotation
    return list(model.model_fields)
