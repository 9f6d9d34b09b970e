"""What a row of a comparison shows: a change is claimed only where its interval and its corrected p-value agree."""

from __future__ import annotations

import math
from typing import Any, Literal

from med_lora.statistics.resampling import ROUNDING

Verdict = Literal["improved", "worsened", "unclear", "not compared"]


def decide(row: dict[str, Any], alpha: float) -> Verdict:
    """What a row of ``comparison`` shows; "unclear" unless the interval and the Holm-adjusted p-value agree."""
    if math.isnan(row["difference"]) or math.isnan(row["p_holm"]) or row["better"] == "neither":
        return "not compared"
    direction = direction_of(row["difference_low"], row["difference_high"])
    if not direction or row["p_holm"] >= alpha:
        return "unclear"
    return "improved" if (direction > 0) == (row["better"] == "higher") else "worsened"


def direction_of(low: float, high: float) -> int:
    """The sign of everything in an interval; 0 if it holds zero or does not exist."""
    return int(low > ROUNDING) - int(high < -ROUNDING)
