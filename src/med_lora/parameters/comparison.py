"""Comparison across runs: what it reads and what it shows."""

from __future__ import annotations

from pydantic import Field

from med_lora.parameters.base import Parameters


class ComparisonParams(Parameters):
    """The pipeline `comparison`."""

    runs: str = Field(
        description="runs by name, id or the beginning of an id, with spaces between; empty for every finished run "
        "with scores but rehearsals"
    )
    metrics: list[str] = Field(min_length=1, description="metrics of the leaderboard, the first one ranks it")
    mlflow: str | None = Field(
        description="SQLite file that the compared runs are also written to for MLflow (extra mlflow); null for none"
    )
