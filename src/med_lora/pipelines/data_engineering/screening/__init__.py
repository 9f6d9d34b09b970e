"""Privacy screening: patterns and lists for the 18 Safe-Harbor classes, and optionally presidio."""

from __future__ import annotations

from med_lora.pipelines.data_engineering.screening.presidio import Analyzer
from med_lora.pipelines.data_engineering.screening.screener import Screened, Screener
from med_lora.pipelines.data_engineering.screening.spans import PLACEHOLDERS, Span

__all__ = ["PLACEHOLDERS", "Analyzer", "Screened", "Screener", "Span"]
