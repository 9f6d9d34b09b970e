"""Machine, base model, prompt and training: what an experiment or an environment may set."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from med_lora.parameters.base import Fraction, Parameters, PositiveInt

PROMPT_TEMPLATES = ("alpaca", "chat", "llama2", "medlms", "plain", "question")


class HardwareParams(Parameters):
    """What the machine offers; set by ``conf/<env>/globals.yml``, never by an experiment."""

    device: Literal["cpu", "cuda"] = Field(description="where the model runs")
    gpu: str = Field(description="part of the GPU's product name that must be present, empty on a CPU")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        description="arithmetic of training; bf16 on a CPU is used only where the chip has bf16 instructions"
    )
    micro_batch_size: PositiveInt = Field(description="rows in one forward pass of a process while training")
    inference_batch_size: PositiveInt = Field(description="rows in one forward pass while evaluating")
    threads: Annotated[int, Field(ge=0)] = Field(description="CPU threads of torch a process, 0 leaves torch's choice")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field(description="attention kernel of transformers")
    workers: Annotated[int, Field(ge=0)] = Field(
        description="CPU processes that score answers side by side, 0 takes one a core"
    )
    quantisation: list[Literal["none", "int8", "nf4", "gptq"]] = Field(
        min_length=1, description="kinds of model.quantisation that the chip computes with"
    )
    packing: bool = Field(description="pairs of a micro-batch share rows while training, apart from each other")
    gradient_checkpointing: bool = Field(description="compute activations twice instead of keeping them")
    processes: PositiveInt = Field(description="training processes on each machine, one a GPU")
    machines: PositiveInt = Field(description="machines that train together")
    rendezvous: str | None = Field(description="host:port of the first machine where there are several, else null")
    sharding: Literal["ddp", "fsdp"] = Field(
        description="what processes share: gradients alone (ddp), or weights and optimiser state too (fsdp)"
    )

    @model_validator(mode="after")
    def _machines_meet_somewhere(self) -> HardwareParams:
        if self.machines > 1 and not self.rendezvous:
            raise ValueError("several machines need a rendezvous, host:port of the first (MED_LORA_RENDEZVOUS)")
        return self


class ModelParams(Parameters):
    """The base model."""

    id: str = Field(min_length=1, description="folder of a model, or its id on the Hugging Face hub")
    revision: str | None = Field(description="commit of the hub model; null for a folder")
    quantisation: Literal["none", "int8", "nf4", "gptq"] = Field(
        description="frozen weights: in the machine's precision, 8 bits, 4 bits (NF4 with double quantisation, "
        "Dettmers et al. 2023, arXiv:2305.14314), or the checkpoint's own GPTQ"
    )


class PromptParams(Parameters):
    """How a pair becomes text; training, evaluation and serving share it."""

    template: str = Field(
        description="alpaca, chat (the tokenizer's own), llama2, medlms, plain or question; or text with the "
        "placeholder {question}, and {system} where a system text is set"
    )
    system: Annotated[str, Field(min_length=1)] | None = Field(
        description="standing instruction to the model, in front of the question; null for none"
    )

    @model_validator(mode="after")
    def _is_named_or_has_question(self) -> PromptParams:
        if self.template in PROMPT_TEMPLATES:
            return self
        if self.template.count("{question}") != 1:
            raise ValueError(
                f"the template must be one of {', '.join(PROMPT_TEMPLATES)}, or a text that holds the placeholder "
                "{question} exactly once"
            )
        if ("{system}" in self.template) != (self.system is not None):
            raise ValueError(
                "the template's text must hold the placeholder {system} if prompt.system is set, and only then"
            )
        return self


class LoraParams(Parameters):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685)."""

    r: PositiveInt = Field(description="rank of the update matrices")
    alpha: PositiveInt = Field(description="scale of the update: alpha / r, or alpha / sqrt(r) with use_rslora")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(description="dropout before the update")
    target_modules: Literal["all-linear", "attention", "attention-mlp"] | list[str] = Field(
        description="layers that receive an adapter: all linear ones but the head, those of attention, those of "
        "attention and feed-forward, or these names"
    )
    use_rslora: bool = Field(description="rank-stabilised scale (Kalajdzievski 2023, arXiv:2312.03732)")
    use_dora: bool = Field(description="magnitude and direction apart (Liu et al. 2024, arXiv:2402.09353)")
    initialisation: Literal["default", "pissa", "loftq"] = Field(
        description="of the update: zero, the base weights' principal components (Meng et al. 2024, arXiv:2404.02948), "
        "or what quantisation lost (Li et al. 2023, arXiv:2310.08659)"
    )


