"""Continued pre-training: a first stage on the plain text of the passages, before instruction tuning."""

from __future__ import annotations

from med_lora.pipelines.continued_pretraining.pipeline import create_pipeline as create_pipeline
