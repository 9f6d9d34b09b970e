"""Raw corpora to clean, distinct pairs in splits that share nothing, and textbooks to passages."""

from __future__ import annotations

from med_lora.pipelines.data_engineering.pipeline import create_pipeline

__all__ = ["create_pipeline"]
