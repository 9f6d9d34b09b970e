"""The training engine: TRL's SFTTrainer over rows that are already tokens, for fine-tuning and pre-training alike."""

from __future__ import annotations

from med_lora.engine.fit import Fit, fit
from med_lora.engine.losses import mean_loss
from med_lora.engine.rows import Row, collate

__all__ = ["Fit", "Row", "collate", "fit", "mean_loss"]
