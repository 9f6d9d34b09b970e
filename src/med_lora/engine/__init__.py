"""The training engine: TRL's SFTTrainer over rows that are already tokens, for fine-tuning and pre-training alike."""

from __future__ import annotations

from med_lora.engine.batches import micro_batch_size
from med_lora.engine.fit import Fit, fit
from med_lora.engine.losses import Measure, mean_loss, measure
from med_lora.engine.monitor import validation_steps
from med_lora.engine.rows import Row, collate

__all__ = ["Fit", "Measure", "Row", "collate", "fit", "mean_loss", "measure", "micro_batch_size", "validation_steps"]
