"""The first words of the report: what was tested, what was shown, and which controls were not beaten."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.reporting.headline import judge_control
from med_lora.pipelines.reporting.lead import write_lead

from .test_headline import CONTROL, PERPLEXITY, ROUGE


def write(
    perplexity: dict[str, Any] | None = None,
    rouge: dict[str, Any] | None = None,
    control: dict[str, Any] | None = None,
    others: list[dict[str, Any]] | None = None,
    metrics: list[dict[str, Any]] | None = None,
) -> str:
    """The lead of rows changed by keywords."""
    rows = [PERPLEXITY | (perplexity or {}), ROUGE | (rouge or {}), *(metrics or [])]
    rivals = [CONTROL | (control or {}), *(others or [])]
    best = {row["metric"]: {"arm": row["arm"], "verdict": judge_control(row)} for row in rivals}
    return write_lead(pd.DataFrame(rows), best, 0.05)


@pytest.mark.parametrize(
    ("changed", "lead"),
    [
        (
            {},
            "Tuned beats base on all 2 tested metrics (perplexity and ROUGE-L F). It beats the best null control in",
        ),
        (
            {"rouge": {"p_holm": 0.2}},
            "Tuned beats base on 1 of 2 tested metrics (perplexity); no difference is shown on ROUGE-L F. It beats",
        ),
        (
            {"rouge": {"difference": -0.1, "difference_low": -0.2, "difference_high": -0.01}},
            "Tuned beats base on 1 of 2 tested metrics (perplexity); it is worse on ROUGE-L F. It beats",
        ),
        (
            {"rouge": {"p_holm": 0.2}, "perplexity": {"p_holm": 0.2}},
            "Tuned is not shown to beat base on any of 2 tested metrics. It beats",
        ),
        (
            {"rouge": {"p_holm": math.nan}, "perplexity": {"p_holm": math.nan}},
            "The tuned and the base model could not be compared.",
        ),
        (
            {"control": {"arm": "nearest_training_answer", "tuned_difference_low": -0.1}},
            "Tuned beats base on all 2 tested metrics (perplexity and ROUGE-L F). By ROUGE-L F it does not clearly "
            "beat copying the nearest training answer.",
        ),
    ],
)
def test_the_lead_says_no_more_than_the_intervals(changed: dict[str, Any], lead: str) -> None:
    assert write(**changed).startswith(lead)


def test_the_lead_counts_the_controls_that_are_not_beaten_and_those_that_are_better() -> None:
    metrics = [ROUGE | {"metric": name} for name in ("bleu", "chrf", "meteor", "token_f1", "rouge1", "rouge2")]
    below = {"tuned_difference_low": -0.2, "tuned_difference_high": -0.1}
    lost = [CONTROL | {"metric": "bleu"} | below, CONTROL | {"metric": "chrf"}]
    lead = write(control=below, others=lost, metrics=metrics)
    assert "all 8 tested metrics (perplexity, ROUGE-L F, BLEU, chrF and 4 others)." in lead
    assert lead.endswith(
        "By ROUGE-L F it scores below giving the reference answer of another question; in 2 of 3 text metrics it does "
        "not clearly beat the best null control, and scores below it in 2."
    )


def test_metrics_that_are_zero_throughout_are_counted_and_named_even_if_nothing_else_is_shown() -> None:
    rows = [PERPLEXITY | {"p_holm": 0.2}, *(ROUGE | {"metric": name} for name in ("exact_match", "bleu"))]
    assert write_lead(pd.DataFrame(rows), {}, 0.05, zero=["exact_match", "bleu"]) == (
        "Tuned is not shown to beat base on any of 3 tested metrics; exact match and BLEU are 0 throughout."
    )
