"""In what metrics are counted."""

from __future__ import annotations

from med_lora.pipelines.reporting.shown_pairs import CROSS_ENTROPY
from med_lora.report_page.wording import PERCENT_SCALED


def scale_of(metric: str) -> float:
    """What a score of 1 is on the metric's own scale."""
    return 100.0 if metric in PERCENT_SCALED else 1.0


def unit_of(metric: str) -> str:
    """The unit of a metric as the title of its axis."""
    return "nats per token" if metric == CROSS_ENTROPY else f"score (0 to {scale_of(metric):g})"
