"""TRL's SFTTrainer, set up for rows that are already tokens."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

from med_lora.engine.batches import MicroBatches
from med_lora.engine.losses import LabelLoss
from med_lora.engine.rows import Row, collate, pack
from med_lora.errors import InputError
from med_lora.parameters import HardwareParams, OptimisationParams


class RowTraining:
    """What is ours in a trainer: micro-batches, loss, LoRA+, and a full disk told by ``saving``.

    TRL's fused head costs several times a plain cross-entropy on a CPU, takes no adapted or quantised output layer,
    and measures entropy and accuracy in every step.
    """

    args: Any
    model: Any
    optimizer: Any
    data_collator: Any
    loss_is_scaled_for_ga = True  # by the label tokens of the whole step
    rows: Sequence[Row]
    batches: MicroBatches
    loss: LabelLoss
    lora_plus_ratio: float | None
    saving: Callable[[], AbstractContextManager[None]] = nullcontext

    def get_train_dataloader(self) -> Any:
        from torch.utils.data import DataLoader

        # not prepared by accelerate: the plan already knows the ranks, and the Trainer moves the tensors
        return DataLoader(
            self.rows,  # type: ignore[arg-type]
            batch_sampler=self.batches,  # type: ignore[arg-type]
            collate_fn=self.data_collator,
            pin_memory=self.args.device.type == "cuda",
        )

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        # num_items_in_batch counts the label tokens of all ranks, and DDP takes the mean of their gradients
        nll, _, _ = self.loss(model, inputs)
        return (nll * (self.args.world_size / num_items_in_batch)).float()

    def create_optimizer(self, model: Any = None) -> Any:
        if self.lora_plus_ratio is None or self.optimizer is not None:
            return super().create_optimizer(model)  # type: ignore[misc]
        self.optimizer = _lora_plus(self, self.model if model is None else model, self.lora_plus_ratio)
        return self.optimizer

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with self.saving():
            super()._save_checkpoint(*args, **kwargs)  # type: ignore[misc]

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # nobody reads it, and counting walks all parameters in every micro-batch

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: the project's own cards say more."""


def make_trainer(
    model: Any,
    tokenizer: Any,
    train: Sequence[Row],
    recipe: OptimisationParams,
    hardware: HardwareParams,
    folder: str,
) -> Any:
    """A trainer whose ``batches`` are the plan of ``MicroBatches`` and whose loss is taken at the labels alone."""
    from datasets import Dataset
    from transformers import ProgressCallback
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_trainer import SFTTrainer

    collator = partial(collate, pad_id=tokenizer.pad_token_id)
    if hardware.packing:
        collator = partial(pack, pad_id=tokenizer.pad_token_id, flat=hardware.attention == "flash_attention_2")
    trained = {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}
    with forward_as_found(model), _head_hidden(model):
        trainer: Any = type("RowTrainer", (RowTraining, SFTTrainer), {})(
            model=model,
            args=make_arguments(recipe, hardware, len(train), folder),
            train_dataset=Dataset.from_dict({"input_ids": [[0]]}),  # TRL insists on one; the data loader has the rows
            data_collator=collator,
            processing_class=tokenizer,
        )
    for name, weight in model.named_parameters():
        if weight.requires_grad:  # TRL casts the adapter of a quantised model to bf16, too coarse for Adam's steps
            weight.data = trained[name].to(weight.device)
    trainer.processing_class = None  # or train() would set the model's special tokens, and checkpoints hold it
    trainer.model_accepts_loss_kwargs = True  # or it would not count the label tokens of a step
    trainer.rows, trainer.loss, trainer.lora_plus_ratio = train, LabelLoss(model), recipe.lora_plus_ratio
    lengths = [len(row["input_ids"]) for row in train]
    trainer.batches = MicroBatches(lengths, recipe, hardware, trainer.args.process_index, trainer.args.world_size)
    for printing in (ProgressCallback, PrinterCallback):  # the monitor's bar replaces both
        trainer.remove_callback(printing)
    return trainer


def make_arguments(recipe: OptimisationParams, hardware: HardwareParams, rows: int, folder: str) -> Any:
    from trl.trainer.sft_config import SFTConfig

    ranks = int(os.environ.get("WORLD_SIZE", "1"))  # set by the launcher; SFTConfig then joins its process group
    plan = MicroBatches([1] * rows, recipe, hardware, ranks=ranks)
    sharded = hardware.sharding == "fsdp" and ranks > 1
    return SFTConfig(
        output_dir=folder,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=min(hardware.micro_batch_size, recipe.effective_batch_size),
        gradient_accumulation_steps=plan.accumulation,
        average_tokens_across_devices=True,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        # warming up begins at 0, with which a run of one step would train nothing
        warmup_steps=min(math.ceil(plan.total_steps * recipe.warmup_ratio), plan.total_steps - 1),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        neftune_noise_alpha=recipe.neftune_alpha,
        seed=recipe.seed,
        use_cpu=hardware.device == "cpu",
        bf16=hardware.precision == "bf16",
        fp16=hardware.precision == "fp16",
        gradient_checkpointing=hardware.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        ddp_backend=None if ranks == 1 else "gloo" if hardware.device == "cpu" else "nccl",
        ddp_find_unused_parameters=False,
        fsdp=True if sharded else None,  # type: ignore[arg-type]
        fsdp_config={"version": 2} if sharded else None,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",  # the monitor says when
        report_to="none",
        disable_tqdm=True,
    )


def _lora_plus(trainer: Any, model: Any, ratio: float) -> Any:
    """AdamW with a higher learning rate for the B matrices (Hayou et al. 2024, arXiv:2402.12354)."""
    from peft.optimizers import create_loraplus_optimizer

    if not any("lora_B" in name for name, _ in model.named_parameters()):
        raise InputError(
            "optimisation.lora_plus_ratio sets the learning rate of a LoRA adapter's B matrices and this model has no "
            "adapter; set it to null."
        )
    optimiser, settings = trainer.get_optimizer_cls_and_kwargs(trainer.args, model)
    return create_loraplus_optimizer(
        model,
        optimiser,
        lr=settings.pop("lr"),
        loraplus_lr_ratio=ratio,
        loraplus_weight_decay=trainer.args.weight_decay,
        **settings,
    )


@contextmanager
def _head_hidden(model: Any) -> Iterator[None]:
    """TRL refuses an adapter on the output layer, since its own loss would pass it by; ours calls the layer."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.get_output_embeddings = lambda: None
    try:
        yield
    finally:
        del base.get_output_embeddings


@contextmanager
def forward_as_found(model: Any) -> Iterator[None]:
    """Undo what trainers leave on a model: TRL and accelerate replace ``forward`` on the instance."""
    wrapped = [model] + ([model.get_base_model()] if hasattr(model, "get_base_model") else [])
    found = [module.__dict__.get("forward") for module in wrapped]
    try:
        yield
    finally:
        for module, forward in zip(wrapped, found, strict=True):
            for name in ("forward", "_original_forward"):
                module.__dict__.pop(name, None)
            if forward is not None:
                module.forward = forward
