"""TRL's SFTTrainer, set up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from med_lora.engine.rows import Row, collate
from med_lora.parameters import HardwareParams, OptimisationParams


def micro_batch_size(recipe: OptimisationParams, hardware: HardwareParams) -> int:
    """The largest divisor of the effective batch size that the hardware allows at once."""
    total = recipe.effective_batch_size
    return max(size for size in range(1, min(total, hardware.micro_batch_size) + 1) if total % size == 0)


def make_trainer(
    model: Any, tokenizer: Any, train: Sequence[Row], recipe: OptimisationParams, hardware: HardwareParams, folder: str
) -> Any:
    from datasets import Dataset
    from transformers import ProgressCallback, Trainer
    from transformers.trainer_callback import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    class PlainLossTrainer(SFTTrainer):  # type: ignore[misc]
        """SFTTrainer with the model's own cross-entropy: TRL's tiled LM head costs several times as much on a CPU."""

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            if hardware.device == "cpu":
                return Trainer.compute_loss(self, *args, **kwargs)
            return super().compute_loss(*args, **kwargs)  # type: ignore[no-untyped-call]

    micro = micro_batch_size(recipe, hardware)
    accumulation = recipe.effective_batch_size // micro
    steps = math.ceil(math.ceil(len(train) / recipe.effective_batch_size) * recipe.epochs)
    arguments = SFTConfig(
        output_dir=folder,
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=accumulation,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=math.ceil(steps * recipe.warmup_ratio),
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=hardware.device == "cpu",
        bf16=hardware.precision == "bf16",
        fp16=hardware.precision == "fp16",
        gradient_checkpointing=False,
        train_sampling_strategy="group_by_length",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=hardware.device == "cuda",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = PlainLossTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([dict(row) for row in train]),
        data_collator=lambda rows: collate(rows, tokenizer.pad_token_id, always_mask=hardware.device == "cuda"),
        processing_class=tokenizer,
    )
    for printing in (ProgressCallback, PrinterCallback):  # the monitor's bar replaces both
        trainer.remove_callback(printing)
    return trainer