class OptimisationParams(Parameters):
    """The recipe shared by fine-tuning and pre-training."""

    epochs: Annotated[float, Field(gt=0)] = Field(description="passes over the training set")
    learning_rate: Annotated[float, Field(gt=0)] = Field(description="peak learning rate of AdamW")
    effective_batch_size: PositiveInt = Field(description="rows in one optimiser step, over all micro-batches")
    warmup_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(description="part of all steps spent warming up")
    schedule: Literal["linear", "cosine", "constant_with_warmup", "inverse_sqrt"] = Field(
        description="learning rate after warm-up"
    )
    weight_decay: Annotated[float, Field(ge=0.0)] = Field(description="AdamW weight decay")
    max_grad_norm: Annotated[float, Field(gt=0)] = Field(description="gradient norm above which it is clipped")
    evaluations: PositiveInt | Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        description="validation losses during training besides the one before it: so many, evenly spaced, or a list of "
        "optimiser steps, to which the last step is added and of which those behind it are left out"
    )
    checkpoints: Annotated[int, Field(ge=0)] = Field(
        description="checkpoints during training, evenly spaced, from which a run that was cut off goes on"
    )
    batches: Literal["grouped", "random"] = Field(
        description="rows of one optimiser step: of like length, which pads least, or shuffled plainly"
    )
    keep: Literal["last", "best"] = Field(description="weights kept: of the last step, or of the least validation loss")
    patience: PositiveInt | None = Field(
        description="stop after so many validation losses without a lower one; null trains to the end"
    )
    lora_plus_ratio: Annotated[float, Field(ge=1.0)] | None = Field(
        description="learning rate of the B matrices over that of A (Hayou et al. 2024, arXiv:2402.12354); null for one"
    )
    neftune_alpha: Annotated[float, Field(gt=0)] | None = Field(
        description="noise on the embeddings (Jain et al. 2023, arXiv:2310.05914); null for none"
    )
    seed: int = Field(description="seed of initialisation, shuffling and dropout")

    @model_validator(mode="after")
    def _patience_can_run_out(self) -> OptimisationParams:
        given = self.evaluations
        if isinstance(given, list) and any(later <= earlier for earlier, later in pairwise(given)):
            raise ValueError("evaluations lists steps that do not rise")
        if self.patience is not None and self.patience >= self.validations:
            raise ValueError("patience must be less than evaluations, or it never stops anything")
        return self

    @property
    def validations(self) -> int:
        """Validation losses during training, at most."""
        return len(self.evaluations) + 1 if isinstance(self.evaluations, list) else self.evaluations


class TrainingParams(Parameters):
    """Fine-tuning of the base model."""

    method: Literal["lora", "full", "none"] = Field(
        description="train an adapter, or all weights (small models), or nothing on pairs, where the tuned model is "
        "what continued pre-training left"
    )
    loss_on: Literal["answer", "all"] = Field(description="tokens that the loss counts: the answer's, or all")
    max_length: Annotated[int, Field(ge=2)] = Field(
        description="longest sequence trained on, in tokens, prompt and answer together"
    )
    overlong: Literal["truncate", "drop", "stop"] = Field(
        description="pairs longer than max_length: cut the answer's end, leave the pair out of training and "
        "validation, or stop the run; test pairs are never left out"
    )
    epoch_answers: Annotated[int, Field(ge=0)] = Field(
        description="validation questions, the first by id, that are answered and scored before training and after "
        "every epoch; 0 for none"
    )
    lora: LoraParams
    optimisation: OptimisationParams

    @model_validator(mode="after")
    def _lora_plus_has_lora(self) -> TrainingParams:
        if self.method == "full" and self.optimisation.lora_plus_ratio is not None:
            raise ValueError("optimisation.lora_plus_ratio has no meaning with method full; set it to null")
        return self


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
