"""Which licences of corpora let weights be trained, used and passed on, and the check that stops a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

import pandas as pd

from med_lora.errors import InputError
from med_lora.parameters import CorpusParams

UNKNOWN = "unknown"
_CC_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")


class Licence(NamedTuple):
    """What a licence permits, as far as trained weights are concerned. This is bookkeeping, no legal advice.

    Attributes:
        name: SPDX identifier (https://spdx.org/licenses), or ``PUBLIC-DOMAIN`` for works no one holds rights in, such
            as those of the United States' government.
        commercial: whether commercial use is permitted.
        derivatives: whether adapted works may be passed on; weights may count as adapted.
        share_alike: whether adapted works must stay under the licence.
    """

    name: str
    commercial: bool = True
    derivatives: bool = True
    share_alike: bool = False


def _creative_commons() -> list[Licence]:
    """The Creative Commons licences of all versions (https://creativecommons.org/share-your-work/cclicenses)."""
    kinds = [
        Licence("CC-BY"),
        Licence("CC-BY-SA", share_alike=True),
        Licence("CC-BY-NC", commercial=False),
        Licence("CC-BY-NC-SA", commercial=False, share_alike=True),
        Licence("CC-BY-ND", derivatives=False),
        Licence("CC-BY-NC-ND", commercial=False, derivatives=False),
    ]
    return [kind._replace(name=f"{kind.name}-{version}") for kind in kinds for version in _CC_VERSIONS]


_PERMISSIVE = (
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause BSL-1.0 CC0-1.0 CDLA-Permissive-1.0 CDLA-Permissive-2.0 ISC MIT MIT-0 "
    "O-UDA-1.0 ODC-By-1.0 OGL-UK-3.0 PDDL-1.0 PUBLIC-DOMAIN Unlicense Zlib"
)
_SHARE_ALIKE = "CDLA-Sharing-1.0 GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later ODbL-1.0"
LICENCES: Mapping[str, Licence] = {
    licence.name.upper(): licence
    for licence in [
        *_creative_commons(),
        *(Licence(name) for name in _PERMISSIVE.split()),
        *(Licence(name, share_alike=True) for name in _SHARE_ALIKE.split()),
    ]
}


def refusal(licence: str) -> str | None:
    """Why weights trained under a licence may not be used and passed on freely, None if they may.

    Args:
        licence: SPDX identifier in any case; one that :data:`LICENCES` lacks counts as unknown.
    """
    known = LICENCES.get(licence.strip().upper())
    if known is None:
        if licence.strip().lower() == UNKNOWN:
            return "its licence is unknown"
        likely = get_close_matches(licence.strip().upper(), LICENCES, n=1)
        hint = f", the nearest known is {LICENCES[likely[0]].name}" if likely else ""
        return f"its licence {licence} is not known here{hint}"
    if not known.commercial:
        return f"{known.name} forbids commercial use"
    return None if known.derivatives else f"{known.name} forbids derivatives, which weights may be"


def check_licences(corpora: Mapping[str, CorpusParams], used: Sequence[str], allowed: Sequence[str]) -> None:
    """Stop the run if the licence of a corpus in use neither permits any use nor is allowed by the experiment.

    Args:
        corpora: all corpora by name.
        used: names of those that weights are trained on.
        allowed: licences accepted besides, in any case; ``unknown`` accepts every licence that is not known here.

    Raises:
        InputError: naming every refused corpus and why.
    """
    refused = [
        (name, corpora[name].licence, reason)
        for name in dict.fromkeys(used)
        if (reason := refusal(corpora[name].licence)) and not _is_allowed(corpora[name].licence, allowed)
    ]
    if refused:
        reasons = ", ".join(f"{name} ({reason})" for name, _, reason in refused)
        accept = ", ".join(dict.fromkeys(licence for _, licence, _ in refused))
        raise InputError(
            f"{'These corpora' if len(refused) > 1 else 'This corpus'} may not be trained on: {reasons}; mend "
            f"corpora.<name>.licence, leave the corpus out, or accept the terms by adding {accept} to "
            "data_engineering.allow_licences."
        )


def licence_table(corpora: Mapping[str, CorpusParams], used: Sequence[str], allowed: Sequence[str]) -> pd.DataFrame:
    """The licences of the corpora in use.

    Args:
        corpora: all corpora by name.
        used: names of those in use, one row each.
        allowed: licences that the experiment accepts besides.

    Returns:
        Columns corpus, title, licence, commercial_use and share_alike (yes, no, unknown), and allowed_by: ``licence``,
        ``experiment``, or ``nothing``.
    """
    rows = []
    for name in dict.fromkeys(used):
        corpus = corpora[name]
        known = LICENCES.get(corpus.licence.strip().upper())
        if refusal(corpus.licence) is None:
            allowed_by = "licence"
        else:
            allowed_by = "experiment" if _is_allowed(corpus.licence, allowed) else "nothing"
        commercial, share_alike = (known.commercial, known.share_alike) if known else (None, None)
        licence = known.name if known else corpus.licence
        rows.append((name, corpus.title, licence, _word(commercial), _word(share_alike), allowed_by))
    columns = ["corpus", "title", "licence", "commercial_use", "share_alike", "allowed_by"]
    return pd.DataFrame(rows, columns=columns, dtype="str")


def _is_allowed(licence: str, allowed: Sequence[str]) -> bool:
    accepted = {name.strip().upper() for name in allowed}
    name = licence.strip().upper()
    return name in accepted or (name not in LICENCES and UNKNOWN.upper() in accepted)


def _word(value: bool | None) -> str:
    return "unknown" if value is None else "yes" if value else "no"
