"""The short cuts of the rules (cues, needs, guards) lose nothing that their patterns match."""

from __future__ import annotations

import pytest

from med_lora.pipelines.data_engineering.screening import Screener, Span, contacts
from med_lora.pipelines.data_engineering.screening.screener import _RULES
from med_lora.pipelines.data_engineering.screening.spans import Rule
from tests.pipelines.data_engineering.screening.alternatives import Alternatives
from tests.pipelines.data_engineering.screening.test_screening import params

# What is written at random is hardly ever an address of IPv6; the notes hold some.
WRITTEN = [rule for rule in _RULES if rule.pattern is not contacts._IPV6]


@pytest.mark.parametrize("rule", WRITTEN, ids=[f"{place}-{rule.kind}" for place, rule in enumerate(WRITTEN)])
def test_every_alternative_of_a_rule_is_reached(rule: Rule) -> None:
    alternatives = Alternatives(rule.pattern)
    uncut = rule._replace(cut=None)
    group = "id" if "id" in rule.pattern.groupindex else 0
    lost, accepted = [], 0
    # Some guards ask for a given name, and the number of a group for a plan, which the patterns need not spell.
    for match in alternatives.matches("insured: member, ", ".\nMaria"):
        if rule.accepts and not rule.accepts(match):
            continue
        accepted += 1
        text, lowered = match.string, match.string.lower()
        is_let_through = rule.is_possible(text, lowered) and (not rule.guard or rule.guard(text))
        if not is_let_through or Span(*match.span(group), rule.kind) not in uncut.spans(text, lowered):
            lost.append(match[0])
    assert lost == []
    assert accepted > 0
    assert [key for key, count in alternatives.matched.items() if not count] == []


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("She is called Maria", "She is called [NAME]"),
        ("He is called Ravi", "He is called [NAME]"),
        ("According to Maria Quorlwick, he fell.", "According to [NAME], he fell."),
        ("She came with Ravi Quorlwick today.", "She came with [NAME] today."),
        ("Re : Ravi Quorlwick", "Re : [NAME]"),
        ("123 N. Main Street", "[PLACE]"),
        ("Phone 047376893", "Phone [PHONE]"),
    ],
)
def test_what_the_short_cuts_once_lost_is_masked(text: str, masked: str) -> None:
    assert Screener(params()).screen(text).text == masked
