"""A language model as a judge of the answers, blind to the arms, and what is known about the judge itself."""

from __future__ import annotations

from med_lora.pipelines.judge.pipeline import create_pipeline

__all__ = ["create_pipeline"]
