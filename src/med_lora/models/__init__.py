"""Models as training and evaluation need them: loaded, quantised, with an adapter new or saved."""

from __future__ import annotations

from med_lora.models.adapters import attach_adapter, checksums
from med_lora.models.attach import attach_saved
from med_lora.models.loading import load_model, weights_dtype

__all__ = ["attach_adapter", "attach_saved", "checksums", "load_model", "weights_dtype"]
