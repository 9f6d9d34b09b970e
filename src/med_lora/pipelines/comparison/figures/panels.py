"""What the figures of many runs share: names that fit, kinds of axes, and units of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from med_lora.report_page.figures import break_label
from med_lora.report_page.wording import PERCENT_SCALED

HEAD = 26  # pixels of the head of a panel
MOST_NAMED = 8  # curves that a legend names
_LABEL_CHARACTERS = 34
_LOG_RANGE = 4  # largest by smallest value from which an axis is logarithmic
_UNITS = {"cross_entropy": "nats per answer token", "bits_per_byte": "bits per byte", "perplexity": "no unit"}


def shorten(label: str) -> str:
    """A label for a legend or a hint, with no markup of plotly."""
    text = label if len(label) <= _LABEL_CHARACTERS else f"{label[: _LABEL_CHARACTERS - 1]}…"
    return escape(text, quote=False)


def fold(label: str) -> str:
    """A label beside an axis, in lines, with no markup of plotly but their ends."""
    return "<br>".join(escape(line, quote=False) for line in break_label(label).split("<br>"))


def axis_kind(values: Sequence[float]) -> str:
    """``log`` for positive values over a wide range, else ``linear``."""
    return "log" if min(values) > 0 and max(values) / min(values) >= _LOG_RANGE else "linear"


def name_unit(metric: str) -> str:
    """The unit of a metric as titles of axes have it in parentheses."""
    return _UNITS.get(metric) or ("score, 0 to 100" if metric in PERCENT_SCALED else "score")
