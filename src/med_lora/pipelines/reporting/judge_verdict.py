"""What a judge's own checks say of it, in the words of a sentence."""

from __future__ import annotations

from typing import Any


def describe_verdict(judge_summary: dict[str, Any]) -> str:
    """What a judge's own checks say of it, as a verb: ``fails its floor controls``."""
    verdict = str(judge_summary["verdict"])
    return "is not shown to tell true answers from empty or misplaced ones" if verdict == "unclear" else verdict
