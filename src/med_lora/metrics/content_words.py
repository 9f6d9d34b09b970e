"""The words of a text that carry its matter."""

from __future__ import annotations

import re

_WORD = re.compile(r"\d+(?:[.,]\d+)+|\w+(?:['\u2019]\w+)*")
_POSSESSIVE = re.compile(r"['\u2019]s$")
# The closed classes of English: articles, pronouns, prepositions, conjunctions, auxiliaries, and adverbs of degree.
_CLOSED_CLASSES = """
a an the this that these those each every either neither some any no none all both few many much more most several
such other another same own enough less least
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
herself it its itself they them their theirs themselves one ones someone anyone everyone something anything
everything nothing who whom whose which what whatever whichever
about above across after against along among around as at before behind below beneath beside besides between beyond
by despite down during except for from in inside into like near of off on onto out outside over per since through
throughout to toward towards under until up upon via with within without
and but or nor so yet if unless whether because although though while whereas than then when whenever where wherever
why how
am is are was were be been being do does did doing done have has had having can could may might must shall should
will would ought cannot not
aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mustn't shouldn't wasn't weren't won't
wouldn't i'm i've i'll i'd you're you've you'll you'd he'll he'd she'll she'd it'll we're we've we'll we'd they're
they've they'll they'd there's let
also again almost already always even ever here however just never often only perhaps quite rather really sometimes
still there therefore thus too usually very
"""
_FUNCTION_WORDS = frozenset(_CLOSED_CLASSES.split())


def content_words(text: str) -> list[str]:
    """Words of a text in their order, case folded and without a possessive s, but for the function words of English.

    Numbers are words, decimal ones whole. Inflected forms stay apart: "joint" and "joints" are two words.
    """
    found = [_POSSESSIVE.sub("", word) for word in _WORD.findall(text.casefold().replace("\u2019", "'"))]
    return [word for word in found if word not in _FUNCTION_WORDS]
