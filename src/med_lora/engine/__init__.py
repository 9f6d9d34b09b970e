"""The training engine: TRL's SFTTrainer over rows that are already tokens, for fine-tuning and pre-training alike."""

from __future__ import annotations

from med_lora.engine.fit import Fit, fit
from med_lora.engine.losses import mean_loss
from med_lora.engine.monitor import validation_steps
from med_lora.engine.rows import Row, collate
from med_lora.engine.sft import micro_batch_size

__all__ = ["Fit", "Row", "collate", "fit", "mean_loss", "micro_batch_size", "validation_steps"]
