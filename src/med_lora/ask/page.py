"""The page as one document that asks nothing of any other host, and the policy that holds it to that."""

from __future__ import annotations

from collections.abc import Sequence

from med_lora.ask.command import NOTICE
from med_lora.report_page.page import render_small_page

_WHAT = {
    "base": "the model before tuning",
    "tuned": "the tuned model",
    "base_rag": "the model before tuning, given passages",
    "tuned_rag": "the tuned model, given passages",
}


def render_ask_page(experiment: str, arms: Sequence[str]) -> tuple[str, str]:
    """The page's HTML and its Content-Security-Policy, which lets its own script and style run and no others."""
    values = {"experiment": experiment, "notice": NOTICE, "arms": [(arm, _WHAT[arm]) for arm in arms]}
    html, policy = render_small_page(__package__, "page", values, "connect-src 'self'")
    return html, f"{policy}; frame-ancestors 'none'"  # a rule that counts in a header alone
