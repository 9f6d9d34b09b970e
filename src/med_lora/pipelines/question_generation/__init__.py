"""Question-answer pairs from passages, written by a language model and checked against the passage."""

from __future__ import annotations

from med_lora.pipelines.question_generation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
