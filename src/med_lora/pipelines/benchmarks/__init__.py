"""General medical benchmarks, asked of both arms by lm-evaluation-harness."""

from __future__ import annotations

from med_lora.pipelines.benchmarks.pipeline import create_pipeline

__all__ = ["create_pipeline"]
